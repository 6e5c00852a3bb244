// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import MeshModel
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import MeshAdmin

@Suite("The page's listener")
struct PageRouteTests {
    @Test("every file has its type, and no browser may load anything from elsewhere for it")
    func files() async throws {
        try await Page.run { page async throws in
            let types = [
                "/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript",
                "/picture.js": "text/javascript", "/words.js": "text/javascript",
                "/icon.svg": "image/svg+xml", "/v1/page": "application/json",
                "/v1/page/services": "application/json", "/v1/why/c002": "application/json",
                "/none": "application/json",
            ]
            for (path, type) in types {
                let answer = try await page.ask(path)
                #expect(answer.status == (path == "/none" ? .notFound : .ok), "\(path)")
                #expect(answer.headers.first(name: "Content-Type")?.hasPrefix(type) == true)
                let policy = try #require(answer.headers.first(name: "Content-Security-Policy"))
                #expect(policy.hasPrefix("default-src 'none'; script-src 'self';"))
                #expect(!policy.contains("unsafe") && !policy.contains("*"))
                #expect(policy.contains("frame-ancestors 'none'"))
                #expect(answer.headers.first(name: "X-Content-Type-Options") == "nosniff")
                #expect(answer.headers.first(name: "Cache-Control") == "no-store")
                #expect(!answer.headers.contains(name: "Set-Cookie"))
                #expect(!answer.headers.contains(name: "Access-Control-Allow-Origin"))
            }
            let html = try await page.text("/")
            #expect(!html.contains("<script>") && !html.contains("style=") && !html.contains("//"))
        }
    }

    @Test(
        "it answers under loopback names only",
        arguments: [
            ("127.0.0.1:80", true), ("localhost", true), ("LOCALHOST:9000", true),
            ("[::1]:1", true),
            ("evil.example", false), ("evil.example:4793", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:80", false), ("localhost:x", false), ("127.0.0.2", false),
            ("", false), ("localhost:80@evil.example", false),
        ])
    func host(_ name: String, _ isFine: Bool) async throws {
        #expect(PageGuard.isLoopback(name) == isFine)
        try await Page.run { page async throws in
            for path in ["/", "/v1/page", "/v1/page/news", "/none"] where !isFine {
                let answer = try await page.ask(path, ["Host": name])
                #expect(answer.status == .forbidden || answer.status == .badRequest, "\(path)")
            }
            if isFine { #expect(try await page.ask("/v1/page", ["Host": name]).status == .ok) }
        }
    }

    @Test("another site may link to it, not read through it")
    func sites() async throws {
        try await Page.run { page async throws in
            for (site, isFine) in [("cross-site", false), ("same-site", false), ("none", true)] {
                let header = ["Sec-Fetch-Site": site]
                #expect(try await page.ask("/", header).status == .ok)
                #expect(
                    try await page.ask("/v1/page", header).status == (isFine ? .ok : .forbidden))
            }
        }
    }

    @Test("it is for reading")
    func methods() async throws {
        try await Page.run { page async throws in
            for method in [HTTPMethod.POST, .PUT, .DELETE, .OPTIONS, .PATCH] {
                for path in ["/", "/v1/page", "/v1/drain", "/v1/endpoints"] {
                    let answer = try await page.ask(path, method: method)
                    #expect(answer.status == .methodNotAllowed)
                    #expect(answer.headers.first(name: "Allow") == "GET")
                }
            }
            for path in ["/v1/ca/denials", "/v1/ca/status", "/v1/join/tokens", "/metrics"] {
                #expect(try await page.ask(path).status == .notFound, "\(path)")
            }
            #expect(page.agent.asked.withLock { $0.drains.isEmpty })
        }
    }

    @Test("answers are bounded, and say what they leave out")
    func bounds() async throws {
        try await Page.run { page async throws in
            page.agent.page.withLock {
                var mesh = PageFixture.mesh(4_000)
                mesh.clusters[3_999].verdict = .unreachable
                for index in mesh.clusters.indices {
                    mesh.clusters[index].paths = Array(
                        repeating: ClusterStatus.fixture.paths[0], count: 100)
                }
                mesh.agent.health.reasons = (0..<1_000).map { "cluster \($0) is away" }
                mesh.agent.links = Array(repeating: AgentStatus.fixture.links[0], count: 9_000)
                mesh.traffic = Array(repeating: mesh.traffic![0], count: 5_000)
                mesh.services = (0..<5_000).map { number in
                    var service = ServiceStatus.spread(over: mesh.clusters.prefix(60))
                    service.name = "s\(number)"
                    return service
                }
                $0 = mesh
            }
            let state = try JSONDecoder().decode(
                PageState.self, from: Data(try await page.text("/v1/page").utf8))
            #expect(state.clusters.count == 512 && state.clustersTotal == 4_000)
            #expect(state.clusters[0].isLocal)
            #expect(state.clusters.contains { $0.id == 4_000 && $0.verdict == .unreachable })
            #expect(state.clusters.allSatisfy { $0.paths.count <= 16 })
            #expect(state.agent.health.reasons.last == "and 968 more")
            #expect(state.agent.links.isEmpty && state.agent.ledgers.count == 512)
            #expect(state.traffic?.count == 128 && state.trafficTotal == 5_000)

            let text = try await page.text("/v1/page/services?find=shop%2Fs1")
            let services = try JSONDecoder().decode(PageServices.self, from: Data(text.utf8))
            #expect(services.total == 5_000 && services.matching == 1_111)
            #expect(services.services.count == 60)
            #expect(services.services.map(\.slices.count).reduce(0, +) == 1_000)
            #expect(services.services[0].slices[0].slice.backends.count == 8)
            #expect(services.services[0].slices[0].backends == 12)
            #expect(services.services[0].slices[0].live == 11)
            #expect(services.services.last?.slicesTotal == 60)
        }
    }

    @Test("news come as server-sent events, and a sixteenth page is the last")
    func news() async throws {
        try await Page.run { page async throws in
            var streams: [HTTPClientResponse] = []
            for _ in 0..<Readers.maximum { streams.append(try await page.ask("/v1/page/news")) }
            #expect(streams.allSatisfy { $0.status == .ok })
            #expect(streams[0].headers.first(name: "Content-Type") == "text/event-stream")
            #expect(try await page.ask("/v1/page/news").status == .serviceUnavailable)

            var events = ""
            var isChanged = false
            for try await chunk in streams[0].body {
                events += String(buffer: chunk)
                if !isChanged, events.hasSuffix("\n\n") {
                    isChanged = true
                    page.agent.page.withLock { $0?.change(1, to: .suspect) }
                }
                if events.contains("up → suspect") { break }
            }
            #expect(events.hasPrefix("event: news\ndata: {"))
            #expect(events.split(separator: "\n\n").count == 2)
        }
    }

    @Test("an agent whose page's port is taken does its work without")
    func taken() async throws {
        try await Page.run { page async throws in
            try await Harness.run(pagePort: page.port) { harness async throws in
                #expect(try await harness.reading.status() == .fixture)
            }
            #expect(try await page.ask("/").status == .ok)
        }
    }
}

/// An agent of ``PageFixture`` and its page.
struct Page {
    let agent: ScriptedAgent
    let port: UInt16
    let client: HTTPClient

    static func run(_ body: (Page) async throws -> Void) async throws {
        let port = try freePort()
        try await Harness.run(pagePort: port) { harness in
            harness.agent.page.withLock { $0 = .mesh() }
            // Its own, so that open streams end with it.
            var configuration = HTTPClient.Configuration()
            configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
            let client = HTTPClient(configuration: configuration)
            let page = Page(agent: harness.agent, port: port, client: client)
            do {
                try await page.opens()
                try await body(page)
            } catch {
                try await client.shutdown()
                throw error
            }
            try await client.shutdown()
        }
    }

    /// The port opens a moment after the sockets: refused until then.
    private func opens() async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while true {
            do {
                _ = try await ask("/icon.svg")
                return
            } catch  where ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    func ask(
        _ path: String, _ headers: [String: String] = [:], method: HTTPMethod = .GET
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        request.method = method
        for (name, value) in headers { request.headers.replaceOrAdd(name: name, value: value) }
        return try await client.execute(request, timeout: .seconds(10))
    }

    func text(_ path: String) async throws -> String {
        String(buffer: try await ask(path).body.collect(upTo: 16 << 20))
    }
}
