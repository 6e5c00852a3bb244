// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What is told of one member: all that gossip and tables consist of.
struct Statement: Hashable, Sendable {
    let name: String
    /// Never unknown.
    let state: MemberState
    let incarnation: UInt32
    /// Of a suspect or dead member, the first accuser first.
    var accusers: [String]
}

/// Body of a statement, numbers in network byte order:
///
///     0 state  1 incarnation  5 name (length, bytes)  accusers (count, names)  what is ignored
extension Statement {
    var encodedCount: Int {
        accusers.reduce(7 + name.utf8.count) { $0 + 1 + $1.utf8.count }
    }

    func write(to writer: inout ByteWriter) {
        writer.write(state.rawValue)
        writer.write(incarnation)
        writer.write(name: name)
        writer.write(UInt8(accusers.count))
        for accuser in accusers { writer.write(name: accuser) }
    }

    /// A later version may append to what this one reads.
    init(from reader: inout ByteReader) throws(DecodingFault) {
        guard let state = MemberState(rawValue: try reader.read()), state != .unknown else {
            throw .invalid("state")
        }
        self.state = state
        incarnation = try reader.read()
        name = try reader.readName()
        let count = Int(try reader.read(UInt8.self))
        guard count <= MembershipParameters.Limit.accusers else { throw .tooLong("accusers") }
        var accusers: [String] = []
        for _ in 0..<count { accusers.append(try reader.readName()) }
        self.accusers = accusers
    }
}

extension ByteWriter {
    /// 1...253 bytes behind an 8-bit length.
    mutating func write(name: String) {
        write(UInt8(name.utf8.count))
        write(raw: name.utf8)
    }
}

extension ByteReader {
    mutating func readName() throws(DecodingFault) -> String {
        let count = Int(try read(UInt8.self))
        guard count > 0 else { throw .invalid("name") }
        guard count <= MembershipParameters.Limit.name else { throw .tooLong("name") }
        guard let name = String(validating: try read(raw: count), as: UTF8.self) else {
            throw .invalid("name")
        }
        return name
    }
}
