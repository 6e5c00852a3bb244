// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshPolicy

@testable import MeshModel

let modelTargets: [FuzzTarget] = [
    FuzzTarget("record", seeds: recordSeeds, check: checkRecord),
    FuzzTarget("text", seeds: textSeeds, check: checkText),
]

// MARK: Records

/// The first byte says of which kind the rest is.
@Sendable private func checkRecord(_ bytes: [UInt8]) throws {
    guard let first = bytes.first else { return }
    let kinds = RecordKind.allCases
    let rest = Array(bytes.dropFirst())
    switch kinds[Int(first) % kinds.count] {
    case .namespace: try check(rest, as: NamespaceRecord.self)
    case .node: try check(rest, as: NodeRecord.self)
    case .identity: try check(rest, as: IdentityRecord.self)
    case .endpoint: try check(rest, as: EndpointRecord.self)
    case .service: try check(rest, as: ServiceRecord.self)
    case .slice: try check(rest, as: SliceRecord.self)
    case .relays: try check(rest, as: RelaySetRecord.self)
    case .statement: try check(rest, as: StatementRecord.self)
    case .peer: try check(rest, as: PeerRecord.self)
    case .deny: try check(rest, as: DenyListRecord.self)
    case .authority: try check(rest, as: AuthorityRecord.self)
    case .receipt: try check(rest, as: ReceiptRecord.self)
    case .policy: try check(rest, as: PolicyRecord.self)
    case .member: try check(rest, as: MemberRecord.self)
    }
}

private func check<Record: LedgerRecord>(_ bytes: [UInt8], as: Record.Type) throws {
    try checkDecoding(of: bytes, .equal) { bytes throws(DecodingFault) in
        try Record(encoded: bytes)
    } encode: {
        $0.encoded
    }
}

@Sendable private func recordSeeds() throws -> [[UInt8]] {
    let address = Address(ipv4: 0x0a01_0203)
    let ports = [
        ServicePort(name: "web", transport: .tcp, port: 80),
        ServicePort(name: "dns", transport: .udp, port: 53),
    ]
    let object = ObjectName(namespace: "default", name: "echo")
    let records: [any LedgerRecord] = [
        NamespaceRecord(name: "default", labels: ["a": "b"], annotations: ["weft.io/x": "y"]),
        NodeRecord(
            name: "node-1", outerAddresses: [address, Address(high: 0xfd00 << 48, low: 1)],
            podPrefixes: [Prefix(address)], zone: "a", isRelay: true),
        IdentityRecord(identity: Identity(rawValue: 7 << 20 | 256), labels: ["app": "echo"]),
        EndpointRecord(
            object: object, node: "node-1", addresses: [address],
            identity: Identity(rawValue: 0), labels: ["app": "echo", "tier": "web"]),
        ServiceRecord(
            object: object, addresses: [address], ports: ports, isGlobal: true, isShared: true,
            affinity: .local, sessionAffinitySeconds: 10_800),
        SliceRecord(
            object: object, service: "echo", ports: ports,
            endpoints: [
                SliceEndpoint(
                    addresses: [address], isReady: true, isServing: true, isTerminating: false,
                    node: "node-1")
            ]),
        ServiceRecord(
            object: object, addresses: [],
            ports: [
                ServicePort(name: "", transport: .tcp, port: 80, application: "kubernetes.io/h2c")
            ], isGlobal: true, isShared: true, affinity: .none, sessionAffinitySeconds: 0,
            exportedAt: 7,
            exportedMetadata: try ExportedMetadata(
                labels: ["tier": "front"], annotations: ["example.com/a": "b c"]),
            headlessFamilies: [.ipv6, .ipv4]),
        SliceRecord(
            object: object, service: "echo", ports: ports,
            endpoints: [
                SliceEndpoint(
                    addresses: [address], isReady: true, isServing: true, isTerminating: false,
                    node: "node-1", hostname: "web-0")
            ]),
        RelaySetRecord(generation: 7, relays: ["node-1", "node-3"]),
        DenyListRecord(sealed: [1, 2, 3]),
        MemberRecord(name: "node-1", addresses: [address], zone: "a"),
        AuthorityRecord(bundle: "-", root: [1, 2], required: []),
        ReceiptRecord(
            node: "node-1", bundles: [ClusterID(rawValue: 2)!: 7], issuers: [[1], [2]],
            authority: [2]),
        PolicyRecord(
            Policy(
                name: PolicyName(kind: .networkPolicy, namespace: "shop", name: "db"),
                tier: .standard,
                sections: [
                    PolicySection(
                        subject: EndpointSelector([
                            SelectorRequirement(.label("app"), .isIn(["db"]))
                        ]),
                        isolates: [.ingress],
                        ingress: [
                            PolicyRule(
                                path: "spec.ingress[0]", action: .accept,
                                peers: [
                                    .endpoints(
                                        EndpointSelector([
                                            SelectorRequirement(.namespaceLabel("a"), .exists),
                                            SelectorRequirement(.cluster, .isNotIn(["west"])),
                                        ])),
                                    .network(
                                        PolicyNetwork(
                                            prefix: Prefix("10.0.0.0/8")!,
                                            except: [Prefix("10.1.0.0/16")!])),
                                    .entity(.world),
                                ], ports: [.all(.tcp), .named("dns", .udp)])
                        ])
                ])),
    ]
    return try records.map { record in
        guard let kind = RecordKind.allCases.firstIndex(of: type(of: record).kind)
        else { throw BrokenProperty("\(record) has no kind") }
        return [UInt8(kind)] + record.encoded
    }
}

// MARK: Text

@Sendable private func checkText(_ bytes: [UInt8]) throws {
    // The decoders refuse what isn't UTF-8 before they read it.
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    let address = try checkParsing(of: text, as: Address.self)
    try demand(address == systemAddress(text), "\(text) is another address to the system")
    if let prefix = try checkParsing(of: text, as: Prefix.self) {
        try demand(prefix.contains(prefix.address), "\(prefix) lacks its own address")
    }
    if let key = try checkParsing(of: text, as: RecordKey.self) {
        try demand(key.description.utf8.elementsEqual(bytes), "\(text) and \(key) are one key")
    }
    if let name = ClusterName(rawValue: text) {
        try demand(isLabel(name.rawValue), "\(text) is no label")
    }
    if isLabel(text) { try demand(isSubdomain(text), "\(text) is a label and no subdomain") }
    if isSubdomain(text) { try demand(bytes.allSatisfy { $0 < 0x80 }, "\(text) is no DNS name") }
    if let transport = TransportProtocol(text) {
        try demand(transport.description == text, "\(text) is \(transport)")
    }
}

/// The C library's opinion.
private func systemAddress(_ text: String) -> Address? {
    guard !text.utf8.contains(0) else { return nil }
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &bytes) == 1 { return Address(bytes: bytes.prefix(4)) }
    return inet_pton(AF_INET6, text, &bytes) == 1 ? Address(bytes: bytes) : nil
}

@Sendable private func textSeeds() -> [[UInt8]] {
    [
        "10.0.0.1", "fd00::1", "::ffff:192.0.2.1", "::", "1:2:3:4:5:6:7:8", "10.1.0.0/16",
        "fd00:1::/48", "service/default/echo", "slice/default/echo-x7k2p", "identity/7340288",
        "node/node-1.example", "cluster-1", "TCP",
    ].map { Array($0.utf8) }
}
