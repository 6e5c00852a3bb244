// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Synchronization
import Testing

@testable import MeshLab

/// A server on a thread of its own until it is stopped.
final class ServerThread: @unchecked Sendable {
    let port: UInt16
    /// Used by the thread alone.
    private let server: LabServe
    private let isStopping = Atomic(false)
    private var thread = pthread_t()

    init(_ server: LabServe) {
        self.server = server
        port = server.port
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ServerThread>.fromOpaque(argument).takeUnretainedValue().serve()
                return nil
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func stop() {
        isStopping.store(true, ordering: .releasing)
        pthread_join(thread, nil)
    }

    private func serve() {
        while !isStopping.load(ordering: .acquiring) {
            do {
                try server.serveOnce(waitMilliseconds: 5)
            } catch {
                Issue.record("\(error)")
                return
            }
        }
    }
}

func decode<Value: Decodable>(_: Value.Type, _ line: String) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(line.utf8))
}

/// Sends `text` and returns everything that comes back until the server ends the connection, or
/// nothing comes for a second.
func ask(_ text: String, _ port: UInt16) throws -> String {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var timeout = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(
        descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    let target = try LoadTarget(url: "http://127.0.0.1:\(port)/")
    try #require(target.withSocketAddress { connect(descriptor, $0, $1) } == 0)
    let bytes = Array(text.utf8)
    try #require(send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return String(decoding: answer, as: UTF8.self) }
        answer += buffer[..<count]
        if answer.starts(with: "HTTP/1.1 404".utf8) {
            return String(decoding: answer, as: UTF8.self)
        }
    }
}

extension String {
    /// How often `separator` occurs.
    func components(separatedBy separator: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
