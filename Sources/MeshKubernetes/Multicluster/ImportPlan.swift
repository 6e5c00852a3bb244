// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A service of the mesh as the own cluster's API server shall show it.
public struct ImportedService: Hashable, Sendable {
    public let service: ObjectName
    public let exported: ExportedService
    /// Cluster IPs of the service that stands for it here; empty until the API server gave it some.
    public let addresses: [Address]
    /// Of a headless service: the endpoints of each cluster that exports it.
    public let slices: [ImportedSlice]

    public init(
        service: ObjectName, exported: ExportedService, addresses: [Address],
        slices: [ImportedSlice]
    ) {
        self.service = service
        self.exported = exported
        self.addresses = addresses
        self.slices = slices
    }
}

public struct ImportedSlice: Hashable, Sendable {
    public let cluster: ClusterName
    public let record: SliceRecord

    public init(cluster: ClusterName, record: SliceRecord) {
        self.cluster = cluster
        self.record = record
    }
}

/// Keeps ServiceImports, the services that stand for them and the slices of headless ones as the mesh
/// has them: what is wanted and what is there in, requests out. Every object is written by server-side
/// apply, and nothing is deleted that doesn't bear Weft's mark.
public struct ImportPlan: Sendable {
    public static let manager = "weft"
    static let derivedPrefix = "derived-"
    static let serviceLabel = SliceRecord.importLabel
    static let clusterLabel = "multicluster.kubernetes.io/source-cluster"
    static let managedLabel = "app.kubernetes.io/managed-by"
    static let sliceManagedLabel = "endpointslice.kubernetes.io/managed-by"

    /// An object that Weft writes.
    public struct Target: Hashable, Comparable, Sendable {
        public let resource: ObjectResource
        public let name: ObjectName
        /// `status`; nil: the object itself.
        public let part: String?

        public init(_ resource: ObjectResource, _ name: ObjectName, part: String? = nil) {
            self.resource = resource
            self.name = name
            self.part = part
        }

        /// Imports first, their status behind them.
        public static func < (left: Target, right: Target) -> Bool {
            (left.rank, left.name, left.part ?? "") < (right.rank, right.name, right.part ?? "")
        }

        private var rank: Int {
            switch resource.kind {
            case "ServiceImport": 0
            case ObjectResource.services.kind: 1
            default: 2
            }
        }
    }

    public enum Step: Hashable, Sendable {
        /// Server-side apply of the whole object, or of its status.
        case apply(Target, body: [UInt8])
        case delete(Target)
    }

    /// In the version in which targets name it, whichever the server has.
    static let imports = ObjectResource.serviceImports("v1beta1")

    /// Of ServiceImport, as the server has it.
    public let version: String
    private var applied: [Target: [UInt8]] = [:]

    /// - Parameter version: of ServiceImport, as the server has it: `v1beta1` or `v1alpha1`.
    public init(version: String) { self.version = version }

    /// As the server has it.
    public func resource(of target: Target) -> ObjectResource {
        target.resource == Self.imports ? .serviceImports(version) : target.resource
    }

    /// What brings the API server up to date.
    ///
    /// - Parameters:
    ///   - present: objects with Weft's mark that it has now.
    ///   - maximum: of steps; the rest comes with the next call.
    public func steps(
        to wanted: some Sequence<ImportedService>, present: Set<Target>, maximum: Int
    ) -> [Step] {
        var bodies: [Target: JSONValue] = [:]
        for service in wanted { add(service, to: &bodies) }
        var steps: [Step] = []
        for target in present.subtracting(bodies.keys).sorted() { steps.append(.delete(target)) }
        for target in bodies.keys.sorted() {
            guard let body = bodies[target]?.bytes else { continue }
            let isThere = target.part != nil || present.contains(target)
            guard applied[target] != body || !isThere else { continue }
            steps.append(.apply(target, body: body))
        }
        return Array(steps.prefix(maximum))
    }

    /// The server took a step.
    public mutating func done(_ step: Step) {
        switch step {
        case .apply(let target, let body): applied[target] = body
        case .delete(let target):
            applied = applied.filter {
                $0.key.resource != target.resource || $0.key.name != target.name
            }
        }
    }

    /// The service that stands for another one of the whole mesh, in the same namespace.
    public static func derivedName(of service: ObjectName) -> ObjectName {
        let digest = FNV1a("\(service)".utf8).value
        return ObjectName(
            namespace: service.namespace, name: derivedPrefix + String(digest, radix: 36))
    }

    private func add(_ import: ImportedService, to bodies: inout [Target: JSONValue]) {
        let exported = `import`.exported
        let target = Target(Self.imports, `import`.service)
        bodies[target] = body(
            of: target, labels: [(Self.managedLabel, Self.manager)],
            ("spec", spec(of: `import`)))
        bodies[Target(Self.imports, `import`.service, part: "status")] = body(
            of: target, labels: [],
            (
                "status",
                [
                    "clusters": .array(
                        exported.clusters.map { ["cluster": .string($0.rawValue)] })
                ]
            ))
        if !exported.isHeadless {
            let derived = Target(.services, Self.derivedName(of: `import`.service))
            var spec = affinity(of: exported)
            spec["type"] = "ClusterIP"
            spec["ipFamilyPolicy"] = "PreferDualStack"
            spec["ports"] = .array(exported.ports.map(\.json))
            spec["internalTrafficPolicy"] = exported.isNodeLocal ? "Local" : "Cluster"
            spec["trafficDistribution"] =
                exported.distribution.manifest.map { .string($0) } ?? .null
            bodies[derived] = body(
                of: derived,
                labels: [
                    (Self.managedLabel, Self.manager),
                    (Self.serviceLabel, `import`.service.name),
                ], ("spec", spec))
        }
        for slice in `import`.slices { add(slice, of: `import`.service, to: &bodies) }
    }

    private func spec(of import: ImportedService) -> JSONValue {
        let exported = `import`.exported
        var spec: JSONValue = [
            "type": exported.isHeadless ? "Headless" : "ClusterSetIP",
            "ports": .array(exported.ports.map(\.json)),
        ]
        if !exported.isHeadless {
            for member in affinity(of: exported).members { spec[member.key] = member.value }
            spec["ips"] = .array(`import`.addresses.map { .string("\($0)") })
        }
        return spec
    }

    private func affinity(of exported: ExportedService) -> JSONValue {
        guard exported.sessionAffinitySeconds > 0 else { return ["sessionAffinity": "None"] }
        let seconds = JSONValue.number("\(exported.sessionAffinitySeconds)")
        return [
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": ["clientIP": ["timeoutSeconds": seconds]],
        ]
    }

    private func add(
        _ slice: ImportedSlice, of service: ObjectName, to bodies: inout [Target: JSONValue]
    ) {
        // Slices of two clusters may have the same name, and one cluster's the longest.
        let digest = FNV1a("\(slice.cluster)/\(slice.record.object)".utf8).value
        let target = Target(
            .endpointSlices,
            ObjectName(
                namespace: service.namespace, name: "imported-" + String(digest, radix: 36)))
        let isIPv4 = slice.record.endpoints.first?.addresses.first?.isIPv4 ?? true
        bodies[target] = body(
            of: target,
            labels: [
                (Self.sliceManagedLabel, Self.manager), (Self.serviceLabel, service.name),
                (Self.clusterLabel, slice.cluster.rawValue),
            ], ("addressType", isIPv4 ? "IPv4" : "IPv6"),
            ("ports", .array(slice.record.ports.map(\.json))),
            ("endpoints", .array(slice.record.endpoints.map(\.json))))
    }

    private func body(
        of target: Target, labels: [(String, String)], _ fields: (String, JSONValue)...
    ) -> JSONValue {
        var metadata: JSONValue = [
            "name": .string(target.name.name), "namespace": .string(target.name.namespace),
        ]
        if !labels.isEmpty {
            metadata["labels"] = .object(labels.map { JSONMember($0, .string($1)) })
        }
        return .object(
            [
                JSONMember("apiVersion", .string(resource(of: target).apiVersion)),
                JSONMember("kind", .string(target.resource.kind)),
                JSONMember("metadata", metadata),
            ] + fields.map { JSONMember($0, $1) })
    }
}

extension ServicePort {
    fileprivate var json: JSONValue {
        var json: JSONValue = [
            "protocol": .string("\(transport)"), "port": .number("\(port)"),
        ]
        if !name.isEmpty { json["name"] = .string(name) }
        return json
    }
}

extension SliceEndpoint {
    fileprivate var json: JSONValue {
        [
            "addresses": .array(addresses.map { .string("\($0)") }),
            "conditions": [
                "ready": .bool(isReady), "serving": .bool(isServing),
                "terminating": .bool(isTerminating),
            ],
        ]
    }
}

extension ImportPlan.Step: CustomStringConvertible {
    /// `ServiceImport shop/web`.
    public var description: String {
        switch self {
        case .apply(let target, _), .delete(let target): "\(target.resource.kind) \(target.name)"
        }
    }
}
