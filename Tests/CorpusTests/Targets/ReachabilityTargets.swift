// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

let reachabilityTargets: [FuzzTarget] = [
    FuzzTarget("heartbeat", seeds: heartbeatSeeds) { bytes in
        try checkDecoding(of: bytes, .equal) { bytes throws(DecodingFault) in
            try Heartbeat(encoded: bytes)
        } encode: {
            $0.encoded
        }
    },
    FuzzTarget("relay-report", seeds: relayReportSeeds) { bytes in
        try checkDecoding(of: bytes, .equal) { bytes throws(DecodingFault) in
            try RelayReport(encoded: bytes)
        } encode: {
            $0.encoded
        }
    },
]

private func cluster() throws -> ClusterID {
    guard let cluster = ClusterID(rawValue: 7) else { throw BrokenProperty("7 is a cluster") }
    return cluster
}

@Sendable private func heartbeatSeeds() throws -> [[UInt8]] {
    let beat = Heartbeat(
        cluster: try cluster(), instance: 1, sequence: 2, sentAt: Instant(nanoseconds: 3),
        interval: .milliseconds(200), wanted: .milliseconds(100),
        echo: HeartbeatEcho(sequence: 4, hold: .microseconds(5)),
        drain: DrainDeclaration(generation: 6, isDraining: true),
        head: Position(epoch: 7, revision: 8), rollup: RollupHash(high: 9, low: 10),
        relaySetGeneration: 11, workload: Workload(capacity: 12, used: 13))
    return [beat.encoded, beat.encoded + [1, 2, 3]]
}

@Sendable private func relayReportSeeds() throws -> [[UInt8]] {
    guard let remote = NodeID(cluster: try cluster(), name: "node-1")
    else { throw BrokenProperty("node-1 is a name") }
    let heard = PathStatus(
        remote: remote, state: .up, missed: 0, beats: 255, silence: .milliseconds(40),
        roundTrip: .microseconds(80), drain: .never, head: Position(epoch: 1, revision: 2),
        relaySetGeneration: 3, workload: Workload(capacity: 4, used: 2))
    var silent = heard
    silent.silence = nil
    silent.roundTrip = nil
    return [
        RelayReport(
            relay: "node-2", sequence: 1, instance: 2, isAbstaining: false,
            workload: Workload(capacity: 9, used: 5), paths: [heard, silent]
        ).encoded
    ]
}
