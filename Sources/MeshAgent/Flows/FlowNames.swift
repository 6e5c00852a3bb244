// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshStore
import Synchronization

/// What one reader remembers of those at the ends of flows.
struct FlowNames {
    var endpoints = EndpointNames()
}

/// Which service an address and port belongs to, as a frontend or as a backend. One for all readers;
/// made when somebody reads, and anew when services changed, at most every second.
final class ServiceIndex: Sendable {
    static let interval = Duration.seconds(1)
    /// Others have no name.
    static let backendsMaximum = 1 << 18

    private struct State {
        var services: [FrontendKey: ObjectName] = [:]
        var revision: UInt64?
        var madeAt = Instant.zero
    }

    private let state = Mutex(State())

    /// - Parameter transport: IP protocol number.
    func service(
        of side: FlowAddress, _ transport: UInt8, _ tables: MeshTables, at now: Instant
    ) -> ObjectName? {
        guard let transport = TransportProtocol(rawValue: transport) else { return nil }
        let key = FrontendKey(address: side.address, port: side.port, transport: transport)
        if let frontend = tables.frontends[key] { return frontend.service }
        return state.withLock { state in
            let isOld = state.revision != tables.frontends.revision
            if isOld, state.revision == nil || now - state.madeAt >= Self.interval {
                state.revision = tables.frontends.revision
                state.madeAt = now
                state.services = Self.backends(of: tables)
            }
            return state.services[key]
        }
    }

    /// Of several services the first by name.
    private static func backends(of tables: MeshTables) -> [FrontendKey: ObjectName] {
        var services: [FrontendKey: ObjectName] = [:]
        tables.frontends.forEachBlock(of: 1024) { frontends in
            for frontend in frontends {
                for backend in frontend.slices.lazy.flatMap(\.backends) {
                    let key = FrontendKey(
                        address: backend.address, port: backend.port,
                        transport: frontend.key.transport)
                    if let known = services[key] {
                        if frontend.service < known { services[key] = frontend.service }
                    } else if services.count < backendsMaximum {
                        services[key] = frontend.service
                    }
                }
            }
        }
        return services
    }
}
