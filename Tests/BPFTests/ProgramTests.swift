// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import SystemPackage
import Testing

@Suite("programs", .tags(.kernel))
struct ProgramTests {
    @Test("a test run gives back the verdict, the packet and a duration")
    func testRun() throws {
        let program = try Program(
            loading: TestProgram.returning(2), kind: .trafficControl, name: "shot")
        let run = try program.testRun(data: TestProgram.frame, repetitions: 100)
        #expect(run.returnValue == 2)
        #expect(run.data == TestProgram.frame)
    }

    @Test("a jump leads to the program that was put into the array last, or nowhere")
    func programArray() throws {
        let array = try ProgramArray(
            BPFMap(creating: .programArray, name: "jumps", keySize: 4, valueSize: 4, maxEntries: 1))
        let jump = try Program(
            loading: TestProgram.jumping(through: array.map.descriptor.rawValue),
            kind: .trafficControl, name: "jump")
        var returned = [try jump.testRun(data: TestProgram.frame).returnValue]
        for value: UInt32 in [1, 2] {
            let target = try Program(
                loading: TestProgram.returning(value), kind: .trafficControl, name: "target")
            try array.update(0, to: target)
            returned.append(try jump.testRun(data: TestProgram.frame).returnValue)
        }
        #expect(returned == [7, 1, 2])
        #expect(array.count == 1)
    }

    @Test("a program that the verifier rejects is refused with the verifier's words")
    func rejected() throws {
        func load() throws {
            _ = try Program(
                loading: TestProgram.readingGarbage, kind: .trafficControl, name: "bad")
        }
        let error = #expect(throws: BPFError.self) { try load() }
        #expect(error?.code == .rejectedByVerifier)
        #expect(error?.errno == .permissionDenied)
        #expect(error?.detail.contains("R2 !read_ok") == true)
    }

    @Test("bytes that are no object are refused by name")
    func notAnObject() throws {
        func open() throws {
            try [UInt8](repeating: 0x7f, count: 256).withUnsafeBytes { bytes in
                _ = try BPFObject(bytes: bytes, name: "noise")
            }
        }
        let error = #expect(throws: BPFError.self) { try open() }
        #expect(error?.code == .invalidObject)
        #expect(error?.action == "opening object noise")
    }

    @Test("records of a ring buffer arrive in order, once")
    func ringBuffer() throws {
        let map = try ring()
        let program = try Program(
            loading: TestProgram.reporting(to: map.descriptor.rawValue), kind: .trafficControl,
            name: "report")
        let ring = try RingBuffer(map)
        _ = try program.testRun(data: TestProgram.frame, repetitions: 3)
        var records: [UInt64] = []
        #expect(try ring.consume { records.append($0.loadUnaligned(as: UInt64.self)) } == 3)
        #expect(records == [42, 42, 42])
        #expect(try ring.consume { _ in records.append(0) } == 0)
        #expect(try ring.poll(timeoutMilliseconds: 0) { _ in } == 0)
        #expect(records.count == 3)
    }
}

@Suite("attachments", .tags(.kernel))
struct AttachmentTests {
    @Test("an attached program sees packets until scope end or detach")
    func scopedLink() throws {
        let counts = try inOwnNamespace {
            let map = try ring()
            let program = try Program(
                loading: TestProgram.reporting(to: map.descriptor.rawValue),
                kind: .trafficControl, name: "report")
            let ring = try RingBuffer(map)
            var counts: [Int] = []
            func observe() throws {
                try sendToLoopback()
                counts.append(try ring.consume { _ in })
            }
            do {
                let attachment = try program.attach(toInterface: 1, .ingress)
                try observe()
                _ = consume attachment
            }
            try observe()
            let again = try program.attach(toInterface: 1, .egress)
            try observe()
            try again.detach()
            try observe()
            return counts
        }
        #expect(counts == [1, 0, 1, 0])
    }

    @Test("a pinned attachment outlives its process, is updated in place, and goes with its pin")
    func pinnedLink() throws {
        let folder = try PinFolder()
        let path = "\(folder.path)/link"
        let story = try inOwnNamespace {
            let map = try ring()
            let reporter = try Program(
                loading: TestProgram.reporting(to: map.descriptor.rawValue),
                kind: .trafficControl, name: "report")
            let silent = try Program(
                loading: TestProgram.returning(.max), kind: .trafficControl, name: "silent")
            let ring = try RingBuffer(map)
            func seen() throws -> Int {
                try sendToLoopback()
                return try ring.consume { _ in }
            }
            var story: [String] = []
            story.append("\(try silent.attach(toInterface: 1, .ingress, pinnedAt: path))")
            story.append("\(try seen())")
            story.append("\(try reporter.attach(toInterface: 1, .ingress, pinnedAt: path))")
            story.append("\(try seen()) \(try Link.isAttached(pinnedAt: path))")
            try Link.detach(interface: 1, .ingress, pinnedAt: path)
            story.append("\(try seen())")
            try Link.detach(interface: 1, .ingress, pinnedAt: path)
            return story
        }
        #expect(story == ["created", "0", "replaced", "1 true", "0"])
    }

    @Test("a pinned link whose interface is gone is attached anew")
    func staleLink() throws {
        let folder = try PinFolder()
        let path = "\(folder.path)/link"
        let first = try inOwnNamespace {
            let program = try Program(
                loading: TestProgram.returning(0), kind: .trafficControl, name: "pass")
            return try program.attach(toInterface: 1, .ingress, pinnedAt: path)
        }
        #expect(first == .created)
        // The kernel takes namespaces apart in its own time.
        let deadline = time(nil) + 10
        while try Link.isAttached(pinnedAt: path), time(nil) < deadline { sched_yield() }
        #expect(try !Link.isAttached(pinnedAt: path))
        let second = try inOwnNamespace {
            let program = try Program(
                loading: TestProgram.returning(0), kind: .trafficControl, name: "pass")
            return try program.attach(toInterface: 1, .ingress, pinnedAt: path)
        }
        #expect(second == .created)
    }
}
