// SPDX-License-Identifier: Apache-2.0

/// A story in the making: a step is told after the other, and remembers what it found in the way.
struct Telling {
    let walk: FlowWalk
    let traces: [PolicyTraceAnswer]
    var candidates: [FlowStory.Candidate]
    var steps: [FlowStory.Step] = []
    /// In the way of every candidate.
    var obstacle: FlowObstacle?
    /// By candidate, the first one.
    var obstacles: [Int: FlowObstacle] = [:]

    init(walk: FlowWalk, traces: [PolicyTraceAnswer]) {
        self.walk = walk
        self.traces = traces
        candidates = walk.candidates
    }

    var scene: FlowScene { walk.scene }
    var here: String { "\(scene.cluster)/\(scene.node)" }
    var source: FlowStory.End { walk.source }

    mutating func tell(
        _ stage: FlowStory.Stage, _ mark: FlowStory.Step.Mark, _ sentence: String,
        _ details: [String] = [], by speakers: [String]? = nil
    ) {
        steps.append(
            FlowStory.Step(
                stage, mark, sentence, details: details, saidBy: speakers ?? [atSource]))
    }

    private mutating func stop(_ found: FlowObstacle, _ details: [String] = []) {
        tell(found.stage, .stop, found.reason, details)
        obstacle = obstacle ?? found
    }
}

// MARK: Whose word it is

extension Telling {
    func side(_ cluster: String?, _ node: String?) -> FlowStory.Side? {
        guard let cluster, let node else { return nil }
        return walk.sides.first { $0.node == "\(cluster)/\(node)" }
    }

    /// Of a node that answered; else of the one that was asked.
    private func speaker(_ cluster: String?, _ node: String?) -> String {
        guard let side = self.side(cluster, node), side.state == .answered else { return here }
        return side.node
    }

    /// Who says what happens at the source.
    private var atSource: String { speaker(source.cluster, source.node) }

    /// Who says what happens where the flow may go.
    private var atDestination: [String] {
        candidates.reduce(into: []) { names, candidate in
            let name = speaker(candidate.cluster, candidate.node)
            if !names.contains(name) { names.append(name) }
        }
    }

    /// Destinations that were asked and said nothing.
    private var silences: [String] {
        walk.sides.filter { $0.state == .silent && $0.roles.contains(.destination) }.map {
            "\($0.node) doesn't answer, \($0.reason ?? "for no known reason"): judged here, by its "
                + "cluster's ledger"
        }
    }

    func name(_ node: String) -> String { node == here ? "this node" : node }
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
        let side = self.side(cluster, node)
        let answers = side?.state == .answered
        if !answers, let there = scene.node(node, of: cluster), there.verdict == .unreachable {
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
        guard !answers else {
            return tell(
                .source, .fine,
                "\(source.name) is on node \(cluster)/\(node), which answers for it",
                facts)
        }
        let place =
            cluster == scene.cluster
            ? "node \(cluster)/\(node)" : "another cluster, on \(cluster)/\(node)"
        tell(
            .source, .note, "\(source.name) is on \(place); this is the view of \(here)",
            facts
                + [side?.reason.map { "\(cluster)/\(node) says nothing: \($0)" }].compactMap(\.self)
                + ["there: weft why \(asked)"])
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

    func socket(_ address: String, _ port: UInt16) -> String {
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

    func socket(_ candidate: FlowStory.Candidate) -> String {
        candidate.port.map { socket(candidate.address, $0) } ?? candidate.address
    }

    func text(_ candidate: FlowStory.Candidate) -> String {
        let place = [candidate.cluster, candidate.node].compactMap(\.self).joined(separator: "/")
        return place.isEmpty ? socket(candidate) : "\(socket(candidate)) on \(place)"
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
        let silent = stage == .ingress ? silences : []
        let mark: FlowStory.Step.Mark =
            denied.count == said.count
            ? .stop : denied.isEmpty && !isAudited && silent.isEmpty ? .fine : .note
        let speakers = stage == .ingress ? atDestination : [atSource]
        func sentence(_ decision: PolicyTraceAnswer.Decision) -> String {
            decision.reason
                + (decision.isAudited ? " (only reported: its policies are being tried out)" : "")
        }
        if said.count == 1 {
            return tell(
                stage, mark, "\(side): \(sentence(said[0].decision))", silent, by: speakers)
        }
        tell(
            stage, mark, "\(side): \(denied.isEmpty ? "allowed" : "denied to some")",
            said.map { "\(sentence($0.decision)): \($0.about.joined(separator: ", "))" } + silent,
            by: speakers)
    }

    mutating func tellPaths() {
        guard obstacle?.stage != .service else { return }
        var told: [String] = []
        var details: [String] = []
        var isNoted = false
        var blocked = 0
        for (index, candidate) in candidates.enumerated() {
            if let problem = walk.problems[candidate.address] {
                blocked += 1
                let found = FlowObstacle(
                    stage: .path,
                    reason: "\(text(candidate)) isn't in place on its node: \(problem)",
                    advice: "the log of the agent there says more")
                told.append(found.reason)
                block(index, found)
                continue
            }
            let way = scene.path(from: source, to: candidate)
            if !told.contains(way.sentence) { told.append(way.sentence) }
            for detail in way.details where !details.contains(detail) { details.append(detail) }
            isNoted = isNoted || way.isNoted
            if let found = way.obstacle {
                blocked += 1
                block(index, found)
            }
        }
        let doubts = waysBack
        details += doubts
        let mark: FlowStory.Step.Mark =
            blocked > 0 && blocked == candidates.count
            ? .stop : isNoted || !doubts.isEmpty ? .note : .fine
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

    /// Destinations that don't hold the source's node for well: what they answer may not come back.
    private var waysBack: [String] {
        walk.sides.compactMap { side in
            guard let verdict = side.sourceVerdict, verdict == .unreachable || verdict == .suspect,
                let cluster = source.cluster, let node = source.node
            else { return nil }
            let since = side.sourceVerdictSeconds.map { " since \(ageText($0))" } ?? ""
            return
                "\(name(side.node)) holds \(cluster)/\(node) for \(verdict.rawValue)\(since): what is "
                + "answered may not come back"
        }
    }
}
