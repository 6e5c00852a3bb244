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
