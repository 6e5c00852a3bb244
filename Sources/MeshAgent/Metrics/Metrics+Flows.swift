// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshStore

extension Metric {
    static let ofFlows = [
        flows, flowBytes, flowsFolded, flowRecordsLost, flowQuestions, flowAnswers,
    ]

    private static let workload = [
        Label(open: "namespace", "Of the workload on this node, - where neither end is one."),
        Label(
            open: "workload",
            "What its label \(FlowLedger.Workload.labels.joined(separator: ", ")) says, the first that is there, or the endpoint's name."
        ),
        Label(
            "direction",
            "Of the flow's opener, as the workload sees it. One between two workloads of a node is the opener's.",
            values: FlowLedger.Direction.allCases.map(\.rawValue)),
        Label(open: "peer_cluster", "Cluster of the other end, - outside the mesh."),
    ]

    static let flows = Metric(
        "weft_flows_total", .counter, .count,
        "Flows by this node's workload, the cluster of the other end, and what became of them.",
        labels: workload + [
            Label(
                "verdict",
                "forwarded: opened. denied: by policies. dropped: for another reason, or reset.",
                values: Flow.Verdict.allCases.map(\.rawValue))
        ], limit: FlowLedger.seriesMaximum * Flow.Verdict.allCases.count)
    static let flowBytes = Metric(
        "weft_flow_bytes_total", .counter, .bytes,
        "Bytes of flows that closed, both directions.", labels: workload,
        limit: FlowLedger.seriesMaximum)
    static let flowsFolded = Metric(
        "weft_flows_folded_total", .counter, .count,
        "Flows counted as other, because there was no series left for their workload and cluster.")
    static let flowRecordsLost = Metric(
        "weft_flow_records_lost_total", .counter, .count, "Flow records that were lost.",
        labels: [
            Label(
                "stage",
                "kernel: the ring buffer was full, or a reason had used up its share. reader, network: somebody on this node, or another node, asked too late.",
                values: FlowLoss.Stage.allCases.map(\.rawValue))
        ])
    static let flowQuestions = Metric(
        "weft_flow_questions_total", .counter, .count,
        "Questions about a flow that other nodes of the cluster put to this one, for weft why.",
        labels: [
            Label(
                "result",
                "taken: answered. often: the node asked too often, and was told so. crowded: too many questions waited here.",
                values: AccountExchange.Reception.allCases.map(\.rawValue))
        ])
    static let flowAnswers = Metric(
        "weft_flow_answers_total", .counter, .count,
        "What became of this node's own questions about flows.",
        labels: [
            Label(
                "result",
                "silent: no link, or no answer in time. refused: the other node wouldn't. stray: it answered something else than it was asked, and isn't believed. unasked: an answer nobody waits for. crowded: too many were under way.",
                values: AccountExchange.Fate.allCases.map(\.rawValue))
        ])
}

extension AdminBridge {
    func addFlows(
        to page: inout MetricPage, _ readings: [CounterReading], _ tables: MeshTables
    ) {
        for reading in readings where reading.subject == .counter(.eventsLost) {
            page.set(.flowRecordsLost, reading.packets, FlowLoss.Stage.kernel.rawValue)
        }
        page.set(.flowRecordsLost, readerLosses.count, FlowLoss.Stage.reader.rawValue)
        page.set(.flowRecordsLost, exchange.lost, FlowLoss.Stage.network.rawValue)
        page.begin(.flowQuestions)
        page.begin(.flowAnswers)
        for (result, count) in accounts.receptions {
            page.set(.flowQuestions, count, result.rawValue)
        }
        for (result, count) in accounts.fates { page.set(.flowAnswers, count, result.rawValue) }
        let (series, folded) = ledger.byWorkload
        page.set(.flowsFolded, folded.flows)
        page.begin(.flows)
        page.begin(.flowBytes)
        for (series, count) in series {
            page.addFlows(
                [
                    series.workload?.namespace ?? "-", series.workload?.name ?? "-",
                    series.direction.rawValue,
                    series.peer.map { reference($0, tables).name } ?? "-",
                ], count)
        }
        guard folded.flows > 0 || folded.closed > 0 else { return }
        page.addFlows(Array(repeating: MetricFamily.other, count: 4), folded)
    }
}

extension MetricPage {
    /// - Parameter workload: values of the labels that both metrics have.
    fileprivate mutating func addFlows(_ workload: [String], _ count: FlowLedger.Count) {
        let verdicts: [(Flow.Verdict, UInt64)] = [
            (.forwarded, count.opened), (.denied, count.denied), (.dropped, count.dropped),
        ]
        for (verdict, count) in verdicts {
            add(.flows, .init(Double(count), workload + [verdict.rawValue]))
        }
        add(.flowBytes, .init(Double(count.bytes), workload))
    }
}
