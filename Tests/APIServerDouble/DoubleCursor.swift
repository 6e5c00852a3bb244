// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// A watch that is under way: what it has to send next.
public struct DoubleCursor: Sendable {
    let target: DoubleTarget
    let selector: DoubleSelector
    var version: UInt64
    /// Texts of what existed when it began, and what ends them.
    var initial: [[UInt8]]
    var endsInitialEvents: Bool
    let wantsBookmarks: Bool
    /// When the client wants it to end; nil: the server's own time.
    public let timeoutSeconds: Int?
    /// Nothing more comes.
    public private(set) var isFinished = false
    private var refusal: DoubleStatus?

    init(
        target: DoubleTarget, selector: DoubleSelector, version: UInt64, initial: [[UInt8]],
        endsInitialEvents: Bool, wantsBookmarks: Bool, timeoutSeconds: Int?,
        refusal: DoubleStatus? = nil
    ) {
        self.target = target
        self.selector = selector
        self.version = version
        self.initial = initial
        self.endsInitialEvents = endsInitialEvents
        self.wantsBookmarks = wantsBookmarks
        self.timeoutSeconds = timeoutSeconds
        self.refusal = refusal
    }

    /// The lines that are due, with their line feeds. After an ERROR the watch is finished.
    public mutating func lines(of state: DoubleState) -> [UInt8] {
        if let refusal { return finish(with: refusal) }
        var bytes: [UInt8] = []
        for text in initial { Self.write("ADDED", text, to: &bytes) }
        initial = []
        if version < state.compacted {
            return bytes + finish(with: .watchTooOld(version, oldest: state.compacted))
        }
        let events = state.events[target.resource] ?? []
        for event in events[Self.firstIndex(after: version, in: events)...] {
            write(event, to: &bytes)
        }
        version = max(version, state.version)
        if endsInitialEvents {
            endsInitialEvents = false
            bytes += bookmark(endsInitialEvents: true)
        }
        return bytes
    }

    /// What the server says once a minute, and before it ends the watch; nothing if nobody wants it.
    public func bookmark(of state: DoubleState) -> [UInt8] {
        guard wantsBookmarks, state.sendsBookmarks, !isFinished else { return [] }
        return bookmark(endsInitialEvents: false)
    }

    /// Events are in the order of their versions.
    private static func firstIndex(after version: UInt64, in events: [DoubleState.Event]) -> Int {
        var (low, high) = (0, events.count)
        while low < high {
            let middle = (low + high) / 2
            if events[middle].version <= version { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func write(_ event: DoubleState.Event, to bytes: inout [UInt8]) {
        let was = event.former.map { selector.matches(event.key, $0) } ?? false
        let matches = event.object.map { selector.matches(event.key, $0) } ?? false
        switch (was, matches) {
        case (_, true):
            guard let object = event.object else { return }
            Self.write(was ? "MODIFIED" : "ADDED", object.text, to: &bytes)
        case (true, false):
            guard let former = event.former else { return }
            // As it was, at the version of its going.
            let gone = DoubleObject(
                former.value, version: event.version, resource: target.resource,
                apiVersion: target.apiVersion)
            Self.write("DELETED", gone.text, to: &bytes)
        case (false, false): return
        }
    }

    private mutating func finish(with status: DoubleStatus) -> [UInt8] {
        isFinished = true
        var bytes: [UInt8] = []
        Self.write("ERROR", status.object.bytes, to: &bytes)
        return bytes
    }

    private func bookmark(endsInitialEvents: Bool) -> [UInt8] {
        var metadata: JSONValue = ["resourceVersion": .string("\(version)")]
        if endsInitialEvents {
            metadata["annotations"] = ["k8s.io/initial-events-end": "true"]
        }
        var object: [JSONMember] = [
            JSONMember("kind", .string(target.resource.kind)),
            JSONMember("apiVersion", .string(target.apiVersion)),
            JSONMember("metadata", metadata),
        ]
        if target.resource.kind == "EndpointSlice" {
            object += [
                JSONMember("addressType", ""), JSONMember("endpoints", .null),
                JSONMember("ports", .null),
            ]
        }
        var bytes: [UInt8] = []
        Self.write("BOOKMARK", JSONValue.object(object).bytes, to: &bytes)
        return bytes
    }

    private static func write(_ type: String, _ object: [UInt8], to bytes: inout [UInt8]) {
        bytes += "{\"type\":\"\(type)\",\"object\":".utf8
        bytes += object
        bytes += "}\n".utf8
    }
}

extension DoubleState {
    func cursor(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleCursor {
        let selector = try DoubleSelector(request.query, target: target)
        let given = request.query["resourceVersion"] ?? ""
        let isStreaming = request.query["sendInitialEvents"] == "true"
        let wantsBookmarks = ["1", "true"].contains(request.query["allowWatchBookmarks"])
        if isStreaming, request.query["resourceVersionMatch"] != "NotOlderThan" {
            throw .invalid(
                target.resource, "",
                [
                    (
                        "resourceVersionMatch",
                        "Forbidden: sendInitialEvents requires setting resourceVersionMatch to "
                            + "NotOlderThan"
                    )
                ])
        }
        var refusal: DoubleStatus?
        if isStreaming, !offersStreaming {
            refusal = DoubleStatus(
                code: 500, reason: "InternalError",
                message: "etcd watch progress notifications aren't supported")
        }
        var start = version
        var existing: [[UInt8]] = []
        if isStreaming || given.isEmpty || given == "0" {
            let matching = (objects[target.resource] ?? [:]).filter { selector.matches($0, $1) }
            existing = matching.sorted { $0.key < $1.key }.map(\.value.text)
        } else {
            guard let version = UInt64(given) else {
                throw .badRequest("resourceVersion: Invalid value: \"\(given)\"")
            }
            guard version <= self.version else { throw .tooLarge(version, current: self.version) }
            start = version
        }
        return DoubleCursor(
            target: target, selector: selector, version: start, initial: existing,
            endsInitialEvents: isStreaming && wantsBookmarks, wantsBookmarks: wantsBookmarks,
            timeoutSeconds: request.query["timeoutSeconds"].flatMap { Int($0) }, refusal: refusal)
    }
}
