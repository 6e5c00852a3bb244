// SPDX-License-Identifier: Apache-2.0

extension NamespaceRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(name)
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
        writer.write(name)
        writer.write(list: outerAddresses) { $0.write($1) }
        writer.write(list: podPrefixes) {
            $0.write($1.address)
            $0.write($1.length)
        }
        writer.write(zone)
        writer.write(isRelay)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let name = try reader.readText("node name")
        let outer = try reader.readList(max: Self.maximumOuterAddresses, "outer addresses") {
            reader throws(DecodingFault) in try reader.readAddress()
        }
        guard !outer.isEmpty else { throw .invalid("outer addresses") }
        let prefixes = try reader.readList(max: RecordLimit.prefixes, "pod prefixes") {
            reader throws(DecodingFault) in try reader.readPrefix()
        }
        self.init(
            name: name, outerAddresses: outer, podPrefixes: prefixes,
            zone: try reader.readText("zone"), isRelay: try reader.readBool())
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
        writer.write(node)
        writer.write(list: addresses) { $0.write($1) }
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
        writer.write(list: addresses) { $0.write($1) }
        writer.write(ports)
        writer.write(isGlobal)
        writer.write(isShared)
        writer.write(affinity.rawValue)
        writer.write(sessionAffinitySeconds)
    }

    public init(from reader: inout ByteReader) throws(DecodingFault) {
        let object = try reader.readObjectName()
        let addresses = try reader.readAddresses()
        let ports = try reader.readPorts()
        let isGlobal = try reader.readBool()
        let isShared = try reader.readBool()
        guard let affinity = ServiceAffinity(rawValue: try reader.readText("affinity"))
        else { throw .invalid("affinity") }
        self.init(
            object: object, addresses: addresses, ports: ports, isGlobal: isGlobal,
            isShared: isShared, affinity: affinity, sessionAffinitySeconds: try reader.read())
    }
}

extension SliceRecord {
    public func encode(into writer: inout ByteWriter) {
        writer.write(object)
        writer.write(service)
        writer.write(ports)
        writer.write(list: endpoints) { writer, endpoint in
            writer.write(list: endpoint.addresses) { $0.write($1) }
            writer.write(endpoint.isReady)
            writer.write(endpoint.isServing)
            writer.write(endpoint.isTerminating)
            writer.write(endpoint.node)
        }
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
        self.init(object: object, service: service, ports: ports, endpoints: endpoints)
    }
}

extension ByteWriter {
    /// Sorted, so that equal records have equal bytes.
    fileprivate mutating func write(_ labels: Labels) {
        write(list: labels.sorted { $0.key < $1.key }) { writer, label in
            writer.write(label.key)
            writer.write(label.value)
        }
    }

    fileprivate mutating func write(_ object: ObjectName) {
        write(object.namespace)
        write(object.name)
    }

    fileprivate mutating func write(_ ports: [ServicePort]) {
        write(list: ports) { writer, port in
            writer.write(port.name)
            writer.write(port.transport.rawValue)
            writer.write(port.port)
        }
    }
}

extension ByteReader {
    fileprivate mutating func readText(_ name: String) throws(DecodingFault) -> String {
        try readString(max: RecordLimit.text, name)
    }

    fileprivate mutating func readLabels() throws(DecodingFault) -> Labels {
        let pairs = try readList(max: RecordLimit.labels, "labels") {
            reader throws(DecodingFault) in
            (try reader.readText("label"), try reader.readText("label value"))
        }
        return Dictionary(pairs) { first, _ in first }
    }

    fileprivate mutating func readObjectName() throws(DecodingFault) -> ObjectName {
        ObjectName(namespace: try readText("namespace"), name: try readText("name"))
    }

    fileprivate mutating func readAddresses() throws(DecodingFault) -> [Address] {
        try readList(max: RecordLimit.addresses, "addresses") {
            reader throws(DecodingFault) in try reader.readAddress()
        }
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
}
