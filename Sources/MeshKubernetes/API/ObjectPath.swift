// SPDX-License-Identifier: Apache-2.0

/// Names a collection, an object or a part of one to an API server.
public struct ObjectPath: Hashable, Sendable {
    public var resource: ObjectResource
    /// Nil: those of all namespaces, or the resource has none.
    public var namespace: String?
    /// Nil: the collection.
    public var name: String?
    /// `status`, `token`.
    public var subresource: String?

    public init(
        _ resource: ObjectResource, namespace: String? = nil, name: String? = nil,
        subresource: String? = nil
    ) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
    }

    /// Percent-encoded, beginning with a slash.
    var text: String {
        var parts = resource.group.isEmpty ? ["api"] : ["apis", resource.group]
        parts.append(resource.version)
        if let namespace { parts += ["namespaces", namespace] }
        parts.append(resource.plural)
        parts += [name, subresource].compactMap { $0 }
        return parts.map { "/" + percentEncoded($0) }.joined()
    }
}

extension ObjectResource {
    public static let leases = ObjectResource(
        group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease",
        isNamespaced: true)
    public static let tokenReviews = ObjectResource(
        group: "authentication.k8s.io", version: "v1", plural: "tokenreviews",
        kind: "TokenReview", isNamespaced: false)
    public static let secrets = ObjectResource(
        group: "", version: "v1", plural: "secrets", kind: "Secret", isNamespaced: true)
    public static let configMaps = ObjectResource(
        group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true)
    public static let serviceAccounts = ObjectResource(
        group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount",
        isNamespaced: true)
}

/// RFC 3986: everything but unreserved characters.
func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            result.append(Character(Unicode.Scalar(byte)))
        default:
            result.append("%")
            result.append(digits[Int(byte >> 4)])
            result.append(digits[Int(byte & 15)])
        }
    }
    return result
}
