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
            "rejections":[],
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
    @Test("keeps the most recent flows in order, and no more than its maximum")
    func history() async {
        let hub = FlowHub<Flow>()
        let published = FlowHub<Flow>.historyMaximum + 100
        for number in 1...published { hub.publish(.fixture(Int64(number))) }
        var times: [Int64] = []
        for await flow in hub.flows(follow: false) { times.append(flow.timeUnixMilliseconds) }
        #expect(times == (101...Int64(published)).map { $0 })
    }

    @Test("a slow reader loses the oldest flows, and they are counted")
    func slowReader() async {
        let hub = FlowHub<Flow>()
        let stream = hub.flows(follow: true)
        for number in 1...FlowHub<Flow>.readerBufferMaximum + 5 {
            hub.publish(.fixture(Int64(number)))
        }
        #expect(hub.lost == 5)
        var iterator = stream.makeAsyncIterator()
        #expect(await iterator.next()?.timeUnixMilliseconds == 6)
    }

    @Test("a reader that is let go of is forgotten")
    func forgotten() {
        let hub = FlowHub<Flow>()
        do {
            let stream = hub.flows(follow: true)
            withExtendedLifetime(stream) { #expect(hub.readers == 1) }
        }
        #expect(hub.readers == 0)
    }
}
