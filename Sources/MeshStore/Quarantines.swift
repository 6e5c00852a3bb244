// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Why a backend takes no new flows of this node.
public struct QuarantineRow: Hashable, Sendable {
    public let backend: BackendKey
    public let since: Instant
    /// For an operator: `3 SYNs of 2 connections unanswered`.
    public let reason: String

    public init(backend: BackendKey, since: Instant, reason: String) {
        self.backend = backend
        self.since = since
        self.reason = reason
    }
}

extension MeshTables {
    /// Takes backends out of every frontend that has them. They stay in its row: it is pending until
    /// the kernel holds it without them.
    ///
    /// - Complexity: goes through all frontends.
    public mutating func quarantine(_ rows: [QuarantineRow]) {
        for row in rows { quarantines[row.backend] = row }
        touchFrontends(of: Set(rows.map(\.backend)))
    }

    public mutating func release(_ backends: Set<BackendKey>) {
        for backend in backends { quarantines[backend] = nil }
        touchFrontends(of: backends)
    }

    private mutating func touchFrontends(of backends: Set<BackendKey>) {
        guard !backends.isEmpty else { return }
        frontends.touch { $0.has(backends) }
    }
}

extension ServiceFrontend {
    private func key(of backend: Backend) -> BackendKey {
        BackendKey(address: backend.address, port: backend.port, transport: key.transport)
    }

    fileprivate func has(_ backends: Set<BackendKey>) -> Bool {
        slices.contains { $0.backends.contains { backends.contains(key(of: $0)) } }
    }

    /// The frontend as the kernel gets it while backends are in quarantine. A slice's weight shrinks
    /// with its backends, so that those left get no more than their share of the traffic.
    public func leavingOut(_ quarantines: [BackendKey: QuarantineRow]) -> ServiceFrontend {
        guard !quarantines.isEmpty else { return self }
        let kept = slices.compactMap { slice -> ClusterSlice? in
            let backends = slice.backends.filter { quarantines[key(of: $0)] == nil }
            guard backends.count < slice.backends.count else { return slice }
            guard !backends.isEmpty else { return nil }
            let weight = Int(slice.weight) * backends.count / slice.backends.count
            return ClusterSlice(
                cluster: slice.cluster, tier: slice.tier,
                weight: slice.weight == 0 ? 0 : UInt8(max(1, weight)), backends: backends)
        }
        // Never a service's last backend, whatever anybody says.
        guard !kept.isEmpty, kept != slices else { return self }
        return ServiceFrontend(
            key: key, service: service, portName: portName, isGlobal: isGlobal,
            sessionAffinitySeconds: sessionAffinitySeconds, slices: kept)
    }
}
