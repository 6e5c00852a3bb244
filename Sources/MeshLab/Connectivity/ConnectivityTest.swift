// SPDX-License-Identifier: Apache-2.0

public import MeshAdmin
import Netlink

/// Asks between endpoints of its own who reaches whom, and takes them away again.
///
/// In a lab: between nodes and clusters, through services, past a policy, and while a service moves
/// to another cluster and back. On one node: between two endpoints of it, and to servers that
/// ``ConnectivityServer`` has put elsewhere. Nothing of anybody else's is touched.
public struct ConnectivityTest: Sendable {
    /// Checks under way at a time: most only wait.
    static let checksAtOnceMax = 8
    /// How long every agent may take until it knows all endpoints, services or the policy.
    static let knowledgeLimit = Duration.seconds(15)

    let sites: [ConnectivitySite]
    /// Nil on one node: services and policies need the manifests of all.
    let lab: Lab?
    /// Servers elsewhere.
    let remotes: [ConnectivityEndpoint]
    let stage: ConnectivityStage
    let report: @Sendable ([ConnectivityResult]) -> Void

    /// In a lab that is up.
    ///
    /// - Parameter report: gets the results of a group of checks as soon as all of it have ended.
    public init(
        in lab: Lab, report: @escaping @Sendable ([ConnectivityResult]) -> Void
    ) {
        self.lab = lab
        self.report = report
        sites = lab.connectivitySites()
        remotes = []
        stage = ConnectivityStage(
            sites: sites, executable: lab.executable,
            folder: "\(lab.plan.stateFolder)/connectivity")
    }

    /// On the node of one agent.
    ///
    /// - Parameters:
    ///   - agent: through its administration socket.
    ///   - servers: addresses of servers elsewhere.
    ///   - report: as above.
    public init(
        on agent: AdminClient, servers: [String],
        report: @escaping @Sendable ([ConnectivityResult]) -> Void
    ) async throws {
        lab = nil
        self.report = report
        let site = try await ConnectivitySite.node(agent, serverOnly: false)
        sites = [site]
        let known = try await agent.endpoints()
            .filter { $0.namespace == ConnectivitySite.objectNamespace }
        remotes = try servers.map { address throws(LabError) in
            guard let endpoint = known.first(where: { $0.addresses.contains(address) }) else {
                throw LabError(
                    .notFound,
                    "this node knows no server of the test at \(address): run 'weft connectivity "
                        + "serve' there, and take the addresses that it prints")
            }
            return ConnectivityEndpoint(
                serverOf: endpoint.cluster.name, node: endpoint.node, address: address)
        }
        stage = ConnectivityStage(
            sites: sites, executable: try Lab.ownExecutable(), folder: "/run/weft-connectivity-test"
        )
    }

    /// Runs every check and removes what it made, also if it is cancelled.
    ///
    /// - Returns: what ``report`` got, in its order. A cancelled test has only what it got to.
    /// - Throws: what kept it from beginning, or ``LabError`` with what it couldn't remove.
    public func run() async throws -> [ConnectivityResult] {
        let claim = try ConnectivityClaim(folder: stage.folder)
        _ = await stage.remove()  // the same is removed again in the end, and failures are told
        var run = ConnectivityRun(test: self)
        var failure: (any Error)?
        do {
            try await run.play()
        } catch {
            failure = error
        }
        // A task of its own isn't cancelled with this one.
        let removal = await Task { [stage] in
            let failures = await stage.remove()
            guard failures.isEmpty else { return failures }
            do {
                try LabFolder.remove(stage.folder)
                try await stage.awaitOblivion()
                return []
            } catch {
                return ["\(error)"]
            }
        }.value
        withExtendedLifetime(claim) {}
        guard removal.isEmpty else {
            throw LabError(
                .failed,
                "not everything could be removed: \(removal.joined(separator: "; ")); the next "
                    + "run tries again")
        }
        if let failure, !(failure is CancellationError) { throw failure }
        return run.results
    }

    /// Of the link that an endpoint got; nil without one.
    static func mtu(of endpoint: ConnectivityEndpoint) throws -> UInt32? {
        var socket = try RouteSocket(in: try NetworkNamespace(named: endpoint.networkNamespace))
        return try socket.link(named: LabNetwork.interface)?.mtu
    }
}
