// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import Synchronization
import Testing

@testable import MeshAgent

@Suite("Asking another node about a flow")
struct AccountExchangeTests {
    private static let there = NodeID(cluster: cluster(1), name: "b")!
    private static let link = LinkID(rawValue: 3)

    /// One node's exchange, and what it sent.
    private final class Node: Sendable {
        let sent = Mutex<[Message]>([])
        private let links = Mutex<[NodeID: LinkID]>([there: link])
        private let made = Mutex<AccountExchange?>(nil)

        var exchange: AccountExchange { made.withLock { $0 }! }

        /// - Parameter patience: nobody waits longer; far beyond what a test takes, unless silence is
        ///   what it is about.
        init(patience: Duration = .seconds(600)) {
            let exchange = AccountExchange(seed: 40, patience: patience) { [self] node in
                links.withLock { $0[node] }
            } send: { [self] bytes, _ in
                guard let message = try? Message(encoded: bytes) else { return }
                sent.withLock { $0.append(message) }
            }
            made.withLock { $0 = exchange }
        }

        func cut() { links.withLock { $0 = [:] } }

        /// Questions that were sent and not yet looked at.
        func asks() -> [AccountAsk] {
            sent.withLock { messages in
                defer { messages = [] }
                return messages.compactMap {
                    if case .accountAsk(let ask) = $0 { ask } else { nil }
                }
            }
        }

        func ask() async -> AccountExchange.Outcome {
            await exchange.ask(there) {
                let ask = AccountAsk.fixture
                return AccountAsk(
                    id: $0, source: ask.source, transport: ask.transport, frontend: ask.frontend,
                    targets: ask.targets)
            }
        }

        /// The next question that is sent.
        func question() async throws -> AccountAsk {
            var found: AccountAsk?
            try await eventually {
                found = asks().first
                return found != nil
            }
            return try #require(found)
        }
    }

    private func account(_ id: UInt64, _ change: (inout FlowAccount) -> Void = { _ in })
        -> FlowAccount
    {
        let known = FlowAccount.fixture
        var account = FlowAccount(id: id)
        account.parties = known.parties
        account.judgements = known.judgements
        account.connections = known.connections
        account.refusals = known.refusals
        change(&account)
        return account
    }

    @Test("the answer to a question is its own; others, and second ones, are nobody's")
    func answers() async throws {
        let node = Node()
        async let first = node.ask()
        let one = try await node.question()
        async let second = node.ask()
        let other = try await node.question()
        #expect(one.id == 41 && other.id == 42)
        let exchange = node.exchange
        exchange.receive(account(one.id), from: own)
        exchange.receive(account(99), from: Self.there)
        #expect(exchange.fates == [.unasked: 2])
        exchange.receive(account(other.id), from: Self.there)
        exchange.receive(account(one.id), from: Self.there)
        exchange.receive(account(one.id), from: Self.there)
        let outcomes = await [first, second]
        #expect(outcomes == [.answered(account(one.id)), .answered(account(other.id))])
        #expect(exchange.fates == [.answered: 2, .unasked: 3])
    }

    @Test("who has no link isn't asked, who says nothing is given up, and both are said apart")
    func silence() async throws {
        let node = Node(patience: .milliseconds(1))
        guard case .silent(let reason) = await node.ask() else {
            Issue.record("nobody answered")
            return
        }
        #expect(reason.contains("hasn't answered for 0 s") && reason.contains("version"))
        let late = try #require(node.asks().first)
        node.exchange.receive(account(late.id), from: Self.there)
        #expect(node.exchange.fates == [.silent: 1, .unasked: 1])
        node.cut()
        #expect(await node.ask() == .silent("no link to it is up"))
        #expect(node.asks().isEmpty)
    }

    @Test("a refusal is told in its own words")
    func refusal() async throws {
        let node = Node()
        async let outcome = node.ask()
        let ask = try await node.question()
        node.exchange.receive(FlowAccount(id: ask.id, refusal: "not now"), from: Self.there)
        let said = await outcome
        #expect(said == .silent("not now"))
        #expect(node.exchange.fates == [.refused: 1])
    }

    @Test(
        "an answer about something else isn't believed",
        arguments: ["party", "judgement", "connection", "refusal", "transport"])
    func stray(lie: String) async throws {
        let node = Node()
        async let outcome = node.ask()
        let ask = try await node.question()
        let elsewhere = AccountAsk.Target(address: Address("10.9.9.9")!, port: 8080)
        let lying = account(ask.id) { account in
            switch lie {
            case "party":
                account.parties.append(.init(address: elsewhere.address, problem: "gone"))
            case "judgement":
                account.judgements.append(
                    .init(target: elsewhere, egress: nil, ingress: nil))
            case "connection":
                let known = account.connections[0]
                account.connections.append(
                    .init(
                        state: known.state, opener: known.opener, replier: elsewhere,
                        ageMilliseconds: 0, idleMilliseconds: 0, openerPackets: 0,
                        replierPackets: 0))
            default:
                let known = account.refusals[0]
                account.refusals.append(
                    .init(
                        kind: known.kind, agoMilliseconds: 0,
                        transport: lie == "transport" ? 17 : 6,
                        source: lie == "refusal" ? elsewhere : known.source, sourceIdentity: 0,
                        destination: known.destination, destinationIdentity: 0, frontend: nil,
                        reason: 0, policy: ""))
            }
        }
        node.exchange.receive(lying, from: Self.there)
        guard case .silent = await outcome else {
            Issue.record("\(lie) was believed")
            return
        }
        #expect(node.exchange.fates == [.stray: 1])
    }

    @Test("so many questions are under way, and no more; a place is free after an answer")
    func crowd() async throws {
        let node = Node()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<AccountExchange.waitingMaximum {
                group.addTask { _ = await node.ask() }
            }
            var asks: [AccountAsk] = []
            try await eventually {
                asks += node.asks()
                return asks.count == AccountExchange.waitingMaximum
            }
            guard case .silent(let reason) = await node.ask() else {
                Issue.record("one more was asked")
                return
            }
            #expect(reason.contains("too many") && node.asks().isEmpty)
            #expect(node.exchange.fates == [.crowded: 1])
            for ask in asks { node.exchange.receive(account(ask.id), from: Self.there) }
        }
        async let outcome = node.ask()
        node.exchange.receive(account(try await node.question().id), from: Self.there)
        _ = await outcome
        #expect(node.exchange.fates[.answered] == UInt64(AccountExchange.waitingMaximum) + 1)
    }

    @Test("who asks too often is told so and counted, and others are heard")
    func rate() throws {
        let node = Node()
        let start = Instant.zero + .seconds(100)
        func ask(_ id: UInt64, _ from: NodeID, at now: Instant) {
            node.exchange.receive(
                AccountAsk(
                    id: id, source: .nameless(.world), transport: 6, frontend: nil, targets: []),
                from: from, over: Self.link, at: now)
        }
        let burst = UInt64(AskLimiter.burst)
        for id in 1...burst + 2 { ask(id, Self.there, at: start) }
        #expect(node.exchange.receptions == [.taken: burst, .often: 2])
        ask(100, own, at: start)
        #expect(node.exchange.receptions[.taken] == burst + 1)
        // A quarter of a second earns one more.
        ask(101, Self.there, at: start + .milliseconds(249))
        ask(102, Self.there, at: start + .milliseconds(250))
        ask(103, Self.there, at: start + .milliseconds(250))
        #expect(node.exchange.receptions == [.taken: burst + 2, .often: 4])
        let refused = node.sent.withLock { $0 }.compactMap { message -> UInt64? in
            guard case .account(let account) = message, account.refusal.contains("too often")
            else { return nil }
            return account.id
        }
        #expect(refused == [burst + 1, burst + 2, 101, 103])
    }

    @Test("more than can wait are refused, not kept")
    func queue() {
        let node = Node()
        for number in 0..<AccountExchange.asksMaximum + 3 {
            node.exchange.receive(
                .fixture, from: NodeID(cluster: cluster(1), name: "n\(number)")!, over: Self.link,
                at: .zero)
        }
        #expect(
            node.exchange.receptions == [
                .taken: UInt64(AccountExchange.asksMaximum), .crowded: 3,
            ])
        #expect(node.sent.withLock { $0.count } == 3)
    }

    @Test("nodes that may ask as they like are forgotten before there are too many")
    func forgetting() {
        var limiter = AskLimiter()
        for number in 0..<AskLimiter.nodesMaximum * 2 {
            let node = NodeID(cluster: cluster(1), name: "n\(number)")!
            let isAdmitted = limiter.admits(node, at: .zero + .seconds(number))
            #expect(isAdmitted)
        }
        #expect(limiter.count <= AskLimiter.nodesMaximum)
    }

    @Test("what a node is asked is answered in turn")
    func service() async throws {
        let node = Node()
        let answering = AccountAnswering(exchange: node.exchange) { ask in
            FlowAccount(id: ask.id, lag: "\(ask.transport)")
        }
        let task = Task { try await answering.run() }
        for id in 1...3 as ClosedRange<UInt64> {
            node.exchange.receive(
                AccountAsk(
                    id: id, source: .nameless(.host), transport: 17, frontend: nil, targets: []),
                from: own, over: Self.link, at: .zero)
        }
        try await eventually { node.sent.withLock { $0.count } == 3 }
        #expect(
            node.sent.withLock { $0 }
                == (1...3).map { .account(FlowAccount(id: $0, lag: "17")) })
        task.cancel()
        _ = await task.result
    }
}
