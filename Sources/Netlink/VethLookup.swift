// SPDX-License-Identifier: Apache-2.0

import SystemPackage

extension RouteSocket {
    /// What the kernel calls another namespace in this one.
    ///
    /// - Returns: nil if it has no number for it, so that no link leads there either.
    public mutating func identifier(
        of namespace: NetworkNamespace
    ) throws(NetlinkError) -> Int32? {
        var message = MessageWriter(type: NetlinkType.getNamespaceIdentifier)
        message.append(UInt32(0))  // struct rtgenmsg, and its padding
        message.attribute(NamespaceAttribute.descriptor, namespace.descriptor.rawValue)
        let answer = try socket.query(message, "ask for a namespace's number").first {
            $0.type == NetlinkType.newNamespaceIdentifier
        }
        guard
            let number = answer.flatMap({ Attributes($0.payload.dropFirst(4)) })?
                .number(NamespaceAttribute.identifier, as: Int32.self)
        else { return nil }
        return number < 0 ? nil : number
    }

    /// The end here of a veth pair whose other end is a link of another namespace.
    ///
    /// - Parameter link: index of that link, in `namespace`.
    /// - Returns: nil if no end of it is here.
    /// - Complexity: lists the links of this namespace.
    public mutating func vethEnd(
        of link: UInt32, in namespace: NetworkNamespace
    ) throws(NetlinkError) -> Link? {
        // Listing them gives the namespaces that they lead to their numbers.
        let candidates = try links().filter { $0.kind == "veth" && $0.peerIndex == link }
        guard let identifier = try identifier(of: namespace) else { return nil }
        return candidates.first { $0.peerNamespace == identifier }
    }
}
