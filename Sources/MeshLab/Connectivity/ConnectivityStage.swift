// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshModel
import Netlink

/// Makes the test's endpoints and takes them away, each by its name: what a crashed test left goes
/// when the next one begins.
struct ConnectivityStage: Sendable {
    /// How long agents may take to forget what was removed.
    static let removalLimit = Duration.seconds(15)

    let sites: [ConnectivitySite]
    /// The program that holds `weft`.
    let executable: String
    /// Files of the test's own.
    let folder: String

    /// Attaches the endpoints of a site and starts its servers.
    ///
    /// - Returns: the endpoints with their addresses; the servers listen.
    func build(_ site: ConnectivitySite) async throws -> [ConnectivityEndpoint] {
        var built: [ConnectivityEndpoint] = []
        for var endpoint in site.endpoints {
            try Task.checkCancellation()
            try LabFolder.make(endpoint.cgroup)
            _ = try NetworkNamespace.create(named: endpoint.networkNamespace)
            let status = try await site.agent.attach(
                AttachRequest(
                    namespace: ConnectivitySite.objectNamespace, name: endpoint.name,
                    labels: endpoint.labels,
                    namespacePath: NetworkNamespace.path(of: endpoint.networkNamespace)))
            endpoint.addresses = status.addresses
            if endpoint.role.serves {
                let log = "\(folder)/\(endpoint.networkNamespace).log"
                let port = ConnectivityEndpoint.port
                let server = try start(
                    ["lab", "serve", "--port", "\(port)"], in: endpoint, output: log)
                try await server.awaitListening(
                    on: [false, true].map { ListeningPort(port: port, isUDP: $0) },
                    name: endpoint.name, log: log)
            }
            built.append(endpoint)
        }
        return built
    }

    /// Starts `weft` with `arguments` in an endpoint.
    func start(
        _ arguments: [String], in endpoint: ConnectivityEndpoint, output: String
    ) throws -> LabProcess {
        try LabProcess(
            LabExec.command(
                executable, namespacePath: NetworkNamespace.path(of: endpoint.networkNamespace),
                cgroup: endpoint.cgroup, name: "weft", [executable] + arguments),
            output: output,
            environment: [
                "WEFT_LAB_CLUSTER": endpoint.cluster, "WEFT_LAB_ENDPOINT": endpoint.name,
            ])
    }

    /// Removes everything that any test of these sites made, but for the folder.
    ///
    /// - Returns: what couldn't be removed, a sentence each.
    func remove() async -> [String] {
        var failures: [String] = []
        func attempt(_ body: () async throws -> Void) async {
            do { try await body() } catch { failures.append("\(error)") }
        }
        for file in sites.flatMap(\.manifestFiles) { await attempt { try LabFolder.remove(file) } }
        for endpoint in sites.flatMap(\.endpoints) {
            await attempt { try await Lab.endProcesses(endpoint.cgroup) }
        }
        for site in sites {
            for endpoint in site.endpoints {
                await attempt { try await detach(endpoint, site.agent) }
                await attempt {
                    try NetworkNamespace.delete(named: endpoint.networkNamespace)
                    if LabFolder.exists(endpoint.cgroup) {
                        guard rmdir(endpoint.cgroup) == 0 else {
                            throw LabError.system("remove cgroup \(endpoint.cgroup)")
                        }
                    }
                }
            }
        }
        return failures
    }

    /// An agent that doesn't answer forgets the endpoint when it returns and finds it gone.
    private func detach(_ endpoint: ConnectivityEndpoint, _ agent: AdminClient) async throws {
        let object = ObjectName(namespace: ConnectivitySite.objectNamespace, name: endpoint.name)
        do {
            try await agent.detach(object)
        } catch let fault as AdminFault where fault.code == .notFound {
            return
        } catch AdminClientError.unreachable, AdminClientError.timedOut {
            return
        }
    }

    /// Waits until no agent that answers knows anything of the test.
    ///
    /// - Throws: ``LabError`` with what is left where.
    func awaitOblivion() async throws {
        for site in sites {
            var rest = ""
            _ = try await awaiting(
                "\(site.node) to forget the test: \(rest)", atMost: Self.removalLimit,
                every: .milliseconds(50)
            ) { () async throws -> Bool? in
                do {
                    rest = try await remains(site.agent)
                } catch AdminClientError.unreachable, AdminClientError.timedOut {
                    return true
                }
                return rest.isEmpty ? true : nil
            }
        }
    }

    /// Of the test's own: whoever else has something in its namespace keeps it.
    private func remains(_ agent: AdminClient) async throws -> String {
        let own = ConnectivitySite.objectNamespace
        let made = Set(sites.flatMap(\.endpoints).map(\.name))
        let endpoints = try await agent.endpoints()
            .filter { $0.namespace == own && made.contains($0.name) && isOurs($0) }
        let services = try await agent.services()
            .filter { $0.namespace == own && ConnectivityManifests.services.contains($0.name) }
        let policies = try await agent.policies()
            .filter { $0.namespace == own && $0.name == ConnectivityManifests.policyName }
        let names =
            endpoints.map { "endpoint \($0.cluster.name):\($0.name)" }
            + services.map { "service \($0.name)" } + policies.map { "policy \($0.name)" }
        return names.joined(separator: ", ")
    }

    /// Another test may be running on other nodes.
    private func isOurs(_ endpoint: EndpointStatus) -> Bool {
        sites.contains { $0.node == endpoint.node && $0.cluster == endpoint.cluster.name }
    }
}

/// Keeps a second test away from the same endpoints until it goes.
final class ConnectivityClaim: Sendable {
    private let descriptor: Int32

    /// Makes the folder, or empties it.
    ///
    /// - Throws: `.exists` while another test has it.
    init(folder: String) throws(LabError) {
        try LabFolder.make(folder)
        descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system("open \(folder)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw LabError(
                .exists, "another connectivity test is running here: wait until it has ended")
        }
        // What a test left that was killed. The folder itself is what is locked: it stays.
        for name in try LabFolder.names(in: folder) { try LabFolder.remove("\(folder)/\(name)") }
    }

    deinit { close(descriptor) }
}
