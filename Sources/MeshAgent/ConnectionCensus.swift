// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshDatapath
import MeshEndpoints

/// Counts the connections that others opened to this node's endpoints.
struct ConnectionCensus: Sendable {
    let datapath: any Datapath
    let endpoints: EndpointManager

    /// TCP connections that were answered and haven't ended on both sides; those of clients that
    /// vanished without a word are among them.
    ///
    /// - Complexity: a walk over all tracked connections, some 0.1 s for 131,072.
    @concurrent func openToHere() async throws(DatapathError) -> Int {
        let own = Set(endpoints.endpoints.flatMap(\.addresses))
        guard !own.isEmpty else { return 0 }
        return try datapath.connections(limit: .max) {
            own.contains($0.replier.at.address) && $0.isOpen
        }.count
    }
}

extension ConnectionReading {
    var isOpen: Bool {
        transport == UInt8(IPPROTO_TCP) && flags.contains(.replied) && !flags.contains(.reset)
            && !flags.isSuperset(of: [.openerFinished, .replierFinished])
    }
}
