// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// What is watched: on each node its own pods, nothing else, and by the publisher what concerns the
/// whole cluster.
enum ObjectSelections {
    static func ownPods(of node: String) -> ObjectSelection {
        ObjectSelection(.pods, fieldSelector: "spec.nodeName=\(node)")
    }

    /// No Pods: endpoints come from their own nodes.
    static let ofCluster = [
        ObjectSelection(.namespaces), nodes, services, ObjectSelection(.endpointSlices),
        ObjectSelection(.networkPolicies),
        ObjectSelection(.clusterNetworkPolicies, isOptional: true), exports, imports,
    ]

    /// Asked for by every node that knows nobody of its cluster, until somebody else has told it.
    static let nodes = ObjectSelection(.nodes)
    static let services = ObjectSelection(.services)
    static let exports = ObjectSelection(.serviceExports("v1beta1"), isOptional: true)
    /// What Weft itself has written.
    static let imports = ObjectSelection(.serviceImports("v1beta1"), isOptional: true)
    /// Asked for where the newer version isn't served.
    static let older = [exports: olderExports, imports: olderImports]
    static let olderImports = ObjectSelection(.serviceImports("v1alpha1"), isOptional: true)
    static let olderExports = ObjectSelection(.serviceExports("v1alpha1"), isOptional: true)
}
