// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import Netlink

/// What the state file keeps of an endpoint: enough to find it again, or to undo half an attach.
struct EndpointRecord: Codable, Hashable {
    enum Phase: String, Codable {
        /// Its addresses are taken; its link may be there or not.
        case attaching
        case attached
    }

    var phase: Phase
    var namespace: String
    var name: String
    var labels: [String: String]
    var addresses: [String]
    var namespacePath: String
    var interfaceName: String
    var hostInterface: String
    var interfaceIndex: UInt32
    var hardwareAddress: String
    /// Nil in files of agents that had none.
    var attachment: RuntimeAttachment?

    /// Whether the link is this node's to make and to delete.
    var ownsLink: Bool { attachment?.isChained != true }

    var object: ObjectName { ObjectName(namespace: namespace, name: name) }

    /// - Returns: nil if an address in it doesn't parse.
    var endpoint: LocalEndpoint? {
        let parsed = addresses.compactMap { Address($0) }
        guard parsed.count == addresses.count,
            let hardwareAddress = HardwareAddress(hardwareAddress)
        else { return nil }
        return LocalEndpoint(
            object: object, labels: labels, addresses: parsed, hostInterface: hostInterface,
            interfaceIndex: interfaceIndex, hardwareAddress: hardwareAddress,
            namespacePath: namespacePath, attachment: attachment)
    }

    /// - Parameter cable: the link that is there already; nil for one to be made.
    init(
        _ request: EndpointRequest, addresses: [Address], hardwareAddress: HardwareAddress,
        cable: FoundCable?
    ) {
        phase = .attaching
        namespace = request.object.namespace
        name = request.object.name
        labels = request.labels
        self.addresses = addresses.map(\.description)
        namespacePath = request.namespacePath
        interfaceName = request.interfaceName
        hostInterface = cable?.hostInterface ?? hostInterfaceName(of: request.object)
        interfaceIndex = cable?.interfaceIndex ?? 0
        self.hardwareAddress = hardwareAddress.description
        attachment = request.attachment
    }

    /// Whether the endpoint is what `request` asks for.
    func satisfies(_ request: EndpointRequest) -> Bool {
        namespacePath == request.namespacePath && interfaceName == request.interfaceName
            && labels == request.labels && attachment == request.attachment
            && (request.addresses.map { Set($0.map(\.description)) == Set(addresses) } ?? true)
    }
}

/// `weft` and eleven digits of the object's hash: the same after every restart, so
/// that what a crash left is found.
func hostInterfaceName(of object: ObjectName) -> String {
    let digits = String(FNV1a(object.description.utf8).value, radix: 36)
    return "weft" + String(repeating: "0", count: max(0, 11 - digits.count)) + digits.suffix(11)
}
