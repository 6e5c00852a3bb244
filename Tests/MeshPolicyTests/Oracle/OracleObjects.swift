// SPDX-License-Identifier: Apache-2.0

/// Objects as the APIs describe them, for an evaluator that shares nothing with the engine. Written
/// as JSON they are what the engine reads.
struct OracleSelector {
    struct Expression {
        let key: String
        let operation: String
        let values: [String]
    }

    var labels: [(key: String, value: String)] = []
    var expressions: [Expression] = []
}

enum OraclePeer {
    /// NetworkPolicy: nil is a selector that isn't there.
    case pods(pods: OracleSelector?, namespaces: OracleSelector?)
    case block(OracleBlock, except: [OracleBlock])
    case networks([OracleBlock])
    /// CiliumNetworkPolicy's endpoints; `namespaced` names the policy's namespace.
    case cilium(OracleSelector, namespaced: String?)
    case ciliumBlock(OracleBlock, except: [OracleBlock])
    case entity(String)
}

enum OraclePort {
    /// Nil ports are all of the protocol.
    case numbers(protocol: String, first: Int?, last: Int?)
    /// Nil protocol is any.
    case named(String, protocol: String?)
    case icmp(isIPv6: Bool, type: Int)
}

struct OracleRule {
    var action = "Accept"
    /// Nil: not said.
    var peers: [OraclePeer]?
    var ports: [OraclePort]?
}

struct OraclePolicy {
    enum Kind: CaseIterable {
        case network, cluster, admin, baselineAdmin, cilium, ciliumClusterwide
    }

    var kind: Kind
    var namespace = ""
    var name: String
    /// Of a ClusterNetworkPolicy.
    var isBaseline = false
    var priority = 0
    var subjectPods = OracleSelector()
    /// Nil selects by pods alone, in the policy's namespace if it has one.
    var subjectNamespaces: OracleSelector?
    /// Nil is not said.
    var types: [String]?
    /// Cilium's switch, by direction; nil is not said.
    var defaultDeny: (ingress: Bool?, egress: Bool?) = (nil, nil)
    /// Nil is not said.
    var ingress: [OracleRule]?
    var egress: [OracleRule]?
}

struct OracleBlock {
    let address: OracleAddress
    let length: Int

    /// By comparing bit by bit from the front.
    func contains(_ other: OracleAddress) -> Bool {
        guard address.isIPv6 == other.isIPv6 else { return false }
        let width = address.isIPv6 ? 128 : 32
        return (0..<length).allSatisfy { bit in
            address.bits >> UInt128(width - 1 - bit) & 1 == other.bits >> UInt128(width - 1 - bit)
                & 1
        }
    }

    var text: String { "\(address.text)/\(length)" }
}

struct OracleAddress: Equatable {
    let isIPv6: Bool
    let bits: UInt128

    var text: String {
        if isIPv6 {
            return stride(from: 112, through: 0, by: -16).map {
                String(bits >> UInt128($0) & 0xffff, radix: 16)
            }
            .joined(separator: ":")
        }
        return stride(from: 24, through: 0, by: -8).map { "\(bits >> UInt128($0) & 0xff)" }
            .joined(separator: ".")
    }
}

struct OraclePod {
    let cluster: String
    let namespace: String
    let labels: [String: String]
    let ports: [(name: String, protocol: String, number: Int)]
    let address: OracleAddress
}

/// The other side of a flow.
enum OracleEnd {
    case pod(OraclePod)
    case host(OracleAddress)
    case remoteNode(OracleAddress)
    case health(OracleAddress)
    case world(OracleAddress)

    var address: OracleAddress {
        switch self {
        case .pod(let pod): pod.address
        case .host(let address), .remoteNode(let address), .health(let address),
            .world(let address):
            address
        }
    }
}

struct OracleTraffic {
    /// TCP, UDP, SCTP, ICMP, ICMPv6 or a number.
    let `protocol`: String
    /// Or the ICMP type.
    let port: Int
}
