// SPDX-License-Identifier: Apache-2.0

/// A `metav1.Condition`.
public struct ObjectCondition: Hashable, Sendable {
    /// `Valid`, `Ready`, `Conflict`.
    public let type: String
    public let isTrue: Bool
    public let reason: String
    /// For people; at most 1,024 characters are written.
    public let message: String
    /// When it last changed its truth, as an API server writes times.
    public let since: String
    /// Of the object that it is about; 0 if it doesn't say.
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

extension ObjectCondition {
    private static let messageMaximum = 1024

    /// What is true now.
    ///
    /// - Parameters:
    ///   - former: what was said before: its time stays while its truth does.
    ///   - now: Unix seconds.
    init(
        _ type: String, _ isTrue: Bool, _ reason: String, _ message: String, generation: Int = 0,
        after former: ObjectCondition?, nowUnixSeconds now: UInt64
    ) {
        let changes = former?.isTrue != isTrue
        self.init(
            type: type, isTrue: isTrue, reason: reason,
            // Of scalars, as API servers count: what is one character may be of any length.
            message: String(message.unicodeScalars.prefix(Self.messageMaximum)),
            since: changes ? rfc3339(unixSeconds: now) : former?.since ?? "",
            generation: generation)
    }

    var json: JSONValue {
        var json: JSONValue = [
            "type": .string(type), "status": isTrue ? "True" : "False", "reason": .string(reason),
            "message": .string(message), "lastTransitionTime": .string(since),
        ]
        if generation > 0 { json["observedGeneration"] = .number("\(generation)") }
        return json
    }
}

extension [ObjectCondition] {
    private static var maximum: Int { 32 }

    /// Of any object's status.
    init(manifest root: ManifestField) throws(ManifestFault) {
        self = []
        for field in try root["status"]["conditions"].elements(max: Self.maximum) {
            append(
                ObjectCondition(
                    type: try field["type"].string() ?? "",
                    isTrue: try field["status"].string() == "True",
                    reason: try field["reason"].string() ?? "",
                    message: try field["message"].string() ?? "",
                    since: try field["lastTransitionTime"].string() ?? "",
                    generation: try field["observedGeneration"].integer(in: 0...Int.max) ?? 0))
        }
    }

    subscript(type: String) -> ObjectCondition? { first { $0.type == type } }

    /// With some said anew; what others say stays.
    func saying(_ conditions: [ObjectCondition]) -> [ObjectCondition] {
        filter { conditions[$0.type] == nil } + conditions
    }
}
