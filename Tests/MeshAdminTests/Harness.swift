// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Logging
import MeshAdmin
import ServiceLifecycle
import Testing

/// A server with its own sockets in a folder that goes away with it.
struct Harness {
    let agent = ScriptedAgent()
    let folder: String

    var reading: AdminClient { AdminClient(socketPath: "\(folder)/weft.sock") }
    var administration: AdminClient { AdminClient(socketPath: "\(folder)/weft-admin.sock") }

    static func run(
        metricsPort: UInt16? = nil, pagePort: UInt16? = nil, _ body: (Harness) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let harness = Harness(folder: folder)
            let group = ServiceGroup(
                services: [
                    AdminServer(
                        provider: harness.agent,
                        configuration: .init(
                            folder: folder, metricsPort: metricsPort, pagePort: pagePort),
                        logger: quiet)
                ], logger: quiet)
            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await group.run() }
                try await eventually("both sockets answer") {
                    FileManager.default.fileExists(atPath: harness.reading.socketPath)
                        && FileManager.default.fileExists(
                            atPath: harness.administration.socketPath)
                }
                try await body(harness)
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }
    }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = "/tmp/weft-admin-\(UInt32.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: false)
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: folder) } }
    try await body(folder)
}

struct Overdue: Error, CustomStringConvertible {
    let description: String
}

/// Awaits a condition, up to ten seconds.
func eventually(_ what: String, _ condition: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
        guard ContinuousClock.now < deadline else { throw Overdue(description: "not yet: \(what)") }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// A TCP port of 127.0.0.1 that nobody listened at a moment ago.
func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    try withUnsafeMutablePointer(to: &address) {
        try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            try #require(bind(descriptor, $0, length) == 0)
            try #require(getsockname(descriptor, $0, &length) == 0)
        }
    }
    return UInt16(bigEndian: address.sin_port)
}
