// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshLab
import MeshModel
import MeshTrust

extension TrustBenchmark {
    private static let clusters = 8
    private static let checksPerSecond = 200
    /// So long a cluster hears nothing while the first one's root changes.
    private static let partition = Duration.seconds(20)
    /// Its clock is behind, and the next one's ahead, by so many seconds.
    private static let skew = 30.0

    /// The time a join takes with nobody and with many there.
    func join(last: Int, _ lab: String, weft: String) async throws {
        let file = try TrustMesh.file(clusters: last, name: lab)
        try await withLab(lab, file, weft: weft) { lab in
            let mesh = TrustMesh(lab: lab)
            for number in 2...last {
                let seconds = try await mesh.join(number)
                tell("cluster \(number) has joined after \(seconds) s")
                guard number == 2 || number == last else { continue }
                Figure("trust.join.\(number)", seconds, "s", goal: "value<=10").report()
            }
        }
    }

    /// Replaces the first cluster's root while every pair of nodes keeps looking whether it would
    /// accept each other's certificate, and one cluster is cut off for a while.
    func rotate(_ lab: String, weft: String) async throws {
        let file = try TrustMesh.file(clusters: Self.clusters, name: lab)
        try await withLab(lab, file, weft: weft) { lab in
            let mesh = TrustMesh(lab: lab)
            for number in 2...Self.clusters { _ = try await mesh.join(number) }
            let watch = HandshakeWatch(lab: lab, perSecond: Self.checksPerSecond, skew: Self.skew)
            let refusedBefore = try await refusals(mesh)
            let watching = Task { try await watch.run() }
            defer { watching.cancel() }
            let began = monotonicNow()
            try lab.freeze("c\(Self.clusters)")
            _ = try await mesh.home(1).rotate(RotationRequest(.begin, .root))
            try await Task.sleep(for: Self.partition)
            let waited = try await mesh.home(1).rotation()
            tell("after \(Self.partition): \(waited.sentence)")
            try lab.thaw("c\(Self.clusters)")
            _ = try await awaiting("the rotation's end", atMost: .seconds(300)) {
                try await mesh.home(1).rotation().phase == "removed" ? true : nil
            }
            let seconds = milliseconds(from: began, to: monotonicNow()) / 1000
            // Also what comes right after it.
            try await Task.sleep(for: .seconds(5))
            watching.cancel()
            let (checks, failures) = await watch.result
            for failure in failures.prefix(5) { tell(failure) }
            Figure("trust.rotate.duration", seconds, "s").report()
            Figure("trust.rotate.checks", Double(checks), "handshakes").report()
            Figure("trust.rotate.failed", Double(failures.count), "handshakes", goal: "value<=0")
                .report()
            let refused = try await refusals(mesh) - refusedBefore
            Figure("trust.rotate.refused-links", refused, "links", goal: "value<=0").report()
            Figure(
                "trust.rotate.named", waited.waitingFor == ["c\(Self.clusters)"] ? 1 : 0, ""
            )
            .report()
        }
    }

    /// Links that agents refused because of a certificate. That a frozen agent answers nobody counts
    /// elsewhere.
    private func refusals(_ mesh: TrustMesh) async throws -> Double {
        let reasons = ["\"trust\"", "\"unverified-session\""]
        var sum = 0.0
        for number in 1...Self.clusters {
            let lines = try await mesh.home(number).metrics().split(separator: "\n")
            for line in lines
            where line.hasPrefix("weft_transport_rejected_total")
                && reasons.contains(where: { line.contains($0) })
            {
                sum += line.split(separator: " ").last.flatMap { Double($0) } ?? 0
            }
        }
        return sum
    }
}

/// Verifies, both ways, what two nodes would present to each other, by their files at that moment.
private actor HandshakeWatch {
    private let lab: Lab
    private let perSecond: Int
    private let skew: Double
    private var checks = 0
    private var failures: [String] = []

    init(lab: Lab, perSecond: Int, skew: Double) {
        self.lab = lab
        self.perSecond = perSecond
        self.skew = skew
    }

    var result: (Int, [String]) { (checks, failures) }

    func run() async throws {
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            let began = monotonicNow()
            // The files change once a second at most.
            let nodes = try lab.plan.clusters.map { try NodeTrust(of: $0.nodes[0], in: lab) }
            for _ in 0..<perSecond / 2 {
                let pair = Array(nodes.indices.shuffled(using: &generator).prefix(2))
                check(nodes[pair[0]], by: nodes[pair[1]], number: pair[1])
                check(nodes[pair[1]], by: nodes[pair[0]], number: pair[0])
            }
            let spent = milliseconds(from: began, to: monotonicNow())
            try await Task.sleep(for: .milliseconds(Int64(max(0, 1000 - spent))))
        }
    }

    private func check(_ peer: NodeTrust, by node: NodeTrust, number: Int) {
        checks += 1
        // Clocks that are behind, right, and ahead.
        let now = Date() + skew * Double(number % 3 - 1)
        do {
            _ = try node.verifier.verify(presented: peer.chain, now: now)
        } catch {
            failures.append("\(node.cluster) refuses \(peer.cluster): \(error)")
        }
    }
}
