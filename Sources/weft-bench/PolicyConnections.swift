// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import MeshAdmin
import MeshLab

/// What connections across clusters pay for 10,000 policy entries at both of their ends: the same two
/// endpoints, with and without, in turn.
struct PolicyConnections {
    private static let lab = "benchpolicyconn"
    private static let servicePort: UInt16 = 80
    private static let objects = 40
    private static let blocksPerObject = 250
    private static let limit = Duration.seconds(30)
    /// After a change, in which agents tidy up: what policies cost is asked, not their change.
    private static let calm = Duration.seconds(1)

    let weft: String
    let isQuick: Bool

    func run() async throws {
        let bench = try ownExecutable()
        try await withLab(Self.lab, try labFile(bench), weft: weft) { lab in
            guard let address = lab.plan.services.first?.addresses["alpha"]?.first else {
                throw LabError(.failed, "the service has no address in alpha")
            }
            let client = try Side(
                lab, "alpha", Self.policies("egress", "to", "server", in: "beta"))
            let server = try Side(
                lab, "beta", Self.policies("ingress", "from", "client", in: "alpha"))
            var results: [Question: (with: Sample, without: Sample, ratio: Sample)] = [:]
            for repetition in 0..<(isQuick ? 5 : 21) {
                var values: [Question: [Bool: Double]] = [:]
                for isOn in repetition % 2 == 0 ? [true, false] : [false, true] {
                    try await client.set(isOn, Self.limit)
                    try await server.set(isOn, Self.limit)
                    try await Task.sleep(for: Self.calm)
                    for question in [Question.latency, .connections] {
                        values[question, default: [:]][isOn] = try ask(
                            question, address, bench)
                    }
                    if repetition == 0, isOn { try await count(lab) }
                }
                for (question, pair) in values {
                    guard let with = pair[true], let without = pair[false] else { continue }
                    results[question, default: (Sample(), Sample(), Sample())].with.add(with)
                    results[question]?.without.add(without)
                    results[question]?.ratio.add(
                        question == .latency ? without / with : with / without)
                }
            }
            for (question, unit) in [(Question.latency, "us"), (.connections, "1/s")] {
                guard let result = results[question] else { continue }
                Figure(
                    "policy.path.\(question.rawValue)", result.with.median, unit,
                    baseline: result.without.median, ratio: result.ratio.median,
                    goal: "ratio>=0.97"
                ).report()
            }
        }
    }

    private func ask(_ question: Question, _ address: String, _ bench: String) throws -> Double {
        let text = try Subprocess([
            weft, "lab", "exec", "--lab", Self.lab, "alpha/client", "--", bench, "ask",
            question.rawValue, "--address", address, "--port", "\(Self.servicePort)",
            "--milliseconds", isQuick ? "400" : "1000", "--cpu", "\(measuringCPU())",
        ]).finish()
        guard let value = Double(text.filter { !$0.isWhitespace }) else {
            throw LabError(.failed, "the client said '\(text)'")
        }
        return value
    }

    /// What both kernels hold meanwhile.
    private func count(_ lab: Lab) async throws {
        for node in lab.plan.nodes {
            for map in try await lab.agent(of: node).maps()
            where ["weft_policy_blocks", "weft_policy_peers"].contains(map.name) {
                Figure(
                    "policy.path.\(node.name).\(map.name).entries", map.entries.map(Double.init), ""
                ).report()
            }
        }
    }

    /// A node whose endpoint has 10,000 entries, or none.
    private struct Side: ~Copyable {
        let words: MappedArray<UInt64>
        let path: String
        let text: String

        init(_ lab: Lab, _ cluster: String, _ text: String) throws {
            let node = try lab.plan.cluster(named: cluster).nodes[0]
            self.init(
                words: try MappedArray(
                    BPFMap(
                        pinnedAt: "\(try BPFFileSystem.mountPoint())/weft-lab/\(lab.plan.name)/"
                            + "\(cluster)/\(node.name)/maps/weft_policy_sets")),
                path: "\(lab.plan.manifestFolder(of: node))/policies.yaml", text: text)
        }

        private init(words: consuming MappedArray<UInt64>, path: String, text: String) {
            self.words = words
            self.path = path
            self.text = text
        }

        /// Puts the policies in force or out of it, as the kernel's programs see it.
        func set(_ isOn: Bool, _ limit: Duration) async throws {
            if isOn {
                try StagedFile(text, for: path).place()
            } else {
                guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove \(path)") }
            }
            _ = try await awaiting("policies of \(path)", atMost: limit) {
                let word = words.word(at: 1)
                return word != 0 && (word >> 32 != 0) == isOn ? true : nil
            }
        }
    }

    /// 10,000 blocks of addresses, and the one rule that the connections need.
    private static func policies(
        _ type: String, _ side: String, _ peer: String, in cluster: String
    ) -> String {
        let large = (0..<objects).map { object in
            let blocks = (0..<blocksPerObject).map { number in
                let place = object * blocksPerObject + number
                return "{ipBlock: {cidr: 198.18.\(place / 256).\(place % 256)/32}}"
            }
            return """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: large-\(object)}
                spec:
                  podSelector: {}
                  policyTypes: [\(type == "egress" ? "Egress" : "Ingress")]
                  \(type): [{\(side): [\(blocks.joined(separator: ", "))], ports: [{port: \(2000 + object)}]}]
                ---

                """
        }
        return large.joined() + """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: {name: peer}
            spec:
              podSelector: {}
              policyTypes: [\(type == "egress" ? "Egress" : "Ingress")]
              \(type):
              - \(side): [{podSelector: {matchLabels: {app: \(peer), io.weft.cluster: \(cluster)}}}]
                ports: [{port: \(AnswerCommand.port)}]

            """
    }

    private func labFile(_ bench: String) throws -> LabFile {
        try LabFile(
            yaml: """
                clusters:
                  - name: alpha
                    id: 1
                    nodes: 1
                    endpoints: [{name: client, labels: {app: client}}]
                  - name: beta
                    id: 2
                    nodes: 1
                    endpoints:
                      - name: server
                        labels: {app: server}
                        command: ["\(bench)", answer, --cpu, "\(measuringCPU())"]
                services:
                  - name: answer
                    selector: {app: server}
                    affinity: remote
                    ports: [{port: \(Self.servicePort), targetPort: \(AnswerCommand.port)}]
                """, name: "policy")
    }
}
