// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport
import MeshTrust
import Synchronization

/// The question of a join, and its answer, over a connection to whoever made the token.
enum JoinExchange {
    static func nonce() -> [UInt8] { (0..<16).map { _ in .random(in: 0...(.max)) } }

    /// - Parameter request: what to ask over this connection.
    /// - Throws: ``JoinRefusal`` or ``EnrolmentError``: nothing has changed.
    static func ask(
        _ target: JoinTarget,
        request: @escaping @Sendable (JoinChannel) throws(TrustError) -> [UInt8]
    ) async throws -> [UInt8] {
        let refusal = Mutex<JoinRefusal?>(nil)
        let token = target.token
        do throws(EnrolmentError) {
            return try await EnrolmentClient.ask(TransportAddress(target.address)) {
                presented throws(TrustError) in
                let channel: JoinChannel
                do throws(JoinRefusal) {
                    channel = try token.channel(presented: presented)
                } catch {
                    refusal.withLock { $0 = error }
                    throw .noCertificate
                }
                return try request(channel)
            }
        } catch {
            if let refusal = refusal.withLock({ $0 }) { throw refusal }
            throw error
        }
    }
}
