// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust

extension ClusterDescription {
    /// What a cluster says of itself: where its likely relays are, and the charter it asks for.
    ///
    /// - Parameters:
    ///   - bundle: its roots.
    ///   - prefixes: of its nodes' pods, as far as they are known; without a configured charter it
    ///     asks for these.
    ///   - former: what it said before. Without a configured charter it never asks for less: a node
    ///     that isn't there yet mustn't cost its endpoints.
    init(
        of configuration: AgentConfiguration, bundle: TrustBundle, relays: [String],
        prefixes: [Prefix], former: ClusterDescription?
    ) throws(TrustError) {
        func invalid(_ reason: String) -> TrustError {
            .invalidBundle(domain: bundle.trustDomain.name, reason: reason)
        }
        let ranked =
            relays.compactMap { relay in configuration.members.first { $0.name == relay } }
            + configuration.members.filter { !relays.contains($0.name) }
        // An authority apart begins before the API server has told it of a node: one runs where it does.
        let known = ranked.isEmpty ? [configuration.underlay] : ranked.map(\.address)
        let addresses = known.prefix(JoinLimit.addresses).compactMap {
            ClusterAddress(address: $0, port: configuration.ports.state)
        }
        let asked: ClusterCharter
        if let charter = configuration.charter {
            asked = charter
        } else {
            let all = outermost(
                configuration.podPrefixes + prefixes + (former?.charter.podPrefixes ?? []))
            guard let charter = ClusterCharter(podPrefixes: all) else {
                throw invalid(
                    "its nodes have \(all.count) pod prefixes, not 1 to \(JoinLimit.prefixes): name those that hold them in charter.podPrefixes of the home's configuration"
                )
            }
            asked = charter
        }
        try self.init(
            id: configuration.cluster, bundle: bundle, addresses: addresses, charter: asked)
    }
}

/// Without those inside another.
private func outermost(_ prefixes: [Prefix]) -> [Prefix] {
    let all = Set(prefixes)
    return all.filter { one in
        !all.contains { $0 != one && $0.length <= one.length && $0.overlaps(one) }
    }.sorted()
}

extension ClusterCharter {
    /// `charter:` of a node's configuration, written as in a peer's file.
    init(_ raw: RawCharter, file: String) throws(ConfigurationError) {
        let checked = try Charter(raw, file: file)
        var quota = Quota()
        func number(_ value: Int?) -> UInt32? { value.map { UInt32(clamping: $0) } }
        quota.endpoints = number(raw.quota?.endpoints)
        quota.services = number(raw.quota?.services)
        quota.records = number(raw.quota?.records)
        quota.valueBytes = number(raw.quota?.valueBytes)
        quota.recordsPerSecond = number(raw.quota?.recordsPerSecond)
        quota.burst = number(raw.quota?.burst)
        guard
            let charter = ClusterCharter(
                podPrefixes: checked.podPrefixes, serviceCIDRs: checked.serviceCIDRs,
                namespaces: raw.namespaces, quota: quota)
        else {
            throw ConfigurationError(
                file,
                "charter takes 1 to \(JoinLimit.prefixes) podPrefixes, as many serviceCIDRs and \(JoinLimit.namespacePatterns) different namespaces"
            )
        }
        self = charter
    }
}
