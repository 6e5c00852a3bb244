// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAdmin

@Suite("What goes over the wire")
struct FormatTests {
    @Test("the JSON of a status keeps its names")
    func json() throws {
        let text = String(decoding: try adminJSON(AgentStatus.fixture), as: UTF8.self)
        let expected = """
            {"cluster":{"id":1,"name":"east"},
            "health":{"reasons":["1 manifest can't be read"],"state":"degraded"},
            "ignoredKinds":[{"kind":"Deployment","objects":2}],
            "isDraining":false,
            "ledgers":[{"ageSeconds":0.25,"cluster":{"id":2,"name":"west"},"epoch":3,
            "isFrozen":false,"quarantined":0,"records":7,"refused":0,"revision":41}],
            "links":[{"lastError":"refused","peer":"west/n1","sinceSeconds":2,"state":"waiting"}],
            "manifestProblems":[{"file":"web.yaml","line":7,"message":"port 70000 is too high"}],
            "memoryBytes":52428800,"node":"n1",
            "peers":[{"id":2,"name":"west"}],
            "publisher":{"isAlone":false,"isLocal":true,"isReachable":true,"node":"n1"},
            "rejections":[],"sources":[],
            "uptimeSeconds":192.5,"version":"0.1.0","warnings":["west is unreachable"]}
            """.split(separator: "\n").joined()
        #expect(text == expected)
    }

    @Test("every verdict has its name", arguments: Verdict.allCases)
    func verdicts(verdict: Verdict) {
        #expect(VerdictName(verdict).rawValue == "\(verdict)")
    }

    @Test(
        "lines are found whatever the chunks",
        arguments: [["a\nbc\n"], ["a", "\nb", "c\n"], ["a\n\nbc", "\n"], ["a\nbc\nrest"]])
    func lines(chunks: [String]) {
        var splitter = LineSplitter()
        let lines = chunks.flatMap { splitter.split($0.utf8) }
        #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["a", "bc"])
    }
}

@Suite("Flow hub")
struct FlowHubTests {
    private func hub(_ published: Int64, inBatchesOf size: Int64) -> FlowHub<Flow> {
        let hub = FlowHub<Flow>()
        for start in stride(from: 1, through: published, by: Int(size)) {
            hub.publish((start...min(start + size - 1, published)).map { Flow.fixture($0) })
        }
        return hub
    }

    @Test("keeps the most recent flows in order, and no more than its maximum", arguments: [1, 7])
    func history(size: Int64) {
        let published = Int64(FlowHub<Flow>.historyMaximum + 100)
        let news = hub(published, inBatchesOf: size).news(after: nil)
        #expect(news.flows.map(\.timeUnixMilliseconds) == Array(101...published))
        #expect(news.lost == 0 && news.position == UInt64(published))
    }

    @Test("a reader goes on where it was; who comes too late is told how many are gone")
    func positions() {
        let hub = hub(10, inBatchesOf: 3)
        let first = hub.news(after: 4, atMost: 2)
        #expect(first.flows.map(\.timeUnixMilliseconds) == [5, 6] && first.position == 6)
        #expect(hub.news(after: 10).flows.isEmpty && hub.position == 10)
        // Of an earlier life.
        #expect(hub.news(after: 11).flows.count == 10)
        hub.publish((1...Int64(FlowHub<Flow>.historyMaximum)).map { Flow.fixture($0) })
        let late = hub.news(after: first.position)
        #expect(late.lost == 4 && late.flows.count == FlowHub<Flow>.historyMaximum)
    }
}
