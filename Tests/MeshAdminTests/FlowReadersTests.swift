// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import Testing

@testable import MeshAdmin

@Suite("Readers of flows")
struct FlowReadersTests {
    private struct Enough: Error {}

    /// What one reader got.
    private final class Count: Sendable {
        private let count = Mutex((flows: 0, lost: 0))

        var flows: Int { count.withLock { $0.flows } }
        var lost: Int { count.withLock { $0.lost } }

        /// - Throws: ``Enough`` with the last of `total`.
        func add(_ line: FlowLine, of total: Int) throws {
            let seen = count.withLock { count in
                switch line {
                case .flow: count.flows += 1
                case .lost(let loss): count.lost += Int(loss.records)
                case .node: break
                }
                return count.flows + count.lost
            }
            if seen == total { throw Enough() }
        }
    }

    @Test("so many and no more: the next is refused with a hint, until one leaves")
    func places() async throws {
        try await Harness.run { harness in
            // By a name each: a client's library has eight connections to a socket at a time.
            let clients = (0...Readers.maximum).map { number in
                let path = "\(harness.reading.socketPath).\(number)"
                #expect(symlink(harness.reading.socketPath, path) == 0)
                return AdminClient(socketPath: path)
            }
            let client = clients[Readers.maximum]
            let readers = clients.dropLast().map { client in
                Task { try await client.flows(follow: true) { _ in } }
            }
            defer { for reader in readers { reader.cancel() } }
            try await eventually("all of them are there") {
                harness.agent.flowReaders.withLock { $0 } == Readers.maximum
            }
            #expect(Readers.maximum == 16)
            let fault = try await #require(throws: AdminFault.self) {
                try await client.flows(follow: false) { _ in }
            }
            #expect(fault.code == .unavailable)
            #expect(fault.message == "16 readers of flows are there already")
            #expect(fault.hint?.contains("'weft flows' and 'weft drops'") == true)
            #expect(harness.agent.flowReaders.withLock { $0 } == Readers.maximum)
            // They leave room for everything else.
            #expect(try await client.status() == .fixture)

            readers[3].cancel()
            _ = await readers[3].result
            harness.agent.hub.publish([.fixture(1)])
            // The agent hears of it a moment later.
            let deadline = ContinuousClock.now + .seconds(10)
            var read: [Int64]?
            while read == nil, ContinuousClock.now < deadline {
                do {
                    var flows: [Int64] = []
                    try await client.flows(follow: false) { flows.append($0.timeUnixMilliseconds) }
                    read = flows
                } catch let fault as AdminFault where fault.code == .unavailable {
                    await Task.yield()
                }
            }
            #expect(read == [1])
        }
    }

    @Test("one that doesn't read holds nobody up, and is told how much it missed")
    func slow() async throws {
        try await Harness.run { harness in
            let hub = harness.agent.hub
            let client = harness.reading
            let (gate, open) = AsyncStream.makeStream(of: Void.self)
            let (slow, fast) = (Count(), Count())
            // Far more than sockets, the stream between them and the history hold.
            let (rounds, perRound) = (40, 1000)
            let total = rounds * perRound
            let question = FlowQuestion(last: 0, follow: true)
            let slowly = Task {
                try await client.flows(question) { line in
                    if slow.flows == 0 { for await _ in gate {} }
                    try slow.add(line, of: total)
                }
            }
            let quickly = Task {
                try await client.flows(question) { try fast.add($0, of: total) }
            }
            try await eventually("both are there") {
                harness.agent.flowReaders.withLock { $0 } == 2
            }
            for round in 1...rounds {
                hub.publish((1...perRound).map { Flow.fixture(Int64($0)) })
                try await eventually("the quick one has them") {
                    fast.flows == round * perRound
                }
            }
            #expect(fast.lost == 0)
            #expect(slow.flows == 0)
            open.finish()
            await #expect(throws: Enough.self) { try await quickly.value }
            await #expect(throws: Enough.self) { try await slowly.value }
            #expect(slow.lost > 0 && slow.flows + slow.lost == total)
        }
    }
}
