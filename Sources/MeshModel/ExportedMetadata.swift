// SPDX-License-Identifier: Apache-2.0

/// Labels and annotations that a ServiceExport hands to other clusters (KEP-1645, "Labels and
/// Annotations").
///
/// They end up in objects of API servers that aren't the exporter's: what such a server would refuse, and
/// what Weft itself goes by there, can't be in one of these.
public struct ExportedMetadata: Hashable, Sendable {
    /// Of keys and values of all annotations; with the rest of a record they fit in a ledger's value.
    public static let annotationBytesMaximum = 16 << 10

    /// 0...64 pairs of Kubernetes' form.
    public let labels: Labels
    /// 0...64 pairs; values are at most 1,024 bytes of any text.
    public let annotations: Labels

    public static let none = ExportedMetadata()

    private init() {
        labels = [:]
        annotations = [:]
    }

    /// - Throws: ``Fault`` for the first pair, by key, that can't be exported: nothing is.
    public init(labels: Labels, annotations: Labels) throws(Fault) {
        for (isLabel, pairs) in [(true, labels), (false, annotations)] {
            func fault(_ key: String, _ reason: String) -> Fault {
                Fault(isLabel: isLabel, key: key, reason: reason)
            }
            guard pairs.count <= RecordLimit.labels else {
                throw fault("", "\(pairs.count) entries; at most \(RecordLimit.labels) are allowed")
            }
            for (key, value) in pairs.sorted(by: { $0.key < $1.key }) {
                // Kubernetes takes annotations' keys in any case, but writes them as they come.
                guard isQualifiedName(isLabel ? key : key.lowercased())
                else { throw fault(key, "is no key of a label or annotation") }
                guard !Self.isReserved(key) else { throw fault(key, "is for Weft alone to write") }
                guard !isLabel || value.isEmpty || isLabelText(value)
                else { throw fault(key, "has a value that no label can have") }
                guard value.utf8.count <= RecordLimit.text
                else { throw fault(key, "is longer than \(RecordLimit.text) bytes") }
            }
        }
        let bytes = annotations.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard bytes <= Self.annotationBytesMaximum else {
            throw Fault(
                isLabel: false, key: "",
                reason: "\(bytes) bytes; at most \(Self.annotationBytesMaximum) are allowed")
        }
        self.labels = labels
        self.annotations = annotations
    }

    /// Why a pair can't be exported.
    public struct Fault: Error, Hashable, Sendable {
        /// Otherwise it is an annotation.
        public let isLabel: Bool
        /// Empty if it is all of them.
        public let key: String
        public let reason: String
    }

    /// What says whose an object is, and what `kubectl apply` believes it wrote itself.
    private static func isReserved(_ key: String) -> Bool {
        key == "app.kubernetes.io/managed-by" || reservedPrefixes.contains { key.hasPrefix($0) }
    }

    private static let reservedPrefixes = [
        "weft.io/", "multicluster.kubernetes.io/", "endpointslice.kubernetes.io/",
        "kubectl.kubernetes.io/",
    ]
}
