// SPDX-License-Identifier: Apache-2.0

// MARK: Evidence

extension Telling {
    /// Whether a refused flow is one of those that were asked about.
    func isAlike(_ flow: Flow) -> Bool {
        let destinations = Set(candidates.map(\.address) + walk.destination.addresses)
        guard source.addresses.contains(flow.source.address) else { return false }
        let isThere = destinations.contains(flow.destination.address)
        guard case .port(let transport, let number) = walk.traffic else {
            return isThere && flow.transport.hasPrefix("ICMP")
        }
        guard flow.transport == transport else { return false }
        let ports = Set(candidates.compactMap(\.port) + [number])
        return isThere && ports.contains(flow.destination.port)
    }

    mutating func tell(_ evidence: [Flow], at now: Int64) {
        let nodes = evidence.reduce(into: [String]()) { nodes, flow in
            if !nodes.contains(flow.node ?? here) { nodes.append(flow.node ?? here) }
        }
        for node in nodes { tell(evidence.filter { ($0.node ?? here) == node }, of: node, at: now) }
    }

    private mutating func tell(_ refused: [Flow], of node: String, at now: Int64) {
        guard let last = refused.last else { return }
        let ago = ageText(Double(now - last.timeUnixMilliseconds) / 1000)
        let kinds = refused.map { $0.reason ?? $0.type.rawValue }
        let most = Set(kinds).sorted().joined(separator: ", ")
        let policies = refused.compactMap(\.policy).reduce(into: [String]()) { seen, policy in
            if !seen.contains(policy) { seen.append(policy) }
        }
        tell(
            .evidence, .note,
            "\(name(node)) refused such flows lately (\(most)), the last one \(ago) ago", policies,
            by: [node])
    }

    /// What the kernels have of such flows, and what left the source and didn't arrive.
    mutating func tellConnections(_ evidence: [Flow]) {
        for side in walk.sides where side.connections > 0 {
            let newest = side.newest.first.map {
                ", the newest \($0.state.rawValue), idle for \(ageText($0.idleSeconds))"
            }
            let count = side.connections == 1 ? "1 such flow" : "\(side.connections) such flows"
            tell(
                .evidence, .fine, "the kernel of \(name(side.node)) has \(count)\(newest ?? "")",
                by: [side.node])
        }
        guard let source = side(source.cluster, source.node), source.state == .answered else {
            return
        }
        for candidate in candidates {
            guard let there = side(candidate.cluster, candidate.node), there.state == .answered,
                there.node != source.node, there.connections == 0,
                !evidence.contains(where: { $0.node == there.node }),
                source.newest.contains(where: {
                    $0.state == .opening && $0.idleSeconds <= FlowWalk.lostSeconds
                        && $0.destination == socket(candidate)
                })
            else { continue }
            tell(
                .evidence, .note,
                "what \(name(source.node)) sends to \(text(candidate)) doesn't get there: that node's "
                    + "kernel has nothing of it",
                ["look for what drops the overlay's UDP port between the two nodes"],
                by: [source.node, there.node])
        }
    }
}

// MARK: Conclusion

extension Telling {
    func conclude(_ evidence: [Flow]) -> FlowStory {
        let to = walk.destination.name
        var shown = candidates
        if let choice = walk.choice {
            let known = Set(candidates.map { "\($0.address) \($0.port ?? 0)" })
            shown += choice.candidates.filter { !known.contains("\($0.address) \($0.port ?? 0)") }
        }
        var story = FlowStory(
            seenFrom: here, source: source, destination: walk.destination,
            traffic: "\(walk.traffic)", outcome: .works, stoppedAt: nil, conclusion: "",
            advice: nil, steps: steps, candidates: Array(shown.prefix(FlowWalk.shownMaximum)),
            evidence: evidence, sides: walk.sides, notes: notes)
        let first = obstacle ?? (obstacles.count == candidates.count ? earliest : nil)
        if let first {
            story.outcome = .stops
            story.stoppedAt = first.stage
            story.conclusion = "stops at \(first.stage.words): \(first.reason)"
            story.advice = first.advice
        } else if let some = earliest {
            story.outcome = .partly
            story.conclusion =
                "works for \(candidates.count - obstacles.count) of \(candidates.count) backends; "
                + "to the others it stops at \(some.stage.words): \(some.reason)"
            story.advice = some.advice
        } else {
            let through =
                walk.choice == nil ? "" : ", through \(candidates.count) backends" + clusters
            story.conclusion = "works: nothing stops \(source.name) from reaching \(to)\(through)"
            if !evidence.isEmpty {
                story.conclusion += ", though such flows were refused lately"
                story.advice = "try again; if it fails, 'weft drops -f' shows it as it happens"
            }
        }
        return story
    }

    private var clusters: String {
        let names = Set(candidates.compactMap(\.cluster)).sorted()
        return names.isEmpty ? "" : " in \(names.joined(separator: ", "))"
    }

    /// Of the candidates' obstacles, the one that a flow meets first.
    private var earliest: FlowObstacle? {
        FlowStory.Stage.allCases.lazy.compactMap { stage in
            candidates.indices.lazy.compactMap { obstacles[$0] }.first { $0.stage == stage }
        }.first
    }

    private var notes: [String] {
        (walk.notes + traces.flatMap(\.notes)).reduce(into: []) { seen, note in
            if !seen.contains(note) { seen.append(note) }
        }
    }
}

extension FlowStory.Stage {
    /// As in "it stops at …".
    var words: String {
        switch self {
        case .source: "its source"
        case .service: "the choice of a backend"
        case .egress: "the policies of the source"
        case .path: "the path"
        case .ingress: "the policies of the destination"
        case .evidence: "this node"
        }
    }
}
