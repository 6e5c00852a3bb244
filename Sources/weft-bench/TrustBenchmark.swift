// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshAdmin
import MeshLab
import MeshModel
import MeshTrust
import TrustForgery

/// What certificates cost: to issue, to verify at worst, and to deny.
struct TrustBenchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Certificates issued, worst chains verified, denied nodes cut off.",
        discussion: """
            Issuance includes the audit record, on disk before a certificate is released. A denial is \
            over when no node has a session with the denied one any more, in either cluster.
            """)
    private static let lab = "benchtrust"
    private static let mesh = "bench.test"
    private static let limit = Duration.seconds(60)

    @OptionGroup var options: BenchOptions
    @Option(help: "Denials. Default: 40; with --quick 5.") var denials: Int?

    func run() async throws {
        let weft = try options.product()
        try issue()
        try verify()
        let file = try LabFile(
            yaml: """
                clusters:
                  - {name: alpha, id: 1, nodes: 2}
                  - {name: beta, id: 2, nodes: 2}
                """, name: Self.lab)
        try await withLab(Self.lab, file, weft: weft) { lab in try await deny(in: lab) }
        try await join(last: options.quick ? 5 : 20, Self.lab, weft: weft)
        try await rotate(Self.lab, weft: weft)
    }

    // MARK: Issuance

    private func issue() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "weft-bench-\(UInt64.random(in: 0 ... .max))").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        guard let cluster = ClusterName(rawValue: "east") else { return }
        let begin = Date()
        let authority = try CertificateAuthority.create(
            cluster: cluster, mesh: Self.mesh, in: "\(folder)/authority", now: begin)
        let trail = try AuditLog(directory: "\(folder)/authority/audit")
        let request = try NodeRequest(der: NodeKey().request())
        var (signing, whole) = (Sample(), Sample())
        let start = monotonicNow()
        let count = options.quick ? 300 : 3_000
        for number in 0..<count {
            // The budget of 50 a second is counted in time that passes here for nothing.
            let now = begin + Double(number) / 50
            let began = monotonicNow()
            let chain = try authority.issueNodeCertificate(
                node: "n\(number)", request: request, now: now)
            signing.add(milliseconds(from: began, to: monotonicNow()))
            let subject = PeerIdentity(domain: authority.trustDomain, node: "n\(number)")
            try trail.append(
                AuditEntry(
                    .issue, .granted, by: .agent,
                    subject: subject.map { .identity($0.spiffeID) }, certificate: chain.first))
            whole.add(milliseconds(from: began, to: monotonicNow()))
        }
        let seconds = milliseconds(from: start, to: monotonicNow()) / 1000
        Figure("trust.issue.rate", Double(count) / seconds, "1/s").report()
        Figure("trust.issue.p50", whole.median, "ms").report()
        Figure("trust.issue.p99", whole.percentile(0.99), "ms").report()
        Figure("trust.issue.signing.p99", signing.percentile(0.99), "ms").report()
    }

    // MARK: Verification

    private func verify() throws {
        let now = Date()
        var worst: (name: String, p99: Double) = ("", 0)
        var slowest = 0.0
        for (number, chain) in try WorstChain.all(now: now).enumerated() {
            let verifier = PeerVerifier(store: TrustStore([chain.bundle]))
            var times = Sample()
            for _ in 0..<(options.quick ? 20 : 200) {
                let began = monotonicNow()
                // Most are refused: what counts is the time until then.
                _ = try? verifier.verify(presented: chain.presented, now: now)
                times.add(milliseconds(from: began, to: monotonicNow()))
            }
            if number == 0 { Figure("trust.verify.good.p50", times.median, "ms").report() }
            let p99 = times.percentile(0.99) ?? 0
            if p99 > worst.p99 { worst = (chain.name, p99) }
            slowest = max(slowest, times.largest ?? 0)
        }
        tell("the most expensive chain: \(worst.name)")
        Figure("trust.verify.worst.p99", worst.p99, "ms").report()
        Figure("trust.verify.worst.max", slowest, "ms", goal: "value<=50").report()
    }

    // MARK: Denial

    private func deny(in lab: Lab) async throws {
        let alpha = lab.plan.clusters[0].nodes
        let (home, victim) = (lab.agent(of: alpha[0]), alpha[1].name)
        let observers = [home] + lab.plan.clusters[1].nodes.map { lab.agent(of: $0) }
        let subject = DenialSubject(node: victim)
        var (last, applied) = (Sample(), Sample())
        for round in 0..<(denials ?? (options.quick ? 5 : 40)) {
            for agent in observers {
                _ = try await awaiting("a link to the node", atMost: Self.limit) {
                    try await Self.isLinked(agent, to: victim) ? true : nil
                }
            }
            let began = monotonicNow()
            try await home.deny(
                DenyRequest(subject: subject, reason: "round \(round)", isLocal: false))
            applied.add(milliseconds(from: began, to: monotonicNow()))
            var ended = began
            for agent in observers {
                _ = try await awaiting(
                    "the end of a session", atMost: Self.limit, every: .milliseconds(1)
                ) {
                    try await Self.isLinked(agent, to: victim) ? nil : true
                }
                ended = monotonicNow()
            }
            last.add(milliseconds(from: began, to: ended) / 1000)
            try await home.allow(AllowRequest(subject: subject, isLocal: false))
        }
        Figure("trust.deny.command.p50", applied.median, "ms").report()
        Figure("trust.deny.last-session.p50", last.median, "s").report()
        Figure("trust.deny.last-session.p99", last.percentile(0.99), "s", goal: "value<=5").report()
        Figure("trust.deny.rounds", Double(last.values.count), "denials").report()
    }

    private static func isLinked(_ agent: AdminClient, to node: String) async throws -> Bool {
        try await agent.status().links.contains {
            $0.state == .connected && $0.peer == "alpha/\(node)"
        }
    }
}
