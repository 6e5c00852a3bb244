// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension ServiceRecord {
    /// Nil for an ExternalName service, which is an alias in DNS and has no addresses.
    init?(manifest root: ManifestField) throws(ManifestFault) {
        let spec = try root["spec"]
        guard try spec["type"].string() != "ExternalName" else { return nil }
        let addresses = try clusterAddresses(spec)
        let annotations = try ServiceAnnotations(root["metadata"]["annotations"])
        self.init(
            object: try ObjectName(manifest: root), addresses: addresses,
            ports: try servicePorts(spec, isHeadless: addresses.isEmpty),
            isGlobal: annotations.isGlobal, isShared: annotations.isShared,
            affinity: annotations.affinity,
            sessionAffinitySeconds: try clientIPSeconds(spec),
            isNodeLocal: try staysOnNode(spec), derivedFrom: try derivedService(root),
            distribution: TrafficDistribution(
                manifest: try spec["trafficDistribution"].string() ?? ""),
            headlessFamilies: addresses.isEmpty ? try ipFamilies(spec) : [])
    }

    /// As a ServiceExport makes it: used by other clusters, unless its annotations keep it from them.
    func exported(by export: ServiceExportManifest) -> ServiceRecord {
        ServiceRecord(
            object: object, addresses: addresses, ports: ports, isGlobal: true,
            // Without the annotation `global` nobody said whether it is shared.
            isShared: isShared || !isGlobal, affinity: affinity,
            sessionAffinitySeconds: sessionAffinitySeconds, isNodeLocal: isNodeLocal,
            exportedAt: export.createdAt, derivedFrom: derivedFrom, distribution: distribution,
            exportedMetadata: export.metadata, headlessFamilies: headlessFamilies)
    }
}

extension TrafficDistribution {
    /// core/v1: what an implementation doesn't know it may ignore.
    init(manifest text: String) {
        switch text {
        case "PreferClose", "PreferSameZone": self = .sameZone
        case "PreferSameNode": self = .sameNode
        default: self = .anywhere
        }
    }

    /// As the oldest API servers that know it take it; nil for no preference.
    var manifest: String? {
        switch self {
        case .anywhere: nil
        case .sameZone: "PreferClose"
        case .sameNode: "PreferSameNode"
        }
    }
}

/// Which annotations decide how clusters share a service; Weft's own win over the incumbent's.
private struct ServiceAnnotations {
    let isGlobal: Bool
    let isShared: Bool
    let affinity: ServiceAffinity

    private static let prefixes = ["weft.io/", "service.cilium.io/"]

    init(_ field: ManifestField) throws(ManifestFault) {
        isGlobal = try Self.bool("global", in: field) ?? false
        isShared = try Self.bool("shared", in: field) ?? true && isGlobal
        let (affinityField, text) = try Self.value("affinity", in: field)
        guard let text else {
            affinity = .none
            return
        }
        guard let affinity = ServiceAffinity(rawValue: text) else {
            throw affinityField.fault("is \"\(text)\"; must be \"none\", \"local\" or \"remote\"")
        }
        self.affinity = affinity
    }

    private static func bool(_ name: String, in field: ManifestField) throws(ManifestFault) -> Bool?
    {
        let (field, text) = try value(name, in: field)
        switch text {
        case nil: return nil
        case "true": return true
        case "false": return false
        case let text?: throw field.fault("is \"\(text)\"; must be \"true\" or \"false\"")
        }
    }

    private static func value(
        _ name: String, in annotations: ManifestField
    ) throws(ManifestFault) -> (ManifestField, String?) {
        for prefix in prefixes {
            let field = try annotations[prefix + name]
            if let text = try field.string() { return (field, text) }
        }
        return (annotations, nil)
    }
}

/// Cluster IPs of one or both families; none for a headless service.
private func clusterAddresses(_ spec: ManifestField) throws(ManifestFault) -> [Address] {
    var fields = try spec["clusterIPs"].elements(max: 2)
    if fields.isEmpty { fields = [try spec["clusterIP"]] }
    var addresses: [Address] = []
    for field in fields {
        guard let text = try field.string(), !text.isEmpty else {
            throw field.fault(
                "is missing; a folder has nobody who allocates addresses: write one, or None for "
                    + "a headless service")
        }
        if text == "None" {
            guard fields.count == 1 else { throw field.fault("is None beside an address") }
            return []
        }
        let address = try field.unicastAddress()
        guard !addresses.contains(where: { $0.isIPv4 == address.isIPv4 }) else {
            throw field.fault("is a second address of the same family; one of each is allowed")
        }
        addresses.append(address)
    }
    return addresses
}

/// Of a headless service: nobody else needs to be told.
private func ipFamilies(_ spec: ManifestField) throws(ManifestFault) -> [IPFamily] {
    var families: [IPFamily] = []
    for field in try spec["ipFamilies"].elements(max: 2) {
        let text = try field.requiredString()
        guard let family = IPFamily(text) else {
            throw field.fault("is \"\(text)\"; must be IPv4 or IPv6")
        }
        guard !families.contains(family) else { throw field.fault("is \(text) a second time") }
        families.append(family)
    }
    return families
}

private func servicePorts(
    _ spec: ManifestField, isHeadless: Bool
) throws(ManifestFault) -> [ServicePort] {
    let list = try spec["ports"]
    let fields = try list.elements(max: RecordLimit.ports)
    guard isHeadless || !fields.isEmpty else { throw list.fault("is missing; list at least one") }
    var ports: [ServicePort] = []
    for field in fields {
        let port = try ServicePort(manifest: field)
        guard fields.count == 1 || !port.name.isEmpty else {
            throw try field["name"].fault("is missing; each of several ports needs one")
        }
        guard !ports.contains(where: { $0.name == port.name }) else {
            throw try field["name"].fault("is \"\(port.name)\", as an earlier port's; rename one")
        }
        guard !ports.contains(where: { $0.port == port.port && $0.transport == port.transport })
        else {
            throw try field["port"].fault("is \(port.port)/\(port.transport) a second time")
        }
        ports.append(port)
    }
    return ports
}

/// What a service stands for that Weft made for a ServiceImport; empty for any other.
private func derivedService(_ root: ManifestField) throws(ManifestFault) -> String {
    let field = try root["metadata"]["labels"][SliceRecord.importLabel]
    guard try root.isMarked else { return "" }
    let name = try field.string() ?? ""
    guard name.isEmpty || isLabel(name) else {
        throw field.fault("is \"\(name)\"; must be a DNS label")
    }
    return name
}

/// core/v1: `internalTrafficPolicy` is Cluster if not said.
private func staysOnNode(_ spec: ManifestField) throws(ManifestFault) -> Bool {
    let field = try spec["internalTrafficPolicy"]
    switch try field.string() {
    case nil, "Cluster", "": return false
    case "Local": return true
    case let text?: throw field.fault("is \"\(text)\"; must be Cluster or Local")
    }
}

/// Seconds a client stays with its backend, 0 if it needn't.
private func clientIPSeconds(_ spec: ManifestField) throws(ManifestFault) -> UInt32 {
    let field = try spec["sessionAffinity"]
    switch try field.string() {
    case nil, "None", "": return 0
    case "ClientIP":
        let timeout = try spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        // core/v1: at most a day, three hours if not said.
        return UInt32(try timeout.integer(in: 1...86_400) ?? 10_800)
    case let text?: throw field.fault("is \"\(text)\"; must be None or ClientIP")
    }
}

extension ServicePort {
    init(manifest field: ManifestField) throws(ManifestFault) {
        let nameField = try field["name"]
        let name = try nameField.string() ?? ""
        guard name.isEmpty || isLabel(name) else {
            throw nameField.fault("is \"\(name)\"; must be a DNS label")
        }
        let transportField = try field["protocol"]
        let transportName = try transportField.string() ?? "TCP"
        guard let transport = TransportProtocol(transportName) else {
            throw transportField.fault("is \"\(transportName)\"; must be TCP, UDP or SCTP")
        }
        let numberField = try field["port"]
        guard let number = try numberField.integer(in: 1...65_535) else {
            throw numberField.fault("is missing; must be 1...65535")
        }
        let applicationField = try field["appProtocol"]
        let application = try applicationField.string() ?? ""
        guard application.isEmpty || isQualifiedName(application) else {
            throw applicationField.fault("is \"\(application)\"; must be like a label's key")
        }
        self.init(
            name: name, transport: transport, port: UInt16(number), application: application)
    }
}

extension ManifestField {
    /// An address that one host can have.
    func unicastAddress() throws(ManifestFault) -> Address {
        let text = try requiredString()
        guard let address = Address(text) else {
            throw fault("is \"\(text)\", which is no IP address")
        }
        guard !notUnicast.contains(where: { $0.contains(address) }) else {
            throw fault("is \(text); loopback, link-local, multicast and unspecified don't work")
        }
        return address
    }
}

private let notUnicast = [
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "fe80::/10", "ff00::/8",
].compactMap { Prefix($0) }
