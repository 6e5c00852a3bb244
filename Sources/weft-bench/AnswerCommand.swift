// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab

/// What a client asks of the server, the first byte on its connection.
enum Trade: UInt8 {
    /// Every byte comes back until the client ends the connection.
    case echo = 0x65
    /// One byte comes back, and the server ends the connection.
    case single = 0x73
    /// All is taken; when the client has sent the last byte, one comes back.
    case sink = 0x74
}

extension LabFile {
    /// A client in alpha and `AnswerCommand` in beta, on a CPU of its own, behind the service `answer`.
    ///
    /// - Parameter bench: this program.
    static func answering(_ bench: String, at port: UInt16) throws -> LabFile {
        try LabFile(
            yaml: """
                clusters:
                  - {name: alpha, id: 1, nodes: 1, endpoints: [{name: client}]}
                  - name: beta
                    id: 2
                    nodes: 1
                    endpoints:
                      - name: server
                        labels: {app: answer}
                        command: ["\(bench)", answer, --cpu, "\(measuringCPU())"]
                services:
                  - name: answer
                    selector: {app: answer}
                    affinity: remote
                    ports: [{port: \(port), targetPort: \(AnswerCommand.port)}]
                """, name: "answer")
    }
}

/// The server of `path`: one connection after the other, blocking system calls, nothing else. As
/// little as possible beside what is measured.
struct AnswerCommand: ParsableCommand {
    static let name = "answer"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Serve the measurements of 'path'.", shouldDisplay: false)
    static let port: UInt16 = 8080

    @Option(help: "The CPU to stay on.") var cpu: Int

    func run() throws {
        try stay(onCPU: cpu)
        signal(SIGPIPE, SIG_IGN)
        let listener = try Socket()
        try listener.listen(port: Self.port)
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let client = try listener.accept()
            serve(client, &buffer)
        }
    }

    /// A connection that fails is its client's to report.
    private func serve(_ client: borrowing Socket, _ buffer: inout [UInt8]) {
        guard client.receive(&buffer, 1) == 1, let trade = Trade(rawValue: buffer[0])
        else { return }
        client.sendAtOnce()
        switch trade {
        case .echo:
            repeat {
                guard client.send(buffer, 1) == 1 else { return }
            } while client.receive(&buffer, 1) == 1
        case .single:
            _ = client.send(buffer, 1)
        case .sink:
            while client.receive(&buffer, buffer.count) > 0 {}
            _ = client.send(buffer, 1)
        }
    }
}
