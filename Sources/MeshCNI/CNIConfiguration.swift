// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// The network's configuration, as it comes on standard input.
struct CNIConfiguration {
    static let bytesMaximum = 1 << 20
    static let defaultSocket = "/run/weft/weft-admin.sock"
    /// `sun_path` without the final zero.
    static let socketBytesMaximum = 107
    static let waitSeconds = 1...300
    static let defaultWaitSeconds = 20
    static let nameBytesMaximum = 253

    let root: JSONValue
    let version: CNIVersion

    /// - Throws: `.undecodable` for what is no JSON object, `.incompatibleVersion`.
    init(_ bytes: [UInt8]) throws(CNIError) {
        let root = try Self.object(bytes)
        version = try Self.version(of: root)
        self.root = root
    }

    /// What a runtime that asks for VERSION says; only `cniVersion` is looked at.
    static func requestedVersion(_ bytes: [UInt8]) throws(CNIError) -> String {
        let root = bytes.isEmpty ? .object([:]) : try object(bytes)
        guard let version = root["cniVersion"] else { return CNIVersion.newest.rawValue }
        guard let text = version.text, text.utf8.count <= 32 else {
            throw CNIError(.undecodable, "cniVersion is no version")
        }
        return text
    }

    private static func object(_ bytes: [UInt8]) throws(CNIError) -> JSONValue {
        guard bytes.count <= bytesMaximum else {
            throw CNIError(
                .undecodable, "the configuration is larger than \(bytesMaximum >> 20) MiB")
        }
        do {
            let value = try JSONValue(bytes)
            if case .object = value { return value }
        } catch {
            throw CNIError(.undecodable, "the configuration is no JSON", details: "\(error)")
        }
        throw CNIError(.undecodable, "the configuration is no JSON object")
    }

    private static func version(of root: JSONValue) throws(CNIError) -> CNIVersion {
        // Without a version it is of 0.1.0, whose results nobody makes any more.
        guard let text = (root["cniVersion"] ?? .string("0.1.0")).text else {
            throw CNIError(.undecodable, "cniVersion is no text")
        }
        guard let version = CNIVersion(rawValue: text) else {
            let known = CNIVersion.allCases.map(\.rawValue).joined(separator: ", ")
            throw CNIError(
                .incompatibleVersion, "cniVersion \"\(text.prefix(32))\" isn't supported",
                details: "supported are \(known)")
        }
        return version
    }

    /// Of the network.
    func name() throws(CNIError) -> String {
        guard let name = root["name"]?.text, isIdentifier(name, atMost: Self.nameBytesMaximum)
        else {
            throw CNIError(
                .invalidConfiguration,
                "\"name\" must be 1 to \(Self.nameBytesMaximum) letters, digits, '_', '.' and '-', "
                    + "beginning with a letter or a digit")
        }
        return name
    }

    func agent() throws(CNIError) -> CNIAgent {
        let socket = try text("socket") ?? Self.defaultSocket
        guard socket.hasPrefix("/"), socket.utf8.count <= Self.socketBytesMaximum else {
            throw CNIError(
                .invalidConfiguration,
                "\"socket\" must be an absolute path of at most \(Self.socketBytesMaximum) bytes")
        }
        let seconds = root["waitSeconds"].map { $0.index ?? 0 } ?? Self.defaultWaitSeconds
        guard Self.waitSeconds.contains(seconds) else {
            throw CNIError(
                .invalidConfiguration,
                "\"waitSeconds\" must be \(Self.waitSeconds.lowerBound) to "
                    + "\(Self.waitSeconds.upperBound)")
        }
        return CNIAgent(socket: socket, waitSeconds: seconds)
    }

    /// Of containers that the runtime names no pod for.
    func namespace() throws(CNIError) -> String {
        let namespace = try text("namespace") ?? "default"
        guard isLabel(namespace) else {
            throw CNIError(
                .invalidConfiguration, "\"namespace\" must be a name of a-z, 0-9 and '-'")
        }
        return namespace
    }

    /// Nobody but the agent hands out addresses.
    func checkFields() throws(CNIError) {
        guard let ipam = root["ipam"], ipam != .object([:]) else { return }
        let type = ipam["type"]?.text ?? "…"
        throw CNIError(
            .unsupportedField, "\"ipam\" of type \"\(type.prefix(64))\" isn't supported",
            details: "the node's agent hands out addresses of its podPrefixes; leave it out")
    }

    func previousResult() throws(CNIError) -> PreviousResult? {
        guard let value = root["prevResult"] else { return nil }
        guard case .object = value else {
            throw CNIError(.undecodable, "prevResult is no object")
        }
        return PreviousResult(value)
    }

    func validAttachments() throws(CNIError) -> Set<CNIAttachment> {
        let key = "cni.dev/valid-attachments"
        // Without the list nothing may be taken for garbage.
        guard let list = root[key]?.elements else {
            throw CNIError(.invalidConfiguration, "\"\(key)\" is missing")
        }
        var result: Set<CNIAttachment> = []
        for element in list {
            guard let container = element["containerID"]?.text,
                let interface = element["ifname"]?.text
            else {
                throw CNIError(
                    .undecodable, "an element of \"\(key)\" lacks containerID or ifname")
            }
            result.insert(CNIAttachment(container: container, interface: interface))
        }
        return result
    }

    private func text(_ key: String) throws(CNIError) -> String? {
        guard let value = root[key] else { return nil }
        guard let text = value.text else {
            throw CNIError(.invalidConfiguration, "\"\(key)\" must be text")
        }
        return text
    }
}

/// Whom to ask, and for how long.
public struct CNIAgent: Hashable, Sendable {
    /// The agent's administration socket.
    public let socket: String
    /// After so long the runtime is told to try again.
    public let waitSeconds: Int
}
