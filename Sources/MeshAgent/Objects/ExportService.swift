// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshKubernetes
import MeshLease
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
                services.filter { view.namespaces.contains($0.service.namespace) }, view, &current)
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
            do {
                try await write(request)
            } catch {
                tell(error, about: "ServiceExport \(service)")
                // What is wrong with one of them keeps no other from being told.
                guard let error = error as? KubernetesError, error.isOfOneObject else { return }
            }
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
        _ services: [ImportedService], _ view: ImportView, _ plan: inout ImportPlan
    ) async {
        let steps = plan.steps(
            to: services, present: view.present, conditions: view.conditions,
            maximum: Self.writesMaximum, at: .bootNow, nowUnixSeconds: unixSeconds())
        for failure in await plan.carryOut(steps, at: .bootNow, write: write) {
            tell(failure.error, about: "\(failure.step)")
        }
    }

    private func tell(_ error: any Error, about what: String) {
        log.warning(
            "The API server doesn't take what the multi-cluster API wants there",
            metadata: ["object": "\(what)", "error": "\(error)"])
    }
}
