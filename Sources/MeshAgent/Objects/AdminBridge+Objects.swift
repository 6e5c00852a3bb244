// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshKubernetes
import MeshModel

extension AdminBridge {
    /// What is watched at the API server, as status shows it.
    func sourceStatus() async -> [SourceStatus] {
        let now = Int64(unixSeconds())
        return await objects?.sources.map { source in
            SourceStatus(
                resource: source.resource,
                state: source.health.map { SourceStatus.State($0.phase) } ?? .connecting,
                sinceSeconds: source.health.map { Double(max(0, now - $0.sinceUnixSeconds)) } ?? 0,
                objects: source.objects, lastError: source.health?.lastError)
        } ?? []
    }

    /// Why the API server needs attention; a sentence for all of its watches.
    static func reasons(of sources: [SourceStatus]) -> [String] {
        let silent = sources.filter { $0.state == .stale || $0.state == .connecting }
            .filter { $0.lastError != nil }
        guard let error = silent.first?.lastError else { return [] }
        let resources = silent.map(\.resource).joined(separator: ", ")
        return ["the API server can't be followed (\(resources)): \(error)"]
    }

    /// Pods that the folder and the API server describe differently.
    static func podConflicts(
        _ folder: [ObjectName: PodManifest], _ server: [ObjectName: PodManifest]?
    ) -> [String] {
        folder.keys.sorted().compactMap { name in
            guard let other = server?[name], other != folder[name] else { return nil }
            return "Pod \(name) differs between the API server, whose word is in force, and this "
                + "node's folder; remove it there"
        }
    }

    func addObjects(to page: inout MetricPage) async {
        guard let objects else { return }
        for source in await objects.sources {
            let phase = source.health?.phase
            page.set(
                .objectWatch, phase == .synced || phase == .absent ? 1 : 0, source.resource)
            page.set(.objects, source.objects, source.resource)
        }
        page.set(.objectProblems, await objects.problemCount)
    }
}

extension SourceStatus.State {
    fileprivate init(_ phase: FeedHealth.Phase) {
        switch phase {
        case .connecting: self = .connecting
        case .synced: self = .synced
        case .stale: self = .stale
        case .absent: self = .absent
        }
    }
}
