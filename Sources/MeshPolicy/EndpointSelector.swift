// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What a selector can ask an endpoint for.
public enum SelectorField: Hashable, Comparable, Sendable {
    case cluster
    /// The namespace's name, which it also has as its label `kubernetes.io/metadata.name`.
    case namespace
    case namespaceLabel(String)
    case label(String)
}

public enum SelectorCondition: Hashable, Sendable {
    /// Sorted, not empty.
    case isIn([String])
    /// Sorted, not empty. An endpoint without the label meets it.
    case isNotIn([String])
    case exists
    case doesNotExist
}

public struct SelectorRequirement: Hashable, Comparable, Sendable {
    public let field: SelectorField
    public let condition: SelectorCondition

    public init(_ field: SelectorField, _ condition: SelectorCondition) {
        self.field = field
        switch condition {
        case .isIn(let values) where values.count > 1:
            self.condition = .isIn(Set(values).sorted())
        case .isNotIn(let values) where values.count > 1:
            self.condition = .isNotIn(Set(values).sorted())
        case .isIn, .isNotIn, .exists, .doesNotExist: self.condition = condition
        }
    }

    public static func < (left: Self, right: Self) -> Bool {
        guard left.field == right.field else { return left.field < right.field }
        return left.condition.order.lexicographicallyPrecedes(right.condition.order)
    }

    func isMet(by value: String?) -> Bool {
        switch condition {
        case .isIn(let values): value.map(values.contains) ?? false
        case .isNotIn(let values): value.map { !values.contains($0) } ?? true
        case .exists: value != nil
        case .doesNotExist: value == nil
        }
    }
}

extension SelectorCondition {
    fileprivate var order: [String] {
        switch self {
        case .isIn(let values): ["0"] + values
        case .isNotIn(let values): ["1"] + values
        case .exists: ["2"]
        case .doesNotExist: ["3"]
        }
    }
}

/// Selects endpoints that meet all requirements; every endpoint if there are none.
public struct EndpointSelector: Hashable, Sendable {
    /// Sorted, without duplicates: selectors that ask the same in another order are one.
    public let requirements: [SelectorRequirement]

    public init(_ requirements: [SelectorRequirement] = []) {
        let sorted = requirements.count > 1 ? requirements.sorted() : requirements
        self.requirements = sorted.enumerated().filter { index, requirement in
            index == 0 || requirement != sorted[index - 1]
        }.map(\.element)
    }

    public func selects(_ principal: Principal) -> Bool {
        requirements.allSatisfy { $0.isMet(by: principal[$0.field]) }
    }

    /// Whether it says itself which clusters it means.
    public var namesClusters: Bool { requirements.contains { $0.field == .cluster } }

    /// With the clusters it means if it doesn't say.
    func scoped(by environment: PolicyEnvironment) -> EndpointSelector {
        guard !namesClusters, environment.scope == .localCluster else { return self }
        return only(environment.cluster.rawValue)
    }

    func only(_ cluster: String) -> EndpointSelector {
        EndpointSelector(requirements + [SelectorRequirement(.cluster, .isIn([cluster]))])
    }

    var labelKeys: [String] {
        requirements.compactMap { if case .label(let key) = $0.field { key } else { nil } }
    }
}

extension EndpointSelector {
    /// Why it can't select anything whatever endpoints there are, nil if it can.
    public var contradiction: String? {
        var fields: [SelectorField: Demand] = [:]
        for requirement in requirements {
            fields[requirement.field, default: Demand(requirement.field)].add(requirement.condition)
        }
        return fields.filter { !$0.value.isSatisfiable }.keys.min().map {
            "asks \($0) for what excludes itself"
        }
    }

    /// What all requirements on one field leave.
    private struct Demand {
        private var allowed: Set<String>?
        private var excluded: Set<String> = []
        private var mustExist: Bool
        private var mustBeAbsent = false

        init(_ field: SelectorField) {
            switch field {
            case .cluster, .namespace: mustExist = true
            case .namespaceLabel, .label: mustExist = false
            }
        }

        mutating func add(_ condition: SelectorCondition) {
            switch condition {
            case .isIn(let values):
                allowed = allowed?.intersection(values) ?? Set(values)
                mustExist = true
            case .isNotIn(let values): excluded.formUnion(values)
            case .exists: mustExist = true
            case .doesNotExist: mustBeAbsent = true
            }
        }

        var isSatisfiable: Bool {
            if mustExist && mustBeAbsent { return false }
            return allowed.map { !$0.subtracting(excluded).isEmpty } ?? true
        }
    }
}

extension SelectorField: CustomStringConvertible {
    public var description: String {
        switch self {
        case .cluster: "the cluster"
        case .namespace: "the namespace's name"
        case .namespaceLabel(let key): "the namespace's label \(key)"
        case .label(let key): "the label \(key)"
        }
    }
}

extension SelectorRequirement: CustomStringConvertible {
    public var description: String {
        switch condition {
        case .isIn(let values) where values.count == 1: "\(field) is \(values[0])"
        case .isIn(let values): "\(field) is one of \(values.joined(separator: ", "))"
        case .isNotIn(let values): "\(field) is not \(values.joined(separator: ", "))"
        case .exists: "\(field) is set"
        case .doesNotExist: "\(field) is not set"
        }
    }
}

extension EndpointSelector: CustomStringConvertible {
    /// `endpoints where the label app is web and the namespace's name is shop`.
    public var description: String {
        requirements.isEmpty
            ? "all endpoints"
            : "endpoints where \(requirements.map { "\($0)" }.joined(separator: " and "))"
    }
}
