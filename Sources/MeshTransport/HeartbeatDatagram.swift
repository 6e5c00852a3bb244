// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

/// A sealed heartbeat: version (1 byte), key ID (8), counter (8), ciphertext and tag; numbers in
/// network byte order. ChaCha20-Poly1305; the header is authenticated, the nonce is four zero bytes
/// and the counter. Gossip has the same form under a version of its own.
enum HeartbeatDatagram {
    static let version: UInt8 = 1
    static let gossipVersion: UInt8 = 2
    static let headerBytes = 17
    static let tagBytes = 16
    /// Ciphertext and tag.
    static let ciphertextMaximum = 1_200
    static let plaintextMaximum = ciphertextMaximum - tagBytes
    static let bytesMaximum = headerBytes + ciphertextMaximum

    struct Header: Hashable {
        var version = HeartbeatDatagram.version
        let keyID: UInt64
        let counter: UInt64

        var encoded: [UInt8] {
            var writer = ByteWriter()
            writer.write(version)
            writer.write(keyID)
            writer.write(counter)
            return writer.bytes
        }
    }

    /// Nil when `plaintext` is too long.
    static func seal(_ plaintext: [UInt8], header: Header, key: SymmetricKey) -> [UInt8]? {
        guard plaintext.count <= plaintextMaximum else { return nil }
        let head = header.encoded
        guard let nonce = nonce(header.counter),
            let box = try? ChaChaPoly.seal(
                plaintext, using: key, nonce: nonce, authenticating: head)
        else { return nil }
        return head + box.ciphertext + box.tag
    }

    /// Nil for a datagram of another version or an impossible length.
    static func parse(_ datagram: [UInt8], version: UInt8 = version) -> Header? {
        guard (headerBytes + tagBytes...bytesMaximum).contains(datagram.count),
            datagram[0] == version
        else { return nil }
        func number(at start: Int) -> UInt64 {
            datagram[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
        return Header(version: version, keyID: number(at: 1), counter: number(at: 9))
    }

    /// Nil for a datagram that the key's holder didn't seal. `datagram` must have been parsed.
    static func open(_ datagram: [UInt8], header: Header, key: SymmetricKey) -> [UInt8]? {
        guard let nonce = nonce(header.counter),
            let box = try? ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: datagram[headerBytes..<datagram.count - tagBytes],
                tag: datagram.suffix(tagBytes)),
            let plaintext = try? ChaChaPoly.open(
                box, using: key, authenticating: datagram.prefix(headerBytes))
        else { return nil }
        return Array(plaintext)
    }

    private static func nonce(_ counter: UInt64) -> ChaChaPoly.Nonce? {
        var writer = ByteWriter()
        writer.write(UInt32(0))
        writer.write(counter)
        return try? ChaChaPoly.Nonce(data: writer.bytes)
    }
}
