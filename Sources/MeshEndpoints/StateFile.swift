// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc

/// The endpoints of this node on disk. Replaced as a whole, atomically and durably.
struct StateFile {
    private struct Contents: Codable {
        var version = 1
        var endpoints: [EndpointRecord]
    }

    /// Far above what any node's endpoints need.
    private static let bytesMax = 64 << 20

    let path: String

    /// - Returns: nothing if there is no file.
    /// - Throws: `.state` if it can't be read or isn't ours: nothing may be attached over it.
    func read() throws(EndpointError) -> [EndpointRecord] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return [] }
            throw failure("read")
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= Self.bytesMax {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count >= 0 else { throw failure("read") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        do {
            return try JSONDecoder().decode(Contents.self, from: Data(bytes)).endpoints
        } catch {
            throw EndpointError(.state, nil, "\(path) isn't a list of endpoints: \(error)")
        }
    }

    /// The old contents stay in force if this fails.
    func write(_ records: some Collection<EndpointRecord>) throws(EndpointError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let bytes: [UInt8]
        do {
            let sorted = records.sorted { $0.object < $1.object }
            bytes = Array(try encoder.encode(Contents(endpoints: sorted)))
        } catch {
            throw EndpointError(.state, nil, "encode \(path): \(error)")
        }
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failure("write") }
        defer { close(file) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.write(file, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw failure("write") }
            written += count
        }
        guard fsync(file) == 0, rename(temporary, path) == 0 else { throw failure("write") }
        try syncFolder()
    }

    /// Makes the rename itself durable.
    private func syncFolder() throws(EndpointError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let folder = open(
            parts.isEmpty ? "." : parts.joined(separator: "/") + "/", O_RDONLY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("write") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure("write") }
    }

    private func failure(_ verb: String) -> EndpointError {
        EndpointError(.state, nil, "\(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
