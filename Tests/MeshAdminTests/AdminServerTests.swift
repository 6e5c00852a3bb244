// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import FoundationEssentials
import Glibc
import MeshModel
import NIOCore
import Synchronization
import Testing

@testable import MeshAdmin

@Suite("Admin server and client over real sockets")
struct AdminServerTests {
    @Test("every question gets the agent's answer")
    func reading() async throws {
        try await Harness.run { harness async throws in
            let client = harness.reading
            #expect(try await client.status() == .fixture)
            #expect(try await client.configuration() == .fixture)
            #expect(try await client.clusters() == [.fixture])
            #expect(try await client.nodes() == [.fixture])
            #expect(try await client.services() == [.fixture])
            #expect(try await client.endpoints() == [.fixture, .distant])
            #expect(try await client.endpoints(ofThisNode: true) == [.fixture])
            #expect(try await client.identities() == [.fixture])
            #expect(try await client.why("beta").events.map(\.text) == ["relay a hears nothing"])
            #expect(try await client.why("beta/b-1").subject == "beta/b-1")
            #expect(try await client.policies() == [.fixture])
            #expect(try await client.policy("NetworkPolicy/shop/db").endpointsHere == ["shop/db-0"])
            _ = await #expect(throws: AdminFault.self) {
                try await client.policy("ClusterNetworkPolicy/none")
            }
            let trace = try await client.trace(
                from: "beta:shop/web", to: "2001:db8::1", traffic: "53/udp")
            #expect(trace.source.name == "beta:shop/web" && trace.destination.name == "2001:db8::1")
            #expect(trace.traffic == "53/udp")
            let check = try await client.checkPolicies([UInt8](repeating: 32, count: 4 << 20))
            #expect(check.problems == ["4194304 bytes"])
            let large = await #expect(throws: AdminFault.self) {
                try await client.checkPolicies([UInt8](repeating: 32, count: 4 << 20 + 1))
            }
            #expect(large?.code == .tooLarge)
            let fault = await #expect(throws: AdminFault.self) { try await client.why("ghost") }
            #expect(fault?.code == .notFound)
            #expect(try await client.maps() == [.fixture])
            #expect(try await client.kernelServices() == [.fixture])
            #expect(try await client.trustStatus() == .fixture)
            #expect(try await client.denials() == [.fixture])
            #expect(try await client.metrics() == prometheusText([.fixture]))
            #expect(
                try await client.service(ObjectName(namespace: "shop", name: "web")) == [.fixture])
        }
    }

    @Test("administration reaches the agent through its own socket")
    func administration() async throws {
        try await Harness.run { harness in
            let request = AttachRequest(
                namespace: "shop", name: "web-0", labels: ["app": "web"],
                namespacePath: "/run/netns/web", addresses: ["10.1.0.5"])
            let web = ObjectName(namespace: "shop", name: "web-0")
            #expect(try await harness.administration.attach(request) == .fixture)
            try await harness.administration.detach(web)
            try await harness.administration.drain(true)
            try await harness.administration.drain(false)
            let subject = DenialSubject(node: "n2")
            let denial = DenyRequest(subject: subject, reason: "stolen", isLocal: false)
            try await harness.administration.deny(denial)
            let allowance = AllowRequest(subject: subject, isLocal: true)
            try await harness.administration.allow(allowance)
            let answer = try await harness.administration.certify(
                CertifyRequest(node: "n2", request: "AQID"))
            #expect(answer == CertifyAnswer(chain: ["AQID"], bundle: "n2"))
            let leave = DepartureRequest(timeoutSeconds: 30)
            let departure = try await harness.administration.depart(leave)
            #expect(departure.phase == .draining && departure.open == ["it is a relay"])
            #expect(try await harness.reading.departure() == departure)
            let keys = try await harness.administration.rotateGossipKey()
            #expect(try await harness.reading.gossipKeys() == keys)
            #expect(try await harness.administration.status() == .fixture)

            let asked = harness.agent.asked.withLock { $0 }
            #expect(asked.attached == [request])
            #expect(asked.detached == [web])
            #expect(asked.drains == [true, false])
            #expect(asked.denials == [denial])
            #expect(asked.allowances == [allowance])
            #expect(asked.departures == [leave] && asked.rotations == 1)
        }
    }

    @Test("the socket that everybody may read refuses to change anything")
    func readOnly() async throws {
        try await Harness.run { harness in
            let fault = try await #require(throws: AdminFault.self) {
                try await harness.reading.drain(true)
            }
            #expect(fault.code == .forbidden)
            #expect(fault.hint?.contains("weft-admin.sock") == true)
            await #expect(throws: AdminFault.self) {
                try await harness.reading.depart(DepartureRequest(timeoutSeconds: 30))
            }
            await #expect(throws: AdminFault.self) {
                try await harness.reading.rotateGossipKey()
            }
            await #expect(throws: AdminFault.self) {
                try await harness.reading.detach(ObjectName(namespace: "shop", name: "web-0"))
            }
            #expect(
                harness.agent.asked.withLock {
                    $0.drains.isEmpty && $0.detached.isEmpty && $0.departures.isEmpty
                        && $0.rotations == 0
                })
        }
    }

    @Test("sockets have their modes, and are gone afterwards")
    func modes() async throws {
        var paths: [String] = []
        try await Harness.run { harness in
            paths = [harness.reading.socketPath, harness.administration.socketPath]
            #expect(try mode(paths[0]) == 0o666)
            #expect(try mode(paths[1]) == 0o600)
            let left = try FileManager.default.contentsOfDirectory(atPath: harness.folder)
            #expect(left.sorted() == ["weft-admin.sock", "weft.sock"])
        }
        #expect(paths.count == 2)
        #expect(paths.allSatisfy { !FileManager.default.fileExists(atPath: $0) })
    }

    @Test("what the agent objects to arrives as it was said")
    func faults() async throws {
        try await Harness.run { harness in
            let client = harness.administration
            await #expect(
                throws: AdminFault(
                    .notFound, "there is no endpoint shop/ghost", hint: "look twice")
            ) { try await client.detach(ObjectName(namespace: "shop", name: "ghost")) }
            let unknown = try await #require(throws: AdminFault.self) {
                _ = try await client.service(ObjectName(namespace: "shop", name: "nope"))
            }
            #expect(unknown.code == .notFound)
            let invalid = try await #require(throws: AdminFault.self) {
                try await client.detach(ObjectName(namespace: "Shop", name: "web 0/é"))
            }
            #expect(invalid.code == .invalidRequest)
            let internalError = try await #require(throws: AdminFault.self) {
                _ = try await client.connections()
            }
            #expect(internalError.code == .internalError)
            #expect(internalError.message == "the table is on fire")
        }
    }

    @Test("a request of more than 64 KiB is refused before it reaches the agent")
    func tooLarge() async throws {
        try await Harness.run { harness in
            let fault = try await #require(throws: AdminFault.self) {
                _ = try await harness.administration.attach(
                    AttachRequest(
                        namespace: "shop", name: "web-0",
                        labels: ["a": String(repeating: "x", count: 64 << 10)],
                        namespacePath: "/run/netns/web"))
            }
            #expect(fault.code == .tooLarge)
            #expect(harness.agent.asked.withLock { $0.attached.isEmpty })
        }
    }

    @Test("flows: what is kept, then what comes, until the reader stops")
    func flows() async throws {
        try await Harness.run { harness in
            let hub = harness.agent.hub
            hub.publish((1...3).map { Flow.fixture($0) })

            var kept: [Int64] = []
            try await harness.reading.flows(follow: false) { kept.append($0.timeUnixMilliseconds) }
            #expect(kept == [1, 2, 3])

            struct Enough: Error {}
            var followed: [Int64] = []
            // A stream outlives the time for an answer: the timeout is for its start.
            let client = AdminClient(
                socketPath: harness.reading.socketPath, timeout: .milliseconds(200))
            await #expect(throws: Enough.self) {
                try await client.flows(follow: true) { flow in
                    followed.append(flow.timeUnixMilliseconds)
                    if followed.count == 3 {
                        try await Task.sleep(for: .milliseconds(300))
                        hub.publish([.fixture(4)])
                    }
                    if followed.count == 4 { throw Enough() }
                }
            }
            #expect(followed == [1, 2, 3, 4])
            try await eventually("the agent forgets the reader") {
                harness.agent.flowReaders.withLock { $0 } == 0
            }
        }
    }

    @Test("flows: the agent evaluates the filter, and says what is wrong with one")
    func filteredFlows() async throws {
        try await Harness.run { harness in
            harness.agent.hub.publish((1...3).map { Flow.fixture($0) })
            var found: [FlowLine] = []
            for (expression, count) in [("namespace=shop !label=a=b", 3), ("to.port=80", 0)] {
                found = []
                try await harness.reading.flows(FlowQuestion(try FlowFilter(expression))) {
                    found.append($0)
                }
                #expect(found.count == count, "\(expression)")
            }
            let fault = try await #require(throws: AdminFault.self) {
                let _: [Flow] = try await harness.reading.get("/v1/flows?where=verdict%3Dmaybe")
            }
            #expect(
                fault.message
                    == "verdict=maybe is wrong: it needs one of forwarded, denied, dropped")
            let excess = try await #require(throws: AdminFault.self) {
                let _: [Flow] = try await harness.reading.get("/v1/flows?last=5000")
            }
            #expect(excess.message == "'last' has to be a number up to 4096")
        }
    }

    @Test("an open stream of flows doesn't keep the agent from shutting down")
    func shutdownWithReader() async throws {
        let reader = Mutex<Task<Void, any Error>?>(nil)
        try await Harness.run { harness in
            let client = harness.reading
            reader.withLock { $0 = Task { try await client.flows(follow: true) { _ in } } }
            try await eventually("the reader is there") {
                harness.agent.flowReaders.withLock { $0 } == 1
            }
        }
        _ = await reader.withLock { $0 }?.result
    }

    @Test("an agent that doesn't answer is given up")
    func timeout() async throws {
        try await Harness.run { harness in
            let client = AdminClient(
                socketPath: harness.reading.socketPath, timeout: .milliseconds(50))
            await #expect(
                throws: AdminClientError.timedOut(socket: client.socketPath, seconds: 0.05)
            ) { _ = try await client.drops() }
        }
    }

    @Test("where no agent listens, the error says so and what to do")
    func unreachable() async throws {
        try await withFolder { folder in
            let client = AdminClient(socketPath: "\(folder)/none.sock")
            let error = try await #require(throws: AdminClientError.self) {
                _ = try await client.status()
            }
            #expect(
                "\(error)"
                    == "no agent answers at \(folder)/none.sock: there is no such socket")
            #expect(error.hint.hasPrefix("start weftd"))
            let long = AdminClient(socketPath: "/tmp/" + String(repeating: "x", count: 200))
            await #expect(throws: AdminClientError.self) { _ = try await long.status() }
        }
    }

    @Test("a second agent at the same sockets doesn't start")
    func second() async throws {
        try await Harness.run { harness async throws in
            let other = AdminServer(
                provider: ScriptedAgent(), configuration: .init(folder: harness.folder),
                logger: quiet)
            await #expect(throws: SocketFileError.inUse(harness.reading.socketPath)) {
                try await other.run()
            }
            #expect(try await harness.reading.status() == .fixture)
        }
    }

    @Test("metrics are served on loopback, and nothing else is")
    func metrics() async throws {
        let port = try freePort()
        try await Harness.run(metricsPort: port) { _ in
            var answer = ""
            let deadline = ContinuousClock.now + .seconds(10)
            while answer.isEmpty, ContinuousClock.now < deadline {
                // The port opens a moment after the sockets: refused until then.
                answer = (try? await fetch("http://127.0.0.1:\(port)/metrics")) ?? ""
            }
            #expect(answer == prometheusText([.fixture]))
            let status = try await fetch("http://127.0.0.1:\(port)/v1/status")
            #expect(status.contains("\"code\":\"notFound\""))
        }
    }
}

private func fetch(_ url: String) async throws -> String {
    let response = try await HTTPClient.shared.execute(
        HTTPClientRequest(url: url), timeout: .seconds(5))
    return String(buffer: try await response.body.collect(upTo: 1 << 20))
}

private func mode(_ path: String) throws -> mode_t {
    var status = stat()
    try #require(lstat(path, &status) == 0)
    return status.st_mode & 0o7777
}
