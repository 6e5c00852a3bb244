// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import Testing

@testable import MeshEtcd

private func expectLeader(_ client: EtcdClient) async throws {
    let status = try await client.status()
    #expect(status.hasLeader)
}

@Suite("The client")
struct EtcdClientTests {
    @Test("says what etcd it talks to")
    func status() async throws {
        try await withEtcd { client in
            let status = try await client.status()
            #expect(status.version.hasPrefix("3."))
            #expect(status.hasLeader)
            #expect(status.databaseBytes > 0)
        }
    }

    @Test("refuses plain text to anything but this machine, and no endpoint at all")
    func plainText() {
        for endpoints in [[EtcdEndpoint(host: "192.0.2.1", port: 2379)], []] {
            #expect(throws: EtcdError.self) {
                try EtcdClient(
                    EtcdConfiguration(endpoints: endpoints, credentials: nil),
                    logger: Logger(label: "test"))
            }
        }
    }

    @Test("goes on to the next endpoint when one is dead or hangs")
    func endpoints() async throws {
        let (dead, frozen, live) = (try freePort(), try EtcdServer(), try EtcdServer())
        let endpoints = [
            EtcdEndpoint(host: "127.0.0.1", port: dead), frozen.endpoint, live.endpoint,
        ]
        try await withClient(endpoints) { client in
            frozen.freeze()
            for _ in 0..<3 { try await expectLeader(client) }
            live.stop()
            frozen.thaw()
            try await expectLeader(client)
        }
    }

    @Test("shows its certificate, and believes only its own authority's")
    func transportSecurity() async throws {
        let certificates = try TestCertificates(names: ["server", "client"])
        let strangers = try TestCertificates(names: ["client"])
        let server = try EtcdServer(certificates: certificates)
        func credentials(trusted: TestCertificates, own: TestCertificates) -> EtcdCredentials {
            EtcdCredentials(
                trustedFile: trusted.authority, certificateFile: own.certificate("client"),
                keyFile: own.key("client"))
        }
        try await withClient(
            [server.endpoint], credentials: credentials(trusted: certificates, own: certificates)
        ) { client in
            try await expectLeader(client)
        }
        for wrong in [
            credentials(trusted: strangers, own: certificates),
            credentials(trusted: certificates, own: strangers),
        ] {
            let client = try EtcdClient(
                EtcdConfiguration(endpoints: [server.endpoint], credentials: wrong),
                logger: Logger(label: "test"))
            let running = Task { await client.run() }
            defer { running.cancel() }
            await #expect { try await client.status() } throws: {
                ($0 as? EtcdError)?.code == .unavailable
            }
        }
    }

    @Test("lists what doesn't fit one message, all at one revision")
    func paging() async throws {
        try await withEtcd { client in
            let value = [UInt8](repeating: 1, count: 60_000)
            for block in 0..<20 {
                var request = WireTxnRequest()
                request.success = (0..<16).map { .put("/many/\(block * 16 + $0)", value) }
                _ = try await client.transact(request)
            }
            let many = EtcdRange(prefix: "/many/")
            let listing = try await client.list(many)
            #expect(listing.entries.count == 320)
            #expect(Set(listing.entries.map(\.key)).count == 320)

            var request = WireTxnRequest()
            request.success = [.delete(many)]
            _ = try await client.transact(request)
            let past = try await client.list(many, at: listing.revision)
            #expect(past.entries.count == 320)
            #expect(try await client.list(many).entries.isEmpty)
        }
    }

    @Test("names what etcd refuses")
    func refusals() async throws {
        try await withEtcd { client in
            func code(_ request: WireTxnRequest) async -> EtcdError.Code? {
                do { _ = try await client.transact(request) } catch { return error.code }
                return nil
            }
            var many = WireTxnRequest()
            many.success = (0...EtcdLimit.operations).map { .put("/\($0)", []) }
            #expect(await code(many) == .tooLarge)
            var long = WireTxnRequest()
            long.success = [.put("/x", [UInt8](repeating: 0, count: 2_000_000))]
            #expect(await code(long) == .tooLarge)
            var twice = WireTxnRequest()
            twice.success = [.put("/x", []), .put("/x", [])]
            #expect(await code(twice) == .refused)
            var request = WireRangeRequest(EtcdRange(key: "/x"))
            request.revision = 1_000_000
            await #expect { try await client.range(request) } throws: {
                ($0 as? EtcdError)?.code == .future
            }
        }
    }
}
