// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What an API server shall have of services of the mesh: a body for each target.
struct ImportBodies {
    /// Of ServiceImport, as the server has it.
    let version: String
    private(set) var bodies: [ImportPlan.Target: JSONValue] = [:]

    init(version: String) { self.version = version }

    mutating func add(_ import: ImportedService, conditions: [ObjectCondition]) {
        let exported = `import`.exported
        let target = ImportPlan.Target(ImportPlan.imports, `import`.service)
        bodies[target] = object(
            target, labels: [ImportPlan.managedLabel: ImportPlan.manager],
            metadata: exported.metadata, ("spec", spec(of: `import`)))
        bodies[ImportPlan.Target(ImportPlan.imports, `import`.service, part: .additions)] = [
            "spec": additions(of: `import`)
        ]
        bodies[ImportPlan.Target(ImportPlan.imports, `import`.service, part: .status)] = [
            "status": [
                // Endpoints of a service with addresses need no objects: the datapath has them.
                "endpointSliceObjects": exported.isHeadless ? "Present" : "Absent",
                "clusters": .array(exported.clusters.map { ["cluster": .string($0.rawValue)] }),
                "conditions": .array(conditions.map(\.json)),
            ]
        ]
        if !exported.isHeadless { addDerived(of: `import`) }
        for slice in `import`.slices { add(slice, of: `import`) }
    }

    // MARK: ServiceImport

    private func spec(of import: ImportedService) -> JSONValue {
        let exported = `import`.exported
        var spec: JSONValue = [
            "type": exported.isHeadless ? "Headless" : "ClusterSetIP",
            "ports": .array(exported.ports.map { $0.json() }),
        ]
        if !exported.isHeadless {
            for member in affinity(of: exported).members { spec[member.key] = member.value }
            spec["ips"] = .array(`import`.ips.map { .string("\($0)") })
        }
        return spec
    }

    private func additions(of import: ImportedService) -> JSONValue {
        let exported = `import`.exported
        let families = `import`.families.map { JSONValue.string("\($0)") }
        return [
            "ipFamilies": families.isEmpty ? .null : .array(families),
            "internalTrafficPolicy": exported.isNodeLocal ? "Local" : "Cluster",
            "trafficDistribution": exported.distribution.manifest.map { .string($0) } ?? .null,
        ]
    }

    private func affinity(of exported: ExportedService) -> JSONValue {
        guard exported.sessionAffinitySeconds > 0 else { return ["sessionAffinity": "None"] }
        let seconds = JSONValue.number("\(exported.sessionAffinitySeconds)")
        return [
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": ["clientIP": ["timeoutSeconds": seconds]],
        ]
    }

    // MARK: The service that stands for it

    private mutating func addDerived(of import: ImportedService) {
        let exported = `import`.exported
        let target = ImportPlan.Target(
            .services, ImportPlan.derivedName(of: `import`.service))
        var spec = affinity(of: exported)
        spec["type"] = "ClusterIP"
        // Families of a service can't be exchanged later, and which ones there are here the API server
        // knows best: a ServiceImport shows those that lead to all backends.
        spec["ipFamilyPolicy"] = "PreferDualStack"
        spec["ports"] = .array(namedPorts(exported.ports))
        spec["internalTrafficPolicy"] = exported.isNodeLocal ? "Local" : "Cluster"
        // An API server before 1.30 refuses an object that has the field.
        if let distribution = exported.distribution.manifest {
            spec["trafficDistribution"] = .string(distribution)
        }
        bodies[target] = object(
            target,
            labels: [
                ImportPlan.managedLabel: ImportPlan.manager,
                ImportPlan.serviceLabel: `import`.service.name,
            ], ("spec", spec))
    }

    /// core/v1: each of several ports has a name, which a union of clusters' ports needn't.
    private func namedPorts(_ ports: [ServicePort]) -> [JSONValue] {
        guard ports.count > 1 else { return ports.map { $0.json() } }
        var taken = Set(ports.map(\.name))
        return ports.map { port in
            guard port.name.isEmpty else { return port.json() }
            var name = "\(port.transport)-\(port.port)".lowercased()
            while !taken.insert(name).inserted { name += "-x" }
            return port.json(name: name)
        }
    }

    // MARK: Slices

    private mutating func add(_ slice: ImportedSlice, of import: ImportedService) {
        let record = slice.record
        // An empty slice says of no family: one of the wrong could never be changed.
        guard let family = record.endpoints.first?.addresses.first?.family else { return }
        let families = `import`.exported.families
        guard families.isEmpty || families.contains(family) else { return }
        let endpoints = record.endpoints.filter { endpoint in
            endpoint.addresses.allSatisfy { $0.family == family }
        }
        // Slices of two clusters may have the same name, and one cluster's the longest.
        let digest = FNV1a("\(slice.cluster)/\(record.object)".utf8).value
        let service = `import`.service
        let target = ImportPlan.Target(
            .endpointSlices,
            ObjectName(
                namespace: service.namespace, name: "imported-" + String(digest, radix: 36)))
        bodies[target] = object(
            target,
            labels: [
                ImportPlan.sliceManagedLabel: ImportPlan.manager,
                ImportPlan.serviceLabel: service.name,
                ImportPlan.clusterLabel: slice.cluster.rawValue,
            ], ("addressType", .string("\(family)")),
            ("ports", .array(record.ports.map { $0.json() })),
            ("endpoints", .array(endpoints.map { $0.json(zone: slice.zones[$0.node]) })))
    }

    private func object(
        _ target: ImportPlan.Target, labels: Labels, metadata exported: ExportedMetadata = .none,
        _ fields: (String, JSONValue)...
    ) -> JSONValue {
        var metadata: JSONValue = [
            "name": .string(target.name.name), "namespace": .string(target.name.namespace),
            "labels": exported.labels.merging(labels) { $1 }.json,
        ]
        if !exported.annotations.isEmpty { metadata["annotations"] = exported.annotations.json }
        let version =
            target.resource == ImportPlan.imports
            ? ObjectResource.serviceImports(self.version).apiVersion : target.resource.apiVersion
        return .object(
            [
                JSONMember("apiVersion", .string(version)),
                JSONMember("kind", .string(target.resource.kind)),
                JSONMember("metadata", metadata),
            ] + fields.map { JSONMember($0, $1) })
    }
}

extension Labels {
    /// Sorted, so that equal ones are equal bytes.
    fileprivate var json: JSONValue {
        .object(sorted { $0.key < $1.key }.map { JSONMember($0.key, .string($0.value)) })
    }
}

extension ServicePort {
    /// - Parameter name: another one than its own.
    fileprivate func json(name: String? = nil) -> JSONValue {
        var json: JSONValue = [
            "protocol": .string("\(transport)"), "port": .number("\(port)"),
        ]
        let name = name ?? self.name
        if !name.isEmpty { json["name"] = .string(name) }
        if !application.isEmpty { json["appProtocol"] = .string(application) }
        return json
    }
}

extension SliceEndpoint {
    /// Without its node, whose name may be another node's here, and without hints, which its own cluster
    /// made for its own nodes.
    fileprivate func json(zone: String?) -> JSONValue {
        var json: JSONValue = [
            "addresses": .array(addresses.map { .string("\($0)") }),
            "conditions": [
                "ready": .bool(isReady), "serving": .bool(isServing),
                "terminating": .bool(isTerminating),
            ],
        ]
        if !hostname.isEmpty { json["hostname"] = .string(hostname) }
        if let zone, isLabelText(zone) { json["zone"] = .string(zone) }
        return json
    }
}
