// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization
import Testing

@testable import MeshLab

@Suite struct WorkloadTests {
    @Test(
        "a load counts every request and knows who answered",
        arguments: ["http://127.0.0.1:PORT/", "http://[::1]:PORT/", "udp://127.0.0.1:PORT"])
    func requests(_ url: String) throws {
        try withServer { port in
            var options = try loadOptions(url, port)
            options.interval = .milliseconds(5)
            options.talkers = 2
            options.talkInterval = .milliseconds(5)
            let (records, summary) = try run(options)
            let requests = records.filter { $0.kind == .request }
            // 300 ms at one request each 5 ms, where the machine is idle.
            #expect(requests.count >= 20)
            #expect(records.allSatisfy { $0.outcome == .ok && $0.cluster == "alpha" })
            #expect(records.allSatisfy { $0.endpoint == "web-1" && $0.end >= $0.start })
            #expect(Set(records.filter { $0.kind == .talk }.map(\.connection)) == [0, 1])
            #expect(summary.failed == 0 && summary.clusters == ["alpha": summary.requests])
        }
    }

    @Test("requests start on time, whatever became of the earlier ones")
    func schedule() throws {
        try withServer { port in
            var options = try loadOptions("http://127.0.0.1:PORT/hold", port)
            options.interval = .milliseconds(10)
            options.timeout = .milliseconds(100)
            let (records, summary) = try run(options)
            #expect(records.count >= 15)
            #expect(records.allSatisfy { $0.outcome == .timeout })
            #expect(records.allSatisfy { $0.elapsed >= 100_000_000 })
            #expect(summary.failed == records.count && summary.longestGapMilliseconds >= 290)
        }
    }

    @Test("a refused connection is told from one that hangs")
    func refused() throws {
        let port = try LabServe(.init(port: 0, cluster: "a", endpoint: "b")).port
        var options = try loadOptions("http://127.0.0.1:PORT/", port)
        options.interval = .milliseconds(20)
        let (records, _) = try run(options)
        #expect(!records.isEmpty)
        #expect(records.allSatisfy { $0.outcome == .refused && $0.cluster == nil })
    }

    @Test("an idler reports who served it, and how the connection ended")
    func idler() throws {
        var options: LoadOptions?
        let collected = Mutex<[LoadRecord]>([])
        try withServer { port in
            var chosen = try loadOptions("http://127.0.0.1:PORT/", port)
            chosen.idlers = 1
            chosen.duration = .milliseconds(150)
            options = chosen
            let (records, _) = try run(chosen)
            collected.withLock { $0 = records }
        }
        #expect(collected.withLock { $0.map(\.outcome) } == [.ok])
        #expect(collected.withLock { $0.first?.cluster } == "alpha")
        #expect(options?.idlers == 1)
    }

    @Test("large answers arrive whole and are counted")
    func bytes() throws {
        try withServer { port in
            var options = try loadOptions("http://127.0.0.1:PORT/bytes/1000000", port)
            options.interval = .zero
            options.concurrency = 4
            options.summaryOnly = true
            let (records, summary) = try run(options)
            #expect(records.isEmpty)
            #expect(summary.requests > 0 && summary.failed == 0)
            #expect(summary.bytes == UInt64(summary.requests) * 1_000_000)
        }
    }

    @Test("an unconnected UDP talker talks")
    func unconnected() throws {
        try withServer { port in
            var options = try loadOptions("udp://127.0.0.1:PORT", port)
            options.talkers = 1
            options.isUnconnected = true
            options.talkInterval = .milliseconds(5)
            let (records, _) = try run(options)
            #expect(records.count > 5)
            #expect(records.allSatisfy { $0.outcome == .ok && $0.cluster == "alpha" })
        }
    }

    @Test(
        "what is no request is answered with an error and the connection ended",
        arguments: [
            ("PUT / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
            ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 400 "),
            ("GET /nowhere HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "),
            ("GET /bytes/-1 HTTP/1.1\r\n\r\n", "HTTP/1.1 404 "), ("\r\n\r\n", "HTTP/1.1 400 "),
            (String(repeating: "x", count: 20_000), ""),
        ])
    func badRequest(_ text: String, _ expected: String) throws {
        try withServer { port in
            let answer = try ask(text, port)
            #expect(answer.hasPrefix(expected))
        }
    }

    @Test("two requests in one packet get two answers")
    func pipelining() throws {
        try withServer { port in
            let request = "GET / HTTP/1.1\r\n\r\n"
            let last = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
            let answer = try ask(request + last, port)
            #expect(answer.components(separatedBy: "alpha/web-1\n") == 2)
        }
    }

    @Test(
        "a URL that can't be used is refused",
        arguments: [
            "ftp://127.0.0.1/", "http://name/", "udp://127.0.0.1", "http://127.0.0.1:0/",
            "http://[::1", "http://127.0.0.1:70000/", "http:///", "http://127.0.0.1/a b",
        ])
    func badURL(_ url: String) {
        #expect(throws: LabError.self) { try LoadTarget(url: url) }
    }

    // MARK: Helpers

    /// Runs `body` beside a server on a free port.
    private func withServer(_ body: (UInt16) throws -> Void) throws {
        let server = ServerThread(
            try LabServe(.init(port: 0, cluster: "alpha", endpoint: "web-1")))
        defer { server.stop() }
        try body(server.port)
    }

    private func loadOptions(_ url: String, _ port: UInt16) throws -> LoadOptions {
        let parts = url.split(separator: "PORT", omittingEmptySubsequences: false)
        var options = LoadOptions(target: try LoadTarget(url: parts.joined(separator: "\(port)")))
        options.duration = .milliseconds(300)
        return options
    }

    private func run(_ options: LoadOptions) throws -> ([LoadRecord], LoadSummary) {
        var text = ""
        var load = LabLoad(options) { text += $0 }
        let summary = try load.run()
        let lines = text.split(separator: "\n").map(String.init)
        let records = try lines.dropLast().map { try decode(LoadRecord.self, $0) }
        #expect(try decode(LoadSummary.self, try #require(lines.last)) == summary)
        return (records, summary)
    }
}
