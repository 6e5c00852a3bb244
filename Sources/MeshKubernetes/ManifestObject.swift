// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// An object of a manifest that Weft uses.
struct ManifestObject: Hashable {
    enum Content: Hashable {
        case record(RecordKey, encoded: [UInt8])
        case pod(ObjectName, PodManifest)
        case node(NodeManifest)
        case policy(Policy)
        case export(ObjectName, ServiceExportManifest)
        /// Written by Weft itself.
        case imported(ImportPlan.Target, conditions: [ObjectCondition])
    }

    let key: ManifestKey
    let line: Int
    let content: Content
}

/// Kind and name of an object in a folder, written `Service default/echo`.
struct ManifestKey: Hashable, Comparable, CustomStringConvertible {
    let kind: String
    let name: String

    static func < (left: ManifestKey, right: ManifestKey) -> Bool {
        (left.kind, left.name) < (right.kind, right.name)
    }

    var description: String { "\(kind) \(name)" }
}

extension ManifestObject {
    /// What the fields of a document say, nil if Weft has no use for it.
    ///
    /// - Parameters:
    ///   - kind: of the document, or of the list that it is in.
    ///   - version: `apiVersion`, likewise.
    init?(_ root: ManifestField, kind: String, version: String) throws(ManifestFault) {
        let content: Content?
        switch (kind, version) {
        case ("Namespace", "v1"): content = .init(try NamespaceRecord(manifest: root))
        case ("Service", "v1"): content = try ServiceRecord(manifest: root).map { .init($0) }
        case ("EndpointSlice", "discovery.k8s.io/v1") where try root.isMarked:
            let target = ImportPlan.Target(.endpointSlices, try ObjectName(manifest: root))
            content = .imported(target, conditions: [])
        case ("ServiceImport", "multicluster.x-k8s.io/v1beta1"),
            ("ServiceImport", "multicluster.x-k8s.io/v1alpha1"):
            let target = ImportPlan.Target(ImportPlan.imports, try ObjectName(manifest: root))
            content =
                try root.isMarked
                ? .imported(target, conditions: [ObjectCondition](manifest: root)) : nil
        case ("EndpointSlice", "discovery.k8s.io/v1"):
            content = try SliceRecord(manifest: root).map { .init($0) }
        case ("EndpointSlice", _):
            throw try root["apiVersion"].fault("is \(version); must be discovery.k8s.io/v1")
        case ("Pod", "v1"):
            let name = try ObjectName(manifest: root)
            content = try PodManifest(root).map { .pod(name, $0) }
        case ("Node", "v1"):
            content = .node(try NodeManifest(root))
        case ("ServiceExport", "multicluster.x-k8s.io/v1beta1"),
            ("ServiceExport", "multicluster.x-k8s.io/v1alpha1"):
            content = .export(
                try ServiceExportManifest.name(of: root), try ServiceExportManifest(root))
        default:
            content = try Policy(manifest: root, kind: kind, version: version).map { .policy($0) }
        }
        guard let content else { return nil }
        key = ManifestKey(kind: kind, name: content.name)
        line = root.line
        self.content = content
    }
}

extension ManifestObject.Content {
    fileprivate init(_ record: some LedgerRecord) {
        self = .record(record.key, encoded: record.encoded)
    }

    fileprivate var name: String {
        switch self {
        case .record(let key, _): key.name
        case .pod(let name, _): "\(name)"
        case .node(let node): node.name
        case .export(let name, _): "\(name)"
        case .imported(let target, _): "\(target.name)"
        case .policy(let policy):
            policy.name.namespace.isEmpty
                ? policy.name.name : "\(policy.name.namespace)/\(policy.name.name)"
        }
    }
}

extension ObjectName {
    /// `metadata.namespace` (`default` if there is none) and `metadata.name`.
    init(manifest root: ManifestField) throws(ManifestFault) {
        let metadata = try root["metadata"]
        let namespaceField = try metadata["namespace"]
        let namespace = try namespaceField.string() ?? "default"
        guard isLabel(namespace) else {
            throw namespaceField.fault("is \"\(namespace)\"; must be a DNS label")
        }
        self.init(namespace: namespace, name: try clusterScopedName(of: root))
    }
}

func clusterScopedName(of root: ManifestField) throws(ManifestFault) -> String {
    let field = try root["metadata"]["name"]
    let name = try field.requiredString()
    guard isSubdomain(name) else { throw field.fault("is \"\(name)\"; must be a DNS name") }
    return name
}

extension ManifestField {
    /// Whether Weft wrote it.
    var isMarked: Bool {
        get throws(ManifestFault) {
            let labels = try self["metadata"]["labels"]
            for label in [ImportPlan.managedLabel, ImportPlan.sliceManagedLabel] {
                if try labels[label].string() == ImportPlan.manager { return true }
            }
            return false
        }
    }
}

func objectLabels(of root: ManifestField) throws(ManifestFault) -> Labels {
    try root["metadata"]["labels"].strings(max: RecordLimit.labels)
}

extension NamespaceRecord {
    fileprivate init(manifest root: ManifestField) throws(ManifestFault) {
        _ = try root["metadata"]["annotations"].isAudited()
        self.init(
            name: try clusterScopedName(of: root), labels: try objectLabels(of: root),
            // Others, such as kubectl's copy of the whole object, would only be carried around.
            annotations: try root["metadata"]["annotations"].strings(max: RecordLimit.labels) {
                $0.hasPrefix("weft.io/") || $0.hasPrefix("clustermesh.cilium.io/")
            })
    }
}
