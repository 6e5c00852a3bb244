// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication

/// `charter:` of a peer's file, unchecked:
///
/// ```yaml
/// charter:
///   podPrefixes: [10.2.0.0/16, "fd00:2::/48"]
///   serviceCIDRs: [10.98.0.0/16]            # optional: any
///   namespaces: ["*", "!kube-*"]            # optional: all; the most specific decides
///   quota:                                  # optional, as each of its fields
///     endpoints: 250000
///     services: 50000
///     records: 1000000
///     valueBytes: 64512
///     recordsPerSecond: 20000
///     burst: 250000
/// ```
///
/// A field that isn't known is an error: what is misspelt would restrict nothing.
struct RawCharter: Decodable {
    struct Quota: Decodable {
        let endpoints: Int?
        let services: Int?
        let records: Int?
        let valueBytes: Int?
        let recordsPerSecond: Int?
        let burst: Int?

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case endpoints, services, records, valueBytes, recordsPerSecond, burst
        }

        init(from decoder: any Decoder) throws {
            try decoder.refuseUnknown(CodingKeys.allCases)
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            endpoints = try fields.decodeIfPresent(Int.self, forKey: .endpoints)
            services = try fields.decodeIfPresent(Int.self, forKey: .services)
            records = try fields.decodeIfPresent(Int.self, forKey: .records)
            valueBytes = try fields.decodeIfPresent(Int.self, forKey: .valueBytes)
            recordsPerSecond = try fields.decodeIfPresent(Int.self, forKey: .recordsPerSecond)
            burst = try fields.decodeIfPresent(Int.self, forKey: .burst)
        }
    }

    let podPrefixes: [String]
    let serviceCIDRs: [String]?
    let namespaces: [String]?
    let quota: Quota?

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case podPrefixes, serviceCIDRs, namespaces, quota
    }

    init(from decoder: any Decoder) throws {
        try decoder.refuseUnknown(CodingKeys.allCases)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        podPrefixes = try fields.decode([String].self, forKey: .podPrefixes)
        serviceCIDRs = try fields.decodeIfPresent([String].self, forKey: .serviceCIDRs)
        namespaces = try fields.decodeIfPresent([String].self, forKey: .namespaces)
        quota = try fields.decodeIfPresent(Quota.self, forKey: .quota)
    }
}

private struct AnyField: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

extension Decoder {
    fileprivate func refuseUnknown(_ known: [some CodingKey]) throws {
        let names = known.map(\.stringValue)
        let found = try container(keyedBy: AnyField.self).allKeys
        guard let unknown = found.first(where: { !names.contains($0.stringValue) }) else { return }
        throw DecodingError.dataCorrupted(
            .init(
                codingPath: codingPath + [unknown],
                debugDescription: "is not known; what is known is \(names.joined(separator: ", "))"
            ))
    }
}

extension Charter {
    /// - Throws: which field is wrong, and why: the peer is left out.
    init(_ raw: RawCharter, file: String) throws(ConfigurationError) {
        podPrefixes = try prefixes(raw.podPrefixes, field: "podPrefixes", file: file)
        if let texts = raw.serviceCIDRs {
            serviceCIDRs = try prefixes(texts, field: "serviceCIDRs", file: file)
        }
        if let patterns = raw.namespaces {
            guard patterns.contains(where: { !$0.hasPrefix("!") }) else {
                throw ConfigurationError(
                    file,
                    "charter.namespaces allows none; list those it may announce, or leave it out")
            }
            do throws(NamePatterns.Fault) {
                namespaces = try NamePatterns(
                    include: patterns.filter { !$0.hasPrefix("!") },
                    exclude: patterns.filter { $0.hasPrefix("!") }.map { String($0.dropFirst()) })
            } catch {
                throw ConfigurationError(file, "charter.namespaces: \(error)")
            }
        }
        if let raw = raw.quota { quota = try CharterQuota(raw, file: file) }
    }
}

extension CharterQuota {
    fileprivate init(_ raw: RawCharter.Quota, file: String) throws(ConfigurationError) {
        self.init()
        func set(
            _ value: inout Int, to wanted: Int?, _ field: String,
            in range: ClosedRange<Int> = Self.range
        ) throws(ConfigurationError) {
            guard let wanted else { return }
            guard range.contains(wanted) else {
                throw ConfigurationError(
                    file,
                    "charter.quota.\(field): \(wanted) must be \(range.lowerBound) to "
                        + "\(range.upperBound)")
            }
            value = wanted
        }
        try set(&endpoints, to: raw.endpoints, "endpoints")
        try set(&services, to: raw.services, "services")
        try set(&records, to: raw.records, "records")
        try set(
            &valueBytes, to: raw.valueBytes, "valueBytes", in: 1...ReplicationLimit.valueBytes)
        try set(&recordsPerSecond, to: raw.recordsPerSecond, "recordsPerSecond")
        try set(&burst, to: raw.burst, "burst")
    }
}

private func prefixes(
    _ texts: [String], field: String, file: String
) throws(ConfigurationError) -> [Prefix] {
    var prefixes: [Prefix] = []
    for text in texts {
        guard let prefix = Prefix(text) else {
            throw ConfigurationError(file, "charter.\(field): '\(text)' is not a prefix")
        }
        prefixes.append(prefix)
    }
    return prefixes
}
