// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import Synchronization

/// Questions about one flow and their answers, between the links and those who ask. Each question has
/// one answer at most, and all of them a bound: of this node's own, and of what others ask of it.
final class AccountExchange: Sendable {
    /// Longer than anybody thinks about an answer, short for whoever waits for it.
    static let patience = Duration.seconds(2)
    /// Own questions that wait for their answers.
    static let waitingMaximum = 64
    /// Other nodes' questions that wait here.
    static let asksMaximum = 32

    struct Asked: Sendable {
        let ask: AccountAsk
        let link: LinkID
    }

    /// What became of an own question.
    enum Outcome: Hashable, Sendable {
        case answered(FlowAccount)
        /// Why there is no answer, in words that follow the node's name.
        case silent(String)
    }

    /// What is counted of own questions.
    enum Fate: String, Hashable, Sendable, CaseIterable {
        case answered
        /// No link, or no answer in time.
        case silent
        /// The other node wouldn't.
        case refused
        /// It answered something else than it was asked.
        case stray
        /// Nobody asked for it, or not any more.
        case unasked
        /// Too many questions of this node were under way.
        case crowded
    }

    /// What became of another node's question; it is told.
    enum Reception: String, Hashable, Sendable, CaseIterable {
        case taken
        /// The node asked too often.
        case often
        /// Too many questions waited here.
        case crowded
    }

    private struct State {
        var nextID: UInt64
        var waiting: [UInt64: (node: NodeID, answer: AsyncStream<FlowAccount>.Continuation)] = [:]
        var limiter = AskLimiter()
        var fates: [Fate: UInt64] = [:]
        var receptions: [Reception: UInt64] = [:]
    }

    /// One reader.
    let asks: AsyncStream<Asked>
    private let asking: AsyncStream<Asked>.Continuation
    private let state: Mutex<State>
    private let patience: Duration
    private let link: @Sendable (NodeID) -> LinkID?
    private let send: @Sendable ([UInt8], LinkID) -> Void

    /// - Parameters:
    ///   - seed: so that answers to an earlier life of the agent are nobody's.
    ///   - link: to a node of the own cluster; nil: none is up.
    init(
        seed: UInt64, patience: Duration = patience,
        link: @escaping @Sendable (NodeID) -> LinkID?,
        send: @escaping @Sendable ([UInt8], LinkID) -> Void
    ) {
        (asks, asking) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.asksMaximum))
        state = Mutex(State(nextID: seed))
        self.patience = patience
        self.link = link
        self.send = send
    }

    var fates: [Fate: UInt64] { state.withLock { $0.fates } }
    var receptions: [Reception: UInt64] { state.withLock { $0.receptions } }

    // MARK: Own questions

    /// - Parameter question: given its number.
    func ask(_ node: NodeID, _ question: @Sendable (UInt64) -> AccountAsk) async -> Outcome {
        guard let link = link(node) else { return .silent(note(.silent, "no link to it is up")) }
        let (answers, continuation) = AsyncStream.makeStream(
            of: FlowAccount.self, bufferingPolicy: .bufferingOldest(1))
        let number: UInt64? = state.withLock { state in
            guard state.waiting.count < Self.waitingMaximum else { return nil }
            state.nextID &+= 1
            state.waiting[state.nextID] = (node, continuation)
            return state.nextID
        }
        guard let number else {
            return .silent(note(.crowded, "too many questions are under way here; ask again"))
        }
        defer { state.withLock { $0.waiting[number] = nil } }
        let ask = question(number)
        send(Message.accountAsk(ask).encoded, link)
        guard let account = await first(of: answers) else {
            let isUp = self.link(node) == link
            return .silent(
                note(
                    .silent,
                    isUp
                        ? "it hasn't answered for \(Int(patience.seconds)) s: its agent stands still, "
                            + "or is of a version that doesn't know the question"
                        : "its link went down"))
        }
        guard account.refusal.isEmpty else { return .silent(note(.refused, account.refusal)) }
        if let fault = account.fault(as: ask) { return .silent(note(.stray, fault)) }
        _ = note(.answered, "")
        return .answered(account)
    }

    private func first(of answers: AsyncStream<FlowAccount>) async -> FlowAccount? {
        await withTaskGroup(of: FlowAccount?.self) { group in
            group.addTask { await answers.first { _ in true } }
            group.addTask { [patience] in
                try? await Task.sleep(for: patience)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private func note(_ fate: Fate, _ reason: String) -> String {
        state.withLock { $0.fates[fate, default: 0] += 1 }
        return reason
    }

    func receive(_ account: FlowAccount, from node: NodeID) {
        state.withLock { state in
            guard let waiting = state.waiting[account.id], waiting.node == node else {
                state.fates[.unasked, default: 0] += 1
                return
            }
            state.waiting[account.id] = nil
            waiting.answer.yield(account)
        }
    }

    // MARK: Other nodes' questions

    /// Takes a question up, or answers it with why not.
    func receive(_ ask: AccountAsk, from node: NodeID, over link: LinkID, at now: Instant) {
        let isAdmitted = state.withLock { $0.limiter.admits(node, at: now) }
        let reception: Reception =
            if !isAdmitted {
                .often
            } else if case .enqueued = asking.yield(Asked(ask: ask, link: link)) {
                .taken
            } else {
                .crowded
            }
        state.withLock { $0.receptions[reception, default: 0] += 1 }
        switch reception {
        case .taken: break
        case .often: refuse(ask, "it is asked too often by this node; ask again in a moment", link)
        case .crowded: refuse(ask, "too many questions wait there; ask again", link)
        }
    }

    private func refuse(_ ask: AccountAsk, _ reason: String, _ link: LinkID) {
        answer(FlowAccount(id: ask.id, refusal: reason), over: link)
    }

    func answer(_ account: FlowAccount, over link: LinkID) {
        send(Message.account(account).encoded, link)
    }
}
