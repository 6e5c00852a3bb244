// SPDX-License-Identifier: Apache-2.0

import MeshModel
import NIOCore
import NIOPosix
import Testing

@testable import MeshTransport

private let remote = TransportAddress(address: Address("192.0.2.9")!, port: 4791)
private let nonce: UInt64 = 0xf0e1_d2c3_b4a5_9687
private let instance: UInt64 = 0x0102_0304_0506_0708
private let start = Instant(nanoseconds: 5_000_000_000)

/// An answer as the kernel writes it; Tests/KernelTests has the same bytes.
private func answer(age: UInt32 = 700, nonce: UInt64 = nonce) -> [UInt8] {
    ResponderProbe.datagram(4, age: age, nonce: nonce, instance: instance)
}

@Suite("Probes of a node's kernel")
struct ResponderProbeTests {
    private var probe = ResponderProbe()

    private mutating func ask() throws -> [UInt8] {
        try probe.ask(nodeB, at: remote, nonce: nonce, at: start)
    }

    @Test("look like this on the wire")
    mutating func wire() throws {
        #expect(
            try ask() == [
                0x03, 0x77, 0x66, 0x74,  // question, "wft"
                0x00, 0x00, 0x00, 0x00,  // age
                0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87,  // nonce
                0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // instance
            ])
        #expect(
            answer() == [
                0x04, 0x77, 0x66, 0x74,  // answer, "wft"
                0x00, 0x00, 0x02, 0xbc,  // 700 ms
                0xf0, 0xe1, 0xd2, 0xc3, 0xb4, 0xa5, 0x96, 0x87,  // nonce
                0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,  // instance
            ])
    }

    @Test("are answered once, with the agent's instance and the age of its lease")
    mutating func answered() throws {
        _ = try ask()
        let now = start + .milliseconds(999)
        let taken = try probe.take(answer(), from: remote, at: now)
        #expect(
            taken
                == ResponderAnswer(
                    peer: nodeB, instance: instance, leaseAge: .milliseconds(700),
                    roundTrip: .milliseconds(999), arrival: now))
        #expect(throws: TransportRejection.probeUnexpected) {
            try probe.take(answer(), from: remote, at: now)
        }
    }

    @Test("are answered by nobody else, and not when nothing waits any more")
    mutating func unexpected() throws {
        _ = try ask()
        let elsewhere = TransportAddress(address: remote.address, port: 4792)
        let cases: [([UInt8], TransportAddress, Duration)] = [
            (answer(nonce: nonce ^ 1), remote, .zero), (answer(), elsewhere, .zero),
            (answer(), remote, .seconds(1)),
        ]
        for (datagram, source, delay) in cases {
            #expect(throws: TransportRejection.probeUnexpected) {
                try probe.take(datagram, from: source, at: start + delay)
            }
        }
    }

    static let notAnswers: [[UInt8]] = [
        [], [4], answer().dropLast(), answer() + [0],
        [3] + answer().dropFirst(), [4] + Array("xyz".utf8) + answer().dropFirst(4),
    ]

    @Test("have answers of one form only", arguments: notAnswers)
    mutating func malformed(datagram: [UInt8]) throws {
        _ = try ask()
        #expect(throws: TransportRejection.probeMalformed) {
            try probe.take(datagram, from: remote, at: start)
        }
        // It waits on.
        _ = try probe.take(answer(), from: remote, at: start)
    }

    @Test("are 64 at a time at most, a second each")
    mutating func bound() throws {
        for nonce in 0..<64 {
            _ = try probe.ask(nodeB, at: remote, nonce: UInt64(nonce), at: start)
        }
        #expect(throws: TransportRejection.probeUnsent) {
            try probe.ask(nodeB, at: remote, nonce: 64, at: start + .milliseconds(999))
        }
        _ = try probe.take(answer(nonce: 17), from: remote, at: start)
        _ = try probe.ask(nodeB, at: remote, nonce: 65, at: start)
        _ = try probe.ask(nodeB, at: remote, nonce: 66, at: start + .seconds(1))
    }

    @Test("go out from the socket of everything else, and come in by it", .timeLimit(.minutes(1)))
    func socket() async throws {
        let kernel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Kernel())
                }
            }
            .bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        let statistics = TransportStatistics()
        let socket = DatagramSocket(
            own: nodeA, addresses: [TransportAddress(address: loopback, port: 0)],
            statistics: statistics)
        let log = EventLog(socket.answers)
        #expect(!socket.send(probe: nodeB, to: remote), "it isn't bound yet")
        #expect(statistics.snapshot[.probeUnsent] == 1)
        let own = try await socket.start()[0]
        let running = Task { try await socket.run() }
        defer { running.cancel() }
        let address = try #require(TransportAddress(kernel.localAddress))
        #expect(socket.send(probe: nodeB, to: address))
        let arrived = try await log.wait("no answer") { $0.first }
        #expect(arrived.peer == nodeB && arrived.instance == instance)
        #expect(arrived.leaseAge == .milliseconds(700) && arrived.roundTrip > .zero)
        // The kernel's answer came twice; and a probe of this node that its kernel left to it.
        try await eventually("not counted") { statistics.snapshot[.probeUnexpected] == 1 }
        socket.receive(
            ResponderProbe.datagram(3, age: 0, nonce: 1, instance: 0), from: own, at: .monotonicNow)
        #expect(statistics.snapshot[.probeUnanswered] == 1)
        #expect(statistics.snapshot.probesSent == 1 && statistics.snapshot.probesAnswered == 1)
        try await kernel.close()
    }
}

/// Answers each question twice.
private final class Kernel: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let question = unwrapInboundIn(data)
        guard let nonce = question.data.getInteger(at: 8, as: UInt64.self) else { return }
        let reply = AddressedEnvelope(
            remoteAddress: question.remoteAddress,
            data: context.channel.allocator.buffer(bytes: answer(nonce: nonce)))
        for _ in 0..<2 { context.writeAndFlush(wrapOutboundOut(reply), promise: nil) }
    }
}
