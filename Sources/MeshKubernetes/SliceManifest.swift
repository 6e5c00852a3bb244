// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension SliceRecord {
    private static let serviceLabel = "kubernetes.io/service-name"
    static let importLabel = "multicluster.kubernetes.io/service-name"

    /// Nil for a slice of DNS names, which no datapath can reach, and for one that was imported: its
    /// endpoints come with their own cluster's ledger.
    init?(manifest root: ManifestField) throws(ManifestFault) {
        guard try root["metadata"]["labels"][Self.importLabel].isNull else { return nil }
        let object = try ObjectName(manifest: root)
        let typeField = try root["addressType"]
        let isIPv4: Bool
        switch try typeField.requiredString() {
        case "IPv4": isIPv4 = true
        case "IPv6": isIPv4 = false
        case "FQDN": return nil
        case let text: throw typeField.fault("is \"\(text)\"; must be IPv4 or IPv6")
        }
        let labels = try root["metadata"]["labels"]
        guard let service = try labels[Self.serviceLabel].string(), isLabel(service) else {
            throw labels.fault("lacks \(Self.serviceLabel); name the service there")
        }
        var ports: [ServicePort] = []
        for field in try root["ports"].elements(max: RecordLimit.ports) {
            let port = try ServicePort(manifest: field)
            guard !ports.contains(where: { $0.name == port.name }) else {
                throw try field["name"].fault("is \"\(port.name)\", as an earlier port's")
            }
            ports.append(port)
        }
        var endpoints: [SliceEndpoint] = []
        for field in try root["endpoints"].elements(max: RecordLimit.endpointsPerSlice) {
            endpoints.append(try SliceEndpoint(manifest: field, isIPv4: isIPv4))
        }
        self.init(object: object, service: service, ports: ports, endpoints: endpoints)
    }
}

extension SliceEndpoint {
    fileprivate init(manifest field: ManifestField, isIPv4: Bool) throws(ManifestFault) {
        let list = try field["addresses"]
        var addresses: [Address] = []
        for element in try list.elements(max: RecordLimit.addresses) {
            let address = try element.unicastAddress()
            guard address.isIPv4 == isIPv4 else {
                throw element.fault(
                    "is \(address), not \(isIPv4 ? "IPv4" : "IPv6") as addressType says")
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw list.fault("is empty; write one address") }
        let nodeField = try field["nodeName"]
        let node = try nodeField.string() ?? ""
        guard node.isEmpty || isSubdomain(node) else {
            throw nodeField.fault("is \"\(node)\"; must be a DNS name")
        }
        let hostnameField = try field["hostname"]
        let hostname = try hostnameField.string() ?? ""
        guard hostname.isEmpty || isLabel(hostname) else {
            throw hostnameField.fault("is \"\(hostname)\"; must be a DNS label")
        }
        // discovery/v1: unknown readiness means ready, unknown serving what ready says.
        let conditions = try field["conditions"]
        let isReady = try conditions["ready"].bool() ?? true
        self.init(
            addresses: addresses, isReady: isReady,
            isServing: try conditions["serving"].bool() ?? isReady,
            isTerminating: try conditions["terminating"].bool() ?? false, node: node,
            hostname: hostname)
    }
}
