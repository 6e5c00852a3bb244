// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// An interface that the agent made for a container.
public struct CNIInterface: Hashable, Sendable {
    public struct Assignment: Hashable, Sendable {
        public let address: Address
        /// Where everything else is sent.
        public let gateway: Address

        public init(address: Address, gateway: Address) {
            self.address = address
            self.gateway = gateway
        }
    }

    /// The node's end.
    public let hostInterface: String
    /// Of the container's end.
    public let hardwareAddress: String
    /// Bytes.
    public let mtu: UInt32
    public let assignments: [Assignment]

    public init(
        hostInterface: String, hardwareAddress: String, mtu: UInt32, assignments: [Assignment]
    ) {
        self.hostInterface = hostInterface
        self.hardwareAddress = hardwareAddress
        self.mtu = mtu
        self.assignments = assignments
    }
}

extension CNICall.Addition {
    /// The result of ADD: that of the plugin before this one as it is, or what the agent made.
    public func result(_ made: CNIInterface, version: CNIVersion) -> [UInt8] {
        if let chained {
            guard case .object(var fields) = chained.result.value else { return [] }
            fields["cniVersion"] = .string(version.rawValue)
            return JSONValue.object(fields).encoded
        }
        var fields: [String: JSONValue] = [
            "cniVersion": .string(version.rawValue),
            "interfaces": .array([
                link(made.hostInterface, made.mtu, version),
                link(
                    attachment.interface, made.mtu, version,
                    ["mac": .string(made.hardwareAddress), "sandbox": .string(namespacePath)]),
            ]),
            "ips": .array(made.assignments.map { ip($0, version) }),
            "routes": .array(
                made.assignments.map {
                    .object([
                        "dst": .string($0.address.isIPv4 ? "0.0.0.0/0" : "::/0"),
                        "gw": .string("\($0.gateway)"),
                    ])
                }),
        ]
        fields["dns"] = dns ?? .object([:])
        return JSONValue.object(fields).encoded
    }

    private func link(
        _ name: String, _ mtu: UInt32, _ version: CNIVersion, _ more: [String: JSONValue] = [:]
    ) -> JSONValue {
        var fields = more
        fields["name"] = .string(name)
        if version >= .v110 { fields["mtu"] = .integer(Int64(mtu)) }
        return .object(fields)
    }

    private func ip(_ assignment: CNIInterface.Assignment, _ version: CNIVersion) -> JSONValue {
        let isIPv4 = assignment.address.isIPv4
        var fields: [String: JSONValue] = [
            // Its place among the interfaces.
            "interface": .integer(1),
            "address": .string("\(assignment.address)/\(isIPv4 ? 32 : 128)"),
            "gateway": .string("\(assignment.gateway)"),
        ]
        if version < .v100 { fields["version"] = .string(isIPv4 ? "4" : "6") }
        return .object(fields)
    }
}

extension CNICall {
    /// The answer to VERSION.
    ///
    /// - Parameter requested: what the runtime said.
    public static func versions(requested: String) -> [UInt8] {
        JSONValue.object([
            "cniVersion": .string(requested),
            "supportedVersions": .array(CNIVersion.allCases.map { .string($0.rawValue) }),
        ]).encoded
    }
}
