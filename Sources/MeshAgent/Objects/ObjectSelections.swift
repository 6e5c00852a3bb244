// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// What is watched: on each node its own pods, nothing else, and by the publisher what concerns the
/// whole cluster.
enum ObjectSelections {
    static func ownPods(of node: String) -> ObjectSelection {
        ObjectSelection(.pods, fieldSelector: "spec.nodeName=\(node)")
    }

    /// Neither Pods nor Nodes: endpoints come from their own nodes, and nodes speak for themselves.
    static let ofCluster = [
        ObjectSelection(.namespaces), services, ObjectSelection(.endpointSlices),
        ObjectSelection(.networkPolicies),
        ObjectSelection(.clusterNetworkPolicies, isOptional: true), exports, imports,
    ]

    static let services = ObjectSelection(.services)
    static let exports = ObjectSelection(.serviceExports("v1beta1"), isOptional: true)
    /// What Weft itself has written.
    static let imports = ObjectSelection(.serviceImports("v1beta1"), isOptional: true)
    /// Asked for where the newer version isn't served.
    static let older = [exports: olderExports, imports: olderImports]
    static let olderImports = ObjectSelection(.serviceImports("v1alpha1"), isOptional: true)
    static let olderExports = ObjectSelection(.serviceExports("v1alpha1"), isOptional: true)
}
