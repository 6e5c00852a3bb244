// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a Node object says of a machine of the cluster. Whether it is ready isn't read: nodes judge each
/// other by themselves, and faster.
public struct NodeManifest: Hashable, Sendable {
    public static let zoneLabel = "topology.kubernetes.io/zone"

    public let name: String
    public let labels: Labels
    /// Its `InternalIP`s, in the object's order; `Hostname`, `ExternalIP` and DNS names aren't read.
    public let addresses: [Address]
    /// Of its pods, one or two; none if nobody allocated any yet.
    public let podPrefixes: [Prefix]

    public var zone: String { labels[Self.zoneLabel] ?? "" }

    /// Addresses of all types that are looked at.
    private static let addressesMaximum = 64
    /// An API server takes one of each family.
    private static let prefixesMaximum = 2
}

extension NodeManifest {
    init(_ root: ManifestField) throws(ManifestFault) {
        name = try clusterScopedName(of: root)
        labels = try objectLabels(of: root)
        var addresses: [Address] = []
        for field in try root["status"]["addresses"].elements(max: Self.addressesMaximum)
        where try field["type"].string() == "InternalIP" {
            let address = try field["address"].unicastAddress()
            if !addresses.contains(address) { addresses.append(address) }
        }
        self.addresses = Array(addresses.prefix(RecordLimit.addresses))
        let spec = try root["spec"]
        var fields = try spec["podCIDRs"].elements(max: Self.prefixesMaximum)
        if fields.isEmpty { fields = [try spec["podCIDR"]].filter { !$0.isNull } }
        podPrefixes = try fields.map { field throws(ManifestFault) in
            let text = try field.requiredString()
            guard let prefix = Prefix(text) else {
                throw field.fault("is \"\(text)\"; must be a prefix such as 10.1.0.0/24")
            }
            return prefix
        }
    }

    /// How other nodes reach it.
    ///
    /// - Throws: what it still lacks: until then nobody is to know of it.
    func member() throws(ManifestFault) -> MemberRecord {
        guard !podPrefixes.isEmpty else {
            throw ManifestFault(
                line: 0,
                message: "has no spec.podCIDR; the node is left out until it is given one")
        }
        guard !addresses.isEmpty else {
            throw ManifestFault(
                line: 0,
                message: "status.addresses has no InternalIP; the node is left out until it has")
        }
        return MemberRecord(name: name, addresses: addresses, zone: zone)
    }
}

extension NodeManifest {
    /// As an API server answers.
    ///
    /// - Throws: ``KubernetesError`` `.malformed`, with the field and the reason.
    public init(json: [UInt8]) throws(KubernetesError) {
        do {
            try self.init(ManifestField(root: try JSONValue(json)))
        } catch let fault as ManifestFault {
            throw KubernetesError(.malformed, "the Node's \(fault.message)")
        } catch {
            throw KubernetesError(.malformed, "the Node is no object: \(error)")
        }
    }
}
