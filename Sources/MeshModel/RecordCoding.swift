// SPDX-License-Identifier: Apache-2.0

extension NamespaceRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(text: name)
        writer.write(labels)
        writer.write(annotations)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(
            name: try reader.readText("namespace"), labels: try reader.readLabels(),
            annotations: try reader.readLabels())
    }
}

extension NodeRecord {
    public static let maximumOuterAddresses = 8

    public func encode(into writer: inout ByteWriter) {
        writer.write(text: name)
        writer.write(outerAddresses)
        writer.write(list: podPrefixes) {
            $0.write($1.address)
            $0.write($1.length)
        }
        writer.write(text: zone)
        writer.write(isRelay)
        writer.write(gossipKeys)
        writer.write(isDraining)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let name = try reader.readText("node name")
        let outer = try reader.readAddresses(max: Self.maximumOuterAddresses)
        guard !outer.isEmpty else { throw .invalid("outer addresses") }
        let prefixes = try reader.readList(max: RecordLimit.prefixes, "pod prefixes") {
            reader throws(DecodingFault) in try reader.readPrefix()
        }
        self.init(
            name: name, outerAddresses: outer, podPrefixes: prefixes,
            zone: try reader.readText("zone"), isRelay: try reader.readBool(),
            gossipKeys: try reader.readGossipKeys(),
            // Earlier versions end here.
            isDraining: reader.isAtEnd ? false : try reader.readBool())
    }
}

extension MemberRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(text: name)
        writer.write(addresses)
        writer.write(text: zone)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let name = try reader.readText("node name")
        let addresses = try reader.readAddresses()
        guard !addresses.isEmpty else { throw .invalid("addresses") }
        self.init(name: name, addresses: addresses, zone: try reader.readText("zone"))
    }
}

extension IdentityRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(identity.rawValue)
        writer.write(labels)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(identity: Identity(rawValue: try reader.read()), labels: try reader.readLabels())
    }
}

extension EndpointRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(object)
        writer.write(text: node)
        writer.write(addresses)
        writer.write(identity.rawValue)
        writer.write(labels)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        self.init(
            object: try reader.readObjectName(), node: try reader.readText("node name"),
            addresses: try reader.readAddresses(), identity: Identity(rawValue: try reader.read()),
            labels: try reader.readLabels())
    }
}

extension ServiceRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(object)
        writer.write(addresses)
        writer.write(ports)
        writer.write(isGlobal)
        writer.write(isShared)
        writer.write(text: affinity.rawValue)
        writer.write(sessionAffinitySeconds)
        writer.write(isNodeLocal)
        writer.write(exportedAt)
        writer.write(text: derivedFrom)
        writer.write(distribution.rawValue)
        // Most services say none of it, and their records stay as they were.
        let applications = ports.map(\.application)
        guard
            !applications.allSatisfy(\.isEmpty) || exportedMetadata != .none
                || !headlessFamilies.isEmpty
        else { return }
        writer.write(texts: applications)
        writer.write(exportedMetadata.labels)
        writer.write(exportedMetadata.annotations)
        writer.write(UInt8(headlessFamilies.count))
        for family in headlessFamilies { writer.write(family.rawValue) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let object = try reader.readObjectName()
        let addresses = try reader.readAddresses()
        let ports = try reader.readPorts()
        let isGlobal = try reader.readBool()
        let isShared = try reader.readBool()
        guard let affinity = ServiceAffinity(rawValue: try reader.readText("affinity"))
        else { throw .invalid("affinity") }
        let sessionAffinitySeconds: UInt32 = try reader.read()
        // Earlier versions end here.
        let isEarlier = reader.isAtEnd
        let isNodeLocal = isEarlier ? false : try reader.readBool()
        let exportedAt: UInt64 = isEarlier ? 0 : try reader.read()
        let derivedFrom = isEarlier ? "" : try reader.readText("derived service")
        // What only a later version knows is no preference to this one.
        let distribution =
            reader.isAtEnd
            ? .anywhere : TrafficDistribution(rawValue: try reader.read()) ?? .anywhere
        // So do earlier versions, and services of which there is nothing more to say.
        let isShort = reader.isAtEnd
        self.init(
            object: object, addresses: addresses,
            ports: isShort ? ports : try reader.readApplications(of: ports), isGlobal: isGlobal,
            isShared: isShared, affinity: affinity, sessionAffinitySeconds: sessionAffinitySeconds,
            isNodeLocal: isNodeLocal, exportedAt: exportedAt, derivedFrom: derivedFrom,
            distribution: distribution,
            exportedMetadata: isShort ? .none : try reader.readExportedMetadata(),
            headlessFamilies: isShort ? [] : try reader.readFamilies())
        if exportedAt > 0 { try checkExported() }
    }

    /// What is exported is written to other clusters' API servers: one port there that they refuse would
    /// keep the service of all exporters from them.
    private func checkExported() throws(DecodingFault) {
        guard isLabel(object.namespace), isLabel(object.name) else { throw .invalid("name") }
        for port in ports {
            guard port.name.isEmpty || isLabel(port.name) else { throw .invalid("port name") }
            guard port.port > 0 else { throw .invalid("port") }
        }
    }
}

extension SliceRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(object)
        writer.write(text: service)
        writer.write(ports)
        writer.write(list: endpoints) { writer, endpoint in
            writer.write(endpoint.addresses)
            writer.write(endpoint.isReady)
            writer.write(endpoint.isServing)
            writer.write(endpoint.isTerminating)
            writer.write(text: endpoint.node)
        }
        let (applications, hostnames) = (ports.map(\.application), endpoints.map(\.hostname))
        guard !(applications + hostnames).allSatisfy(\.isEmpty) else { return }
        writer.write(texts: applications)
        writer.write(texts: hostnames)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let object = try reader.readObjectName()
        let service = try reader.readText("service name")
        let ports = try reader.readPorts()
        let endpoints = try reader.readList(max: RecordLimit.endpointsPerSlice, "endpoints") {
            reader throws(DecodingFault) in
            SliceEndpoint(
                addresses: try reader.readAddresses(), isReady: try reader.readBool(),
                isServing: try reader.readBool(), isTerminating: try reader.readBool(),
                node: try reader.readText("node name"))
        }
        // Earlier versions end here, and slices of which there is nothing more to say.
        let isShort = reader.isAtEnd
        self.init(
            object: object, service: service,
            ports: isShort ? ports : try reader.readApplications(of: ports),
            endpoints: isShort ? endpoints : try reader.readHostnames(of: endpoints))
    }
}

extension RelaySetRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(generation)
        writer.write(list: relays) { $0.write(text: $1) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let generation: UInt64 = try reader.read()
        let relays = try reader.readList(max: RecordLimit.relays, "relays") {
            reader throws(DecodingFault) in try reader.readText("relay")
        }
        // A set of none would leave the cluster without a voice, and nobody ever announces one.
        guard !relays.isEmpty, Set(relays).count == relays.count else { throw .invalid("relays") }
        self.init(generation: generation, relays: relays)
    }
}

extension ByteWriter {
    /// Sorted, so that equal records have equal bytes.
    fileprivate mutating func write(_ labels: Labels) {
        write(count: labels.count)
        for label in labels.sorted(by: { $0.key < $1.key }) {
            write(text: label.key)
            write(text: label.value)
        }
    }

    /// One byte below 128, else two with the highest bit set: there are many of them.
    fileprivate mutating func write(count: Int) {
        if count < 0x80 {
            write(UInt8(count))
        } else {
            // What is longer than any reader takes must not read as something short.
            write(UInt16(min(count, 0x7fff)) | 0x8000)
        }
    }

    fileprivate mutating func write(text: String) {
        write(count: text.utf8.count)
        write(raw: text.utf8)
    }

    /// As many as the reader knows there are.
    fileprivate mutating func write(texts: [String]) {
        for text in texts { write(text: text) }
    }

    /// Each behind its length: 4 bytes for IPv4, 16 for IPv6.
    fileprivate mutating func write(_ addresses: [Address]) {
        write(count: addresses.count)
        for address in addresses {
            if let ipv4 = address.ipv4 {
                write(UInt8(4))
                write(ipv4)
            } else {
                write(UInt8(16))
                write(address)
            }
        }
    }

    fileprivate mutating func write(_ object: ObjectName) {
        write(text: object.namespace)
        write(text: object.name)
    }

    fileprivate mutating func write(_ ports: [ServicePort]) {
        write(list: ports) { writer, port in
            writer.write(text: port.name)
            writer.write(port.transport.rawValue)
            writer.write(port.port)
        }
    }
}

extension ByteReader {
    fileprivate mutating func readText(_ name: String) throws(DecodingFault) -> String {
        let count = try readCount()
        guard count <= RecordLimit.text else { throw .tooLong(name) }
        guard let text = String(validating: try read(raw: count), as: UTF8.self)
        else { throw .invalid(name) }
        return text
    }

    private mutating func readCount() throws(DecodingFault) -> Int {
        let first = try read(UInt8.self)
        guard first >= 0x80 else { return Int(first) }
        let count = Int(first & 0x7f) << 8 | Int(try read(UInt8.self))
        guard count >= 0x80 else { throw .invalid("count") }
        return count
    }

    fileprivate mutating func readLabels() throws(DecodingFault) -> Labels {
        let count = try readCount()
        guard count <= RecordLimit.labels else { throw .tooLong("labels") }
        var labels: Labels = [:]
        for _ in 0..<count {
            let key = try readText("label")
            let value = try readText("label value")
            if labels[key] == nil { labels[key] = value }
        }
        return labels
    }

    fileprivate mutating func readObjectName() throws(DecodingFault) -> ObjectName {
        ObjectName(namespace: try readText("namespace"), name: try readText("name"))
    }

    fileprivate mutating func readAddresses(
        max: Int = RecordLimit.addresses
    ) throws(DecodingFault) -> [Address] {
        let count = try readCount()
        guard count <= max else { throw .tooLong("addresses") }
        var addresses: [Address] = []
        for _ in 0..<count {
            switch try read(UInt8.self) {
            case 4: addresses.append(Address(ipv4: try read()))
            case 16:
                let address = try readAddress()
                guard !address.isIPv4 else { throw .invalid("address") }
                addresses.append(address)
            default: throw .invalid("address")
            }
        }
        return addresses
    }

    fileprivate mutating func readPrefix() throws(DecodingFault) -> Prefix {
        guard let prefix = Prefix(address: try readAddress(), length: try read())
        else { throw .invalid("prefix") }
        return prefix
    }

    fileprivate mutating func readPorts() throws(DecodingFault) -> [ServicePort] {
        try readList(max: RecordLimit.ports, "ports") { reader throws(DecodingFault) in
            let name = try reader.readText("port name")
            guard let transport = TransportProtocol(rawValue: try reader.read())
            else { throw .invalid("protocol") }
            return ServicePort(name: name, transport: transport, port: try reader.read())
        }
    }

    /// Whoever exports a service judges what it says by the same rules: other things are from a cluster
    /// that breaks them.
    fileprivate mutating func readApplications(
        of ports: [ServicePort]
    ) throws(DecodingFault) -> [ServicePort] {
        var result: [ServicePort] = []
        for port in ports {
            let application = try readText("application protocol")
            guard application.isEmpty || isQualifiedName(application)
            else { throw .invalid("application protocol") }
            result.append(
                ServicePort(
                    name: port.name, transport: port.transport, port: port.port,
                    application: application))
        }
        return result
    }

    fileprivate mutating func readHostnames(
        of endpoints: [SliceEndpoint]
    ) throws(DecodingFault) -> [SliceEndpoint] {
        var result: [SliceEndpoint] = []
        for endpoint in endpoints {
            let hostname = try readText("hostname")
            guard hostname.isEmpty || isLabel(hostname) else { throw .invalid("hostname") }
            result.append(
                SliceEndpoint(
                    addresses: endpoint.addresses, isReady: endpoint.isReady,
                    isServing: endpoint.isServing, isTerminating: endpoint.isTerminating,
                    node: endpoint.node, hostname: hostname))
        }
        return result
    }

    fileprivate mutating func readExportedMetadata() throws(DecodingFault) -> ExportedMetadata {
        let (labels, annotations) = (try readLabels(), try readLabels())
        do throws(ExportedMetadata.Fault) {
            return try ExportedMetadata(labels: labels, annotations: annotations)
        } catch {
            throw .invalid("exported \(error.isLabel ? "label" : "annotation")")
        }
    }

    fileprivate mutating func readFamilies() throws(DecodingFault) -> [IPFamily] {
        var families: [IPFamily] = []
        for _ in 0..<(try read(UInt8.self)) {
            guard let family = IPFamily(rawValue: try read()), !families.contains(family)
            else { throw .invalid("address family") }
            families.append(family)
        }
        return families
    }
}
