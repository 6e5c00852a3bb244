// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import MeshLease

/// What is asked of an API server to read or swap the lease's record, and what its answers mean.
/// Sans-IO.
///
/// `spec.leaseTransitions` is the fencing token and `spec.holderIdentity` the holder, as for
/// Kubernetes' own electors; epoch and identities stand in annotations. `renewTime` is written for
/// people and read by nobody: clocks of different machines are never compared. A write carries the
/// version it replaces, and the server lets at most one through; the one that lost reads the record.
public struct KubernetesLease: Sendable {
    public enum Step: Sendable {
        case ask(ObjectRequest)
        case answer(LeaseAnswer)
    }

    static let epochAnnotation = "weft.io/epoch"
    static let identitiesAnnotation = "weft.io/identities"
    static let writeAnnotation = "weft.io/write"

    private let path: ObjectPath
    private let parameters: LeaseParameters

    public init(namespace: String, name: String, parameters: LeaseParameters) {
        path = ObjectPath(.leases, namespace: namespace, name: name)
        self.parameters = parameters
    }

    /// - Parameters:
    ///   - date: for people; nothing rests on it.
    ///   - nonce: another one for each write. A server that gets what it has leaves the version as it
    ///     is, and a renewal that nobody can see doesn't hold anybody off.
    public func begin(_ request: LeaseCall.Request, at date: Date, nonce: UInt64) -> Step {
        switch request {
        case .read: return .ask(ObjectRequest(.get, path))
        case .swap(let record, let version):
            guard let token = Int32(exactly: record.token) else {
                return .answer(
                    .failed(
                        LeaseStoreError(.refused, "the token \(record.token) doesn't fit a Lease")))
            }
            let lease = lease(
                record, token: token, replacing: version, at: date, nonce: nonce)
            guard version == nil else { return .ask(ObjectRequest(.put, path, body: lease)) }
            var collection = path
            collection.name = nil
            return .ask(ObjectRequest(.post, collection, body: lease))
        }
    }

    /// - Parameter asked: what the result is of.
    public func proceed(
        _ request: LeaseCall.Request, _ asked: ObjectRequest,
        _ result: Result<[UInt8], KubernetesError>
    ) -> Step {
        let isLost = asked.method == .get && request != .read
        do throws(KubernetesError) {
            let state = try LeaseState(lease: try result.get())
            if isLost { return .answer(.swap(.conflict(state))) }
            return .answer(request == .read ? .read(state) : .swap(.swapped(state.version)))
        } catch {
            switch error.code {
            case .alreadyExists where asked.method == .post, .conflict where asked.method == .put:
                return .ask(ObjectRequest(.get, path))
            case .notFound where request == .read: return .answer(.read(nil))
            case .notFound where asked.method != .post: return .answer(.swap(.conflict(nil)))
            default: return .answer(.failed(LeaseStoreError(error)))
            }
        }
    }

    private func lease(
        _ record: LeaseRecord, token: Int32, replacing version: LeaseVersion?, at date: Date,
        nonce: UInt64
    ) -> [UInt8] {
        var metadata: JSONValue = [
            "name": .string(path.name ?? ""), "namespace": .string(path.namespace ?? ""),
            "annotations": [
                Self.epochAnnotation: .string("\(record.epoch)"),
                Self.identitiesAnnotation: .string("\(record.identities)"),
                Self.writeAnnotation: .string(String(nonce, radix: 16)),
            ],
        ]
        if let version { metadata["resourceVersion"] = .string(version.rawValue) }
        var spec: JSONValue = [
            "leaseDurationSeconds": .number("\(max(parameters.waiting.components.seconds, 1))"),
            "renewTime": .string(Self.microTime(date)), "leaseTransitions": .number("\(token)"),
        ]
        if let holder = record.holder { spec["holderIdentity"] = .string("\(holder)") }
        let lease: JSONValue = [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
            "spec": spec,
        ]
        return lease.bytes
    }

    /// `2026-11-22T12:00:00.000000Z`: what a Lease takes for a time.
    static func microTime(_ date: Date) -> String {
        let microseconds = Int64(date.timeIntervalSince1970 * 1e6)
        let seconds = Date(timeIntervalSince1970: Double(microseconds / 1_000_000))
        let fraction = String(microseconds % 1_000_000)
        let padded = String(repeating: "0", count: 6 - fraction.count) + fraction
        return "\(seconds.formatted(.iso8601).dropLast()).\(padded)Z"
    }
}

extension LeaseState {
    /// - Throws: ``KubernetesError`` `.malformed`: an operator has to repair the object.
    init(lease bytes: [UInt8]) throws(KubernetesError) {
        let lease: JSONValue
        do throws(JSONFault) {
            lease = try JSONValue(bytes)
        } catch {
            throw KubernetesError(.malformed, "the Lease is no JSON: \(error)")
        }
        let metadata = lease["metadata"]
        let annotations = metadata["annotations"]
        let spec = lease["spec"]
        guard let version = metadata["resourceVersion"].text, ObjectText.isVersion(version),
            let transitions = Self.number(spec["leaseTransitions"].integer ?? 0),
            let epoch = Self.number(annotations[KubernetesLease.epochAnnotation].text),
            let identities = Self.number(
                annotations[KubernetesLease.identitiesAnnotation].text)
        else { throw KubernetesError(.malformed, "the Lease has numbers that can't be used") }
        var holder: LeaseHolder?
        if let text = spec["holderIdentity"].text, !text.isEmpty {
            holder = LeaseHolder(text)
            guard holder != nil else {
                throw KubernetesError(.malformed, "the Lease is held by somebody who is no agent")
            }
        }
        self.init(
            record: LeaseRecord(
                holder: holder, token: UInt64(transitions), epoch: epoch, identities: identities),
            version: LeaseVersion(rawValue: version))
    }

    /// Zero if it isn't there. It still has a next one: whoever can write the object must not be
    /// able to stop its readers.
    private static func number(_ text: String?) -> UInt32? {
        guard let text else { return 0 }
        return UInt32(text).flatMap { $0 < .max ? $0 : nil }
    }

    private static func number(_ value: Int64) -> Int32? {
        value >= 0 && value < Int64(Int32.max) ? Int32(value) : nil
    }
}

extension LeaseStoreError {
    init(_ error: KubernetesError) {
        let code: Code =
            switch error.code {
            case .malformed: .malformed
            case .unavailable, .timedOut, .server, .throttled: .unavailable
            default: .refused
            }
        self.init(code, "\(error)")
    }
}
