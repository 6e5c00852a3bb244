// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Finds the selectors that mean an endpoint without asking each: a selector is filed under one of
/// the values that it insists on, the rarest so far.
struct SelectorIndex: Sendable {
    private struct Anchor: Hashable, Sendable {
        let field: SelectorField
        let value: String
    }

    private struct Entry: Sendable {
        let number: Int32
        let selector: EndpointSelector
    }

    private var filed: [Anchor: [Entry]] = [:]
    /// Those that insist on no value.
    private var others: [Entry] = []

    mutating func add(_ selector: EndpointSelector, _ number: Int32) {
        let entry = Entry(number: number, selector: selector)
        guard let anchors = anchors(of: selector) else {
            others.append(entry)
            return
        }
        for anchor in anchors { filed[anchor, default: []].append(entry) }
    }

    /// Numbers of the selectors that mean `principal`, in no order.
    func selecting(_ principal: Principal) -> [Int32] {
        var found = others
        func look(_ field: SelectorField, _ value: String) {
            found += filed[Anchor(field: field, value: value)] ?? []
        }
        look(.cluster, principal.cluster.rawValue)
        look(.namespace, principal.namespace)
        for (key, value) in principal.namespaceLabels { look(.namespaceLabel(key), value) }
        for (key, value) in principal.labels { look(.label(key), value) }
        return found.filter { $0.selector.selects(principal) }.map(\.number)
    }

    /// The values of its requirement that the fewest selectors are filed under.
    private func anchors(of selector: EndpointSelector) -> [Anchor]? {
        selector.requirements.compactMap { requirement -> (crowd: Int, anchors: [Anchor])? in
            guard case .isIn(let values) = requirement.condition else { return nil }
            let anchors = values.map { Anchor(field: requirement.field, value: $0) }
            // A cluster's name tells nothing apart where most peers are of one cluster.
            let penalty = requirement.field == .cluster ? 1 << 20 : 0
            return (anchors.reduce(penalty) { $0 + (filed[$1]?.count ?? 0) }, anchors)
        }
        .min { $0.crowd < $1.crowd }?.anchors
    }
}
