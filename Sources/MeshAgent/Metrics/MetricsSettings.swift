// SPDX-License-Identifier: Apache-2.0

/// `metrics:` of a node's configuration.
struct MetricsSettings: Hashable, Sendable {
    /// Whose series are exported beside our own.
    enum Compatibility: String, CaseIterable {
        case none
        case cilium
    }

    var compatibility = Compatibility.none
}

/// As it stands in the file.
struct RawMetricsSettings: Decodable {
    let compatibility: String?
}

extension MetricsSettings {
    init(_ raw: RawMetricsSettings?, file: String) throws(ConfigurationError) {
        guard let text = raw?.compatibility else { return }
        guard let compatibility = Compatibility(rawValue: text) else {
            let known = Compatibility.allCases.map(\.rawValue).joined(separator: " or ")
            throw ConfigurationError(file, "metrics.compatibility: '\(text)' must be \(known)")
        }
        self.compatibility = compatibility
    }
}
