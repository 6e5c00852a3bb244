// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// What the keys of a selector mean.
enum SelectorRole {
    case pod
    case namespace
    case cilium
}

extension ManifestField {
    /// A `metav1.LabelSelector`; null selects nothing and is the caller's.
    ///
    /// - Throws: ``ManifestFault`` also if it can't select anything.
    func selector(_ role: SelectorRole) throws(ManifestFault) -> [SelectorRequirement] {
        guard !isNull else { throw fault("is missing; write {} to select all") }
        try allow(only: ["matchLabels", "matchExpressions"])
        var requirements: [SelectorRequirement] = []
        let labels = try self["matchLabels"]
        for (key, value) in try labels.strings(max: PolicyBound.labels) {
            let field = try labels[key]
            try field.checkLabelValue(value)
            requirements.append(
                SelectorRequirement(try field.selectorField(key, role), .isIn([value])))
        }
        for expression in try self["matchExpressions"].elements(max: PolicyBound.labels) {
            requirements.append(try expression.requirement(role))
        }
        if let contradiction = EndpointSelector(requirements).contradiction {
            throw fault("selects nothing: it \(contradiction)")
        }
        return requirements
    }

    private func requirement(_ role: SelectorRole) throws(ManifestFault) -> SelectorRequirement {
        try allow(only: ["key", "operator", "values"])
        let keyField = try self["key"]
        let field = try keyField.selectorField(try keyField.requiredString(), role)
        let valuesField = try self["values"]
        var values: [String] = []
        for value in try valuesField.elements(max: PolicyBound.values) {
            let text = try value.string() ?? ""
            try value.checkLabelValue(text)
            values.append(text)
        }
        let operatorField = try self["operator"]
        let name = try operatorField.requiredString()
        switch name {
        case "In", "NotIn":
            guard !values.isEmpty else { throw valuesField.fault("is empty; \(name) needs values") }
            return SelectorRequirement(field, name == "In" ? .isIn(values) : .isNotIn(values))
        case "Exists", "DoesNotExist":
            guard values.isEmpty else { throw valuesField.fault("must be empty with \(name)") }
            return SelectorRequirement(field, name == "Exists" ? .exists : .doesNotExist)
        default:
            throw operatorField.fault(
                "is \"\(name)\"; must be In, NotIn, Exists or DoesNotExist")
        }
    }

    private func selectorField(
        _ key: String, _ role: SelectorRole
    ) throws(ManifestFault) -> SelectorField {
        switch role {
        case .pod:
            try checkLabelKey(key)
            return ClusterLabel.all.contains(key) ? .cluster : .label(key)
        case .namespace:
            try checkLabelKey(key)
            if ClusterLabel.all.contains(key) { return .cluster }
            return key == "kubernetes.io/metadata.name" ? .namespace : .namespaceLabel(key)
        case .cilium:
            return try ciliumSelectorField(key)
        }
    }

    /// An optional DNS name and a slash, then up to 63 characters of `[A-Za-z0-9_.-]`, alphanumeric
    /// at both ends.
    func checkLabelKey(_ key: String) throws(ManifestFault) {
        guard isQualifiedName(key) else {
            throw fault("asks for \"\(key)\", which is no key of a label")
        }
    }

    private func checkLabelValue(_ value: String) throws(ManifestFault) {
        guard value.isEmpty || isLabelText(value) else {
            throw fault("is \"\(value)\", which is no value of a label")
        }
    }
}

/// Labels that every identity has and no pod can set: the cluster's name.
enum ClusterLabel {
    static let all: Set<String> = ["io.weft.cluster", cilium]
    static let cilium = "io.cilium.k8s.policy.cluster"
}
