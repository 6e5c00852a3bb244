// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// One page of a list.
public struct ObjectPage: Hashable, Sendable {
    public let objects: [ObjectText]
    /// Of the whole list: all of its pages show the state at this version.
    public let resourceVersion: String
    /// Leads to the next page; nil on the last one.
    public let continueToken: String?
    /// Items without a usable name or version: no consumer could tell them apart.
    public let unusableCount: Int
}

extension ObjectPage {
    /// Largest continuation that is sent back.
    static let maximumTokenBytes = 16 << 10

    /// - Parameter bytes: a `…List` object; bounded by whoever read it.
    /// - Throws: ``JSONFault``: nothing of the page is used.
    init(_ bytes: [UInt8]) throws(JSONFault) {
        var objects: [ObjectText] = []
        var unusableCount = 0
        var version: String?
        var token: String?
        var scanner = JSONScanner(bytes)
        try scanner.members { (key, scanner) throws(JSONFault) in
            switch key {
            case "metadata":
                try scanner.members { (key, scanner) throws(JSONFault) in
                    switch key {
                    case "resourceVersion": version = try scanner.stringOrNull()
                    case "continue": token = try scanner.stringOrNull()
                    default: try scanner.skip()
                    }
                }
            // An empty list may be null.
            case "items" where scanner.peek() == UInt8(ascii: "["):
                try scanner.elements { (scanner) throws(JSONFault) in
                    let range = try scanner.skip()
                    if let object = try ObjectText(in: scanner.bytes, at: range) {
                        objects.append(object)
                    } else {
                        unusableCount += 1
                    }
                }
            default: try scanner.skip()
            }
        }
        try scanner.end()
        guard let version, ObjectText.isVersion(version) else { throw scanner.fault() }
        if let token, token.utf8.count > Self.maximumTokenBytes { throw scanner.fault() }
        self.init(
            objects: objects, resourceVersion: version,
            continueToken: token.flatMap { $0.isEmpty ? nil : $0 }, unusableCount: unusableCount)
    }
}

/// `metadata` of an object, as far as reflectors need it.
struct ObjectMetadata {
    static let endOfInitialEvents = "k8s.io/initial-events-end"

    var name = ""
    var namespace = ""
    var resourceVersion = ""
    var endsInitialEvents = false

    /// Takes `metadata`.
    init(_ scanner: inout JSONScanner) throws(JSONFault) {
        var (name, namespace, version, ends) = ("", "", "", false)
        try scanner.members { (key, scanner) throws(JSONFault) in
            switch key {
            case "name": name = try scanner.stringOrNull() ?? ""
            case "namespace": namespace = try scanner.stringOrNull() ?? ""
            case "resourceVersion": version = try scanner.stringOrNull() ?? ""
            case "annotations" where scanner.peek() == UInt8(ascii: "{"):
                try scanner.members { (key, scanner) throws(JSONFault) in
                    let range = try scanner.skip()
                    guard key == Self.endOfInitialEvents else { return }
                    ends = scanner.bytes[range].elementsEqual("\"true\"".utf8)
                }
            default: try scanner.skip()
            }
        }
        (self.name, self.namespace) = (name, namespace)
        (resourceVersion, endsInitialEvents) = (version, ends)
    }

    /// Nil for what no API server would accept as a name.
    var object: ObjectName? {
        // A path segment, not always a DNS name: RFC 3986 and Kubernetes' own rule of 253 bytes.
        guard !name.isEmpty, name.utf8.count <= 253, !name.contains("/"),
            namespace.utf8.count <= 63,
            !namespace.contains("/"), ObjectText.isVersion(resourceVersion)
        else { return nil }
        return ObjectName(namespace: namespace, name: name)
    }
}

extension ObjectText {
    static let maximumVersionBytes = 128

    /// Nil if it has no usable name or version.
    init?(in bytes: [UInt8], at range: Range<Int>) throws(JSONFault) {
        var scanner = JSONScanner(bytes, from: range.lowerBound)
        var metadata: ObjectMetadata?
        guard scanner.peek() == UInt8(ascii: "{") else { return nil }
        try scanner.members { (key, scanner) throws(JSONFault) in
            if key == "metadata", scanner.peek() == UInt8(ascii: "{") {
                metadata = try ObjectMetadata(&scanner)
            } else {
                try scanner.skip()
            }
        }
        guard let metadata, let name = metadata.object else { return nil }
        self.init(
            name: name, resourceVersion: metadata.resourceVersion,
            json: range.count <= Self.maximumBytes ? Array(bytes[range]) : nil)
    }

    /// It is sent back in a query and compared with itself.
    static func isVersion(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumVersionBytes
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
    }
}
