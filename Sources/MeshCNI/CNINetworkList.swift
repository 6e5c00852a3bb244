// SPDX-License-Identifier: Apache-2.0

/// The file that tells container runtimes of this plugin, a `.conflist`.
public enum CNINetworkList {
    /// How the program is called, and so what it does.
    public static let pluginName = "weft-cni"
    /// Largest file that is read.
    public static let bytesMaximum = CNIConfiguration.bytesMaximum

    /// With this plugin alone: it makes the interfaces.
    ///
    /// - Parameter socket: the agent's administration socket; nil is the usual one.
    public static func primary(socket: String?) -> [UInt8] {
        JSONValue.object([
            // Runtimes that know `cniVersions` take the newest of them that they speak.
            "cniVersion": .string(CNIVersion.v100.rawValue),
            "cniVersions": .array([CNIVersion.v100, .v110].map { .string($0.rawValue) }),
            "name": .string("weft"),
            "plugins": .array([plugin(socket)]),
        ]).encoded
    }

    /// Another list with this plugin at its end: it takes over what the others make.
    ///
    /// - Throws: `.undecodable` for what is no list of plugins, `.invalidConfiguration` if this
    ///   plugin is in it already.
    public static func chained(
        after list: [UInt8], socket: String?
    ) throws(CNIError) -> [UInt8] {
        let value: JSONValue
        do {
            guard list.count <= bytesMaximum else {
                throw CNIError(.undecodable, "the list is larger than \(bytesMaximum >> 20) MiB")
            }
            value = try JSONValue(list)
        } catch let error as CNIError {
            throw error
        } catch {
            throw CNIError(.undecodable, "the list is no JSON", details: "\(error)")
        }
        guard case .object(var fields) = value, let plugins = value["plugins"]?.elements,
            !plugins.isEmpty
        else { throw CNIError(.undecodable, "the list names no plugins") }
        guard !plugins.contains(where: { $0["type"]?.text == pluginName }) else {
            throw CNIError(.invalidConfiguration, "the list has \(pluginName) already")
        }
        fields["plugins"] = .array(plugins + [plugin(socket)])
        return JSONValue.object(fields).encoded
    }

    private static func plugin(_ socket: String?) -> JSONValue {
        var fields: [String: JSONValue] = ["type": .string(pluginName)]
        if let socket { fields["socket"] = .string(socket) }
        return .object(fields)
    }
}
