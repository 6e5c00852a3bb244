// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshLease
import MeshModel
import MeshTransport
import ServiceLifecycle

// MARK: This node leaves its cluster

extension StateService {
    private static let departureInterval = Duration.seconds(1)

    func leave(within timeout: Duration) {
        step { core, effects in core.leave(within: timeout, at: .bootNow, into: &effects) }
    }

    func stayAfterAll() {
        step { core, effects in core.stayAfterAll(into: &effects) }
    }

    func followDeparture() async {
        let ticks = AsyncTimer(every: Self.departureInterval)
        for await _ in ticks.cancelOnGracefulShutdown() where core.departure.phase == .draining {
            let connections: Int
            do {
                connections = try await census.openToHere()
            } catch {
                // Nobody is sent away unseen: the timeout stands.
                log.warning("Connections can't be counted", metadata: ["error": "\(error)"])
                connections = .max
            }
            let paths = await health.beatingPaths
            step { core, effects in
                core.stepDeparture(
                    connections: connections, paths: paths, at: .bootNow, into: &effects)
            }
        }
    }
}
