// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Which Events an API server is to be given about objects with which something is wrong: one when a problem appears,
/// the same one again while it lasts, and never many at once.
public struct ObjectEventPlan: Sendable {
    /// API servers forget Events after an hour.
    static let repetition = Duration.seconds(1800)
    /// As many may be told at once; then there is one more every ``refill``.
    static let burst = 20
    static let refill = Duration.seconds(5)
    /// Bytes of an Event's text that the API takes.
    fileprivate static let noteMaximum = 1024

    public struct Report: Hashable, Sendable {
        public private(set) var problem: ObjectProblem
        /// From 1.
        let count: Int

        /// The same, of the object with this UID.
        public func identified(uid: String) -> Report {
            var report = self
            report.problem.uid = uid
            return report
        }
    }

    /// When each problem was told last, and how often.
    private var told: [ObjectProblem: (at: Instant, count: Int)] = [:]
    private var room = burst
    private var refilledAt: Instant?

    public init() {}

    /// What to tell now. Each that is returned counts as told.
    public mutating func due(
        _ problems: some Sequence<ObjectProblem>, at now: Instant
    ) -> [Report] {
        let present = Set(problems)
        told = told.filter { present.contains($0.key) }
        let since = refilledAt ?? now
        let more = Int((now - since) / Self.refill)
        refilledAt = since + Self.refill * more
        room = min(room + more, Self.burst)
        var reports: [Report] = []
        for problem in problems where room > 0 {
            let former = told[problem]
            if let former, now - former.at < Self.repetition { continue }
            room -= 1
            let count = (former?.count ?? 0) + 1
            told[problem] = (now, count)
            reports.append(Report(problem: problem, count: count))
        }
        return reports
    }
}

extension ObjectEventPlan.Report {
    /// Of the object's name; with the rest at most 253, as names are.
    private static let nameMaximum = 230

    /// Of one problem the same each time, whoever tells it.
    private var name: String {
        let digest = FNV1a("\(problem.resource) \(problem.uid) \(problem.message)".utf8).value
        var start = problem.name.name.prefix(Self.nameMaximum)
        while let last = start.last, last == "." || last == "-" { start.removeLast() }
        return "\(start).\(String(digest, radix: 16))"
    }

    /// Events on what has no namespace are in this one.
    private var namespace: String {
        problem.name.namespace.isEmpty ? "default" : problem.name.namespace
    }

    private var path: ObjectPath { ObjectPath(.events, namespace: namespace, name: name) }

    /// Makes the Event.
    ///
    /// - Parameters:
    ///   - instance: the node that tells.
    ///   - now: Unix seconds.
    public func creation(by instance: String, nowUnixSeconds now: UInt64) -> ObjectRequest {
        var regarding: JSONValue = [
            "apiVersion": .string(problem.resource.apiVersion),
            "kind": .string(problem.resource.kind), "name": .string(problem.name.name),
        ]
        if !problem.name.namespace.isEmpty {
            regarding["namespace"] = .string(problem.name.namespace)
        }
        if !problem.uid.isEmpty { regarding["uid"] = .string(problem.uid) }
        var event: JSONValue = [
            "apiVersion": .string(ObjectResource.events.apiVersion),
            "kind": .string(ObjectResource.events.kind),
            "metadata": ["name": .string(name), "namespace": .string(namespace)],
            "eventTime": .string(microseconds(now)), "type": "Warning",
            "reason": .string(problem.reason.rawValue),
            "action": problem.reason == .unusable ? "Read" : "Announce",
            "reportingController": "weft.io/weftd",
            "reportingInstance": .string(instance), "regarding": regarding,
            "note": .string(note),
        ]
        if count > 1 { event["series"] = series(now) }
        return ObjectRequest(
            .post, ObjectPath(.events, namespace: namespace), body: event.bytes)
    }

    private var note: String {
        var note =
            problem.reason == .unusable
            ? "Weft doesn't take this up, and goes by what it knew before: \(problem.message)"
            : problem.message
        if note.utf8.count > ObjectEventPlan.noteMaximum {
            note = String(note.prefix(ObjectEventPlan.noteMaximum))
            while note.utf8.count > ObjectEventPlan.noteMaximum { note.removeLast() }
        }
        return note
    }

    /// Tells an Event that is there already once more.
    public func repetition(nowUnixSeconds now: UInt64) -> ObjectRequest {
        .patch(path, .merge, body: (["series": series(now)] as JSONValue).bytes)
    }

    private func series(_ now: UInt64) -> JSONValue {
        // The API knows no series of one.
        [
            "count": .number("\(max(count, 2))"),
            "lastObservedTime": .string(microseconds(now)),
        ]
    }

    /// A `MicroTime`.
    private func microseconds(_ seconds: UInt64) -> String {
        rfc3339(unixSeconds: seconds).replacing("Z", with: ".000000Z")
    }
}

extension ObjectResource {
    public static let events = ObjectResource(
        group: "events.k8s.io", version: "v1", plural: "events", kind: "Event", isNamespaced: true)
}
