// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import MeshAdmin
import Netlink
import Synchronization
import Testing

@testable import MeshLab

private let labCount = Atomic<Int>(0)

/// A name that no other test has.
func freshLabName() -> String {
    let number = labCount.wrappingAdd(1, ordering: .relaxed).newValue
    return "t\(getpid())x\(number)"
}

/// The program beside this test's own: real agents, real commands.
func weftProgram() throws -> String {
    let tests = try Lab.ownExecutable()
    let program = String(tests[...(try #require(tests.lastIndex(of: "/")))]) + "weft"
    try #require(access(program, X_OK) == 0, "build the product weft first: \(program)")
    return program
}

extension LabFile {
    /// Two nodes of alpha with clients, a node of beta with a server, and the service `web` before it; all in
    /// the namespace `demo`.
    ///
    /// - Parameter clients: names, which are their labels `app`, too, and the node of each.
    static func web(
        clients: KeyValuePairs<String, String>, services: [LabFile.Service] = []
    ) -> LabFile {
        LabFile(
            mesh: nil,
            clusters: [
                LabFile.Cluster(
                    name: "alpha", id: 1, nodes: .count(2),
                    endpoints: clients.map { name, node in
                        LabFile.Endpoint(
                            name: name, namespace: "demo", node: node, labels: ["app": name])
                    }),
                LabFile.Cluster(
                    name: "beta", id: 2, nodes: .count(1),
                    endpoints: [
                        LabFile.Endpoint(
                            name: "web-1", namespace: "demo", labels: ["app": "web"],
                            command: ["weft", "lab", "serve", "--port", "8080"])
                    ]),
            ],
            services: [
                LabFile.Service(
                    name: "web", namespace: "demo", selector: ["app": "web"],
                    ports: [LabFile.Port(name: "http", port: 80, targetPort: 8080)])
            ] + services)
    }
}

/// Runs `body` in a fresh lab, takes the lab down whatever happens, and looks for what it left.
func withLab(_ file: LabFile = .builtIn, _ body: (Lab) async throws -> Void) async throws {
    let name = freshLabName()
    let lab = try await Lab.up(file, name: name, executable: try weftProgram())
    do {
        try await body(lab)
    } catch {
        for log in try lab.logs() where log.contains("-") {
            let lines = try LabFolder.read(log).split(separator: "\n").suffix(15)
            print("\(log):\n\(lines.joined(separator: "\n"))")
        }
        try await Lab.down(name)
        throw error
    }
    try await Lab.down(name)
    #expect(try traces(of: name).isEmpty)
}

/// Everything on this machine that carries the lab's name.
func traces(of lab: String) throws -> [String] {
    let namespaces = try NetworkNamespace.names().filter { $0.hasPrefix("weft-\(lab)-") }
    let folders = [
        "\(try BPFFileSystem.cgroupRoot())/weft-\(lab)", "\(LabPlan.folder)/\(lab)",
        "\(try BPFFileSystem.mountPoint())/weft-lab/\(lab)",
    ]
    return namespaces + folders.filter { LabFolder.exists($0) }
}

extension Lab {
    /// Runs a load in an endpoint until `duration` is over.
    func load(
        from endpoint: String, _ url: String, for duration: Duration, _ arguments: String...
    ) async throws -> [LoadRecord] {
        let load = try startLoad(from: endpoint, url, arguments + ["--duration", text(duration)])
        let ending = try await load.process.wait(atMost: duration + .seconds(20))
        let output = try LabFolder.read(load.file)
        try #require(ending == .exited(0), "\(output)")
        return try load.records()
    }

    /// Starts a load that goes on until it is ended.
    func startLoad(
        from endpoint: String, _ url: String, _ arguments: [String]
    ) throws -> RunningLoad {
        let number = labCount.wrappingAdd(1, ordering: .relaxed).newValue
        let file = "\(plan.stateFolder)/load-\(number).jsonl"
        let process = try start(
            ["weft", "lab", "load", url] + arguments, in: endpoint, output: file)
        return RunningLoad(process: process, file: file)
    }

    private func text(_ duration: Duration) -> String { "\(Int(duration / .milliseconds(1)))ms" }
}

struct RunningLoad {
    let process: LabProcess
    let file: String

    /// What it has written so far, in the order of the ends.
    func records() throws -> [LoadRecord] {
        let text = try LabFolder.read(file)
        // The last line may be half written, or the summary.
        let complete = text[..<(text.lastIndex(of: "\n") ?? text.startIndex)]
        return try complete.split(separator: "\n").filter { $0.hasPrefix("{\"kind\"") }
            .map { try decode(LoadRecord.self, String($0)) }
    }

    /// Waits until a record is as wanted, and does something else before each look.
    func await(
        _ what: String, atMost limit: Duration, _ isWanted: (LoadRecord) -> Bool,
        whileWaiting: () async throws -> Void = {}
    ) async throws -> LoadRecord {
        try await awaiting(what, atMost: limit, every: .milliseconds(50)) {
            try await whileWaiting()
            return try records().first(where: isWanted)
        }
    }
}

extension [LoadRecord] {
    /// Number of successes by who answered.
    var shares: [String: Int] {
        reduce(into: [:]) { shares, record in
            if record.outcome == .ok, let cluster = record.cluster {
                shares[cluster, default: 0] += 1
            }
        }
    }

    var failures: [LoadRecord] { filter { $0.outcome != .ok } }
}
