// SPDX-License-Identifier: Apache-2.0

import MeshModel
public import MeshTrust
import Synchronization

/// A node's first certificate, for a token.
public enum NodeEnrolment {
    /// Asks the authority that made the token, and writes key, certificates and the cluster's roots into
    /// the node's folder of trust.
    ///
    /// Interrupted, or refused for a reason that goes away, it is repeated with the same token.
    ///
    /// - Parameters:
    ///   - target: `TOKEN@address`.
    ///   - folder: exists, with mode 0700.
    /// - Throws: ``JoinRefusal``, and what the network or the disk says: nothing is in use.
    public static func join(
        _ target: String, folder: String
    ) async throws -> (credentials: NodeCredentials, clock: ClockDifference) {
        let target = try JoinTarget(parsing: target)
        let key = try NodeKey.pending(in: folder)
        let joiner = try NodeJoiner(token: target.token, key: key, now: unixSeconds())
        let machine = Mutex(joiner)
        let answer = try await JoinExchange.ask(target) { channel throws(TrustError) in
            try machine.withLock { joiner throws(TrustError) in
                try joiner.request(
                    channel: channel, nonce: JoinExchange.nonce(), now: unixSeconds())
            }
        }
        let welcome = try machine.withLock { $0 }.receive(
            answer, now: unixSeconds(), verify: verifyMeshStatement)
        return (try save(welcome, key, in: folder), welcome.clock)
    }

    static func save(
        _ welcome: NodeWelcome, _ key: NodeKey, in folder: String
    ) throws -> NodeCredentials {
        let credentials = try key.credentials(
            chain: welcome.chain, mesh: welcome.identity.domain.mesh)
        try DurableFile(path: "\(folder)/\(TrustMaterial.bundleFile)").write(welcome.bundle.pem())
        try credentials.save(in: folder)
        try NodeKey.settle(in: folder)
        return credentials
    }
}
