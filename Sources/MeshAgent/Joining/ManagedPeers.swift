// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshReplication
import MeshTrust

/// Files of the peers folder that the agent writes from its cluster's ledger. Those that an operator
/// writes are never touched, and win: a cluster that one of them names gets no other.
struct ManagedPeers {
    /// Makes a file the agent's own.
    static let mark = "# Managed by weft: written from this cluster's ledger."
    private static let remark =
        mark
        + " What you change here is lost;\n# write a file of another name to decide yourself.\n"

    let folder: String

    /// What operators' files say. One that can't be read names nobody; status says what is wrong with
    /// it.
    func operators() -> [(file: String, peer: PeerCluster)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted().prefix(PeerFolder.maximumPeers)
            .compactMap { name in
                let path = "\(folder)/\(name)"
                guard let text = readText(path), !text.hasPrefix(Self.mark),
                    let peer = try? PeerCluster(file: path)
                else { return nil }
                return (name, peer)
            }
    }

    /// Makes the folder hold one file for each of `peers`, and none that was written before for
    /// others.
    ///
    /// - Parameter isComplete: whether `peers` are all there are: else no file goes.
    /// - Returns: why something isn't as it should be.
    func write(_ peers: [RosterPeer], isComplete: Bool) -> [String] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasSuffix(".yaml") }.sorted()
        } catch {
            return ["\(folder) can't be listed: \(error)"]
        }
        var problems: [String] = []
        var managed: [String: String] = [:]
        for name in names.prefix(PeerFolder.maximumPeers) {
            guard let text = readText("\(folder)/\(name)"), text.hasPrefix(Self.mark)
            else { continue }
            managed[name] = text
        }
        let others = operators()
        var wanted: [String: String] = [:]
        for peer in peers {
            let member = peer.description
            let name = "\(member.name).yaml"
            if let other = others.first(where: { $0.peer.name == member.name }) {
                // An operator's word about the very cluster: that is how it shall be.
                if other.peer.id == member.id { continue }
                problems.append(
                    "member '\(member.name)' has ID \(member.id), but \(other.file) says \(other.peer.id): correct that file, or remove it"
                )
                continue
            }
            if let other = others.first(where: { $0.peer.id == member.id }) {
                problems.append(
                    "member '\(member.name)' has ID \(member.id), which \(other.file) gives to '\(other.peer.name)': correct that file, or 'weft cluster forget \(member.name)' at the home"
                )
                continue
            }
            guard !names.contains(name) || managed[name] != nil else { continue }
            do {
                wanted[name] = try Self.text(of: peer)
            } catch {
                problems.append("\(folder)/\(name) can't be written: \(error)")
            }
        }
        // First what goes: a cluster may come back under another name.
        if isComplete {
            for name in managed.keys.sorted() where wanted[name] == nil {
                do {
                    try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
                } catch {
                    problems.append("\(folder)/\(name) can't be removed: \(error)")
                }
            }
        }
        for (name, text) in wanted.sorted(by: { $0.key < $1.key }) where managed[name] != text {
            do throws(DurableFile.Failure) {
                try DurableFile(path: "\(folder)/\(name)").write(text)
            } catch {
                problems.append("\(error)")
            }
        }
        return problems
    }

    private func readText(_ path: String) -> String? {
        guard let data = try? Data(contentsOf: URL(filePath: path)),
            data.count <= AgentConfiguration.maximumFileBytes
        else { return nil }
        return String(decoding: data, as: UTF8.self)
    }

    /// JSON, which is YAML: no name or pattern can mean anything else in it.
    static func text(of peer: RosterPeer) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let json = try encoder.encode(PeerDocument(peer))
        return remark + String(decoding: json, as: UTF8.self) + "\n"
    }
}

/// `peers.d/NAME.yaml`.
private struct PeerDocument: Encodable {
    struct Charter: Encodable {
        let podPrefixes: [String]
        let serviceCIDRs: [String]?
        let namespaces: [String]?
        let quota: [String: Int]
    }

    let name: String
    let id: UInt16
    let addresses: [String]
    let bundle: String
    let charter: Charter
    let life: UInt64

    init(_ peer: RosterPeer) throws {
        let member = peer.description
        life = peer.life
        name = member.name.rawValue
        id = member.id.rawValue
        addresses = member.addresses.map(\.description)
        bundle = try member.bundle.pem()
        let quota = member.charter.quota
        // It asks for what it likes; the file says no more than can be granted.
        let fields: [(String, UInt32?, Int)] = [
            ("endpoints", quota.endpoints, CharterQuota.range.upperBound),
            ("services", quota.services, CharterQuota.range.upperBound),
            ("records", quota.records, CharterQuota.range.upperBound),
            ("valueBytes", quota.valueBytes, ReplicationLimit.valueBytes),
            ("recordsPerSecond", quota.recordsPerSecond, CharterQuota.range.upperBound),
            ("burst", quota.burst, CharterQuota.range.upperBound),
        ]
        charter = Charter(
            podPrefixes: member.charter.podPrefixes.map(\.description),
            serviceCIDRs: member.charter.serviceCIDRs?.map(\.description),
            namespaces: member.charter.namespaces,
            quota: Dictionary(
                uniqueKeysWithValues: fields.compactMap { name, value, most in
                    value.map { (name, max(1, min(Int($0), most))) }
                }))
    }
}
