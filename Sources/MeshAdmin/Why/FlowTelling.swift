// SPDX-License-Identifier: Apache-2.0

/// A story in the making: a step is told after the other, and remembers what it found in the way.
struct Telling {
    let walk: FlowWalk
    let traces: [PolicyTraceAnswer]
    private var candidates: [FlowStory.Candidate]
    private var steps: [FlowStory.Step] = []
    /// In the way of every candidate.
    private var obstacle: FlowObstacle?
    /// By candidate, the first one.
    private var obstacles: [Int: FlowObstacle] = [:]

    init(walk: FlowWalk, traces: [PolicyTraceAnswer]) {
        self.walk = walk
        self.traces = traces
        candidates = walk.candidates
    }

    private var scene: FlowScene { walk.scene }
    private var here: String { "\(scene.cluster)/\(scene.node)" }
    private var source: FlowStory.End { walk.source }

    private mutating func tell(
        _ stage: FlowStory.Stage, _ mark: FlowStory.Step.Mark, _ sentence: String,
        _ details: [String] = []
    ) {
        steps.append(FlowStory.Step(stage, mark, sentence, details: details))
    }

    private mutating func stop(_ found: FlowObstacle, _ details: [String] = []) {
        tell(found.stage, .stop, found.reason, details)
        obstacle = obstacle ?? found
    }
}

// MARK: Source and service

extension Telling {
    mutating func tellSource() {
        guard let node = source.node, let cluster = source.cluster else {
            return tell(
                .source, .note,
                "\(source.name) is no endpoint of the mesh: policies see who it is "
                    + "by its address at most, and this node sends nothing for it")
        }
        let facts = [
            source.addresses.isEmpty ? nil : source.addresses.joined(separator: ", "),
            source.labels.isEmpty
                ? nil
                : source.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                    .joined(separator: ","),
            source.identity.map { "identity \($0)" },
        ].compactMap(\.self)
        if let problem = source.problem {
            return stop(
                FlowObstacle(
                    stage: .source, reason: "\(source.name) isn't in place on its node: \(problem)",
                    advice: "the log of the agent on \(cluster)/\(node) says more"), facts)
        }
        if let there = scene.node(node, of: cluster), there.verdict == .unreachable {
            return stop(
                FlowObstacle(
                    stage: .source,
                    reason: "\(source.name) is on \(cluster)/\(node), which is unreachable since "
                        + ageText(there.sinceSeconds),
                    advice: "'weft why \(cluster)/\(node)' tells who says so"), facts)
        }
        guard !source.isHere else {
            return tell(.source, .fine, "\(source.name) is on this node, \(here)", facts)
        }
        let place =
            cluster == scene.cluster
            ? "node \(cluster)/\(node)" : "another cluster, on \(cluster)/\(node)"
        tell(
            .source, .note, "\(source.name) is on \(place); this is the view of \(here)",
            facts + ["there: weft why \(asked)"])
    }

    /// The question, to be put to another node.
    private var asked: String {
        let port = "\(walk.traffic)".split(separator: " ").reversed().joined(separator: "/")
            .lowercased()
        let suffix = port.hasSuffix("/tcp") ? String(port.dropLast(4)) : port
        let name = walk.destination.name
        let target = name.contains(":") && !name.contains("/") ? "[\(name)]" : name
        return "\(source.name) \(target):\(suffix)"
    }

    mutating func tellService() {
        guard let frontend = walk.frontend, let choice = walk.choice else { return }
        let name = "\(frontend.namespace)/\(frontend.name)"
        let look = "'weft service get \(name)' shows its backends"
        var facts = choice.slices
        if frontend.sessionAffinitySeconds > 0 {
            facts.append(
                "a client stays with its backend for "
                    + ageText(Double(frontend.sessionAffinitySeconds)))
        }
        if frontend.state != .done {
            facts.append(
                "the kernel is behind: "
                    + [frontend.state.rawValue, frontend.reason].compactMap(\.self)
                    .joined(separator: ": "))
        }
        let address = socket(frontend.address, frontend.port)
        let about =
            "\(name) at \(address)/\(frontend.transport), "
            + (frontend.isGlobal ? "global, affinity \(frontend.affinity)" : "of this cluster only")
        let backends = choice.candidates
        guard let rank = choice.rank, let tier = choice.tier else {
            let reason =
                backends.isEmpty
                ? "\(name) has no backend in any cluster"
                : "none of the \(backends.count) backends of \(name) takes new flows: "
                    + "\(backends.first?.passedOver ?? "")"
            let advice =
                backends.isEmpty
                ? "compare its selector with the labels of workloads, and see whether they are ready"
                : look
            return stop(FlowObstacle(stage: .service, reason: reason, advice: advice), facts)
        }
        let used = backends.count { $0.passedOver == nil }
        let sentence = "\(about): tier \(tier), \(used) of \(backends.count) backends"
        guard rank == .live else {
            return tell(
                .service, .note,
                "\(sentence), as a last resort: no cluster that has some is live", facts)
        }
        tell(.service, frontend.state == .error ? .note : .fine, sentence, facts)
    }

    private func socket(_ address: String, _ port: UInt16) -> String {
        address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}

// MARK: Policies and paths

extension Telling {
    private mutating func block(_ index: Int, _ found: FlowObstacle) {
        guard obstacles[index] == nil else { return }
        obstacles[index] = found
        candidates[index].stoppedAt = found.stage
        candidates[index].obstacle = found.reason
    }

    private func text(_ candidate: FlowStory.Candidate) -> String {
        let place = [candidate.cluster, candidate.node].compactMap(\.self).joined(separator: "/")
        let address = candidate.port.map { socket(candidate.address, $0) } ?? candidate.address
        return place.isEmpty ? address : "\(address) on \(place)"
    }

    mutating func tellPolicies(_ stage: FlowStory.Stage) {
        guard obstacle?.stage != .service, !traces.isEmpty else { return }
        let side = stage == .egress ? "leaving the source" : "reaching the destination"
        var said: [(decision: PolicyTraceAnswer.Decision, about: [String])] = []
        for (index, trace) in traces.enumerated() where index < candidates.count {
            let decision = stage == .egress ? trace.egress : trace.ingress
            let name = text(candidates[index])
            if let known = said.firstIndex(where: { $0.decision == decision }) {
                said[known].about.append(name)
            } else {
                said.append((decision, [name]))
            }
            guard !decision.allows, !decision.isAudited else { continue }
            let who = stage == .egress ? source.cluster : candidates[index].cluster
            block(
                index,
                FlowObstacle(
                    stage: stage, reason: decision.reason,
                    advice: "change that policy"
                        + (who.map { " in cluster \($0)" } ?? "")
                        + ", or the labels that it goes by; 'weft policy get' says what it means"))
        }
        let denied = said.filter { !$0.decision.allows && !$0.decision.isAudited }
        let isAudited = said.contains { $0.decision.isAudited }
        let mark: FlowStory.Step.Mark =
            denied.count == said.count ? .stop : denied.isEmpty && !isAudited ? .fine : .note
        func sentence(_ decision: PolicyTraceAnswer.Decision) -> String {
            decision.reason
                + (decision.isAudited ? " (only reported: its policies are being tried out)" : "")
        }
        if said.count == 1 {
            return tell(stage, mark, "\(side): \(sentence(said[0].decision))")
        }
        tell(
            stage, mark, "\(side): \(denied.isEmpty ? "allowed" : "denied to some")",
            said.map { "\(sentence($0.decision)): \($0.about.joined(separator: ", "))" })
    }

    mutating func tellPaths() {
        guard obstacle?.stage != .service else { return }
        var told: [String] = []
        var details: [String] = []
        var isNoted = false
        var blocked = 0
        for (index, candidate) in candidates.enumerated() {
            let way = scene.path(from: source, to: candidate)
            if !told.contains(way.sentence) { told.append(way.sentence) }
            for detail in way.details where !details.contains(detail) { details.append(detail) }
            isNoted = isNoted || way.isNoted
            if let found = way.obstacle {
                blocked += 1
                block(index, found)
            }
        }
        let mark: FlowStory.Step.Mark =
            blocked > 0 && blocked == candidates.count ? .stop : isNoted ? .note : .fine
        if let problem = walk.destination.problem {
            let found = FlowObstacle(
                stage: .path,
                reason: "\(walk.destination.name) isn't in place on its node: \(problem)",
                advice: "the log of the agent there says more")
            for index in candidates.indices { block(index, found) }
            return tell(.path, .stop, found.reason, told + details)
        }
        if told.count == 1 { return tell(.path, mark, told[0], details) }
        tell(.path, mark, "\(told.count) ways", told + details)
    }
}

// MARK: Evidence and conclusion

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
        guard let last = evidence.last else { return }
        let ago = ageText(Double(now - last.timeUnixMilliseconds) / 1000)
        let kinds = evidence.map { $0.reason ?? $0.type.rawValue }
        let most = Set(kinds).sorted().joined(separator: ", ")
        let policies = evidence.compactMap(\.policy).reduce(into: [String]()) { seen, policy in
            if !seen.contains(policy) { seen.append(policy) }
        }
        tell(
            .evidence, .note,
            "this node refused such flows lately (\(most)), the last one \(ago) ago", policies)
    }

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
            evidence: evidence, notes: notes)
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
