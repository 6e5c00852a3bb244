// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import Synchronization

extension APIServerDouble {
    private static let maximumRequestBytes = 3 << 20

    /// Ends the exchange, and with it the connection.
    private struct Cut: Error {}

    func respond(
        to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        track(channel)
        let asked = try await Self.request(request)
        let fault = take(for: asked)
        if case .slow(let duration) = fault { try await Task.sleep(for: duration) }
        if fault == .hang {
            try await channel.closeFuture.get()
            throw Cut()
        }
        count(asked)
        if let answer = fault?.answer { return try await write(answer, writer) }
        let reply = change { $0.handle(asked) }
        switch reply {
        case .answer(var answer):
            if asked.method != "GET" { audit(asked, answer) }
            if case .cut(let bytes) = fault {
                answer.body = Array(answer.body.prefix(bytes))
                return try await writeCut(answer, writer, channel)
            }
            try await write(answer, writer)
        case .watch(let cursor):
            var room: Int?
            if case .cut(let bytes) = fault { room = bytes }
            try await follow(cursor, room: room, writer, channel)
        }
    }

    private static func request(_ request: Request) async throws -> DoubleRequest {
        let body = try await request.body.collect(upTo: maximumRequestBytes)
        let authorization = request.headers[.authorization]
        return DoubleRequest(
            request.method.rawValue, request.uri.description,
            token: authorization.flatMap {
                $0.hasPrefix("Bearer ") ? String($0.dropFirst(7)) : nil
            }, accept: request.headers[.accept], contentType: request.headers[.contentType],
            body: Array(body.readableBytesView))
    }

    // MARK: Answers

    private func write(_ answer: DoubleAnswer, _ writer: consuming ResponseWriter) async throws {
        var head = Self.head(answer)
        head.headerFields[.contentLength] = "\(answer.body.count)"
        spend(answer.body.count)
        try await writer.write(
            response: head, body: ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body)))
    }

    private func writeCut(
        _ answer: DoubleAnswer, _ writer: consuming ResponseWriter, _ channel: any Channel
    ) async throws {
        var head = Self.head(answer)
        head.headerFields[.contentLength] = "\(answer.body.count + 1)"
        var body = try await writer.writeHead(head)
        try await body.write(ByteBuffer(bytes: answer.body))
        channel.close(promise: nil)
        throw Cut()
    }

    /// Sends events as they happen, until the watch's time is over or it fails.
    private func follow(
        _ cursor: DoubleCursor, room: Int?, _ writer: consuming ResponseWriter,
        _ channel: any Channel
    ) async throws {
        var cursor = cursor
        var room = room
        let (id, wakes) = enter(channel)
        defer { leave(id) }
        let clock = ContinuousClock()
        let begin = clock.now
        let end = begin + (cursor.timeoutSeconds.map { .seconds($0) } ?? configuration.watchTimeout)
        var nextBookmark = begin + configuration.bookmarkInterval
        var body = try await writer.writeHead(Self.head(DoubleAnswer()))
        for await _ in wakes {
            var bytes = shared.withLock { cursor.lines(of: $0.state) }
            let now = clock.now
            let isOver = now >= end
            if now >= nextBookmark || isOver {
                nextBookmark = now + configuration.bookmarkInterval
                bytes += shared.withLock { cursor.bookmark(of: $0.state) }
            }
            if let left = room {
                room = left - bytes.count
                if bytes.count >= left {
                    try await body.write(ByteBuffer(bytes: bytes.prefix(left)))
                    channel.close(promise: nil)
                    throw Cut()
                }
            }
            if !bytes.isEmpty {
                spend(bytes.count)
                try await body.write(ByteBuffer(bytes: bytes))
            }
            if isOver || cursor.isFinished { break }
        }
        try await body.finish(nil)
    }

    private static func head(_ answer: DoubleAnswer) -> HTTPResponse {
        var head = HTTPResponse(status: .init(code: answer.status))
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { head.headerFields[name] = value }
        }
        if let uid = HTTPField.Name("Audit-Id") { head.headerFields[uid] = "double" }
        return head
    }

    // MARK: Books

    /// Who wrote what, as the log of a real server has it.
    private func audit(_ request: DoubleRequest, _ answer: DoubleAnswer) {
        let user = shared.withLock { shared in
            request.token.flatMap { shared.state.users[$0] }
        }
        logger.info(
            "A write",
            metadata: [
                "verb": "\(request.method)", "path": "/\(request.path.joined(separator: "/"))",
                "user": "\(user?.name ?? "")", "uid": "\(user?.uid ?? "")",
                "status": "\(answer.status)",
            ])
    }

    private func take(for request: DoubleRequest) -> DoubleFault? {
        shared.withLock { shared in
            guard let index = shared.faults.firstIndex(where: { $0.scope.includes(request) })
            else { return nil }
            return shared.faults.remove(at: index).fault
        }
    }

    private func count(_ request: DoubleRequest) {
        shared.withLock { shared in
            let target = DoubleTarget(request.path, in: shared.state.resources)
            let verb = target.map { request.verb($0) } ?? "other"
            shared.counters.requests[verb, default: 0] += 1
        }
    }

    private func spend(_ bytes: Int) { shared.withLock { $0.counters.bytes += bytes } }

    /// A stream of HTTP/2 has a channel of its own; its parent is the connection.
    private func track(_ stream: any Channel) {
        let channel = stream.parent?.parent == nil ? stream : stream.parent ?? stream
        let id = ObjectIdentifier(channel)
        let isNew = shared.withLock { shared in
            let isNew = shared.channels.updateValue(channel, forKey: id) == nil
            if isNew { shared.accepted += 1 }
            return isNew
        }
        guard isNew else { return }
        channel.closeFuture.whenComplete { [self] _ in
            shared.withLock { _ = $0.channels.removeValue(forKey: id) }
        }
    }

    /// Wakes whenever something changed, once in the beginning, and ends with the channel.
    private func enter(_ channel: any Channel) -> (UInt64, AsyncStream<Void>) {
        let (wakes, waker) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        waker.yield()
        channel.closeFuture.whenComplete { _ in waker.finish() }
        return shared.withLock { shared in
            shared.lastID += 1
            shared.waiters[shared.lastID] = waker
            shared.counters.watches += 1
            return (shared.lastID, wakes)
        }
    }

    private func leave(_ id: UInt64) {
        shared.withLock { shared in
            shared.waiters[id] = nil
            shared.counters.watches -= 1
        }
    }
}
