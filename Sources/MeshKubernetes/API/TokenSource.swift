// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Synchronization

/// A bearer token that rotates under its holder: the kubelet replaces the file well before the old
/// one expires.
final class TokenSource: Sendable {
    /// How long a token is used before its file is looked at again.
    static let lifetime = Duration.seconds(30)
    private static let maximumBytes = 64 << 10

    private struct State {
        var token: String?
        var readAt: Instant?
    }

    private let credentials: KubernetesConfiguration.Credentials
    private let state = Mutex(State())

    init(_ credentials: KubernetesConfiguration.Credentials) {
        self.credentials = credentials
    }

    /// Nil if this client shows none.
    ///
    /// - Throws: ``KubernetesError`` `.configuration` if there is no token; one that was read before
    ///   goes on being used while its file is missing.
    func token(at now: Instant) throws(KubernetesError) -> String? {
        switch credentials {
        case .none, .certificate: return nil
        case .token(let token): return try Self.checked(Array(token.utf8))
        case .tokenFile(let path):
            let former = state.withLock { $0 }
            if let token = former.token, let readAt = former.readAt, now < readAt + Self.lifetime {
                return token
            }
            do throws(KubernetesError) {
                let bytes = try KubernetesConfiguration.Material.file(path: path).read(as: "token")
                let token = try Self.checked(bytes)
                state.withLock { $0 = State(token: token, readAt: now) }
                return token
            } catch {
                guard let token = former.token else { throw error }
                return token
            }
        }
    }

    /// The server didn't accept the token: the next request reads the file again.
    func refuse() { state.withLock { $0.readAt = nil } }

    /// White space around it is an editor's. Anything but visible ASCII could end the header.
    private static func checked(_ bytes: [UInt8]) throws(KubernetesError) -> String {
        let isSpace: (UInt8) -> Bool = { $0 <= 0x20 }
        let token = Array(bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
        guard !token.isEmpty, token.count <= maximumBytes,
            token.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { throw KubernetesError(.configuration, "the token isn't one") }
        return String(decoding: token, as: UTF8.self)
    }
}
