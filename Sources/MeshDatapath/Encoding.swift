// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
internal import MeshModel
internal import MeshStore

// Between values of the model, in host byte order, and the kernel's structures.

extension Address {
    init(_ address: weft_address) {
        func pair(_ first: UInt32, _ second: UInt32) -> UInt64 {
            UInt64(UInt32(bigEndian: first)) << 32 | UInt64(UInt32(bigEndian: second))
        }
        self.init(
            high: pair(address.word0, address.word1), low: pair(address.word2, address.word3))
    }
}

extension weft_address {
    init(_ address: Address) {
        func upper(_ half: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: half >> 32).bigEndian }
        func lower(_ half: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: half).bigEndian }
        self.init(
            word0: upper(address.high), word1: lower(address.high),
            word2: upper(address.low), word3: lower(address.low))
    }
}

extension weft_frontend_key {
    init(_ key: FrontendKey) {
        self.init(
            address: weft_address(key.address), port: key.port.bigEndian,
            protocol: key.transport.rawValue, pad: 0)
    }
}

extension FrontendKey {
    /// Nil for a protocol that no service has.
    init?(_ key: weft_frontend_key) {
        guard let transport = TransportProtocol(rawValue: key.protocol) else { return nil }
        self.init(
            address: Address(key.address), port: UInt16(bigEndian: key.port), transport: transport)
    }
}

extension weft_backend {
    init(_ backend: Backend, cluster: ClusterID, node: UInt32) {
        self.init(
            address: weft_address(backend.address), port: backend.port.bigEndian,
            cluster: cluster.rawValue, node: node)
    }
}

extension weft_prefix_key {
    init(_ prefix: Prefix) {
        self.init(length: UInt32(prefix.length), address: weft_address(prefix.address))
    }
}

extension Prefix {
    init?(_ key: weft_prefix_key) {
        guard let length = UInt8(exactly: key.length) else { return nil }
        self.init(address: Address(key.address), length: length)
    }
}

extension weft_endpoint {
    init(_ entry: EndpointEntry, node: UInt32) {
        var flags: UInt32 = 0
        if entry.local != nil { flags |= WEFT_ENDPOINT_LOCAL.rawValue }
        if entry.isIsolated { flags |= WEFT_ENDPOINT_ISOLATED.rawValue }
        if entry.isAudited { flags |= WEFT_ENDPOINT_AUDIT.rawValue }
        // The kernel copies the MAC as six bytes in memory order.
        let mac = entry.local?.mac.rawValue ?? 0
        self.init(
            identity: entry.identity.rawValue, node: node, policy_set: entry.policySet,
            ifindex: entry.local?.ifindex ?? 0,
            mac_low: UInt32(truncatingIfNeeded: mac >> 16).bigEndian,
            mac_high: UInt16(truncatingIfNeeded: mac).bigEndian, flags: UInt16(flags))
    }
}

extension weft_cluster_settings {
    init(_ cluster: ClusterID, _ check: SourceCheck) {
        let number =
            switch check {
            case .node: WEFT_SOURCE_CHECK_NODE
            case .clusterPrefixes: WEFT_SOURCE_CHECK_PREFIXES
            case .off: WEFT_SOURCE_CHECK_OFF
            }
        self.init(cluster: cluster.rawValue, source_check: UInt8(number.rawValue), pad: 0)
    }
}

/// Whether two values have the same bytes; for structures whose padding is explicit.
func isSame<Value: BitwiseCopyable>(_ left: Value, _ right: Value) -> Bool {
    withUnsafeBytes(of: left) { left in
        withUnsafeBytes(of: right) { right in left.elementsEqual(right) }
    }
}

func isSame<Value: BitwiseCopyable>(_ left: [Value], _ right: [Value]) -> Bool {
    left.count == right.count
        && left.withUnsafeBytes { left in
            right.withUnsafeBytes { right in left.elementsEqual(right) }
        }
}
