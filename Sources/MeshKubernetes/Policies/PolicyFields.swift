// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// Bounds of the lists in a policy where the API has none.
enum PolicyBound {
    static let rules = 1000
    static let peers = 1000
    static let ports = 1000
    static let exceptions = 250
    static let labels = 64
    static let values = 250
}

extension ManifestField {
    /// Refuses fields that aren't among `known`: what a policy says is never ignored.
    ///
    /// - Parameter unsupported: fields that the API has but Weft doesn't, with the reason.
    func allow(
        only known: Set<String>, unsupported: [String: String] = [:]
    ) throws(ManifestFault) {
        for key in try keys() where !known.contains(key) {
            let field = try self[key]
            // An API server may send a field that nobody set.
            if field.isNull { continue }
            guard let reason = unsupported[key] else {
                throw field.fault(
                    "is no field that Weft knows here; known are "
                        + known.sorted().joined(separator: ", "))
            }
            throw field.fault("is not supported: \(reason)")
        }
    }

    /// The one field that is set.
    func onlyField(of known: Set<String>) throws(ManifestFault) -> String {
        var present: [String] = []
        for key in try keys() where known.contains(key) {
            if try !self[key].isNull { present.append(key) }
        }
        guard present.count == 1 else {
            throw fault("must have exactly one of \(known.sorted().joined(separator: ", "))")
        }
        return present[0]
    }

    func requiredElements(max: Int) throws(ManifestFault) -> [ManifestField] {
        let elements = try elements(max: max)
        guard !elements.isEmpty else { throw fault("is empty; it needs at least one element") }
        return elements
    }

    /// `10.0.0.0/8`, never a bare address.
    func prefix() throws(ManifestFault) -> Prefix {
        let text = try requiredString()
        guard text.contains("/"), let prefix = Prefix(text) else {
            throw fault("is \"\(text)\", which is no address block such as 10.0.0.0/8 or fd00::/8")
        }
        return prefix
    }

    func choice<Value: RawRepresentable>(
        _ values: [Value]
    ) throws(ManifestFault) -> Value where Value.RawValue == String {
        let text = try requiredString()
        guard let value = values.first(where: { $0.rawValue == text }) else {
            throw fault(
                "is \"\(text)\"; must be one of \(values.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }

    /// Nil if it is null.
    func transport() throws(ManifestFault) -> TransportProtocol? {
        guard let text = try string() else { return nil }
        guard let transport = TransportProtocol(text) else {
            throw fault("is \"\(text)\"; must be TCP, UDP or SCTP")
        }
        return transport
    }

    func requiredPort() throws(ManifestFault) -> UInt16 {
        guard let number = try integer(in: 1...65_535) else {
            throw fault("is missing; must be 1...65535")
        }
        return UInt16(number)
    }

    /// IANA service names, as Kubernetes wants the names of ports: at most 15 of `[a-z0-9-]`, with a
    /// letter, without hyphens at the ends or side by side.
    func portName() throws(ManifestFault) -> String {
        let text = try requiredString()
        guard text.utf8.count <= 15, isLabel(text), !text.contains("--"),
            text.utf8.contains(where: { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) })
        else { throw fault("is \"\(text)\", which no port can be called") }
        return text
    }
}
