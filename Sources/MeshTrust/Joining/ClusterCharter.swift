// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a cluster asks to be allowed to announce, as `charter:` in `peers.d/NAME.yaml` says it.
public struct ClusterCharter: Hashable, Sendable {
    /// Nil: what the importer grants by default.
    public struct Quota: Hashable, Sendable {
        public var endpoints: UInt32?
        public var services: UInt32?
        public var records: UInt32?
        /// Bytes of one record's value.
        public var valueBytes: UInt32?
        public var recordsPerSecond: UInt32?
        public var burst: UInt32?

        public init() {}

        static var fields: [WritableKeyPath<Quota, UInt32?>] {
            [\.endpoints, \.services, \.records, \.valueBytes, \.recordsPerSecond, \.burst]
        }
    }

    /// Of its pods and nodes, sorted, 1...64; no other cluster's may overlap.
    public let podPrefixes: [Prefix]
    /// Nil: any. They mean nothing elsewhere, so they may overlap.
    public let serviceCIDRs: [Prefix]?
    /// Patterns, `!` in front of what is excluded; nil: all.
    public let namespaces: [String]?
    public let quota: Quota

    /// Nil without pod prefixes, or above ``JoinLimit``.
    public init?(
        podPrefixes: [Prefix], serviceCIDRs: [Prefix]? = nil, namespaces: [String]? = nil,
        quota: Quota = Quota()
    ) {
        guard (1...JoinLimit.prefixes).contains(podPrefixes.count),
            (serviceCIDRs?.count ?? 0) <= JoinLimit.prefixes,
            (namespaces?.count ?? 0) <= JoinLimit.namespacePatterns,
            namespaces.map(Self.areUsable) ?? true
        else { return nil }
        self.podPrefixes = podPrefixes.sorted()
        self.serviceCIDRs = serviceCIDRs?.sorted()
        self.namespaces = namespaces?.sorted()
        self.quota = quota
    }

    /// What excludes alone allows none, what stands there twice is a mistake: as in the file.
    private static func areUsable(_ patterns: [String]) -> Bool {
        patterns.allSatisfy(isPattern) && patterns.contains { !$0.hasPrefix("!") }
            && Set(patterns.map { $0.drop { $0 == "!" } }).count == patterns.count
    }

    /// A name, or the beginning of one with a `*` behind it; `!` in front of what is excluded.
    private static func isPattern(_ text: String) -> Bool {
        let pattern = text.utf8.first == UInt8(ascii: "!") ? text.dropFirst() : text[...]
        return (1...JoinLimit.namespacePatternBytes).contains(text.utf8.count) && !pattern.isEmpty
            && (pattern == "*" || pattern.dropLast().utf8.allSatisfy(isNameByte))
            && pattern.utf8.suffix(1).allSatisfy { isNameByte($0) || $0 == UInt8(ascii: "*") }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "-")
    }

    /// Whether it allows nothing that `other` doesn't; it then needs nobody's acceptance.
    public func isWithin(_ other: ClusterCharter) -> Bool {
        Self.hold(other.podPrefixes, podPrefixes)
            && (other.serviceCIDRs.map { granted in
                serviceCIDRs.map { Self.hold(granted, $0) } ?? false
            } ?? true)
            && namespacesAreWithin(other.namespaces)
            && Quota.fields.allSatisfy { field in
                // The importer's default isn't known here: whatever replaces it may be more.
                quota[keyPath: field] == other.quota[keyPath: field]
                    || (quota[keyPath: field] ?? .max) < (other.quota[keyPath: field] ?? 0)
            }
    }

    /// The first pod prefixes that both claim.
    public func overlap(_ other: ClusterCharter) -> (own: Prefix, other: Prefix)? {
        for own in podPrefixes {
            if let found = other.podPrefixes.first(where: { $0.overlaps(own) }) {
                return (own, found)
            }
        }
        return nil
    }

    private static func hold(_ granted: [Prefix], _ asked: [Prefix]) -> Bool {
        asked.allSatisfy { one in
            granted.contains { $0.length <= one.length && $0.overlaps(one) }
        }
    }

    /// The most specific pattern decides, so fewer that allow and more that forbid never add a name.
    private func namespacesAreWithin(_ granted: [String]?) -> Bool {
        guard let granted else { return true }
        guard let namespaces else { return false }
        let old = Set(granted)
        let new = Set(namespaces)
        return new.filter { !$0.hasPrefix("!") }.isSubset(of: old)
            && old.filter { $0.hasPrefix("!") }.isSubset(of: new)
    }
}

extension ClusterCharter {
    func encode(into writer: inout ByteWriter) {
        writer.write(podPrefixes)
        writer.write(serviceCIDRs != nil)
        if let serviceCIDRs { writer.write(serviceCIDRs) }
        writer.write(namespaces != nil)
        if let namespaces { writer.write(list: namespaces) { $0.write($1) } }
        for field in Quota.fields {
            writer.write(quota[keyPath: field] != nil)
            if let value = quota[keyPath: field] { writer.write(value) }
        }
    }

    init(from reader: inout ByteReader) throws(DecodingFault) {
        let podPrefixes = try reader.readPrefixes()
        let serviceCIDRs = try reader.readBool() ? try reader.readPrefixes() : nil
        var namespaces: [String]?
        if try reader.readBool() {
            namespaces = try reader.readList(max: JoinLimit.namespacePatterns, "namespaces") {
                reader throws(DecodingFault) in
                try reader.readString(max: JoinLimit.namespacePatternBytes, "namespace")
            }
        }
        var quota = Quota()
        for field in Quota.fields where try reader.readBool() {
            quota[keyPath: field] = try reader.read(UInt32.self)
        }
        guard
            let charter = ClusterCharter(
                podPrefixes: podPrefixes, serviceCIDRs: serviceCIDRs, namespaces: namespaces,
                quota: quota)
        else { throw .invalid("charter") }
        self = charter
    }
}
