// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One socket of a load: connects, asks, reads the answer. Never blocks.
struct LoadConnection {
    enum Phase {
        case connecting, sending, receiving
        /// Nothing is under way: between two talks, or waiting for ever.
        case resting
    }

    enum Step {
        case waits
        /// The whole answer is there.
        case answered
        case ended(LoadRecord.Outcome)
    }

    static let headBytesMax = 16_384

    let kind: LoadRecord.Kind
    let number: Int
    let descriptor: Int32
    private(set) var phase = Phase.connecting
    /// Of the request under way; of an idler's connection.
    var start: UInt64
    /// When the request is given up, or the next talk begins.
    var deadline: UInt64
    private(set) var cluster: String?
    private(set) var endpoint: String?
    /// Of the last answer's body.
    private(set) var bodyBytes = 0

    private let target: LoadTarget
    private let isUnconnected: Bool
    private var request: ArraySlice<UInt8>
    private var head: [UInt8] = []
    /// Nil until the head is complete.
    private var bodyRest: Int?

    /// Opens a socket and starts to connect it.
    ///
    /// - Returns: the connection, or the outcome if it failed at once.
    static func open(
        _ kind: LoadRecord.Kind, _ number: Int, _ options: LoadOptions, at now: UInt64
    ) -> Result<LoadConnection, LoadFailure> {
        let target = options.target
        let type = target.isUDP ? SOCK_DGRAM : SOCK_STREAM
        let flags = type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(target.family, Int32(flags), 0)
        guard descriptor >= 0 else { return .failure(LoadFailure(outcome(of: errno))) }
        if !options.isUnconnected || !target.isUDP {
            let connected = target.withSocketAddress { connect(descriptor, $0, $1) }
            guard connected == 0 || errno == EINPROGRESS else {
                let failure = LoadFailure(outcome(of: errno))
                close(descriptor)
                return .failure(failure)
            }
        }
        return .success(
            LoadConnection(kind, number, descriptor, options, at: now))
    }

    private init(
        _ kind: LoadRecord.Kind, _ number: Int, _ descriptor: Int32, _ options: LoadOptions,
        at now: UInt64
    ) {
        self.kind = kind
        self.number = number
        self.descriptor = descriptor
        target = options.target
        isUnconnected = options.isUnconnected && target.isUDP
        start = now
        deadline = now + UInt64(options.timeout.nanosecondsClamped)
        request = Self.request(kind, options.target)
    }

    /// What `poll(2)` is to wait for.
    var events: Int16 {
        switch phase {
        case .connecting, .sending: Int16(POLLOUT)
        case .receiving, .resting: Int16(POLLIN)
        }
    }

    /// Begins the next request on the connection.
    mutating func ask(at now: UInt64, timeout: Duration) {
        request = Self.request(kind, target)
        head = []
        bodyRest = nil
        start = now
        deadline = now + UInt64(timeout.nanosecondsClamped)
        phase = .sending
    }

    mutating func rest(until time: UInt64) {
        phase = .resting
        deadline = time
    }

    /// Goes as far as it can without waiting.
    mutating func progress(_ buffer: inout [UInt8]) -> Step {
        if phase == .connecting {
            var failure: Int32 = 0
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length)
            guard failure == 0 else { return .ended(Self.outcome(of: failure)) }
            phase = .sending
        }
        if phase == .sending {
            let sent = send()
            guard sent > 0 else {
                return errno == EAGAIN ? .waits : .ended(Self.outcome(of: errno))
            }
            request = request.dropFirst(sent)
            guard request.isEmpty else { return .waits }
            phase = .receiving
        }
        return receive(&buffer)
    }

    private func send() -> Int {
        let flags = Int32(MSG_NOSIGNAL)
        return request.withUnsafeBytes { bytes in
            isUnconnected
                ? target.withSocketAddress {
                    sendto(descriptor, bytes.baseAddress, bytes.count, flags, $0, $1)
                }
                : Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
        }
    }

    private mutating func receive(_ buffer: inout [UInt8]) -> Step {
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 {
                return errno == EAGAIN ? .waits : .ended(Self.outcome(of: errno))
            }
            if count == 0, !target.isUDP { return .ended(.closed) }
            guard phase == .receiving else {
                // Nobody asked: a late answer to a talk given up, or a server out of its mind.
                if target.isUDP { continue }
                return .ended(.malformed)
            }
            if target.isUDP {
                bodyBytes = count
                // Who answers, a line's end, and what was asked.
                guard identify(buffer[..<count]),
                    let lineEnd = buffer[..<count].firstIndex(of: UInt8(ascii: "\n")),
                    count - lineEnd - 1 == target.datagramBytes
                else { return .ended(.malformed) }
                return .answered
            }
            switch takeAnswer(buffer[..<count]) {
            case true?: return .answered
            case false?: return .ended(.malformed)
            case nil: continue
            }
        }
    }

    /// - Returns: true when the answer is complete, false if it is none.
    private mutating func takeAnswer(_ bytes: ArraySlice<UInt8>) -> Bool? {
        if let rest = bodyRest {
            guard bytes.count <= rest else { return false }
            bodyRest = rest - bytes.count
            return bytes.count == rest ? true : nil
        }
        head += bytes
        guard let end = head.firstRange(of: Self.headEnd) else {
            return head.count > Self.headBytesMax ? false : nil
        }
        guard let length = Self.contentLength(head[..<end.lowerBound]) else { return false }
        let body = head[end.upperBound...]
        guard body.count <= length else { return false }
        // A body that isn't who answered is a measured amount of bytes.
        if length <= Self.whoBytesMax {
            guard body.count == length else { return nil }
            guard identify(body) else { return false }
        }
        bodyBytes = length
        bodyRest = length - body.count
        return body.count == length ? true : nil
    }

    /// `CLUSTER/ENDPOINT` up to the line's end.
    private mutating func identify(_ body: ArraySlice<UInt8>) -> Bool {
        let line = String(decoding: body.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        let parts = line.split(separator: "/", maxSplits: 1)
        guard parts.count == 2 else { return false }
        cluster = String(parts[0])
        endpoint = String(parts[1])
        return true
    }
}

/// Why a connection couldn't even begin.
struct LoadFailure: Error {
    let outcome: LoadRecord.Outcome
    init(_ outcome: LoadRecord.Outcome) { self.outcome = outcome }
}

extension LoadConnection {
    private static let headEnd = Array("\r\n\r\n".utf8)
    private static let whoBytesMax = 256

    private static func request(
        _ kind: LoadRecord.Kind, _ target: LoadTarget
    ) -> ArraySlice<UInt8> {
        if target.isUDP {
            let question = LoadTarget.question
            let filler = target.datagramBytes - question.count
            return (question + [UInt8](repeating: UInt8(ascii: "w"), count: filler))[...]
        }
        let connection = kind == .request ? "connection: close\r\n" : ""
        return Array("GET \(target.path) HTTP/1.1\r\nhost: weft-lab\r\n\(connection)\r\n".utf8)[...]
    }

    /// - Returns: nil unless the status is 200 and there is a length.
    private static func contentLength(_ head: ArraySlice<UInt8>) -> Int? {
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        guard lines.first?.hasPrefix("HTTP/1.1 200 ") == true else { return nil }
        let prefix = "content-length: "
        return lines.dropFirst().lazy
            .filter { $0.lowercased().hasPrefix(prefix) }
            .compactMap { Int($0.dropFirst(prefix.count)) }
            .first { $0 >= 0 }
    }

    static func outcome(of failure: Int32) -> LoadRecord.Outcome {
        switch failure {
        case ECONNREFUSED: .refused
        case ECONNRESET, EPIPE: .reset
        case ECONNABORTED: .aborted
        case ETIMEDOUT: .timeout
        case EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN: .unreachable
        default: .other
        }
    }
}

extension Duration {
    /// Never negative.
    var nanosecondsClamped: Int64 {
        max(0, components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000)
    }
}
