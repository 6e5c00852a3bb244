// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import ServiceLifecycle

/// Answers other nodes' questions about flows, one after the other: an answer may take a walk over all
/// tracked connections, and whoever asks must not keep a core busy with that.
struct AccountAnswering: Service {
    /// After each answer, so many times what it took ...
    static let rest = 9
    /// ... but at least, and at most, so long.
    static let restMinimum = Duration.milliseconds(10)
    static let restMaximum = Duration.seconds(1)

    let exchange: AccountExchange
    let answer: @Sendable (AccountAsk) async -> FlowAccount

    func run() async throws {
        for await asked in exchange.asks.cancelOnGracefulShutdown() {
            let start = Instant.monotonicNow
            exchange.answer(await answer(asked.ask), over: asked.link)
            let spent = Instant.monotonicNow - start
            let rest = min(max(spent * Self.rest, Self.restMinimum), Self.restMaximum)
            do { try await Task.sleep(for: rest) } catch { return }
        }
    }
}
