// SPDX-License-Identifier: Apache-2.0

// Numbers of the kernel's interface that Glibc's Swift module doesn't carry. Source:
// include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,neighbour,veth,sock_diag,inet_diag}.h.

enum NetlinkProtocol {
    static let route: Int32 = 0
    static let socketDiagnostics: Int32 = 4
}

enum NetlinkType {
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let newLink: UInt16 = 16
    static let deleteLink: UInt16 = 17
    static let getLink: UInt16 = 18
    static let setLink: UInt16 = 19
    static let newAddress: UInt16 = 20
    static let deleteAddress: UInt16 = 21
    static let getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24
    static let deleteRoute: UInt16 = 25
    static let getRoute: UInt16 = 26
    static let newNeighbour: UInt16 = 28
    static let deleteNeighbour: UInt16 = 29
    static let getNeighbour: UInt16 = 30
    static let newRule: UInt16 = 32
    static let deleteRule: UInt16 = 33
    static let newNamespaceIdentifier: UInt16 = 88
    static let getNamespaceIdentifier: UInt16 = 90
    static let socketsByFamily: UInt16 = 20
    static let socketDestroy: UInt16 = 21
}

enum NetlinkFlag {
    static let request: UInt16 = 0x1
    static let acknowledge: UInt16 = 0x4
    static let dumpInterrupted: UInt16 = 0x10
    static let acknowledgementCapped: UInt16 = 0x100
    static let acknowledgementAttributes: UInt16 = 0x200
    /// `NLM_F_ROOT | NLM_F_MATCH`.
    static let dump: UInt16 = 0x300
    static let replace: UInt16 = 0x100
    static let exclusive: UInt16 = 0x200
    static let create: UInt16 = 0x400
}

enum NetlinkOption {
    /// `SOL_NETLINK`.
    static let level: Int32 = 270
    static let capAcknowledgement: Int32 = 10
    static let extendedAcknowledgement: Int32 = 11
}

enum LinkAttribute {
    static let address: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let link: UInt16 = 5
    static let master: UInt16 = 10
    static let operationalState: UInt16 = 16
    static let info: UInt16 = 18
    static let addressFamilies: UInt16 = 26
    static let namespaceDescriptor: UInt16 = 28
    static let linkNamespace: UInt16 = 37
    static let infoKind: UInt16 = 1
    static let infoData: UInt16 = 2
    static let vethPeer: UInt16 = 1
    static let ipv6GenerationMode: UInt16 = 8
    static let ipv6GenerationNone: UInt8 = 1
}

enum NamespaceAttribute {
    static let identifier: UInt16 = 1
    static let descriptor: UInt16 = 3
}

enum VXLANAttribute {
    static let learning: UInt16 = 7
    static let port: UInt16 = 15
    static let udpChecksum: UInt16 = 18
    static let zeroChecksum6Transmit: UInt16 = 19
    static let zeroChecksum6Receive: UInt16 = 20
    static let groupPolicy: UInt16 = 23
    static let collectMetadata: UInt16 = 25
}

enum AddressAttribute {
    static let address: UInt16 = 1
    static let local: UInt16 = 2
    static let flags: UInt16 = 8
    static let noDuplicateDetection: UInt32 = 0x2
}

enum RouteAttribute {
    static let destination: UInt16 = 1
    static let outputInterface: UInt16 = 4
    static let gateway: UInt16 = 5
    static let priority: UInt16 = 6
    static let preferredSource: UInt16 = 7
    static let metrics: UInt16 = 8
    static let table: UInt16 = 15
    static let metricMTU: UInt16 = 2
    /// `RTNH_F_ONLINK`.
    static let onLink: UInt32 = 4
    static let tableMain: UInt32 = 254
    static let typeUnicast: UInt8 = 1
    /// `RTPROT_STATIC`.
    static let protocolStatic: UInt8 = 4
}

enum NeighbourAttribute {
    static let destination: UInt16 = 1
    static let linkLayerAddress: UInt16 = 2
    /// `NUD_PERMANENT`.
    static let permanent: UInt16 = 0x80
}
