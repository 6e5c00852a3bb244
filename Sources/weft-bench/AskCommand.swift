// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MeshLab
import MeshModel

/// The three things that `path` measures.
enum Question: String, CaseIterable, ExpressibleByArgument {
    /// Median of request and response of one byte, microseconds.
    case latency
    /// Connections opened, used for a byte each way, and closed, per second.
    case connections
    /// Megabits of payload per second.
    case throughput
}

/// The client of `path`: measures one thing and prints one number.
struct AskCommand: ParsableCommand {
    static let name = "ask"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "Take a measurement of 'path'.", shouldDisplay: false)
    private static let patienceSeconds = 10
    private static let warmUpMilliseconds: UInt64 = 50

    @Argument var question: Question
    @Option(help: "IPv4 address.", transform: { try ipv4($0) }) var address: UInt32
    @Option var port: UInt16
    @Option(help: "How long to measure.") var milliseconds: UInt64
    @Option(help: "The CPU to stay on.") var cpu: Int

    func run() throws {
        try stay(onCPU: cpu)
        signal(SIGPIPE, SIG_IGN)
        _ = try measure(for: Self.warmUpMilliseconds)
        print(try measure(for: milliseconds))
    }

    private func measure(for milliseconds: UInt64) throws -> Double {
        let begin = monotonicNow()
        let end = begin + milliseconds * 1_000_000
        return switch question {
        case .latency: try latency(until: end)
        case .connections: try connections(from: begin, until: end)
        case .throughput: try throughput(from: begin, until: end)
        }
    }

    private func open(_ trade: Trade) throws -> Socket {
        let socket = try Socket()
        socket.giveUp(afterSeconds: Self.patienceSeconds)
        try socket.connect(to: address, port: port)
        socket.sendAtOnce()
        guard socket.send([trade.rawValue], 1) == 1 else { throw failure("send") }
        return socket
    }

    private func latency(until end: UInt64) throws -> Double {
        let socket = try open(.echo)
        var buffer: [UInt8] = [0]
        guard socket.receive(&buffer, 1) == 1 else { throw failure("receive") }
        var times: [UInt64] = []
        times.reserveCapacity(1 << 16)
        var before = monotonicNow()
        while before < end {
            guard socket.send(buffer, 1) == 1, socket.receive(&buffer, 1) == 1 else {
                throw failure("exchange a byte")
            }
            let after = monotonicNow()
            times.append(after - before)
            before = after
        }
        times.sort()
        guard !times.isEmpty else { throw LabError(.failed, "no answer in the whole time") }
        return Double(times[times.count / 2]) / 1000
    }

    private func connections(from begin: UInt64, until end: UInt64) throws -> Double {
        var count = 0
        var buffer: [UInt8] = [0]
        while monotonicNow() < end {
            let socket = try open(.single)
            // The server ends first, so that the client's port is free at once.
            guard socket.receive(&buffer, 1) == 1, socket.receive(&buffer, 1) == 0 else {
                throw failure("receive an answer and its end")
            }
            count += 1
        }
        return Double(count) / (Double(monotonicNow() - begin) / 1e9)
    }

    private func throughput(from begin: UInt64, until end: UInt64) throws -> Double {
        let socket = try open(.sink)
        var buffer = [UInt8](repeating: 0x77, count: 1 << 17)
        var bytes = 0
        while monotonicNow() < end {
            let sent = socket.send(buffer, buffer.count)
            guard sent > 0 else { throw failure("send") }
            bytes += sent
        }
        socket.endSending()
        // The server has taken the last byte.
        guard socket.receive(&buffer, 1) == 1 else { throw failure("receive the end") }
        return Double(bytes) * 8 / 1e6 / (Double(monotonicNow() - begin) / 1e9)
    }
}

private func ipv4(_ text: String) throws -> UInt32 {
    guard let value = Address(text)?.ipv4 else {
        throw ValidationError("'\(text)' is no IPv4 address")
    }
    return value
}
