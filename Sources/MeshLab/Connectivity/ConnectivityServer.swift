// SPDX-License-Identifier: Apache-2.0

public import MeshAdmin

/// A server on the node of one agent, which tests on other nodes ask.
public struct ConnectivityServer: Sendable {
    private let site: ConnectivitySite
    private let stage: ConnectivityStage

    /// - Parameter agent: through its administration socket.
    public init(on agent: AdminClient) async throws {
        site = try await ConnectivitySite.node(agent, serverOnly: true)
        stage = ConnectivityStage(
            sites: [site], executable: try Lab.ownExecutable(),
            folder: "/run/weft-connectivity-serve")
    }

    /// Serves until the task is cancelled, and removes what it made.
    ///
    /// - Parameter ready: gets the server's addresses.
    public func run(ready: ([String]) -> Void) async throws {
        let claim = try ConnectivityClaim(folder: stage.folder)
        _ = await stage.remove()  // as a test does
        var failure: (any Error)?
        do {
            ready(try await stage.build(site).flatMap(\.addresses))
            while true { try await Task.sleep(for: .seconds(3600)) }
        } catch {
            failure = error
        }
        let rest = await Task { [stage] in await stage.remove() }.value
        try LabFolder.remove(stage.folder)
        withExtendedLifetime(claim) {}
        guard rest.isEmpty else { throw LabError(.failed, rest.joined(separator: "; ")) }
        if let failure, !(failure is CancellationError) { throw failure }
    }
}
