// SPDX-License-Identifier: Apache-2.0

/// One question of a client, and who is to answer it.
struct ConnectivityCheck: Hashable, Sendable {
    enum Expectation: Hashable, Sendable {
        /// `CLUSTER/ENDPOINT`.
        case answer(from: String)
        /// From each of these clusters, at least once, and from no other.
        case answers(from: Set<String>)
        /// A policy stands in between: silence, or a refusal.
        case denial
    }

    let group: String
    let name: String
    let client: ConnectivityEndpoint
    /// Nil: a service.
    let server: ConnectivityEndpoint?
    let url: String
    let count: Int
    let expectation: Expectation

    var isUDP: Bool { url.hasPrefix("udp://") }

    /// Of one question. A denial is silence: longer than an answer takes, or the retry of a lost one.
    var timeout: Duration { isUDP || expectation == .denial ? .seconds(1) : .seconds(2) }

    /// Nil if that is what was expected, or what is wrong with it.
    func objection(to records: [LoadRecord]) -> String? {
        let answered = records.filter { $0.outcome == .ok }
        let failures = records.filter { $0.outcome != .ok }
        func failed() -> String {
            let kinds = Set(failures.map { $0.outcome.sentence }).sorted()
            return "\(failures.count) of \(records.count) got no answer: "
                + kinds.joined(separator: ", ")
        }
        guard !records.isEmpty else { return "nothing was sent" }
        switch expectation {
        case .denial:
            return answered.isEmpty ? nil : "it was answered, though a policy denies it"
        case .answer(let expected):
            if let other = answered.compactMap(\.answerer).first(where: { $0 != expected }) {
                return "\(other) answered"
            }
            // A lost datagram is the network's right, two of three aren't.
            return failures.isEmpty || isUDP && failures.count * 2 <= records.count
                ? nil : failed()
        case .answers(let expected):
            let clusters = Set(answered.compactMap(\.cluster))
            guard isUDP ? failures.count * 20 <= records.count : failures.isEmpty else {
                return failed()
            }
            let missing = expected.subtracting(clusters).sorted().joined(separator: ", ")
            guard missing.isEmpty else { return "nobody answered in \(missing)" }
            let others = clusters.subtracting(expected).sorted().joined(separator: ", ")
            return others.isEmpty ? nil : "\(others) answered, too"
        }
    }
}

extension LoadRecord {
    fileprivate var answerer: String? {
        guard let cluster, let endpoint else { return nil }
        return "\(cluster)/\(endpoint)"
    }
}

extension LoadRecord.Outcome {
    fileprivate var sentence: String {
        switch self {
        case .ok: "answered"
        case .refused: "connection refused"
        case .reset: "connection reset"
        case .aborted: "connection aborted"
        case .timeout: "no answer in time"
        case .unreachable: "no route"
        case .closed: "connection closed before the answer"
        case .malformed: "an answer that makes no sense"
        case .overload: "too much under way"
        case .other: "the system refused to send"
        }
    }
}
