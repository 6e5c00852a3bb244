// SPDX-License-Identifier: Apache-2.0

import MeshEndpoints
import MeshModel
import MeshReachability
import Netlink

/// Tries backends from inside this node's endpoints: a client's own path, with its policies. The root
/// namespace has neither.
struct BackendProber: Sendable {
    /// The namespace behind an interface, or another endpoint's, from which an address is reached.
    let namespace: @Sendable (_ interface: UInt32, _ address: Address) -> NetworkNamespace?
    let timeout: Duration

    /// - Returns: an outcome for each request, in their order.
    func probe(_ requests: [ProbeRequest]) async -> [ProbeOutcome] {
        let attempts = requests.map(attempt)
        let outcomes = await ConnectionAttempt.outcomes(
            of: attempts.compactMap { $0 }, timeout: timeout)
        var next = outcomes.makeIterator()
        return attempts.map { attempt in
            attempt == nil ? .impossible : next.next().map(ProbeOutcome.init) ?? .impossible
        }
    }

    private func attempt(_ request: ProbeRequest) -> ConnectionAttempt? {
        let backend = request.backend
        let bytes = backend.address.bytes
        guard backend.transport == .tcp,
            let namespace = namespace(request.interface, backend.address),
            let address = NetworkAddress(
                bytes: backend.address.isIPv4 ? Array(bytes.suffix(4)) : bytes)
        else { return nil }
        return ConnectionAttempt(from: namespace, to: address, port: backend.port)
    }
}

extension ProbeOutcome {
    fileprivate init(_ outcome: ConnectionAttempt.Outcome) {
        self =
            switch outcome {
            case .connected: .answered
            case .refused: .refused
            case .unreachable: .unreachable
            case .silent: .silent
            case .failed: .impossible
            }
    }
}
