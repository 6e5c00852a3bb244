// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import FoundationEssentials
import MeshKubernetes
import MeshModel
import Testing

@Suite("Asking an API server over real sockets")
struct KubernetesClientTests {
    private static let web = ObjectPath(.pods, namespace: "shop", name: "web")
    private static let pods = ObjectPath(.pods, namespace: "shop")

    private func code(_ body: () async throws -> Void) async throws -> KubernetesError.Code? {
        do {
            try await body()
            return nil
        } catch let error as KubernetesError {
            return error.code
        }
    }

    @Test(
        "objects are created once, replaced by version, patched and deleted",
        arguments: [false, true])
    func objects(isSecure: Bool) async throws {
        let certificate = isSecure ? try DoubleCertificate() : nil
        try await APIServerDouble.serve(tls: certificate) { server, configuration in
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            let body = pod("web").bytes
            let created = try JSONValue(try await client.create(Self.pods, body))
            #expect(
                try await code { _ = try await client.create(Self.pods, body) } == .alreadyExists)
            #expect(try JSONValue(try await client.get(Self.web)) == created)
            var next = created
            next["spec"]["text"] = "new"
            let updated = try JSONValue(try await client.update(Self.web, next.bytes))
            #expect(updated["spec"]["text"] == "new")
            #expect(
                try await code { _ = try await client.update(Self.web, created.bytes) } == .conflict
            )
            var status = Self.web
            status.subresource = "status"
            let patch = JSONValue.object([JSONMember("status", ["phase": "Running"])])
            let patched = try JSONValue(try await client.patch(status, .merge, patch.bytes))
            #expect(patched["status"]["phase"] == "Running")
            #expect(patched["spec"] == updated["spec"])
            try await client.delete(Self.web)
            #expect(try await code { _ = try await client.get(Self.web) } == .notFound)
        }
    }

    @Test(
        "applying takes fields, gives up those that aren't named again, and finds others' hands on them"
    )
    func applying() async throws {
        try await APIServerDouble.serve { server, configuration in
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            let path = ObjectPath(.endpointSlices, namespace: "shop", name: "imported")
            func slice(_ labels: JSONValue, port: Int64) -> [UInt8] {
                let value: JSONValue = [
                    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                    "metadata": ["name": "imported", "labels": labels], "addressType": "IPv4",
                    "ports": [["name": "http", "port": .number("\(port)")]],
                    "endpoints": [["addresses": ["10.20.1.10"]]],
                ]
                return value.bytes
            }
            let weft = ObjectRequest.Patch.apply(fieldManager: "weft", force: false)
            _ = try await client.patch(path, weft, slice(["a": "1", "b": "2"], port: 80))
            let version = server.state.version
            _ = try await client.patch(path, weft, slice(["a": "1", "b": "2"], port: 80))
            #expect(server.state.version == version)
            let second = try JSONValue(
                try await client.patch(path, weft, slice(["a": "1"], port: 81)))
            #expect(second["metadata"]["labels"] == ["a": "1"])
            #expect(second["ports"].items[0]["port"].integer == 81)
            let other = ObjectRequest.Patch.apply(fieldManager: "other", force: false)
            #expect(
                try await code { _ = try await client.patch(path, other, slice([:], port: 82)) }
                    == .conflict)
            let forced = ObjectRequest.Patch.apply(fieldManager: "other", force: true)
            let third = try JSONValue(
                try await client.patch(path, forced, slice([:], port: 82)))
            #expect(third["ports"].items[0]["port"].integer == 82)
            #expect(third["metadata"]["labels"] == ["a": "1"])
        }
    }

    @Test("a token that rotates in its file is read again, and one that is refused at once")
    func tokens() async throws {
        var state = DoubleState()
        state.admit(DoubleUser("agent", rules: [.init(["get"], ["pods"])]), token: "first")
        try await APIServerDouble.serve(state) { server, configuration in
            let folder = TemporaryFolder()
            folder.write("token", "first")
            var configuration = configuration
            configuration.credentials = .tokenFile(path: "\(folder.path)/token")
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            #expect(try await code { _ = try await client.get(Self.web) } == .notFound)
            #expect(try await code { try await client.delete(Self.web) } == .forbidden)
            folder.write("token", "second")
            server.change { state in
                state.expire(token: "first")
                state.admit(DoubleUser("agent"), token: "second")
            }
            #expect(try await code { _ = try await client.get(Self.web) } == .unauthorized)
            #expect(try await code { _ = try await client.get(Self.web) } == .notFound)
        }
    }

    @Test("what may be repeated is repeated, with the pauses that the server wants; a POST isn't")
    func retries() async throws {
        try await APIServerDouble.serve { server, configuration in
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            server.inject(.throttle(seconds: 0))
            server.inject(.fail)
            server.inject(.cut(afterBytes: 0))
            let get = ObjectRequest(.get, Self.web)
            #expect(try await code { _ = try await client.answerRetrying(get) } == .notFound)
            #expect(server.counters.total == 4)
            server.inject(.fail)
            let post = ObjectRequest(.post, Self.pods, body: pod("web").bytes)
            #expect(try await code { _ = try await client.answerRetrying(post) } == .server)
            server.inject(.throttle(seconds: 0))
            _ = try await client.answerRetrying(post)
        }
    }

    @Test("a certificate that nobody vouches for, and a server that isn't there, are no answers")
    func strangers() async throws {
        try await APIServerDouble.serve(tls: try DoubleCertificate()) { server, configuration in
            var other = configuration
            other.authorities = .inline(Array(try DoubleCertificate().pem.utf8))
            let client = try KubernetesClient(other)
            #expect(try await code { _ = try await client.get(Self.web) } == .unavailable)
            client.close()
            var named = configuration
            named.server = configuration.server.replacing("127.0.0.1", with: "kubernetes")
            named.address = "127.0.0.1"
            let second = try KubernetesClient(named)
            #expect(try await code { _ = try await second.get(Self.web) } == .notFound)
            second.close()
        }
        let nobody = try KubernetesClient(
            KubernetesConfiguration(
                server: "http://127.0.0.1:1", authorities: nil, credentials: .none))
        #expect(try await code { _ = try await nobody.get(Self.web) } == .unavailable)
        nobody.close()
    }

    @Test("a half-open connection is given up with the request that notices, and not used again")
    func halfOpen() async throws {
        try await APIServerDouble.serve(tls: try DoubleCertificate()) { server, configuration in
            let client = try KubernetesClient(
                configuration, answerTimeout: .seconds(1), readTimeout: .milliseconds(500))
            defer { client.close() }
            #expect(try await code { _ = try await client.get(Self.web) } == .notFound)
            #expect(server.connections == 1)
            server.inject(.hang)
            #expect(try await code { _ = try await client.get(Self.web) } == .timedOut)
            #expect(try await code { _ = try await client.get(Self.web) } == .notFound)
            #expect(server.accepted == 2)
        }
    }

    @Test(
        "an exchange has its connection to itself, whatever the server speaks: what is read slowly stays there"
    )
    func ownConnections() async throws {
        try await APIServerDouble.serve(tls: try DoubleCertificate()) { server, configuration in
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            try await client.watch(ObjectSelection(.pods), from: .initialEvents, seconds: 60) { _ in
                let missing = try? await code { _ = try await client.get(Self.web) }
                #expect(missing == .notFound)
                #expect(server.connections == 2)
                return false
            }
        }
    }

    @Test("an answer is unpacked up to a page, and no further")
    func compression() async throws {
        try await APIServerDouble.serve { server, configuration in
            let client = try KubernetesClient(configuration)
            defer { client.close() }
            let list = #"{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[]}"#
            for (bytes, code) in [
                (gzip(Array(list.utf8)), nil), (zeros, KubernetesError.Code.tooLarge),
            ] {
                server.inject(
                    .canned(DoubleAnswer(headers: ["Content-Encoding": "gzip"], body: bytes)))
                var version = "7"
                let refused = try await self.code {
                    version = try await client.page(of: ObjectSelection(.pods), limit: 10)
                        .resourceVersion
                }
                #expect(refused == code)
                #expect(version == "7")
            }
        }
    }

    /// 32 MiB of zeros, packed: DEFLATE's fixed code, one literal and matches of 258 at distance 1.
    private var zeros: [UInt8] {
        var bits: [Bool] = [true, true, false]
        bits +=
            [Bool](repeating: false, count: 2) + [true, true] + Array(repeating: false, count: 4)
        for _ in 0..<(32 << 20) / 258 {
            // Length 258 is code 285: 11000101; distance 1 is code 0: 00000.
            bits += [true, true, false, false, false, true, false, true]
            bits += [Bool](repeating: false, count: 5)
        }
        bits += [Bool](repeating: false, count: 7)
        var bytes: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
        for start in stride(from: 0, to: bits.count, by: 8) {
            var byte: UInt8 = 0
            for (offset, bit) in bits[start..<min(start + 8, bits.count)].enumerated() where bit {
                byte |= 1 << UInt8(offset)
            }
            bytes.append(byte)
        }
        return bytes + [UInt8](repeating: 0, count: 8)
    }

    /// Stored, not packed: RFC 1952 around one block of RFC 1951.
    private func gzip(_ bytes: [UInt8]) -> [UInt8] {
        var checksum: UInt32 = .max
        for byte in bytes {
            checksum ^= UInt32(byte)
            for _ in 0..<8 { checksum = checksum >> 1 ^ (checksum & 1 == 1 ? 0xedb8_8320 : 0) }
        }
        let length = UInt16(bytes.count)
        func little(_ value: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
        }
        return [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1] + little(UInt32(length), 2)
            + little(UInt32(~length), 2) + bytes + little(~checksum, 4)
            + little(UInt32(bytes.count), 4)
    }
}
