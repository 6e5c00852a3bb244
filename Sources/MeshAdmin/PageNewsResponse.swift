// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle
import Synchronization

/// How many follow the news, each on a connection of its own.
final class Readers: Sendable {
    /// A quarter of the listener's connections: the rest is for questions.
    static let maximum = AdminServer.connectionsMaximum / 4

    private let count = Mutex(0)

    /// Counted until it is released; nil when there are too many.
    func enter() -> Reader? {
        let isRoom = count.withLock { count in
            guard count < Self.maximum else { return false }
            count += 1
            return true
        }
        return isRoom ? Reader(readers: self) : nil
    }

    final class Reader: Sendable {
        private let readers: Readers

        fileprivate init(readers: Readers) { self.readers = readers }

        deinit { readers.count.withLock { $0 -= 1 } }
    }
}

/// Time between two looks for news.
private let newsInterval = Duration.milliseconds(200)
/// A quiet stream says something each so many looks, so that who went away is noticed.
private let newsSilence = 50

/// News as server-sent events until the reader goes away. They wait in the agent's own bounded
/// memory: a slow reader misses some and is told how many.
func newsResponse(
    _ request: Request, _ provider: any AdminProvider, _ reader: Readers.Reader
) -> Response {
    Response(
        status: .ok,
        // Who watches a connection for its end can't take another request from it.
        headers: [.contentType: "text/event-stream", .connection: "close"],
        body: ResponseBody { writer in
            // A page that is away would hold its place for ever if nobody watched the connection.
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                for try await event in NewsEvents(provider: provider).cancelOnGracefulShutdown() {
                    try await writer.write(event)
                }
            }
            _ = reader
            try await writer.finish(nil)
        })
}

/// What is still known, then what happens, asked for when the one before has been written.
private struct NewsEvents: AsyncSequence, Sendable {
    let provider: any AdminProvider

    struct AsyncIterator: AsyncIteratorProtocol {
        let provider: any AdminProvider
        var position: PageNews.Position?

        /// Nil when cancelled.
        mutating func next() async throws -> ByteBuffer? {
            for quiet in 1... {
                if position != nil {
                    do {
                        try await Task.sleep(for: newsInterval)
                    } catch {
                        return nil
                    }
                }
                let news = try await provider.news(after: position)
                let isFirst = position == nil
                position = news.position
                if isFirst || !news.isEmpty {
                    var event = ByteBuffer(string: "event: news\ndata: ")
                    event.writeBytes(try adminJSON(news))
                    event.writeString("\n\n")
                    return event
                }
                if quiet == newsSilence { return ByteBuffer(string: ":\n\n") }
            }
            return nil
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(provider: provider) }
}
