// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// The parameters that a runtime passes as environment variables (CNI 1.1 §2, *Parameters*).
struct CNIEnvironment {
    static let containerBytesMaximum = 253
    static let pathBytesMaximum = 4095
    static let argumentBytesMaximum = 16 << 10
    /// `IFNAMSIZ` without the final zero.
    static let interfaceBytesMaximum = 15

    private let variables: [String: String]

    init(_ variables: [String: String]) { self.variables = variables }

    /// - Throws: `.invalidEnvironment`, as everything here does.
    func verb() throws(CNIError) -> CNIVerb {
        let text = try require("CNI_COMMAND")
        guard let verb = CNIVerb(rawValue: text) else {
            throw wrong("CNI_COMMAND", "'\(text.prefix(32))' is no command of CNI 1.1")
        }
        return verb
    }

    func attachment() throws(CNIError) -> CNIAttachment {
        let container = try require("CNI_CONTAINERID")
        guard isIdentifier(container, atMost: Self.containerBytesMaximum) else {
            throw wrong(
                "CNI_CONTAINERID",
                "must be 1 to \(Self.containerBytesMaximum) letters, digits, '_', '.' and '-', "
                    + "beginning with a letter or a digit")
        }
        let interface = try require("CNI_IFNAME")
        guard isInterfaceName(interface) else {
            throw wrong("CNI_IFNAME", "'\(interface.prefix(64))' can't be an interface's name")
        }
        return CNIAttachment(container: container, interface: interface)
    }

    func namespacePath() throws(CNIError) -> String {
        let path = try require("CNI_NETNS")
        guard path.hasPrefix("/"), path.utf8.count <= Self.pathBytesMaximum else {
            throw wrong("CNI_NETNS", "must be an absolute path")
        }
        return path
    }

    /// Whose container it is: the pod that the runtime names, or a container with a name of its own.
    ///
    /// - Parameter namespace: of a container that no pod is named for.
    func workload(of container: String, namespace: String) throws(CNIError) -> CNIWorkload {
        let arguments = try arguments()
        guard arguments["K8S_POD_NAMESPACE"] != nil || arguments["K8S_POD_NAME"] != nil else {
            let name = String(container.lowercased().prefix(63))
            guard isSubdomain(name) else {
                throw wrong(
                    "CNI_ARGS",
                    "names no pod, and '\(container)' can't be an object's name; pass "
                        + "K8S_POD_NAMESPACE and K8S_POD_NAME")
            }
            return CNIWorkload(object: ObjectName(namespace: namespace, name: name), uid: nil)
        }
        let object = ObjectName(
            namespace: arguments["K8S_POD_NAMESPACE"] ?? "", name: arguments["K8S_POD_NAME"] ?? "")
        guard isLabel(object.namespace), isSubdomain(object.name) else {
            throw wrong(
                "CNI_ARGS", "K8S_POD_NAMESPACE and K8S_POD_NAME must be names of Kubernetes")
        }
        let uid = arguments["K8S_POD_UID"].flatMap { $0.isEmpty ? nil : $0 }
        guard uid.map({ isIdentifier($0, atMost: Self.containerBytesMaximum) }) ?? true else {
            throw wrong("CNI_ARGS", "K8S_POD_UID is no UID")
        }
        return CNIWorkload(object: object, uid: uid)
    }

    /// `FOO=BAR;ABC=123`. Keys that aren't known here are somebody else's.
    private func arguments() throws(CNIError) -> [String: String] {
        let text = variables["CNI_ARGS"] ?? ""
        guard text.utf8.count <= Self.argumentBytesMaximum else {
            throw wrong("CNI_ARGS", "is longer than \(Self.argumentBytesMaximum) bytes")
        }
        var arguments: [String: String] = [:]
        for pair in text.split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw wrong("CNI_ARGS", "'\(pair.prefix(64))' is no KEY=VALUE")
            }
            arguments[String(parts[0])] = String(parts[1])
        }
        return arguments
    }

    private func require(_ name: String) throws(CNIError) -> String {
        guard let value = variables[name], !value.isEmpty else { throw wrong(name, "is not set") }
        return value
    }

    private func wrong(_ name: String, _ what: String) -> CNIError {
        CNIError(.invalidEnvironment, "\(name) \(what)", details: "see CNI 1.1, Parameters")
    }
}

/// What tells attachments of a network apart.
public struct CNIAttachment: Hashable, Sendable {
    public let container: String
    /// Name of the link inside the container.
    public let interface: String

    public init(container: String, interface: String) {
        self.container = container
        self.interface = interface
    }
}

/// Whose container is attached.
public struct CNIWorkload: Hashable, Sendable {
    public let object: ObjectName
    /// Nil where the runtime knows none.
    public let uid: String?
}

/// Whether `text` is what the specification allows for container IDs and networks' names.
func isIdentifier(_ text: String, atMost limit: Int) -> Bool {
    let bytes = text.utf8
    guard (1...limit).contains(bytes.count), let first = bytes.first else { return false }
    func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default: false
        }
    }
    return isAlphanumeric(first)
        && bytes.allSatisfy { isAlphanumeric($0) || "_.-".utf8.contains($0) }
}

/// Whether the kernel takes `text` for a link's name.
private func isInterfaceName(_ text: String) -> Bool {
    (1...CNIEnvironment.interfaceBytesMaximum).contains(text.utf8.count) && text != "."
        && text != ".."
        && text.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":")
        }
}
