// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshPolicy

/// `policy:` of a node's configuration; the nodes of a cluster should say the same.
struct PolicySettings: Hashable, Sendable {
    /// What becomes of open connections when policies change.
    enum OpenFlows: String, CaseIterable {
        /// Their verdict is taken again at the next packet.
        case renew
        /// They go on until they end.
        case keep
    }

    /// What the sender of a denied packet hears.
    enum Denied: String, CaseIterable {
        case drop
        case reject

        var answer: DeniedAnswer {
            switch self {
            case .drop: .drop
            case .reject: .reject
            }
        }
    }

    var scope = PolicyScope.localCluster
    var denied = Denied.drop
    var openFlows = OpenFlows.renew
}

/// As it stands in the file.
struct RawPolicySettings: Decodable {
    let scope: String?
    let denied: String?
    let openFlows: String?
}

extension PolicySettings {
    init(_ raw: RawPolicySettings?, file: String) throws(ConfigurationError) {
        func choose<Value: RawRepresentable<String> & CaseIterable>(
            _ text: String?, _ field: String, else standard: Value
        ) throws(ConfigurationError) -> Value {
            guard let text else { return standard }
            guard let value = Value(rawValue: text) else {
                let known = Value.allCases.map(\.rawValue).joined(separator: " or ")
                throw ConfigurationError(file, "policy.\(field): '\(text)' must be \(known)")
            }
            return value
        }
        let standard = PolicySettings()
        scope = try choose(raw?.scope, "scope", else: standard.scope)
        denied = try choose(raw?.denied, "denied", else: standard.denied)
        openFlows = try choose(raw?.openFlows, "openFlows", else: standard.openFlows)
    }
}
