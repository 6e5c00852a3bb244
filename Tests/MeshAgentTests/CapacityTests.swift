// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshModel
import MeshTransport
import Testing

@testable import MeshAgent

@Suite("What a node can do, and does")
struct CapacityTests {
    static let start = Instant(nanoseconds: 3_600_000_000_000)

    /// Two processors: of `total` ticks since boot so many were idle.
    private static func stat(total: UInt64, idle: UInt64, online: Int = 2) -> String {
        let busy = total - idle
        // user nice system idle iowait irq softirq steal guest guest_nice
        return "cpu  \(busy / 2) 0 \(busy - busy / 2) \(idle - idle / 4) \(idle / 4) 0 0 0 99 99\n"
            + (0..<online).map { "cpu\($0) 1 2 3 4 5 6 7 8 9 10\n" }.joined()
            + "intr 12345 0 0\nctxt 1\ncpu_count 7\n"
    }

    @Test("processors: sums of ticks, waiting for disks is idle, guests aren't counted twice")
    func times() throws {
        let times = try ProcessorTimes(parsing: Self.stat(total: 1000, idle: 400))
        #expect(times.online == 2 && times.total == 1000 && times.busy == 600)
    }

    @Test(
        "what isn't /proc/stat is refused",
        arguments: [
            "", "cpu", "intr 1", "cpu  1 2 3 4 5 6 7 8 9 10\n", "cpu 1 2 3\ncpu0 1 2 3\n",
            "cpu  1 2 3 x 5 6 7 8\ncpu0 1\n", "cpu  -1 2 3 4 5 6 7 8\ncpu0 1\n",
            "cpu  18446744073709551615 1 1 1 1 1 1 1\ncpu0 1\n",
        ])
    func noTimes(text: String) {
        #expect(throws: CapacityFault.self) { try ProcessorTimes(parsing: text) }
    }

    @Test("a burst of a second hardly shows, a minute of work does")
    func smoothing() throws {
        var meter = ProcessorMeter()
        var now = Self.start
        var (total, idle): (UInt64, UInt64) = (10_000, 10_000)
        func measure() throws -> Workload? {
            meter.measure(
                try ProcessorTimes(parsing: Self.stat(total: total, idle: idle)), at: now)
        }
        #expect(try measure() == nil, "nothing to compare with")
        func pass(_ seconds: UInt64, busy: Bool) throws -> UInt32? {
            var last: Workload?
            for _ in 0..<seconds {
                now = now + .seconds(1)
                total += 200
                if !busy { idle += 200 }
                last = try measure()
            }
            #expect(last?.capacity == 2000)
            return last?.used
        }
        #expect(try pass(10, busy: false) == 0)
        #expect(try #require(try pass(1, busy: true)) < 200)
        #expect(try #require(try pass(60, busy: true)) > 1980)
        #expect(try measure()?.used ?? 0 > 1980, "no time has passed")
        // One goes offline, and its ticks with it.
        total -= 5000
        now = now + .seconds(1)
        #expect(try measure() != nil)
    }

    @Test(
        "a file says two numbers, in any unit",
        arguments: [
            ("8 6", 8000, 6000), ("8\n6.5\n", 8000, 6500), (" 1000 0 ", 1_000_000, 0),
            ("4 9", 4000, 4000), ("0.5 0.1", 500, 100), ("4000000 1", 4_000_000_000, 1000),
        ] as [(String, UInt32, UInt32)])
    func file(text: String, capacity: UInt32, used: UInt32) throws {
        #expect(try Workload(parsing: text) == Workload(capacity: capacity, used: used))
    }

    @Test(
        "anything else is refused",
        arguments: [
            "", "8", "8 6 1", "0 0", "-1 0", "8 -1", "nan 1", "8 nan", "inf 1", "8 inf", "8,6",
            "4000001 1", "eight six", "8 6\0",
        ])
    func wrongFile(text: String) {
        #expect(throws: CapacityFault.self) { try Workload(parsing: text) }
    }

    @Test("a file that is away for a moment changes nothing; for longer, nothing is known")
    func fileThatGoes() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("capacity", "8 2")
        let (inputs, health) = AsyncStream.makeStream(of: HealthInput.self)
        var told = inputs.makeAsyncIterator()
        let service = CapacityService(file: file, health: health, log: Logger(label: "test"))
        func step(after seconds: Int64) async -> Workload? {
            await service.step(at: Self.start + .seconds(seconds))
            guard case .workload(let workload)? = await told.next() else { return nil }
            return workload
        }
        #expect(await step(after: 0) == Workload(capacity: 8000, used: 2000))
        _ = try folder.write("capacity", String(repeating: "1 ", count: 80))
        #expect(await step(after: 2) == Workload(capacity: 8000, used: 2000))
        #expect(await step(after: 30) == Workload(capacity: 8000, used: 2000))
        #expect(await step(after: 32) == nil)
        #expect(await service.failures == 3)
        _ = try folder.write("capacity", "8 4")
        #expect(await step(after: 34) == Workload(capacity: 8000, used: 4000))
    }

    @Test("without a file this machine's processors are measured")
    func thisMachine() async throws {
        let (inputs, health) = AsyncStream.makeStream(of: HealthInput.self)
        var told = inputs.makeAsyncIterator()
        let service = CapacityService(file: nil, health: health, log: Logger(label: "test"))
        await service.step(at: .monotonicNow)
        _ = await told.next()
        // Ticks are 10 ms long.
        var last: Workload?
        let deadline = Instant.monotonicNow + .seconds(10)
        while last == nil, Instant.monotonicNow < deadline {
            await service.step(at: .monotonicNow)
            guard case .workload(let workload)? = await told.next() else { break }
            last = workload
        }
        #expect(try #require(last).capacity >= 1000)
        #expect(await service.failures == 0)
    }
}
