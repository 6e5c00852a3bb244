// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
public import MeshModel
public import MeshTransport
import MeshTrust

/// Another cluster of the mesh, as `peers.d/NAME.yaml` describes it.
public struct PeerCluster: Hashable, Sendable {
    public let name: ClusterName
    public let id: ClusterID
    /// Where some of its nodes take streams: underlay address and TCP port. It is found there before its
    /// ledger, which names its relays, is here; afterwards these are dialled, too.
    public let addresses: [TransportAddress]
    /// PEM certificates of its authority.
    public let bundle: String
    /// What it may announce.
    let charter: Charter
    /// See `RosterPeer`: one of another life is another cluster, whatever its name.
    var life: UInt64 = 0

    /// Pod addresses it may announce.
    public var podPrefixes: [Prefix] { charter.podPrefixes }
}

/// The peers folder, read: usable peers, and why a file is not.
public struct PeerFolder: Sendable {
    public static let maximumPeers = 4095
    public var peers: [PeerCluster] { register.peers }
    public private(set) var problems: [ConfigurationError] = []
    /// In the order of the files' names.
    private(set) var register = PeerRegister()
    /// What each file says that is in force.
    private var files: [String: PeerCluster] = [:]

    /// Reads every `.yaml` file of the folder in the order of their names. A file that can't be used,
    /// repeats a name or an ID, or overlaps an earlier cluster's prefixes is left out and reported.
    ///
    /// - Parameter former: what the folder said last. A file that is there but can't be used any more
    ///   says what it said then; so does a folder that can't be listed.
    public init(
        folder: String, own configuration: AgentConfiguration, former: PeerFolder? = nil
    ) {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasSuffix(".yaml") }.sorted()
        } catch {
            problems.append(ConfigurationError(folder, "can't be listed: \(error)"))
            if let former { (register, files) = (former.register, former.files) }
            return
        }
        if names.count > Self.maximumPeers {
            problems.append(
                ConfigurationError(
                    folder, "holds \(names.count) files; only \(Self.maximumPeers) are read"))
        }
        for name in names.prefix(Self.maximumPeers) {
            let file = folder + "/" + name
            do {
                try add(try PeerCluster(file: file), of: name, in: folder, own: configuration)
            } catch {
                problems.append(
                    error as? ConfigurationError ?? ConfigurationError(file, "\(error)"))
                guard let known = former?.files[name] else { continue }
                // Of what contends with others by now nothing is in force; the file is reported already.
                try? add(known, of: name, in: folder, own: configuration)
            }
        }
    }

    private mutating func add(
        _ peer: PeerCluster, of name: String, in folder: String, own: AgentConfiguration
    ) throws(ConfigurationError) {
        try check(peer, file: folder + "/" + name, own: own)
        register.add(peer)
        files[name] = peer
    }

    private mutating func check(
        _ peer: PeerCluster, file: String, own: AgentConfiguration
    ) throws(ConfigurationError) {
        if peer.name == own.clusterName || peer.id == own.cluster {
            throw ConfigurationError(
                file,
                "cluster '\(peer.name)' (ID \(peer.id)) has this cluster's own name or ID; every cluster of a mesh needs its own"
            )
        }
        if let other = register.rival(of: peer) {
            guard other.name != peer.name, other.id != peer.id else {
                throw ConfigurationError(
                    file,
                    "name '\(peer.name)' or ID \(peer.id) is already used by '\(other.name)'; change one"
                )
            }
            if let (mine, theirs) = overlap(peer.podPrefixes, other.podPrefixes) {
                throw ConfigurationError(
                    file,
                    "charter.podPrefixes: \(mine) overlaps \(theirs) of cluster '\(other.name)'; clusters need separate addresses"
                )
            }
        }
        if let (mine, theirs) = overlap(peer.podPrefixes, own.podPrefixes) {
            throw ConfigurationError(
                file,
                "charter.podPrefixes: \(mine) overlaps this node's own \(theirs); clusters need separate addresses"
            )
        }
    }
}

private func overlap(_ left: [Prefix], _ right: [Prefix]) -> (Prefix, Prefix)? {
    for one in left {
        if let other = right.first(where: { $0.overlaps(one) }) { return (one, other) }
    }
    return nil
}

extension PeerCluster {
    init(file: String) throws {
        let raw = try decodeYAML(RawPeer.self, file: file)
        guard let name = ClusterName(rawValue: raw.name) else {
            throw ConfigurationError(
                file, "name: '\(raw.name)' must be 1 to 32 characters of a-z, 0-9 and -")
        }
        guard let id = UInt16(exactly: raw.id).flatMap(ClusterID.init) else {
            throw ConfigurationError(file, "id: \(raw.id) must be 1 to \(ClusterID.maximum)")
        }
        let addresses = try raw.addresses.map { text in
            guard let address = TransportAddress(parsing: text) else {
                throw ConfigurationError(
                    file, "addresses: '\(text)' is not an address and port such as 192.0.2.1:4790")
            }
            return address
        }
        guard !addresses.isEmpty else {
            throw ConfigurationError(
                file, "addresses is empty; list at least one, such as 192.0.2.1:4790")
        }
        self.init(
            name: name, id: id, addresses: addresses, bundle: raw.bundle,
            charter: try Charter(raw.charter, file: file), life: raw.life ?? 0)
    }

    /// With everything else that a charter may leave open.
    init(
        name: ClusterName, id: ClusterID, addresses: [TransportAddress], bundle: String,
        podPrefixes: [Prefix]
    ) {
        self.init(
            name: name, id: id, addresses: addresses, bundle: bundle,
            charter: Charter(podPrefixes: podPrefixes))
    }
}

extension TransportAddress {
    /// `192.0.2.1:4790` or `[2001:db8::1]:4790`.
    init?(parsing text: String) {
        guard let parsed = ClusterAddress(text) else { return nil }
        self.init(parsed)
    }

    init(_ address: ClusterAddress) { self.init(address: address.address, port: address.port) }
}

private struct RawPeer: Decodable {
    let name: String
    let id: Int
    let addresses: [String]
    let bundle: String
    let charter: RawCharter
    let life: UInt64?
}
