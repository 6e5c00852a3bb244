// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import MeshModel
import Testing

@testable import MeshKubernetes

private func problem(_ number: Int, _ message: String = "spec.ports is missing") -> ObjectProblem {
    let json: JSONValue = [
        "metadata": ["name": .string("web-\(number)"), "uid": .string("u\(number)")]
    ]
    return ObjectProblem(
        ObjectText(
            name: ObjectName(namespace: "shop", name: "web-\(number)"), resourceVersion: "7",
            json: json.bytes), of: .services, message: message)
}

@Suite("Events about objects with which something is wrong")
struct ObjectEventTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test(
        "each is told when it appears, and again only as long as it lasts, before it is forgotten")
    func onceAndAgain() {
        var plan = ObjectEventPlan()
        #expect(plan.due([problem(1)], at: start).map(\.count) == [1])
        #expect(plan.due([problem(1)], at: start + .seconds(1799)).isEmpty)
        #expect(plan.due([problem(1)], at: start + .seconds(1800)).map(\.count) == [2])
        #expect(plan.due([], at: start + .seconds(1801)).isEmpty)
        #expect(plan.due([problem(1)], at: start + .seconds(1802)).map(\.count) == [1])
        #expect(plan.due([problem(1, "another")], at: start + .seconds(1803)).map(\.count) == [1])
    }

    @Test("many at once are told one after the other, none is left out")
    func rate() {
        var plan = ObjectEventPlan()
        let problems = (0..<50).map { problem($0) }
        var now = start
        var reports = plan.due(problems, at: now)
        #expect(reports.count == 20)
        for _ in 0..<30 {
            now = now + .seconds(5)
            let next = plan.due(problems, at: now)
            #expect(next.count == 1)
            reports += next
        }
        #expect(Set(reports.map(\.problem)) == Set(problems))
        #expect(plan.due(problems, at: now + .seconds(60)).isEmpty)
    }

    @Test("an Event is on its object, and of one problem there is one, whoever tells it")
    func request() throws {
        var plan = ObjectEventPlan()
        let report = try #require(plan.due([problem(1)], at: start).first)
        let creation = report.creation(by: "n1", nowUnixSeconds: 1_800_000_000)
        #expect(creation.path.text == "/apis/events.k8s.io/v1/namespaces/shop/events")
        let body = try JSONValue(creation.body)
        #expect(body["regarding"]["uid"] == "u1" && body["regarding"]["kind"] == "Service")
        #expect(body["eventTime"] == "2027-01-15T08:00:00.000000Z")
        #expect(body["note"].text?.hasSuffix("spec.ports is missing") == true)
        #expect(body["series"] == .null)

        var state = DoubleState()
        func send(_ request: ObjectRequest) -> Int {
            let reply = state.handle(
                DoubleRequest(
                    request.method.rawValue, request.target, contentType: request.contentType,
                    body: request.body))
            if case .answer(let answer) = reply { return answer.status }
            return 0
        }
        #expect(send(creation) == 201)
        #expect(send(report.creation(by: "n2", nowUnixSeconds: 1_800_000_060)) == 409)
        #expect(send(report.repetition(nowUnixSeconds: 1_800_000_060)) == 200)
        let event = try JSONValue(try #require(state.texts(.events).values.first))
        #expect(event["series"]["count"] == 2 && event["reportingInstance"] == "n1")
    }

    @Test("an Event's text is cut at what the API takes, between characters")
    func length() throws {
        var plan = ObjectEventPlan()
        let report = try #require(
            plan.due([problem(1, String(repeating: "é", count: 2000))], at: start).first)
        let body = try JSONValue(report.creation(by: "n1", nowUnixSeconds: 1_800_000_000).body)
        let note = try #require(body["note"].text)
        #expect((1023...1024).contains(note.utf8.count) && note.hasSuffix("éé"))
    }

    @Test("one on what has no namespace is in the default one")
    func clusterScoped() throws {
        let node = ObjectProblem(
            ObjectText(
                name: ObjectName(namespace: "", name: "n7"), resourceVersion: "7", json: [0x7b]),
            of: .nodes, message: "has no spec.podCIDR")
        var plan = ObjectEventPlan()
        let report = try #require(plan.due([node], at: start).first)
        let creation = report.creation(by: "n1", nowUnixSeconds: 1_800_000_000)
        #expect(creation.path.namespace == "default")
        let body = try JSONValue(creation.body)
        #expect(body["regarding"]["namespace"] == .null && body["regarding"]["uid"] == .null)
    }
}
