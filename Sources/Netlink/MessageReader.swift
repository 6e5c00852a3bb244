// SPDX-License-Identifier: Apache-2.0

/// One message of a datagram from the kernel.
struct Message {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    let payload: ArraySlice<UInt8>

    /// Splits a datagram into its messages.
    ///
    /// - Returns: nil if a length is below the header's or reaches past the end.
    static func split(_ datagram: ArraySlice<UInt8>) -> [Message]? {
        var rest = datagram
        var messages: [Message] = []
        while !rest.isEmpty {
            guard let length = rest.number(UInt32.self, at: 0),
                let type = rest.number(UInt16.self, at: 4),
                let flags = rest.number(UInt16.self, at: 6),
                let sequence = rest.number(UInt32.self, at: 8),
                length >= UInt32(MessageWriter.headerLength), Int(length) <= rest.count
            else { return nil }
            let payload = rest.prefix(Int(length)).dropFirst(MessageWriter.headerLength)
            messages.append(
                Message(type: type, flags: flags, sequence: sequence, payload: payload))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return messages
    }
}

/// The attributes of a message or of a nest, by type. The last one of a type wins, as in the kernel.
struct Attributes {
    /// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` are no part of the type.
    private static let typeMask: UInt16 = 0x3fff

    private var values: [UInt16: ArraySlice<UInt8>] = [:]

    /// - Returns: nil if a length is below the header's or reaches past the end.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while rest.count >= 4 {
            guard let length = rest.number(UInt16.self, at: 0),
                let type = rest.number(UInt16.self, at: 2),
                length >= 4, Int(length) <= rest.count
            else { return nil }
            values[type & Self.typeMask] = rest.prefix(Int(length)).dropFirst(4)
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
    }

    subscript(type: UInt16) -> ArraySlice<UInt8>? { values[type] }

    func number<Value: FixedWidthInteger>(_ type: UInt16, as _: Value.Type) -> Value? {
        values[type]?.number(Value.self, at: 0)
    }

    /// Up to the first zero byte; bytes that are no UTF-8 are replaced.
    func text(_ type: UInt16) -> String? {
        values[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The attributes inside; nil if there is no such nest or it doesn't parse.
    func nest(_ type: UInt16) -> Attributes? {
        values[type].flatMap(Attributes.init)
    }
}

extension ArraySlice<UInt8> {
    /// A number in host byte order `offset` bytes behind the slice's start; nil past the end.
    func number<Value: FixedWidthInteger>(_: Value.Type, at offset: Int) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, offset + size <= count else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
    }
}
