// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A ServiceExport of the multi-cluster API, v1alpha1 or v1beta1 (KEP-1645).
public struct ServiceExportManifest: Hashable, Sendable {
    /// In Unix seconds, never 0. Of what has no time, as far in the future as a number of 32 bits: it is younger
    /// than everything that an API server dated.
    public let createdAt: UInt64
    public let generation: Int
    /// What its ServiceImports shall bear.
    public let metadata: ExportedMetadata
    /// As they stand, in their order.
    public let conditions: [ObjectCondition]

    public init(
        createdAt: UInt64, generation: Int = 0, metadata: ExportedMetadata = .none,
        conditions: [ObjectCondition] = []
    ) {
        self.createdAt = createdAt
        self.generation = generation
        self.metadata = metadata
        self.conditions = conditions
    }
}

extension ServiceExportManifest {
    /// That of a service, whose names are shorter than other objects'.
    static func name(of root: ManifestField) throws(ManifestFault) -> ObjectName {
        let object = try ObjectName(manifest: root)
        guard isLabel(object.name) else {
            throw try root["metadata"]["name"].fault(
                "is \"\(object.name)\"; must be a DNS label")
        }
        return object
    }

    init(_ root: ManifestField) throws(ManifestFault) {
        let metadata = try root["metadata"]
        let field = try metadata["creationTimestamp"]
        if field.isNull {
            createdAt = UInt64(UInt32.max)
        } else {
            let text = try field.timestamp()
            guard let seconds = unixSeconds(rfc3339: text) else {
                throw field.fault("is \"\(text)\"; must be a time such as 2026-11-22T12:32:16Z")
            }
            // 0 is a service that nobody exports.
            createdAt = max(1, seconds)
        }
        generation = try metadata["generation"].integer(in: 0...Int.max) ?? 0
        self.metadata = try ExportedMetadata(manifest: root["spec"])
        conditions = try [ObjectCondition](manifest: root)
    }
}

extension ExportedMetadata {
    fileprivate init(manifest spec: ManifestField) throws(ManifestFault) {
        let (labels, annotations) = (try spec["exportedLabels"], try spec["exportedAnnotations"])
        let pairs = (
            try labels.strings(max: RecordLimit.labels),
            try annotations.strings(max: RecordLimit.labels)
        )
        do throws(Fault) {
            try self.init(labels: pairs.0, annotations: pairs.1)
        } catch {
            let field = error.isLabel ? labels : annotations
            throw try (error.key.isEmpty ? field : field[error.key]).fault(error.reason)
        }
    }
}
