// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin
import MeshLab

/// Does to labs what happens to real clusters, and holds their verdicts against what was done.
struct HealthBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "How soon faults are noticed, what clients notice, and who is accused wrongly.",
        discussion: """
            Three clusters of four nodes, three of which relay. Faults: a node, a relay or a whole \
            cluster loses power, a link fails in one direction, an agent stands still for 5 s. \
            Victims rotate, a lab is used for three faults. Detection counts until a node's kernel \
            holds what was hit for unreachable, one value an observer: local is a node of the \
            same cluster. Gap is the longest time without an answer to a client that asks every \
            5 ms; its baseline is the second before. Stall is the longest time in which this \
            program got no processor: others on the machine show there. 25 minutes, 3 with --quick; \
            then what --simulated shows.

            --simulated leaves the lab out: clusters and their members in virtual time, how soon \
            deaths are known and how often the living are taken for dead, beside SWIM with \
            memberlist's parameters. "pair" is one cluster judging one other. What is too rare to \
            count is computed (".computed", ".bound") by a formula that is held against counts at \
            10, 15 and 20 % loss. 15 minutes of one core, 1 with --quick.
            """)
    private static let lab = "benchhealth"
    private static let roundsPerLab = 3
    /// Paths learn their rhythm first, and what a start costs is over.
    private static let settling = Duration.seconds(3)

    @OptionGroup var options: BenchOptions
    @Option(help: "Faults of each kind. Default: 30, with --quick 3.") var rounds: Int?
    @Option(
        help: ArgumentHelp(
            "Only this kind: \(HealthKind.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "kind"),
        transform: { text throws(ValidationError) in
            guard let kind = HealthKind(rawValue: text) else {
                throw ValidationError("there is no kind '\(text)'")
            }
            return kind
        })
    var only: HealthKind?
    @Flag(help: "Only what virtual time shows, without a lab.") var simulated = false
    @Option(
        help: ArgumentHelp(
            "With --simulated: only one cluster of so many members. 5,000 need 10 GB.",
            valueName: "count"))
    var members: Int?
    @Option(
        help: ArgumentHelp(
            "Only what so many clusters cost a relay; with --simulated its paths and verdicts alone.",
            valueName: "count"))
    var clusters: Int?

    func validate() throws {
        if let clusters, !(20...4000).contains(clusters) {
            throw ValidationError("--clusters takes 20 to 4000")
        }
        if let members, !simulated || members < 4 {
            throw ValidationError("--members needs --simulated and at least 4")
        }
    }

    func run() async throws {
        guard !simulated else {
            if let clusters {
                var scale = HealthScale(clusters: clusters)
                scale.run()
            } else {
                HealthSimulation(quick: options.quick, members: members).run()
            }
            return
        }
        let weft = try options.product()
        if let clusters { return try await RelayCost(weft: weft, clusters: clusters).run() }
        let impair = try fileContents(Self.impairObject())
        let count = rounds ?? (options.quick ? 3 : 30)
        var isMeasured = only != nil
        for kind in only.map({ [$0] }) ?? HealthKind.allCases {
            var outcomes: [HealthOutcome] = []
            while outcomes.count < count {
                let missing = min(Self.roundsPerLab, count - outcomes.count)
                outcomes += try await withLab(Self.lab, try Self.file(), weft: weft) { lab in
                    let relays = try await Self.relays(of: lab)
                    try await Task.sleep(for: Self.settling)
                    if !isMeasured { try await HealthIdle(lab: lab, relays: relays).report() }
                    isMeasured = true
                    return try await Self.rounds(
                        kind, outcomes.count..<outcomes.count + missing, lab, relays, impair)
                }
            }
            HealthReport(kind: kind, outcomes: outcomes).report()
        }
        if only == nil { HealthSimulation(quick: options.quick).run() }
    }

    /// Ends early if the lab doesn't recover from a fault: the next lab goes on.
    private static func rounds(
        _ kind: HealthKind, _ numbers: Range<Int>, _ lab: Lab, _ relays: Set<String>,
        _ impair: [UInt8]
    ) async throws -> [HealthOutcome] {
        let victims = HealthVictims(clusters: lab.plan.clusters, relays: relays)
        let watch = try await HealthWatch(lab: lab)
        var outcomes: [HealthOutcome] = []
        for number in numbers {
            let fault = try victims.fault(kind, round: number)
            // The next node is another cluster's and no relay either, the next link another pair's.
            let recovers = number + 1 < numbers.upperBound && kind != .node && kind != .link
            let round = HealthRound(
                lab: lab, watch: watch, fault: fault, impair: impair, recovers: recovers)
            let outcome = try await round.run(number: number)
            tell("\(number + 1): \(fault), \(HealthReport.summary(of: outcome))")
            outcomes.append(outcome)
            guard outcome.hasRecovered else { break }
        }
        return outcomes
    }

    private static func relays(of lab: Lab) async throws -> Set<String> {
        let nodes = try await lab.agent(of: lab.plan.nodes[0]).nodes()
        return Set(nodes.filter(\.isRelay).map(\.name))
    }

    /// Four nodes: one more than relay.
    private static func file() throws -> LabFile {
        let server = #"command: [weft, lab, serve, --port, "8080"]"#
        var text = "clusters:\n"
        for (index, name) in ["alpha", "beta", "gamma"].enumerated() {
            text += "- {name: \(name), id: \(index + 1), nodes: 4, endpoints: [\n"
            for number in 1...4 {
                text += "  {name: web-\(number), labels: {app: web}, \(server)},\n"
            }
            text += "  {name: client, labels: {app: client}}]}\n"
        }
        text += "services:\n"
        text += "- {name: web, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n"
        return try LabFile(yaml: text, name: Self.lab)
    }

    /// What `scripts/build-bpf` makes of `bpf/tests/impair.c`.
    private static func impairObject(file: String = #filePath) -> String {
        let root = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        return root.joined(separator: "/") + "/bpf/tests/impair.bpf.o"
    }
}
