// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

extension ManifestField {
    /// `toPorts` or `icmps` of a rule; nil if it has neither.
    func ciliumPorts() throws(ManifestFault) -> [PortMatcher]? {
        let toPorts = try self["toPorts"]
        let icmps = try self["icmps"]
        guard toPorts.isNull || icmps.isNull else {
            throw icmps.fault("can't stand beside toPorts; make it a rule of its own")
        }
        var ports: [PortMatcher] = []
        for item in try toPorts.elements(max: 40) {
            try item.allow(only: ["ports"], unsupported: unsupportedInPorts)
            for port in try item["ports"].requiredElements(max: 40) {
                ports += try port.ciliumPort()
            }
        }
        for item in try icmps.elements(max: 40) {
            try item.allow(only: ["fields"])
            for field in try item["fields"].requiredElements(max: 40) {
                ports.append(try field.icmpType())
            }
        }
        return ports.isEmpty ? nil : ports
    }

    private func ciliumPort() throws(ManifestFault) -> [PortMatcher] {
        try allow(only: ["port", "endPort", "protocol"])
        let transports = try ciliumTransports()
        let portField = try self["port"]
        let text = try portField.requiredString()
        let endField = try self["endPort"]
        // Zero is what the API has for none.
        let end = try endField.integer(in: 0...65_535).flatMap { $0 == 0 ? nil : UInt16($0) }
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            guard end == nil else { throw endField.fault("needs a port with a number") }
            return [.named(try portField.portName(), transports.count == 1 ? transports[0] : nil)]
        }
        guard let first = UInt16(text) else {
            throw portField.fault("is \(text); must be 0...65535")
        }
        if first == 0 {
            guard end == nil else { throw endField.fault("needs a port other than 0") }
            guard transports.count == 1 else {
                throw portField.fault("is 0 without a protocol; leave toPorts out to mean all")
            }
            return [.all(transports[0])]
        }
        guard first <= end ?? first else { throw endField.fault("is less than port, \(first)") }
        return transports.map { .range(protocolNumber: $0.rawValue, first...(end ?? first)) }
    }

    /// All of them if it says ANY or nothing.
    private func ciliumTransports() throws(ManifestFault) -> [TransportProtocol] {
        let field = try self["protocol"]
        let text = try field.string() ?? "ANY"
        if text.isEmpty || text == "ANY" { return TransportProtocol.allCases }
        guard let transport = TransportProtocol(text) else {
            throw field.fault("is \"\(text)\"; must be TCP, UDP, SCTP or ANY")
        }
        return [transport]
    }

    private func icmpType() throws(ManifestFault) -> PortMatcher {
        try allow(only: ["family", "type"])
        let familyField = try self["family"]
        let isIPv6: Bool
        switch try familyField.string() ?? "IPv4" {
        case "IPv4", "": isIPv6 = false
        case "IPv6": isIPv6 = true
        case let text: throw familyField.fault("is \"\(text)\"; must be IPv4 or IPv6")
        }
        let typeField = try self["type"]
        let type: UInt16
        if typeField.isNumber {
            type = UInt16(try typeField.integer(in: 0...255) ?? 0)
        } else {
            let text = try typeField.requiredString()
            let known = isIPv6 ? icmpv6Types : icmpTypes
            guard let number = known[text] ?? UInt8(text).map(UInt16.init) else {
                throw typeField.fault(
                    "is \"\(text)\"; must be 0...255 or one of "
                        + known.keys.sorted().joined(separator: ", "))
            }
            type = number
        }
        return .range(
            protocolNumber: isIPv6 ? PolicyTraffic.icmpv6 : PolicyTraffic.icmp, type...type)
    }
}

private let icmpTypes: [String: UInt16] = [
    "EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "EchoRequest": 8,
    "TimeExceeded": 11, "ParameterProblem": 12, "Timestamp": 13, "TimestampReply": 14,
]

private let icmpv6Types: [String: UInt16] = [
    "DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4,
    "EchoRequest": 128, "EchoReply": 129,
]

private let unsupportedInPorts = [
    "rules": "requests within connections aren't looked into",
    "terminatingTLS": "connections aren't decrypted",
    "originatingTLS": "connections aren't encrypted on behalf of workloads",
    "serverNames": "connections aren't looked into",
    "listener": "connections aren't sent through a proxy",
]
