// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import ServiceLifecycle

/// Answers other nodes' questions about this node's flows, one after the other and not too many: they
/// share the links with the ledger.
struct FlowAnswering: Service {
    /// With answers of 128 KiB at most, 12.8 MB a second.
    static let pause = Duration.milliseconds(10)

    let bridge: AdminBridge
    /// Of this life of the agent.
    let life: UInt64

    func run() async throws {
        var names = FlowNames()
        for await asked in bridge.exchange.asks.cancelOnGracefulShutdown() {
            let answer = await answer(asked.ask, &names)
            bridge.exchange.answer(answer, over: asked.link)
            do { try await Task.sleep(for: Self.pause) } catch { return }
        }
    }

    private func answer(_ ask: FlowAsk, _ names: inout FlowNames) async -> FlowAnswer {
        let filter: FlowFilter
        do throws(FlowFilter.Fault) {
            filter = try FlowFilter(ask.filter)
        } catch {
            // An agent of another version knows other fields.
            return FlowAnswer(
                id: ask.id, life: life, position: 0, lost: 0, kernelLost: 0, flows: [],
                refusal: "\(error)")
        }
        let isFirst = ask.life == 0
        // Of an earlier life: everything of this one is new.
        let beginning = ask.last == 0 ? bridge.hub.position : nil
        let news = bridge.hub.news(
            after: isFirst ? beginning : ask.life == life ? ask.position : 0)
        var flows: [[UInt8]] = []
        for event in news.flows {
            let flow = await bridge.flow(event, &names)
            if filter.matches(flow), let bytes = try? adminJSON(flow) { flows.append(bytes) }
        }
        let matching = flows.count
        if isFirst { flows = Array(flows.suffix(Int(ask.last))) }
        // The newest that there is room for.
        var room = Int(min(ask.bytes, FlowAsk.answerBytesMaximum))
        let fitting = flows.reversed().prefix { bytes in
            room -= bytes.count + 4
            return room >= 0
        }
        let cut = isFirst ? 0 : UInt64(matching - fitting.count)
        if !isFirst { bridge.exchange.noteLost(news.lost + cut) }
        return FlowAnswer(
            id: ask.id, life: life, position: news.position, lost: news.lost + cut,
            kernelLost: bridge.flowsLostByKernel, flows: fitting.reversed())
    }
}
