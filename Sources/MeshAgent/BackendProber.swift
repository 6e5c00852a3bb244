// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshEndpoints
import MeshModel
import MeshReachability
import Netlink

/// Tries backends from inside this node's endpoints: a client's own path, with its policies. The root
/// namespace has neither.
struct BackendProber: Sendable {
    /// The namespace behind an interface, or another endpoint's, from which an address is reached.
    let namespace: @Sendable (_ interface: UInt32, _ address: Address) -> NetworkNamespace?
    /// Says whether an attempt that failed was denied.
    let datapath: any Datapath
    let timeout: Duration

    /// - Returns: an outcome for each request, in their order.
    func probe(_ requests: [ProbeRequest]) async -> [ProbeOutcome] {
        let attempts = requests.map(attempt)
        let conclusions = await ConnectionAttempt.conclusions(
            of: attempts.compactMap { $0 }, timeout: timeout)
        var next = conclusions.makeIterator()
        return zip(requests, attempts).map { request, attempt in
            guard attempt != nil, let conclusion = next.next() else { return .impossible }
            return wasDenied(conclusion, request.backend)
                ? .denied : ProbeOutcome(conclusion.outcome)
        }
    }

    /// Whether the backend's node said that a policy there denies what was tried. To the endpoint that
    /// is silence or a reset.
    private func wasDenied(
        _ conclusion: ConnectionAttempt.Conclusion, _ backend: BackendKey
    ) -> Bool {
        guard conclusion.outcome != .connected, let local = conclusion.localAddress,
            let address = Address(bytes: local.bytes)
        else { return false }
        do {
            let tracked = try datapath.connection(
                FlowAddress(address: address, port: conclusion.localPort),
                FlowAddress(address: backend.address, port: backend.port),
                over: backend.transport.rawValue)
            return tracked?.flags.contains(.deniedAfar) ?? false
        } catch {
            // Then it counts as what the endpoint saw.
            return false
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
