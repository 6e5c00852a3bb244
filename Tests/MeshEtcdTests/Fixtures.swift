// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshModel
import Testing

@testable import MeshEtcd
@testable import MeshLease

let cluster = ClusterName(rawValue: "west")!
let keys = EtcdKeys(cluster: cluster)

extension EtcdServer {
    var endpoint: EtcdEndpoint { EtcdEndpoint(host: "127.0.0.1", port: port) }
}

/// Runs a client beside `body` and waits until etcd answers it.
func withClient<Result: Sendable>(
    _ endpoints: [EtcdEndpoint], credentials: EtcdCredentials? = nil,
    _ body: (EtcdClient) async throws -> Result
) async throws -> Result {
    let client = try EtcdClient(
        EtcdConfiguration(endpoints: endpoints, credentials: credentials),
        logger: Logger(label: "test"))
    return try await withThrowingTaskGroup { group in
        group.addTask { await client.run() }
        defer { group.cancelAll() }
        try await eventually { (try? await client.status().hasLeader) == true }
        return try await body(client)
    }
}

func withEtcd<Result: Sendable>(
    _ body: (EtcdClient) async throws -> Result
) async throws -> Result {
    let server = try EtcdServer()
    defer { server.stop() }
    return try await withClient([server.endpoint], body)
}

struct Late: Error {}

/// Waits until something is so, for at most 30 s.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw Late() }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// One consumer of a stream, which waits for each element for at most 30 s.
final class Listener<Element: Sendable> {
    private let stream: AsyncStream<Element>

    init(_ stream: AsyncStream<Element>) { self.stream = stream }

    func next() async throws -> Element {
        try await withThrowingTaskGroup { [stream] group in
            defer { group.cancelAll() }
            group.addTask {
                for await element in stream { return element }
                throw Late()
            }
            group.addTask {
                try await Task.sleep(for: .seconds(30))
                throw Late()
            }
            guard let element = try await group.next() else { throw Late() }
            return element
        }
    }

    /// The next one for which `choose` isn't nil; the others are passed over.
    func next<Choice>(_ choose: (Element) -> Choice?) async throws -> Choice {
        while true {
            if let choice = choose(try await next()) { return choice }
        }
    }
}

extension LeaseHolder {
    static func named(_ node: String) -> LeaseHolder { LeaseHolder(node: node, instance: 7) }
}

extension LeaseTenure {
    /// What a publisher with this token believes to have.
    static func held(by node: String, token: UInt64) -> LeaseTenure {
        LeaseTenure(
            holder: .named(node), token: token, until: Instant(nanoseconds: .max), epoch: 1,
            identities: 0)
    }
}

extension EtcdLeaseStore {
    /// Takes the lease, whoever has it.
    func seize(for node: String) async throws -> LeaseTenure {
        let state = try await read()
        let token = (state?.record.token ?? 0) + 1
        let record = LeaseRecord(
            holder: .named(node), token: token, epoch: state?.record.epoch ?? 0, identities: 0)
        guard case .swapped = try await swap(record, replacing: state?.version) else {
            throw Late()
        }
        return .held(by: node, token: token)
    }
}
