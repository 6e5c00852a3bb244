// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshLab

/// Debian's etcd with one member, on loopback ports of its own.
final class EtcdProcess {
    let port: UInt16
    private let process: Subprocess

    init(folder: String) throws {
        port = try freePort()
        let peers = try freePort()
        process = try Subprocess([
            "/usr/bin/etcd", "--name", "bench", "--data-dir", folder, "--listen-client-urls",
            "http://127.0.0.1:\(port)", "--advertise-client-urls", "http://127.0.0.1:\(port)",
            "--listen-peer-urls", "http://127.0.0.1:\(peers)", "--initial-advertise-peer-urls",
            "http://127.0.0.1:\(peers)", "--initial-cluster", "bench=http://127.0.0.1:\(peers)",
            "--logger", "zap", "--log-outputs", "/dev/null",
        ])
    }

    func residentBytes() throws -> Double {
        guard let file = fopen("/proc/\(process.identifier)/statm", "re") else {
            throw failure("read etcd's /proc entry")
        }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = fread(&buffer, 1, buffer.count, file)
        let fields = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
        return (fields.count > 1 ? Double(fields[1]) ?? 0 : 0) * 4096
    }

    func stop() {
        kill(process.identifier, SIGTERM)
        var status: Int32 = 0
        while waitpid(process.identifier, &status, 0) < 0, errno == EINTR {}
    }
}

/// A TCP port of 127.0.0.1 that nobody uses at this moment.
private func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw failure("make a socket") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isNamed = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        }
    }
    guard isNamed else { throw failure("bind a socket") }
    return UInt16(bigEndian: address.sin_port)
}
