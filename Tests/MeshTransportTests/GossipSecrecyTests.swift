// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshTransport

@Suite("Gossip secrets stay where they are")
struct GossipSecrecyTests {
    /// Everything a log, a crash report or a debugger's `po` could make of a value.
    private func texts(_ value: some Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return [String(describing: value), String(reflecting: value), "\(value)", dumped]
    }

    /// The ways in which 32 bytes show in a text: hexadecimal, and as elements of an array or lines
    /// of a dump.
    private func traces(of secret: [UInt8]) -> [String] {
        let hexadecimal = secret.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }
        return [
            hexadecimal.prefix(8).joined(), hexadecimal.prefix(8).joined(separator: " "),
            secret.prefix(4).map { "\($0)" }.joined(separator: ", "),
            secret.prefix(4).map { "- \($0)\n" }.joined(),
        ]
    }

    private func bytes(_ key: SymmetricKey) -> [UInt8] { key.withUnsafeBytes { Array($0) } }

    @Test("no description, reflection or dump shows a private key or what is derived from one")
    func descriptions() throws {
        let privateKey = key(1)
        let own = OwnGossipKey(privateKey, madeAt: .zero)
        let peer = OwnGossipKey(key(2), madeAt: .zero)
        let secrets = try #require(
            GossipSecrets(own: own, of: node("a"), remote: peer.publicKey, of: node("b")))
        var sessions = GossipSessions(own: node("a"), key: privateKey, at: .zero)
        _ = sessions.install([node("b"): [peer.publicKey]], at: .zero)
        _ = try sessions.seal([1], for: node("b"))
        let hidden = [
            Array(privateKey.rawRepresentation), bytes(secrets.send), bytes(secrets.receive),
        ]
        // The search finds what isn't hidden.
        #expect(texts(hidden[0])[3].contains(traces(of: hidden[0])[2]) == false)
        #expect(texts(hidden[0])[0].contains(traces(of: hidden[0])[2]))
        for text in texts(own) + texts(secrets) + texts(sessions) {
            for secret in hidden {
                for trace in traces(of: secret) { #expect(!text.contains(trace)) }
            }
        }
        #expect(texts(sessions)[3].contains("OwnGossipKey"))
        for text in texts(own) + texts(secrets) { #expect(text.count < 80) }
    }

    @Test("a socket and its errors show nothing either")
    func socket() throws {
        let socket = DatagramSocket(
            own: node("a"), addresses: [], statistics: TransportStatistics())
        for text in texts(socket) { #expect(!text.contains("Curve25519")) }
        for reason in TransportRejection.allCases {
            #expect(texts(reason).allSatisfy { $0.count < 80 })
        }
    }
}

@Suite("Announced gossip keys on the wire")
struct GossipKeyCodingTests {
    private let keys = (UInt8(1)...3).map { OwnGossipKey(key($0), madeAt: .zero).publicKey }

    private func encoded(_ keys: [GossipKey]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(keys)
        return writer.bytes
    }

    private func decoded(_ bytes: [UInt8]) throws(DecodingFault) -> [GossipKey] {
        var reader = ByteReader(bytes)
        let keys = try reader.readGossipKeys()
        try reader.finish()
        return keys
    }

    @Test("a count and 32 bytes for each, two at most, the newest")
    func layout() throws {
        #expect(encoded([]) == [0])
        #expect(encoded([keys[0]]) == [1] + Array(key(1).publicKey.rawRepresentation))
        #expect(encoded(keys) == encoded([keys[1], keys[2]]))
        for count in 0...2 {
            let some = Array(keys.prefix(count))
            #expect(try decoded(encoded(some)) == some)
        }
        #expect(GossipKey([UInt8](repeating: 1, count: 31)) == nil)
        #expect(GossipKey(keys[0].bytes) == keys[0])
    }

    @Test("cut short or changed, they are refused or read as exactly what they say")
    func mutations() throws {
        let whole = encoded(Array(keys.prefix(2)))
        for length in 0..<whole.count {
            #expect(throws: DecodingFault.truncated) { try decoded(Array(whole.prefix(length))) }
        }
        #expect(throws: DecodingFault.trailingBytes) { try decoded(whole + [0]) }
        for position in whole.indices {
            for bit in 0..<8 {
                var changed = whole
                changed[position] ^= 1 << bit
                if let read = try? decoded(changed) { #expect(encoded(read) == changed) }
            }
        }
        for count in UInt8(3)...255 {
            #expect(throws: DecodingFault.tooLong("gossip keys")) {
                try decoded([count] + whole.dropFirst())
            }
        }
    }
}
