// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshKubernetes
import MeshModel
import ServiceLifecycle

/// Writes what the multi-cluster API has the publisher write: conditions of ServiceExports,
/// ServiceImports, the services that stand for them, and slices of headless ones. Nobody else does.
struct ExportService: Service {
    typealias Write = @Sendable (ObjectRequest) async throws -> Void

    private static let interval = Duration.seconds(2)
    /// Requests in one go; the rest waits for the next.
    private static let writesMaximum = 50

    let objects: ObjectService
    let state: StateService
    let cluster: ClusterName
    let log: Logger
    let write: Write

    func run() async {
        var plan: ImportPlan?
        let ticks = AsyncTimer(every: Self.interval)
        for await _ in ticks.cancelOnGracefulShutdown() {
            await writeConditions()
            guard let view = await objects.importView,
                let services = await state.imports(addresses: view.addresses)
            else {
                // Another publisher may write meanwhile.
                plan = nil
                continue
            }
            var current =
                plan.flatMap { $0.version == view.version ? $0 : nil }
                ?? ImportPlan(version: view.version)
            await writeImports(
                services.filter { view.namespaces.contains($0.service.namespace) },
                present: view.present, &current)
            plan = current
        }
    }

    // MARK: Conditions

    private func writeConditions() async {
        let exports = await objects.exports
        guard !exports.isEmpty else { return }
        let exporters = await state.exporters(of: exports.map(\.service))
        let patches = zip(exports, exporters).lazy.compactMap { self.patch($0, $1) }
        for (request, service) in patches.prefix(Self.writesMaximum) {
            guard await send(request, about: "ServiceExport \(service)") else { return }
        }
    }

    private func patch(
        _ export: Export, _ exporters: [ServiceExporter]
    ) -> (ObjectRequest, ObjectName)? {
        let record = exporters.first { $0.cluster == cluster }?.record
        // The ledger doesn't say so yet: the next pass finds it there.
        if let record, record.exportedAt == 0 { return nil }
        guard
            let wanted = ExportConditions.wanted(
                of: export.manifest, service: record,
                isAlias: export.hasService && record == nil,
                merged: ExportedService(exporters), nowUnixSeconds: unixSeconds())
        else { return nil }
        let path = ObjectPath(
            export.resource, namespace: export.service.namespace, name: export.service.name,
            subresource: "status")
        return (
            .patch(path, .merge, body: ExportConditions.patch(wanted).bytes), export.service
        )
    }

    // MARK: Imports

    private func writeImports(
        _ services: [ImportedService], present: Set<ImportPlan.Target>, _ plan: inout ImportPlan
    ) async {
        for step in plan.steps(to: services, present: present, maximum: Self.writesMaximum) {
            guard await send(request(step, of: plan), about: "\(step)") else { return }
            plan.done(step)
        }
    }

    private func request(_ step: ImportPlan.Step, of plan: ImportPlan) -> ObjectRequest {
        func path(_ target: ImportPlan.Target) -> ObjectPath {
            ObjectPath(
                plan.resource(of: target), namespace: target.name.namespace,
                name: target.name.name, subresource: target.part)
        }
        return switch step {
        case .apply(let target, let body):
            // Not by force: what somebody else wrote is a conflict, and told.
            .patch(
                path(target), .apply(fieldManager: ImportPlan.manager, force: false), body: body)
        case .delete(let target): ObjectRequest(.delete, path(target))
        }
    }

    /// - Returns: false if it failed: the others would fare no better, and the next pass tries again.
    private func send(_ request: ObjectRequest, about what: String) async -> Bool {
        do {
            try await write(request)
            return true
        } catch {
            log.warning(
                "The API server doesn't take what the multi-cluster API wants there",
                metadata: ["object": "\(what)", "error": "\(error)"])
            return false
        }
    }
}
