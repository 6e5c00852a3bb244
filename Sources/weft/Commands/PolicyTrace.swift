// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MeshAdmin

struct PolicyTraceCommand: ReadingCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "What policies say to a flow on both sides, and which rule of which object.",
        discussion: """
            weft policy trace shop/web shop/db 5432
            weft policy trace shop/web beta:shop/db 53/udp
            weft policy trace world shop/web 443
            weft policy trace shop/web 192.0.2.7 icmp
            """)

    @Argument(help: "[CLUSTER:]NAMESPACE/NAME, an address, world, host or remote-node.")
    var source: String
    @Argument(help: "The same.") var destination: String
    @Argument(help: "PORT, PORT/udp, PORT/sctp or icmp.") var traffic: String
    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions

    func ask(_ client: AdminClient) async throws -> PolicyTraceAnswer {
        try await client.trace(from: source, to: destination, traffic: traffic)
    }

    func render(_ answer: PolicyTraceAnswer) -> String { answer.text }
}

extension PolicyTraceAnswer {
    var text: String {
        var lines = ["\(traffic) from \(source.text) to \(destination.text)"]
        lines.append("  leaving \(source.name): \(egress.text)")
        lines.append("  reaching \(destination.name): \(ingress.text)")
        lines.append(allows ? "It passes." : "It does not pass.")
        return (lines + notes.map { "NOTE: \($0)" }).joined(separator: "\n") + "\n"
    }
}

extension PolicyTraceAnswer.Decision {
    fileprivate var text: String {
        reason + (isAudited ? " (only reported: its policies are being tried out)" : "")
    }
}

extension PolicyTraceAnswer.End {
    fileprivate var text: String {
        let about = [
            cluster.map { "cluster \($0)" }, address,
            labels.isEmpty ? nil : Format.labels(labels),
        ].compactMap { $0 }
        return name + (about.isEmpty ? "" : " (\(about.joined(separator: "; ")))")
    }
}
