// SPDX-License-Identifier: Apache-2.0

/// A ServiceExport of the multi-cluster API, v1alpha1 or v1beta1 (KEP-1645).
public struct ServiceExportManifest: Hashable, Sendable {
    /// In Unix seconds. Of what has no time, as far in the future as a number of 32 bits: it is younger
    /// than everything that an API server dated.
    public let createdAt: UInt64
    public let generation: Int
    /// As they stand, in their order.
    public let conditions: [ObjectCondition]

    public init(createdAt: UInt64, generation: Int = 0, conditions: [ObjectCondition] = []) {
        self.createdAt = createdAt
        self.generation = generation
        self.conditions = conditions
    }
}

/// A `metav1.Condition`.
public struct ObjectCondition: Hashable, Sendable {
    /// `Valid`, `Ready`, `Conflict`.
    public let type: String
    public let isTrue: Bool
    public let reason: String
    /// For people; at most 1,024 bytes are written.
    public let message: String
    /// When it last changed its truth, as an API server writes times.
    public let since: String
    public let generation: Int

    public init(
        type: String, isTrue: Bool, reason: String, message: String, since: String, generation: Int
    ) {
        self.type = type
        self.isTrue = isTrue
        self.reason = reason
        self.message = message
        self.since = since
        self.generation = generation
    }
}

extension ServiceExportManifest {
    private static let conditionsMaximum = 32

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
            createdAt = seconds
        }
        generation = try metadata["generation"].integer(in: 0...Int.max) ?? 0
        var conditions: [ObjectCondition] = []
        for field in try root["status"]["conditions"].elements(max: Self.conditionsMaximum) {
            conditions.append(
                ObjectCondition(
                    type: try field["type"].string() ?? "",
                    isTrue: try field["status"].string() == "True",
                    reason: try field["reason"].string() ?? "",
                    message: try field["message"].string() ?? "",
                    since: try field["lastTransitionTime"].string() ?? "",
                    generation: try field["observedGeneration"].integer(in: 0...Int.max) ?? 0))
        }
        self.conditions = conditions
    }
}
