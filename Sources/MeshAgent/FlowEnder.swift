// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshEndpoints
import MeshModel

/// Ends the sockets of this node's endpoints toward what died: a reader that only waits sends no
/// packet that could be answered with a reset.
actor FlowEnder {
    /// Sockets destroyed between two pauses, so that a large node doesn't stall its kernel.
    static let burst = 1_000
    static let pause = Duration.milliseconds(10)
    static let secondLook = Duration.milliseconds(100)

    private let endpoints: EndpointManager
    private let log: Logger
    private(set) var ended: UInt64 = 0

    init(endpoints: EndpointManager, log: Logger) {
        self.endpoints = endpoints
        self.log = log
    }

    /// Looks twice: the kernel's walk over its sockets misses some while others come and go, and a
    /// connection may have been sent there in the instant in which the verdict was stored.
    ///
    /// - Parameter prefixes: pod prefixes of what died.
    func endFlows(toward prefixes: [Prefix], why: String) async {
        guard !prefixes.isEmpty else { return }
        var total = await pass(prefixes)
        do {
            try await Task.sleep(for: Self.secondLook)
            total += await pass(prefixes)
        } catch {
            // Cancelled: the agent ends.
        }
        ended += UInt64(total)
        log.notice("Sockets ended", metadata: ["why": "\(why)", "count": "\(total)"])
    }

    private func pass(_ prefixes: [Prefix]) async -> Int {
        var total = 0
        for endpoint in endpoints.endpoints {
            do {
                var count = Self.burst
                while count == Self.burst {
                    count = try endpoints.resetSockets(of: endpoint.object, atMost: Self.burst) {
                        address, _ in prefixes.contains { $0.contains(address) }
                    }
                    total += count
                    if count == Self.burst { try await Task.sleep(for: Self.pause) }
                }
            } catch {
                log.warning(
                    "An endpoint's sockets can't be ended",
                    metadata: ["endpoint": "\(endpoint.object)", "error": "\(error)"])
            }
        }
        return total
    }
}
