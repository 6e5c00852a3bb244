// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshLab
import MeshModel

/// A node's pinned maps, read as its programs read them: plain loads, no help from its agent.
struct KernelView: ~Copyable {
    private let clusters: MappedArray<UInt64>
    private let services: MappedArray<UInt64>
    private let lists: MappedArray<weft_slice>
    private let backends: MappedArray<weft_backend>
    private let frontends: HashMap<weft_frontend_key, weft_service_slot>

    init(of node: LabPlan.Node, in cluster: String, lab: String) throws {
        let folder =
            "\(try BPFFileSystem.mountPoint())/weft-lab/\(lab)/\(cluster)/\(node.name)/maps"
        func map(_ name: String) throws -> BPFMap { try BPFMap(pinnedAt: "\(folder)/\(name)") }
        self.init(
            clusters: try MappedArray(map("weft_clusters")),
            services: try MappedArray(map("weft_services")),
            lists: try MappedArray(map("weft_lists")),
            backends: try MappedArray(map("weft_backends")),
            frontends: try HashMap(map("weft_frontends")))
    }

    private init(
        clusters: consuming MappedArray<UInt64>, services: consuming MappedArray<UInt64>,
        lists: consuming MappedArray<weft_slice>, backends: consuming MappedArray<weft_backend>,
        frontends: consuming HashMap<weft_frontend_key, weft_service_slot>
    ) {
        self.clusters = clusters
        self.services = services
        self.lists = lists
        self.backends = backends
        self.frontends = frontends
    }

    func word(ofCluster id: UInt16) -> LivenessWord {
        LivenessWord(rawValue: clusters.word(at: Int(id)))
    }

    /// Slot of a TCP service; it stays the same as long as the service is there.
    func slot(of address: String, port: UInt16) throws -> UInt32? {
        guard let address = Address(address) else { return nil }
        return try frontends.lookup(
            weft_frontend_key(
                address: weft_address(address), port: port.bigEndian,
                protocol: TransportProtocol.tcp.rawValue, pad: 0))
    }

    /// Changes with every change of the service.
    func word(ofSlot slot: UInt32) -> UInt64 { services.word(at: Int(slot)) }

    /// The backends that the programs find now, of all clusters.
    func backends(ofSlot slot: UInt32) -> [Address] {
        let list = Int(UInt32(truncatingIfNeeded: word(ofSlot: slot)))
        guard list > 0, list < lists.count else { return [] }
        let header = unsafeBitCast(lists[list], to: weft_list.self)
        let slices = Int(min(header.slices, UInt32(WEFT_CLUSTERS_PER_SERVICE_MAX)))
        guard list + slices < lists.count else { return [] }
        return lists.load(list + 1..<list + 1 + slices).flatMap { slice -> [Address] in
            let range = Int(slice.first)..<Int(slice.first) + Int(slice.count)
            guard range.upperBound <= backends.count else { return [] }
            return backends.load(range).map { Address($0.address) }
        }
    }
}

extension Address {
    init(_ address: weft_address) {
        self.init(
            high: UInt64(address.word0.bigEndian) << 32 | UInt64(address.word1.bigEndian),
            low: UInt64(address.word2.bigEndian) << 32 | UInt64(address.word3.bigEndian))
    }
}
