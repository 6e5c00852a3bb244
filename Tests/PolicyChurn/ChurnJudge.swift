// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// A connection that was tried, and what became of it.
struct ChurnFlow: Sendable {
    let slot: Int
    let destination: Address
    let traffic: PolicyTraffic
    /// Nanoseconds: before the first packet, and after the last that was waited for.
    let start: UInt64
    let end: UInt64
    /// Whether a request went there and its answer came back.
    let passed: Bool
}

/// What the pure engine says to a flow under the inputs that were in force.
struct ChurnJudge {
    enum Finding: Equatable {
        case right, wrong
        /// Its inputs changed while it was under way, and the verdict with them.
        case ambiguous
    }

    let clusters: [ClusterName]
    let slots: [ChurnSlot]
    let history: ChurnHistory
    /// A label that this judge overlooks, to see whether anybody would notice.
    var overlooked: String?

    func judge(_ flow: ChurnFlow) -> Finding {
        let verdicts = verdicts(flow)
        guard verdicts.count == 1 else { return .ambiguous }
        return verdicts.contains(flow.passed) ? .right : .wrong
    }

    /// Whether no policy was ever asked: there was nobody at one of its ends, or it went to itself.
    func isAstray(_ flow: ChurnFlow) -> Bool {
        let states = history.states(from: flow.start, to: flow.end)
        return states.allSatisfy { $0.endpoints[flow.slot] == nil }
            || states.allSatisfy { $0.owner(of: flow.destination) == nil }
            || states.allSatisfy { $0.owner(of: flow.destination) == $0.endpoints[flow.slot] }
    }

    /// All that the flow may have met. Each side's policies, the endpoint's own labels and what the
    /// other side knows of them take effect at moments of their own: every combination counts.
    private func verdicts(_ flow: ChurnFlow) -> Set<Bool> {
        let states = history.states(from: flow.start, to: flow.end)
        let sources = Set(states.map { $0.endpoints[flow.slot] })
        let targets = Set(states.map { $0.owner(of: flow.destination) })
        // Who comes, goes or gets another identity may be unknown for a while, and so denied.
        var verdicts: Set<Bool> = sources.count > 1 || targets.count > 1 ? [false] : []
        var egress: Set<Bool> = []
        var ingress: Set<Bool> = []
        for source in sources {
            for target in targets {
                guard let source, let target else {
                    verdicts.insert(false)
                    continue
                }
                // It doesn't leave the endpoint.
                guard source != target else {
                    verdicts.insert(true)
                    continue
                }
                egress.formUnion(
                    decide(.egress, source, to: target, states, flow, at: flow.destination))
                let isIPv4 = flow.destination.isIPv4
                ingress.formUnion(
                    decide(
                        .ingress, target, to: source, states, flow,
                        at: source.addresses.first { $0.isIPv4 == isIPv4 }))
            }
        }
        for first in egress { for second in ingress { verdicts.insert(first && second) } }
        return verdicts
    }

    private func decide(
        _ direction: PolicyDirection, _ subject: ChurnEndpoint, to peer: ChurnEndpoint,
        _ states: [ChurnState], _ flow: ChurnFlow, at address: Address?
    ) -> Set<Bool> {
        let cluster = slots[subject.slot].cluster
        return Set(
            Set(states.map { $0.books[cluster] }).map { book in
                history.books[book].decide(
                    direction, subject: principal(subject), peer: .endpoint(principal(peer)),
                    at: address, traffic: flow.traffic
                ).allows
            })
    }

    private func principal(_ endpoint: ChurnEndpoint) -> Principal {
        let slot = slots[endpoint.slot]
        return Principal(
            cluster: clusters[slot.cluster], namespace: slot.objectNamespace,
            namespaceLabels: ["kubernetes.io/metadata.name": slot.objectNamespace],
            labels: endpoint.labels.filter { $0.key != overlooked })
    }

    /// For a report: who, to whom, when, and what the engine says under each state.
    func describe(_ flow: ChurnFlow) -> String {
        let states = history.states(from: flow.start, to: flow.end)
        func name(_ endpoint: ChurnEndpoint?) -> String {
            endpoint.map {
                "\(clusters[slots[$0.slot].cluster]):\($0.name) \($0.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })"
            }
                ?? "nobody"
        }
        var text =
            "slot \(flow.slot) to \(flow.destination) \(flow.traffic) at \(flow.start) for "
            + "\((flow.end - flow.start) / 1_000_000) ms: \(flow.passed ? "passed" : "denied")"
        for state in states {
            let source = state.endpoints[flow.slot]
            let target = state.owner(of: flow.destination)
            text += "\n  \(name(source)) to \(name(target))"
            guard let source, let target else { continue }
            func end(_ endpoint: ChurnEndpoint) -> FlowEnd {
                FlowEnd(
                    .endpoint(principal(endpoint)),
                    at: endpoint.addresses.first { $0.isIPv4 == flow.destination.isIPv4 })
            }
            let trace = PolicyTrace(
                from: end(source),
                governedBy: history.books[state.books[slots[source.slot].cluster]],
                to: end(target),
                governedBy: history.books[state.books[slots[target.slot].cluster]],
                traffic: flow.traffic)
            text += "\n  egress \(trace.egress); ingress \(trace.ingress)"
        }
        return text
    }
}
