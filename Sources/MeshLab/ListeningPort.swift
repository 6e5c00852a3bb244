// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A port that a server is to listen on.
struct ListeningPort: Hashable, Sendable {
    /// Host byte order.
    let port: UInt16
    let isUDP: Bool

    /// Whether somebody listens in the network namespace of a process, on any address of either
    /// family. No, if the process has ended or is still on its way there from ours.
    func isOpen(inNamespaceOf process: pid_t) -> Bool {
        guard let namespace = Self.namespace(of: "\(process)"),
            namespace != Self.namespace(of: "self")
        else { return false }
        let (protocolName, state) = isUDP ? ("udp", "07") : ("tcp", "0A")
        return [protocolName, protocolName + "6"].contains { table in
            let text = try? LabFolder.read("/proc/\(process)/net/\(table)")
            return text.map { Self.holds($0, port: port, state: state) } ?? false
        }
    }

    /// `net:[NUMBER]`; nil without such a process.
    private static func namespace(of process: String) -> String? {
        var link = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/\(process)/ns/net", &link, link.count)
        return count > 0
            ? String(decoding: link[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// Reads a table as proc_net_tcp(5) has it: number, local address and port, remote ones, state,
    /// in hexadecimal digits.
    static func holds(_ table: String, port: UInt16, state: String) -> Bool {
        table.split(separator: "\n").dropFirst().contains { line in
            let words = line.split(separator: " ", maxSplits: 4)
            guard words.count > 3, words[3] == state, let colon = words[1].lastIndex(of: ":")
            else { return false }
            return UInt16(words[1][words[1].index(after: colon)...], radix: 16) == port
        }
    }
}

extension LabProcess {
    /// Waits until the server that was started as this process listens; if it doesn't, or the task is
    /// cancelled, it is killed.
    ///
    /// - Parameters:
    ///   - name: of the server, for an error.
    ///   - log: the file where its last words are.
    /// - Throws: ``LabError`` if it ends or takes too long.
    func awaitListening(
        on ports: some Collection<ListeningPort> & Sendable, name: String, log: String
    ) async throws {
        do {
            for port in ports {
                let what = "\(name) to listen on \(port.isUDP ? "UDP" : "TCP") port \(port.port)"
                _ = try await awaiting("\(what): see \(log)", atMost: Lab.serverStartLimit) {
                    () async throws -> Bool? in
                    if let ending = ending() {
                        throw LabError(.failed, "\(name) ended (\(ending)): see \(log)")
                    }
                    return port.isOpen(inNamespaceOf: identifier) ? true : nil
                }
            }
        } catch {
            kill()
            throw error
        }
    }
}
