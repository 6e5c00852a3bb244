// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Yams

/// What one file of manifests says: any number of YAML or JSON documents and lists of them.
struct ManifestFile {
    static let maximumBytes = 4 << 20
    static let maximumDocuments = 10_000
    /// Aliases multiply what they stand for (3^(n/3) times at worst), and hashing a mapping's keys
    /// walks all of it; so few, and only in small files.
    static let maximumAliases = 16
    static let maximumBytesWithAliases = 64 << 10
    static let maximumFaults = 16

    private(set) var objects: [ManifestKey: ManifestObject] = [:]
    /// Objects that Weft doesn't use, by `apiVersion kind`.
    private(set) var ignored: [String: Int] = [:]
    /// In the order of the file; not empty means that the rest is not to be used.
    private(set) var faults: [ManifestFault] = []

    private var documents = 0

    init(bytes: [UInt8]) {
        do throws(ManifestFault) {
            try parse(bytes)
        } catch {
            faults.append(error)
        }
    }

    private mutating func parse(_ bytes: [UInt8]) throws(ManifestFault) {
        guard bytes.count <= Self.maximumBytes else {
            throw ManifestFault(
                line: 0, message: "the file is larger than \(Self.maximumBytes >> 20) MiB; split it"
            )
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ManifestFault(line: 0, message: "the file is not UTF-8; save it as UTF-8")
        }
        try Self.refuseAliasBomb(bytes)
        do {
            // `basic` leaves scalars as they stand: ManifestField judges them where they are used.
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            while !isExhausted, let root = try parser.nextRoot() {
                take(ManifestField(root: root))
            }
        } catch let error as YamlError {
            throw ManifestFault(error, text: bytes)
        } catch {
            throw ManifestFault(line: 0, message: "the file can't be parsed: \(error)")
        }
    }

    private mutating func take(_ root: ManifestField, in list: ManifestField? = nil) {
        if root.isNull { return }
        do throws(ManifestFault) {
            let kind = try kind(of: root, in: list)
            let items = try root["items"]
            // An API server answers with a NetworkPolicyList or the like.
            if list == nil, kind == "List" || kind.hasSuffix("List") && !items.isNull {
                for item in try items.elements(max: Self.maximumDocuments) where !isExhausted {
                    take(item, in: root)
                }
                return
            }
            try count()
            let version = try version(of: root, in: list)
            if let object = try ManifestObject(root, kind: kind, version: version) {
                try add(object)
            } else {
                ignored["\(version) \(kind)", default: 0] += 1
            }
        } catch {
            faults.append(error)
        }
    }

    /// What it says; in an API server's list, whose items don't repeat it, what the list does.
    private func kind(
        of root: ManifestField, in list: ManifestField?
    ) throws(ManifestFault) -> String {
        let field = try root["kind"]
        guard field.isNull, let kind = try list?["kind"].string(), kind != "List" else {
            return try field.requiredString()
        }
        return String(kind.dropLast("List".count))
    }

    private func version(
        of root: ManifestField, in list: ManifestField?
    ) throws(ManifestFault) -> String {
        let field = try root["apiVersion"]
        guard field.isNull, let list, try list["kind"].string() != "List" else {
            return try field.requiredString()
        }
        return try list["apiVersion"].requiredString()
    }

    /// Enough is known: what follows isn't looked at.
    private var isExhausted: Bool {
        faults.count >= Self.maximumFaults || documents > Self.maximumDocuments
    }

    private mutating func count() throws(ManifestFault) {
        documents += 1
        guard documents <= Self.maximumDocuments else {
            throw ManifestFault(
                line: 0, message: "has more than \(Self.maximumDocuments) objects; split the file")
        }
    }

    private mutating func add(_ object: ManifestObject) throws(ManifestFault) {
        if let first = objects[object.key] {
            throw ManifestFault(
                line: object.line,
                message: "\(object.key) is declared twice, first in line \(first.line); remove one")
        }
        objects[object.key] = object
    }

    /// Counts what may be an alias before the parser resolves any. Text in quotes or comments that
    /// looks like one counts too: better one file too many refused than one bomb let through.
    static func refuseAliasBomb(_ bytes: [UInt8]) throws(ManifestFault) {
        var aliases = 0
        var line = 1
        var previous = UInt8(ascii: "\n")
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            if byte == UInt8(ascii: "*"), index + 1 < bytes.count, Self.mayPrecedeAlias(previous),
                Self.isAliasName(bytes[index + 1])
            {
                aliases += 1
                guard aliases <= Self.maximumAliases, bytes.count <= Self.maximumBytesWithAliases
                else {
                    throw ManifestFault(
                        line: line,
                        message: "too many YAML aliases: \(Self.maximumAliases) are allowed in a "
                            + "file up to \(Self.maximumBytesWithAliases >> 10) KiB, none in a "
                            + "larger one; write the fields out")
                }
            }
            previous = byte
        }
    }

    private static func mayPrecedeAlias(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"),
            UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":"):
            true
        // The last bytes of NEL, LS, PS and the byte order mark, white space to libyaml.
        case 0x85, 0xa8, 0xa9, 0xbf: true
        default: false
        }
    }

    private static func isAliasName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension ManifestFault {
    init(_ error: YamlError, text: [UInt8]) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(line: mark.line, message: "not valid YAML: \(problem); correct the syntax")
        case .duplicatedKeysInMapping(let keys, let context):
            self.init(
                line: context.mark.line,
                message: "\(keys.joined(separator: ", ")) stands twice in one map; remove one")
        case .reader(let problem, let offset, _, _):
            let newlines = text.prefix(offset ?? 0).count { $0 == UInt8(ascii: "\n") }
            self.init(line: newlines + 1, message: "not valid YAML: \(problem); remove it")
        default:
            self.init(line: 0, message: "not valid YAML: \(error)")
        }
    }
}
