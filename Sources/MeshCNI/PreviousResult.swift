// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What the plugin before this one made.
public struct PreviousResult: Hashable, Sendable {
    static let elementsMaximum = 64

    let value: JSONValue

    init(_ value: JSONValue) { self.value = value }

    /// The addresses of an interface in the container.
    ///
    /// - Throws: `.invalidConfiguration` if it says nothing of that interface, `.undecodable` for
    ///   what isn't a result.
    func addresses(of interface: String) throws(CNIError) -> [Address] {
        let interfaces = try list("interfaces")
        let index = interfaces.firstIndex {
            $0["name"]?.text == interface && $0["sandbox"]?.text?.isEmpty == false
        }
        guard index != nil || interfaces.isEmpty else {
            throw CNIError(
                .invalidConfiguration, "prevResult has no interface \(interface) in the container")
        }
        var addresses: [Address] = []
        for element in try list("ips") {
            guard element["interface"] == nil || element["interface"]?.index == index else {
                continue
            }
            let text = element["address"]?.text ?? ""
            guard let slash = text.lastIndex(of: "/"), let address = Address(String(text[..<slash]))
            else {
                throw CNIError(
                    .undecodable, "prevResult: '\(text.prefix(64))' is no address with a length")
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else {
            throw CNIError(.invalidConfiguration, "prevResult names no address of \(interface)")
        }
        return addresses
    }

    private func list(_ key: String) throws(CNIError) -> [JSONValue] {
        guard let field = value[key] else { return [] }
        guard let elements = field.elements, elements.count <= Self.elementsMaximum else {
            throw CNIError(
                .undecodable,
                "prevResult: \"\(key)\" must be a list of at most \(Self.elementsMaximum)")
        }
        return elements
    }
}
