// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Testing

@testable import MeshAdmin

@Suite("A unix socket's place in the file system")
struct SocketFileTests {
    @Test("what a crash left over is replaced")
    func stale() async throws {
        try await withFolder { folder in
            let path = "\(folder)/weft.sock"
            close(try listen(at: path))
            let socket = try SocketFile(path: path, mode: 0o666)
            let listener = try listen(at: socket.bindPath)
            defer { close(listener) }
            try socket.publish()
            #expect(throws: SocketFileError.inUse(path)) {
                try SocketFile(path: path, mode: 0o666)
            }
        }
    }

    @Test("a socket of a successor isn't removed")
    func successor() async throws {
        try await withFolder { folder in
            let path = "\(folder)/weft.sock"
            let socket = try SocketFile(path: path, mode: 0o600)
            close(try listen(at: socket.bindPath))
            try socket.publish()
            try FileManager.default.removeItem(atPath: path)
            let other = try listen(at: path)
            socket.remove()
            #expect(FileManager.default.fileExists(atPath: path))
            close(other)
            socket.remove()
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("a file that is no socket is not touched")
    func file() async throws {
        try await withFolder { folder in
            let path = "\(folder)/weft.sock"
            try Data("precious".utf8).write(to: URL(filePath: path))
            #expect(throws: SocketFileError.notASocket(path)) {
                try SocketFile(path: path, mode: 0o666)
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        }
    }

    @Test("folders on the way are made")
    func folders() async throws {
        try await withFolder { folder in
            let socket = try SocketFile(path: "\(folder)/a/b/weft.sock", mode: 0o666)
            close(try listen(at: socket.bindPath))
            try socket.publish()
            #expect(FileManager.default.fileExists(atPath: "\(folder)/a/b/weft.sock"))
        }
    }

    @Test("paths that no socket can have")
    func impossible() {
        let long = "/tmp/" + String(repeating: "x", count: 110)
        #expect(throws: SocketFileError.tooLong(long)) { try SocketFile(path: long, mode: 0o666) }
        #expect(throws: SocketFileError.notAbsolute("weft.sock")) {
            try SocketFile(path: "weft.sock", mode: 0o666)
        }
    }
}

private func listen(at path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    try withUnsafePointer(to: &address) {
        try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try #require(
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0)
        }
    }
    try #require(Glibc.listen(descriptor, 8) == 0)
    return descriptor
}
