// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import MeshModel

extension Family {
    /// Two nodes on one underlay: the one that is probed, and who probes it.
    var probed: Peer { node(1, port: 4791) }
    var prober: Peer { node(2, port: 4791) }

    private func node(_ host: Int, port: UInt16) -> Peer {
        Peer(self == .ipv4 ? "192.0.2.\(host)" : "2001:db8::\(host)", port)
    }
}

/// A node whose kernel answers probes, at the address ``Family/probed``.
final class Responder {
    static let instance: UInt64 = 0x0102_0304_0506_0708
    static let nonce: UInt64 = 0xf0e1_d2c3_b4a5_9687

    let family: Family
    let world: World
    private let words: MappedArray<UInt64>

    /// - Parameter renewed: how long ago the agent renewed its lease, at most since the machine started; nil: it has none.
    init(_ family: Family, renewed: Duration? = .zero) throws {
        self.family = family
        world = try World(["weft_from_underlay"]) { config in
            config.outer_source = weft_address(family.probed.address)
            config.health_port = family.probed.port.bigEndian
        }
        words = try MappedArray(world.object.map(named: "weft_responder"))
        words[Int(WEFT_RESPONDER_INSTANCE.rawValue)] = Self.instance
        renew(renewed)
    }

    func renew(_ renewed: Duration?) {
        words[Int(WEFT_RESPONDER_RENEWED.rawValue)] =
            renewed.map { UInt64(max(1, Self.now - $0.nanoseconds)) } ?? 0
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The payload of a probe, or of its answer.
    static func payload(
        kind: UInt8 = 3, name: String = "wft", age: UInt32 = 0, instance: UInt64 = 0
    ) -> [UInt8] {
        [kind] + Array(name.utf8) + bigEndian(age) + bigEndian(nonce) + bigEndian(instance)
    }

    func probe(_ payload: [UInt8] = payload(), withChecksum: Bool = true) -> [UInt8] {
        Self.arriving(
            udp(
                family.prober, family.probed, payload: payload, withChecksum: withChecksum,
                hopLimit: 61))
    }

    /// To the hardware address of the loopback device, which test runs arrive on.
    static func arriving(_ packet: [UInt8]) -> [UInt8] {
        [UInt8](repeating: 0, count: 6) + packet.dropFirst(6)
    }

    func receive(_ packet: [UInt8]) throws -> Outcome {
        let run = try world.object.program(named: "weft_from_underlay").testRun(data: packet)
        return Outcome(action: run.returnValue, bytes: run.data, metadata: [])
    }

    var answers: UInt64 {
        get throws { try world.count(WEFT_COUNTER_PROBES_ANSWERED) }
    }
}
