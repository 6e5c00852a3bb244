// SPDX-License-Identifier: Apache-2.0

/// Endpoints as `GET /v1/endpoints?form=lines` says them: what many rows have in common once, the rest a
/// line of text a row. To write and read JSON costs by the number of its values, which are a dozen a row
/// otherwise.
struct EndpointLines: Codable, Hashable {
    /// Endpoints in a row that are on one node.
    struct Group: Codable, Hashable {
        let cluster: ClusterReference
        let node: String
        let isLocal: Bool
        /// Of each its name, its addresses with commas, its identity, and its places in
        /// ``EndpointLines/namespaces`` and ``EndpointLines/labels``; with a space in between.
        fileprivate(set) var lines: String
    }

    /// What few rows have.
    struct Detail: Codable, Hashable {
        let interface: String?
        let state: Realisation
        let reason: String?

        static let none = Detail(interface: nil, state: .done, reason: nil)
    }

    private(set) var namespaces: [String] = []
    private(set) var labels: [[String: String]] = []
    private(set) var groups: [Group] = []
    /// By the row's number; of all others ``Detail/none``.
    private(set) var details: [Int: Detail] = [:]

    /// Nil if a name or an address would be taken for something else.
    init?(_ endpoints: [EndpointStatus]) {
        var placesOfNamespaces: [String: Int] = [:]
        /// As a rule an identity has one set of labels.
        var placesOfLabels: [UInt32: Int] = [:]
        var lines: [UInt8] = []
        for (number, endpoint) in endpoints.enumerated() {
            guard isWord(endpoint.name), endpoint.addresses.allSatisfy(isAddress) else {
                return nil
            }
            if groups.last?.holds(endpoint) != true {
                finish(&lines)
                groups.append(Group(of: endpoint))
            }
            let namespace = placesOfNamespaces[endpoint.namespace] ?? namespaces.count
            if namespace == namespaces.count {
                placesOfNamespaces[endpoint.namespace] = namespace
                namespaces.append(endpoint.namespace)
            }
            var place = placesOfLabels[endpoint.identity] ?? labels.count
            if place == labels.count || labels[place] != endpoint.labels {
                place = labels.count
                placesOfLabels[endpoint.identity] = place
                labels.append(endpoint.labels)
            }
            let addresses = endpoint.addresses.joined(separator: ",")
            lines +=
                "\(endpoint.name) \(addresses) \(endpoint.identity) \(namespace) \(place)\n"
                .utf8
            let detail = Detail(
                interface: endpoint.interface, state: endpoint.state, reason: endpoint.reason)
            if detail != .none { details[number] = detail }
        }
        finish(&lines)
    }

    private mutating func finish(_ lines: inout [UInt8]) {
        guard !groups.isEmpty else { return }
        groups[groups.count - 1].lines = String(decoding: lines, as: UTF8.self)
        lines.removeAll(keepingCapacity: true)
    }

    /// Nil if there is a line that makes no sense.
    var endpoints: [EndpointStatus]? {
        var endpoints: [EndpointStatus] = []
        for group in groups {
            for line in group.lines.utf8.split(separator: UInt8(ascii: "\n")) {
                let words = line.split(
                    separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
                guard words.count == 5, let name = String(words[0]),
                    let identity = Self.number(words[2]).flatMap(UInt32.init(exactly:)),
                    let namespace = Self.number(words[3]), namespaces.indices.contains(namespace),
                    let place = Self.number(words[4]), labels.indices.contains(place)
                else { return nil }
                let detail = details.isEmpty ? .none : details[endpoints.count] ?? .none
                endpoints.append(
                    EndpointStatus(
                        namespace: namespaces[namespace], name: name, cluster: group.cluster,
                        node: group.node, isLocal: group.isLocal,
                        addresses: words[1].split(separator: UInt8(ascii: ",")).compactMap {
                            String($0)
                        },
                        identity: identity, labels: labels[place],
                        interface: detail.interface, state: detail.state, reason: detail.reason))
            }
        }
        return endpoints
    }

    private static func number(_ digits: Substring.UTF8View) -> Int? { Int(Substring(digits)) }
}

extension EndpointLines.Group {
    fileprivate init(of endpoint: EndpointStatus) {
        self.init(
            cluster: endpoint.cluster, node: endpoint.node, isLocal: endpoint.isLocal, lines: "")
    }

    fileprivate func holds(_ endpoint: EndpointStatus) -> Bool {
        node == endpoint.node && cluster == endpoint.cluster && isLocal == endpoint.isLocal
    }
}

private func isWord(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\n") }
}

private func isAddress(_ text: String) -> Bool {
    isWord(text) && !text.utf8.contains(UInt8(ascii: ","))
}
