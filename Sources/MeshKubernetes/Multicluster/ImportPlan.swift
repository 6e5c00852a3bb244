// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Keeps ServiceImports, the services that stand for them and the slices of headless ones as the mesh
/// has them: what is wanted and what is there in, requests out. Objects are written by server-side
/// apply, and nothing is deleted that doesn't bear Weft's mark.
public struct ImportPlan: Sendable {
    public static let manager = "weft"
    static let derivedPrefix = "derived-"
    static let serviceLabel = SliceRecord.importLabel
    static let clusterLabel = "multicluster.kubernetes.io/source-cluster"
    static let managedLabel = "app.kubernetes.io/managed-by"
    static let sliceManagedLabel = "endpointslice.kubernetes.io/managed-by"
    /// How long an object that was refused is left alone, unless it is to be another one.
    static let patience = Duration.seconds(60)

    public enum Step: Hashable, Sendable {
        /// Server-side apply of a whole object, merge patch of a part.
        case apply(Target, body: [UInt8])
        case delete(Target)

        public var target: Target {
            switch self {
            case .apply(let target, _), .delete(let target): target
            }
        }

        fileprivate var body: [UInt8]? {
            if case .apply(_, let body) = self { body } else { nil }
        }
    }

    /// In the version in which targets name it, whichever the server has.
    static let imports = ObjectResource.serviceImports("v1beta1")

    /// Of ServiceImport, as the server has it.
    public let version: String
    private var applied: [Target: [UInt8]] = [:]
    private var failures: [Target: Failure] = [:]
    private var readiness: [ObjectName: ObjectCondition] = [:]

    private struct Failure {
        /// Nil: it couldn't be deleted.
        let body: [UInt8]?
        let until: Instant
    }

    /// - Parameter version: of ServiceImport, as the server has it: `v1beta1` or `v1alpha1`.
    public init(version: String) { self.version = version }

    /// As the server has it.
    public func resource(of target: Target) -> ObjectResource {
        target.resource == Self.imports ? .serviceImports(version) : target.resource
    }

    /// What brings the API server up to date. What it refused before comes last.
    ///
    /// - Parameters:
    ///   - present: objects with Weft's mark that it has now.
    ///   - conditions: of its ServiceImports, whoever wrote them.
    ///   - maximum: of steps; the rest comes with the next call.
    public mutating func steps(
        to wanted: some Sequence<ImportedService>, present: Set<Target>,
        conditions: [ObjectName: [ObjectCondition]] = [:], maximum: Int, at now: Instant,
        nowUnixSeconds: UInt64
    ) -> [Step] {
        var bodies = ImportBodies(version: version)
        var known: [ObjectName: ObjectCondition] = [:]
        for service in wanted {
            let others = conditions[service.service] ?? []
            let ready = service.ready(
                after: readiness[service.service] ?? others["Ready"],
                nowUnixSeconds: nowUnixSeconds)
            known[service.service] = ready
            bodies.add(service, conditions: others.saying([ready]))
        }
        readiness = known
        var steps = present.subtracting(bodies.bodies.keys).map { Step.delete($0) }
        for (target, value) in bodies.bodies {
            let body = value.bytes
            guard applied[target] != body || !present.contains(target.whole) else { continue }
            steps.append(.apply(target, body: body))
        }
        failures = failures.filter { bodies.bodies[$0.key] != nil || present.contains($0.key) }
        let due = steps.filter { !isHeld($0, at: now) }
        let objects = Set(due.map(\.target)).union(present)
        return due.filter { objects.contains($0.target.whole) }
            .sorted { order(of: $0) < order(of: $1) }.prefix(maximum).map(\.self)
    }

    private func isHeld(_ step: Step, at now: Instant) -> Bool {
        guard let failure = failures[step.target], failure.body == step.body else { return false }
        return now < failure.until
    }

    /// Deletions first: they make room. Parts of an object that was refused stay behind it.
    private func order(of step: Step) -> (Int, Int, Target) {
        let wasRefused = failures[step.target] != nil || failures[step.target.whole] != nil
        return (wasRefused ? 1 : 0, step.body == nil ? 0 : 1, step.target)
    }

    /// The server took a step.
    public mutating func done(_ step: Step) {
        failures[step.target] = nil
        switch step {
        case .apply(let target, let body): applied[target] = body
        case .delete(let target): applied = applied.filter { $0.key.whole != target }
        }
    }

    /// The server refused a step, or couldn't take it.
    public mutating func failed(_ step: Step, at now: Instant) {
        failures[step.target] = Failure(body: step.body, until: now + Self.patience)
    }

    /// The service that stands for another one of the whole mesh, in the same namespace.
    public static func derivedName(of service: ObjectName) -> ObjectName {
        let digest = FNV1a("\(service)".utf8).value
        return ObjectName(
            namespace: service.namespace, name: derivedPrefix + String(digest, radix: 36))
    }
}

extension ImportPlan {
    /// An object that Weft writes, or a part of one.
    public struct Target: Hashable, Comparable, Sendable {
        public enum Part: Int, Hashable, Sendable {
            /// Fields that older definitions of ServiceImport don't have. Server-side apply of an object
            /// with one of them fails as a whole; of a merge patch the rest is taken.
            case additions
            /// The subresource; the same holds of its fields.
            case status
        }

        public let resource: ObjectResource
        public let name: ObjectName
        /// Nil: the object itself.
        public let part: Part?

        public init(_ resource: ObjectResource, _ name: ObjectName, part: Part? = nil) {
            self.resource = resource
            self.name = name
            self.part = part
        }

        /// The object that it is a part of.
        public var whole: Target { Target(resource, name) }

        /// Imports first, their parts behind them.
        public static func < (left: Target, right: Target) -> Bool {
            (left.rank, left.name, left.part?.rawValue ?? -1) < (
                right.rank, right.name, right.part?.rawValue ?? -1
            )
        }

        private var rank: Int {
            switch resource.kind {
            case "ServiceImport": 0
            case ObjectResource.services.kind: 1
            default: 2
            }
        }
    }

    /// What asks the server for a step.
    public func request(for step: Step) -> ObjectRequest {
        let target = step.target
        let path = ObjectPath(
            resource(of: target), namespace: target.name.namespace, name: target.name.name,
            subresource: target.part == .status ? "status" : nil)
        return switch step {
        // Not by force: what somebody else wrote is a conflict, and told.
        case .apply(_, let body) where target.part == nil:
            .patch(path, .apply(fieldManager: Self.manager, force: false), body: body)
        case .apply(_, let body): .patch(path, .merge, body: body)
        case .delete: ObjectRequest(.delete, path)
        }
    }
}

extension ImportPlan {
    /// What didn't happen.
    public struct StepFailure: Sendable {
        public let step: Step
        public let error: any Error
    }

    /// Asks the server for one step after the other. One that it refuses for its object's sake keeps no
    /// other from being taken; any other failure ends it.
    public mutating func carryOut(
        _ steps: [Step], at now: Instant, write: (ObjectRequest) async throws -> Void
    ) async -> [StepFailure] {
        var failed: [StepFailure] = []
        // Parts of an object that was refused would fare no better.
        for step in steps where !failed.contains(where: { $0.step.target == step.target.whole }) {
            do {
                try await write(request(for: step))
                done(step)
            } catch {
                self.failed(step, at: now)
                failed.append(StepFailure(step: step, error: error))
                guard let error = error as? KubernetesError, error.isOfOneObject else { break }
            }
        }
        return failed
    }
}

extension ImportPlan.Step: CustomStringConvertible {
    /// `ServiceImport shop/web`.
    public var description: String { "\(target.resource.kind) \(target.name)" }
}
