// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A file that somebody named, or a pipe: read whole, or not at all.
public enum InputFile {
    /// Nothing of the file is used.
    public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        public let path: String
        /// In words that follow the path and a colon.
        public let reason: String
        /// Of the system; 0: the file is too large.
        public let errno: Int32
        public var description: String { "\(path): \(reason)" }
    }

    /// - Parameter bytesMaximum: of a larger one no more than a byte beyond is read.
    public static func read(_ path: String, bytesMaximum: Int) throws(Problem) -> [UInt8] {
        func problem(_ code: Int32) -> Problem {
            Problem(path: path, reason: String(cString: strerror(code)), errno: code)
        }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw problem(errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        while bytes.count <= bytesMaximum {
            let wanted = min(bytesMaximum + 1 - bytes.count, 1 << 18)
            var code: Int32 = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
                let got = Glibc.read(file, buffer.baseAddress, wanted)
                code = got < 0 ? errno : 0
                count = max(got, 0)
            }
            if code == EINTR { continue }
            guard code == 0 else { throw problem(code) }
            if chunk.isEmpty { return bytes }
            bytes += chunk
        }
        throw Problem(path: path, reason: "is larger than \(bytesMaximum) bytes", errno: 0)
    }
}
