// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshTrust

/// Where a service's EndpointSlices say that the authority may be.
enum EnrolmentAddresses {
    /// Of a service; the port of this name, or the only one.
    static let portName = "enrolment"

    /// Slices by the label that the EndpointSlice controller gives them.
    static func request(of service: ObjectName) -> ObjectRequest {
        var request = ObjectRequest(
            .get, ObjectPath(.endpointSlices, namespace: service.namespace))
        request.query = [("labelSelector", "kubernetes.io/service-name=\(service.name)")]
        return request
    }

    /// Ready or not: an authority that isn't the publisher refuses connections, and the next one is
    /// asked.
    ///
    /// - Throws: ``KubernetesError`` `.malformed`.
    static func read(_ slices: [UInt8]) throws(KubernetesError) -> [ClusterAddress] {
        guard let list = try? JSONValue(slices) else {
            throw KubernetesError(.malformed, "the list of EndpointSlices is no JSON")
        }
        var found: [ClusterAddress] = []
        for slice in list["items"].items {
            let ports = slice["ports"].items
            let named = ports.first { $0["name"].text == portName }
            guard let port = named ?? (ports.count == 1 ? ports.first : nil),
                let number = port["port"].integer.flatMap({ UInt16(exactly: $0) })
            else { continue }
            for endpoint in slice["endpoints"].items {
                for text in endpoint["addresses"].items.compactMap(\.text) {
                    guard
                        let address = Address(text).flatMap({
                            ClusterAddress(address: $0, port: number)
                        }), !found.contains(address)
                    else { continue }
                    found.append(address)
                }
            }
        }
        return Array(found.prefix(JoinSettings.addressesMaximum))
    }
}
