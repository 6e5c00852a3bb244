// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshCNI

/// Why a file couldn't be put in place.
struct Refusal: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A file of somebody else's folder, which exists whole or not at all.
struct InstalledFile {
    private static let chunkBytes = 1 << 20

    let path: String

    init(_ path: String) { self.path = path }

    func write(_ bytes: [UInt8]) throws(Refusal) {
        try replace(mode: 0o644) { (file) throws(Refusal) in try append(bytes[...], to: file) }
    }

    /// A program's copy.
    func copy(from source: String) throws(Refusal) {
        let original = open(source, O_RDONLY | O_CLOEXEC)
        guard original >= 0 else { throw failure("read", source) }
        defer { close(original) }
        try replace(mode: 0o755) { (file) throws(Refusal) in
            var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
            while true {
                let count = Glibc.read(original, &chunk, chunk.count)
                guard count >= 0 else { throw failure("read", source) }
                if count == 0 { return }
                try append(chunk[..<count], to: file)
            }
        }
    }

    func read(atMost limit: Int) throws(CNIError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw CNIError(.inputOutput, reason) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count >= 0 else { throw CNIError(.inputOutput, reason) }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return bytes
    }

    /// Gone already is success.
    func remove() throws(Refusal) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }

    /// Runtimes may read, or run, the file at any moment.
    private func replace(
        mode: mode_t, _ fill: (Int32) throws(Refusal) -> Void
    ) throws(Refusal) {
        let temporary = "\(path).new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard file >= 0 else { throw failure("write", path) }
        defer { close(file) }
        do throws(Refusal) {
            try fill(file)
            guard fchmod(file, mode) == 0, fsync(file) == 0, rename(temporary, path) == 0 else {
                throw failure("write", path)
            }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private func append(_ bytes: ArraySlice<UInt8>, to file: Int32) throws(Refusal) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw failure("write", path) }
            rest = rest.dropFirst(count)
        }
    }

    private var reason: String { String(cString: strerror(errno)) }

    private func failure(_ verb: String, _ path: String) -> Refusal {
        Refusal("can't \(verb) \(path): \(reason)")
    }
}
