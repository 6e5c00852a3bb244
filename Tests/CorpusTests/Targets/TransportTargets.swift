// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

@testable import MeshTransport

let transportTargets: [FuzzTarget] = [
    FuzzTarget("hello", seeds: helloSeeds) { bytes in
        try checkDecoding(of: bytes, .equal) { bytes throws(DecodingFault) in
            try Hello(decoding: bytes)
        } encode: {
            $0.encoded
        }
    },
    FuzzTarget("heartbeat-datagram", seeds: datagramSeeds, check: checkDatagram),
]

@Sendable private func helloSeeds() throws -> [[UInt8]] {
    guard let id = ClusterID(rawValue: 7), let name = ClusterName(rawValue: "east")
    else { throw BrokenProperty("7 and east are a cluster") }
    return [
        Hello(
            clusterID: id, clusterName: name, node: "node-1.east", incarnation: 1,
            publicKey: [UInt8](repeating: 9, count: Hello.publicKeyBytes), receiveKeyID: 2
        ).encoded
    ]
}

private let key = SymmetricKey(data: [UInt8](repeating: 0x5e, count: 32))
private let sealed: [UInt8: [UInt8]] = [0: [], 1: [1], 2: [UInt8](repeating: 2, count: 88)]

/// What the holder of the key sealed; the first byte of a counter says which of ``sealed`` it is.
@Sendable private func datagramSeeds() throws -> [[UInt8]] {
    sealed.sorted { $0.key < $1.key }.compactMap { number, plaintext in
        HeartbeatDatagram.seal(
            plaintext, header: .init(keyID: 7, counter: UInt64(number)), key: key)
    }
}

@Sendable private func checkDatagram(_ bytes: [UInt8]) throws {
    guard let header = HeartbeatDatagram.parse(bytes) else { return }
    try demand(
        bytes.starts(with: header.encoded), "\(header) came as other bytes than it is written")
    guard let plaintext = HeartbeatDatagram.open(bytes, header: header, key: key) else { return }
    let number = UInt8(truncatingIfNeeded: header.counter)
    try demand(
        sealed[number] == plaintext && header == .init(keyID: 7, counter: UInt64(number)),
        "nobody sealed \(plaintext)")
}
