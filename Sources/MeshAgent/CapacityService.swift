// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import MeshModel
import MeshTransport
import ServiceLifecycle

/// Tells health what this node can do and does: its processors, or what a file of the operator says.
///
/// On no event loop: a file may lie on a disk that hangs.
actor CapacityService: Service {
    static let interval = Duration.seconds(2)
    /// A file is written anew in much less; nobody's weight shall jump for a bad reading.
    static let lifetime = Duration.seconds(30)
    /// Of /proc/stat, whose first lines matter: those of a thousand processors.
    static let processorBytes = 128 * 1024
    static let fileBytes = 128

    private var file: String?
    private let health: AsyncStream<HealthInput>.Continuation
    private let log: Logger
    private var meter = ProcessorMeter()
    private var last: (workload: Workload, at: Instant)?
    private var isFailing = false
    /// Readings that failed.
    private(set) var failures: UInt64 = 0

    /// - Parameter file: nil for the processors.
    init(file: String?, health: AsyncStream<HealthInput>.Continuation, log: Logger) {
        self.file = file
        self.health = health
        self.log = log
    }

    /// Reads another file from now on.
    func read(_ file: String?) { self.file = file }

    func run() async throws {
        step(at: .monotonicNow)
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            step(at: .monotonicNow)
        }
    }

    func step(at now: Instant) {
        do throws(CapacityFault) {
            if let workload = try read(at: now) { last = (workload, now) }
            if isFailing { log.notice("This node's capacity can be told again") }
            isFailing = false
        } catch {
            failures += 1
            if !isFailing {
                log.warning(
                    "This node's capacity can't be told; soon it counts as unknown",
                    metadata: ["file": "\(file ?? Self.processors)", "error": "\(error)"])
            }
            isFailing = true
        }
        if let age = last.map({ now - $0.at }), age > Self.lifetime { last = nil }
        health.yield(.workload(last?.workload))
    }

    private static let processors = "/proc/stat"

    private func read(at now: Instant) throws(CapacityFault) -> Workload? {
        if let file {
            let text = try Self.contents(of: file, max: Self.fileBytes + 1)
            guard text.utf8.count <= Self.fileBytes else {
                throw .malformed("it is longer than \(Self.fileBytes) bytes")
            }
            return try Workload(parsing: text)
        }
        let times = try ProcessorTimes(
            parsing: Self.contents(of: Self.processors, max: Self.processorBytes))
        return meter.measure(times, at: now)
    }

    /// The first `max` bytes.
    private static func contents(of path: String, max: Int) throws(CapacityFault) -> String {
        // Nobody may have a pipe open at its other end.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable(operation: "open", errno: errno) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: max)
        let count = Glibc.read(descriptor, &bytes, max)
        guard count >= 0 else { throw .unreadable(operation: "read", errno: errno) }
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
