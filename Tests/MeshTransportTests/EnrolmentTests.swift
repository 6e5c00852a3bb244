// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MeshTransport

/// A server of east's authority that answers with the question reversed.
private func withServer(
    _ body: (TransportAddress, Mesh, Heard, TransportStatistics) async throws -> Void
) async throws {
    let mesh = try Mesh(east)
    let authority = try #require(mesh.authorities[east])
    let heard = Heard()
    let statistics = TransportStatistics()
    let server = try EnrolmentServer(
        listen: TransportAddress(address: loopback, port: 0),
        credentials: try mesh.security(east, "a").credentials,
        root: try authority.bundle.anchorsDER()[0], statistics: statistics
    ) { question, source in
        #expect(source == loopback)
        heard.questions.withLock { $0.append(question) }
        return question.reversed()
    }
    let (bound, continuation) = AsyncStream.makeStream(of: TransportAddress.self)
    try await withThrowingTaskGroup { group in
        group.addTask { try await server.run { continuation.yield($0) } }
        var iterator = bound.makeAsyncIterator()
        let address = try #require(await iterator.next())
        try await body(address, mesh, heard, statistics)
        group.cancelAll()
    }
}

private final class Heard: Sendable {
    let questions = Mutex<[[UInt8]]>([])
}

@Suite("A question from somebody who has no certificate yet")
struct EnrolmentTests {
    @Test("is answered, once the certificates up to the root were accepted")
    func answer() async throws {
        try await withServer { address, mesh, _, _ in
            let root = try mesh.authorities[east]?.bundle.anchorsDER()[0]
            let question = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
            let answer = try await EnrolmentClient.ask(address) { presented throws(TrustError) in
                guard presented.count >= 2, presented.last == root else {
                    throw TrustError.noCertificate
                }
                return question
            }
            #expect(answer == question.reversed())
        }
    }

    @Test("isn't asked of somebody else")
    func distrusted() async throws {
        try await withServer { address, _, heard, _ in
            let objection = TrustError.foreignTrustDomain("elsewhere")
            let error = await #expect(throws: EnrolmentError.self) {
                _ = try await EnrolmentClient.ask(address) { _ throws(TrustError) in
                    throw objection
                }
            }
            #expect(error == .distrusted(address, objection))
            #expect(heard.questions.withLock { $0.isEmpty })
        }
    }

    @Test("that is too large is not heard")
    func oversized() async throws {
        try await withServer { address, _, heard, statistics in
            let question = [UInt8](repeating: 0, count: EnrolmentLimit.questionBytes + 1)
            let error = await #expect(throws: EnrolmentError.self) {
                _ = try await EnrolmentClient.ask(address) { _ in question }
            }
            #expect(error == .unanswered(address))
            #expect(heard.questions.withLock { $0.isEmpty })
        }
    }

    @Test("waits for nobody who is silent: more than the bound are closed unheard")
    func crowd() async throws {
        try await withServer { address, _, _, statistics in
            var idle: [any Channel] = []
            for _ in 0..<EnrolmentLimit.connections + 3 {
                idle.append(
                    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                        .connect(to: address.socketAddress()).get())
            }
            try await eventually("three weren't turned away") {
                statistics.snapshot[.tooManyHandshakes] >= 3
            }
            for channel in idle { try? await channel.close() }
            // There is room again as soon as they are gone.
            for _ in 0..<1000 {
                if (try? await EnrolmentClient.ask(address) { _ in [1, 2] }) == [2, 1] {
                    return
                }
            }
            Issue.record("still no room")
        }
    }

    @Test("to where nobody listens says so")
    func unreachable() async throws {
        let server = TransportAddress(address: loopback, port: 1)
        let error = await #expect(throws: EnrolmentError.self) {
            _ = try await EnrolmentClient.ask(server) { _ in [1] }
        }
        guard case .unreachable(server, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
