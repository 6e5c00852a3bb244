// SPDX-License-Identifier: Apache-2.0

/// Appends numbers in network byte order and length-prefixed fields to a byte array.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func write(_ value: some FixedWidthInteger & UnsignedInteger) {
        // One step whatever the width: callers in other modules get this unspecialised.
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// Without a length: the reader must know how many follow.
    public mutating func write(raw: some Sequence<UInt8>) {
        bytes.append(contentsOf: raw)
    }

    /// A 32-bit length, then the bytes.
    public mutating func write(field: some Collection<UInt8>) {
        write(UInt32(field.count))
        bytes.append(contentsOf: field)
    }

    public mutating func write(_ text: String) { write(field: text.utf8) }
    public mutating func write(_ flag: Bool) { bytes.append(flag ? 1 : 0) }
    public mutating func write(_ address: Address) {
        write(address.high)
        write(address.low)
    }
    public mutating func write(_ position: Position) {
        write(position.epoch)
        write(position.revision)
    }

    /// A 32-bit count, then each element as `body` writes it.
    public mutating func write<Element>(
        list: some Collection<Element>, _ body: (inout ByteWriter, Element) -> Void
    ) {
        write(UInt32(list.count))
        for element in list { body(&self, element) }
    }
}

/// Why bytes could not be read. The message is rejected whole and counted; nothing changes.
public enum DecodingFault: Error, Hashable, Sendable {
    case truncated
    /// A count or length above the bound the reader named.
    case tooLong(String)
    case invalid(String)
    case trailingBytes
    case unsupportedVersion(UInt8)
}

/// Reads what ``ByteWriter`` wrote, never past the end; every count and length is bounded by the caller.
public struct ByteReader: Sendable {
    private var rest: ArraySlice<UInt8>

    public init(_ bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }

    public var isAtEnd: Bool { rest.isEmpty }
    public var remaining: Int { rest.count }

    public mutating func read<Value: FixedWidthInteger & UnsignedInteger>(
        _: Value.Type = Value.self
    ) throws(DecodingFault) -> Value {
        let raw = try read(raw: Value.bitWidth / 8)
        var value = Value.zero
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: raw) }
        return Value(bigEndian: value)
    }

    public mutating func read(raw count: Int) throws(DecodingFault) -> ArraySlice<UInt8> {
        guard count <= rest.count else { throw .truncated }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    public mutating func readField(max: Int, _ name: String) throws(DecodingFault) -> ArraySlice<
        UInt8
    > {
        let count = Int(try read(UInt32.self))
        guard count <= max else { throw .tooLong(name) }
        return try read(raw: count)
    }

    public mutating func readString(max: Int, _ name: String) throws(DecodingFault) -> String {
        guard let text = String(validating: try readField(max: max, name), as: UTF8.self)
        else { throw .invalid(name) }
        return text
    }

    public mutating func readBool() throws(DecodingFault) -> Bool {
        switch try read(UInt8.self) {
        case 0: false
        case 1: true
        default: throw .invalid("flag")
        }
    }

    public mutating func readAddress() throws(DecodingFault) -> Address {
        Address(high: try read(), low: try read())
    }

    public mutating func readPosition() throws(DecodingFault) -> Position {
        Position(epoch: try read(), revision: try read())
    }

    public mutating func readList<Element>(
        max: Int, _ name: String,
        _ element: (inout ByteReader) throws(DecodingFault) -> Element
    ) throws(DecodingFault) -> [Element] {
        let count = Int(try read(UInt32.self))
        guard count <= max else { throw .tooLong(name) }
        guard count <= rest.count else { throw .truncated }
        var elements: [Element] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try element(&self)) }
        return elements
    }

    public func finish() throws(DecodingFault) {
        guard isAtEnd else { throw .trailingBytes }
    }
}
