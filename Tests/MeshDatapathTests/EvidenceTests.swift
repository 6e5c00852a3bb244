// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshDatapath
import MeshModel
import MeshReconciler
import MeshStore
import Testing

@Suite("Evidence against backends, and their quarantine")
struct EvidenceTests {
    /// Two backends: one with every field set, on a node that has an index, and a bare one.
    private static let entries: [BackendEvidence] = {
        func backend(_ number: UInt16, _ transport: TransportProtocol) -> BackendKey {
            BackendKey(address: Address("fd00:2::\(number)")!, port: number, transport: transport)
        }
        var full = BackendEvidence(
            backend: backend(80, .tcp), node: node("n1", in: 2), interface: 7)
        full.answered = .init(1, last: Instant(nanoseconds: 11))
        full.silent = .init(2, last: Instant(nanoseconds: 12))
        full.refused = .init(3, last: Instant(nanoseconds: 13))
        full.unreachable = .init(4, last: Instant(nanoseconds: 14))
        full.failedOpenings = 5
        full.denied = Instant(nanoseconds: 15)
        full.retractedOpenings = 6
        full.retracted = 7
        return [full, BackendEvidence(backend: backend(53, .udp), node: nil, interface: 0)]
    }()

    @Test("the kernel's map and its twin read alike, and forget alike", .tags(.kernel))
    func twins() throws {
        let sandbox = try Sandbox()
        try inOwnNamespace {
            let kernel = try KernelDatapath(sandbox.configuration())
            let twin = try MemoryDatapath(node: node("n0"))
            let map = try HashMap<weft_evidence_key, weft_evidence>(
                BPFMap(pinnedAt: "\(sandbox.pins)/maps/weft_evidence"))
            #expect(map.capacity == MapCapacities().evidence)
            for datapath in [kernel as any Datapath, twin] {
                try datapath.apply(frontend(key(1), [slice(2, backends(2, in: 2))]))
                #expect(try datapath.evidence().isEmpty)
            }
            for entry in Self.entries { try twin.note(entry) }
            try map.update(
                weft_evidence_key(
                    address: weft_address(
                        word0: UInt32(0xfd00_0002).bigEndian, word1: 0, word2: 0,
                        word3: UInt32(0x80).bigEndian),
                    port: UInt16(80).bigEndian, protocol: 6, pad: 0),
                weft_evidence(
                    answered_at: 11, silent_at: 12, refused_at: 13, unreachable_at: 14,
                    denied_at: 15, answered: 1, openings: 5, silent: 2, refused: 3, unreachable: 4,
                    retracted_openings: 6, retracted: 7,
                    node: try #require(kernel.nodeIndex(node("n1", in: 2))), ifindex: 7, cluster: 2,
                    pad: 0))
            try map.update(
                weft_evidence_key(
                    address: weft_address(
                        word0: UInt32(0xfd00_0002).bigEndian, word1: 0, word2: 0,
                        word3: UInt32(0x53).bigEndian),
                    port: UInt16(53).bigEndian, protocol: 17, pad: 0),
                weft_evidence(
                    answered_at: 0, silent_at: 0, refused_at: 0, unreachable_at: 0, denied_at: 0,
                    answered: 0, openings: 0, silent: 0, refused: 0, unreachable: 0,
                    retracted_openings: 0, retracted: 0,
                    node: UInt32(WEFT_NODE_UNKNOWN), ifindex: 0, cluster: 0, pad: 0))
            for datapath in [kernel as any Datapath, twin] {
                #expect(Set(try datapath.evidence()) == Set(Self.entries))
                for _ in 0..<2 {
                    try datapath.forgetEvidence(against: [Self.entries[0].backend])
                }
                #expect(try datapath.evidence() == [Self.entries[1]])
            }
        }
    }

    private static func backendKey(_ backend: Backend) -> BackendKey {
        BackendKey(address: backend.address, port: backend.port, transport: .tcp)
    }

    private static func quarantine(_ backend: Backend) -> QuarantineRow {
        QuarantineRow(backend: backendKey(backend), since: .zero, reason: "silent")
    }

    @Test("a backend in quarantine is in no slice until it is released; its row stays")
    func reconciled() throws {
        let datapath = try MemoryDatapath(node: node("n0"))
        let store = MeshStore()
        let (here, there) = (backends(4, in: 1), backends(1, in: 2))
        store.write {
            $0.frontends.upsert(
                frontend(key(1), [slice(1, here, weight: 200), slice(2, there, weight: 50)]))
            $0.frontends.upsert(frontend(key(2), [slice(3, backends(2, in: 3))]))
            $0.frontends.declareComplete()
        }
        var reconciler = Reconciler(FrontendTarget(datapath, store), table: \.frontends)
        _ = reconciler.pass(store, now: .zero)
        let all = datapath.services()

        let writes = datapath.writeCount
        store.write { $0.quarantine([Self.quarantine(here[1]), Self.quarantine(there[0])]) }
        let touched = store.snapshot().frontends
        #expect(touched.entry(for: key(1))?.status == .pending)
        #expect(touched.entry(for: key(2))?.status == .done)
        #expect(reconciler.pass(store, now: .zero).updated == 1)
        let service = try #require(datapath.service(key(1)))
        #expect(
            service.slices.map { $0.backends.map(\.address) } == [
                [0, 2, 3].map { here[$0].address }
            ])
        #expect(service.slices.map(\.weight) == [150], "three quarters of the backends")
        #expect(datapath.service(key(2)) == all.first { $0.key == key(2) })
        #expect(datapath.writeCount.byMap["weft_services"] == writes.byMap["weft_services"]! + 1)
        #expect(store.snapshot().frontends[key(1)]?.slices.count == 2)

        // A merger that writes the row anew changes nothing of it.
        store.write {
            _ = $0.frontends.upsert(
                frontend(
                    key(1), [slice(1, here, weight: 200), slice(2, there, weight: 50)], affinity: 9)
            )
        }
        _ = reconciler.pass(store, now: .zero)
        #expect(datapath.service(key(1))?.slices.map(\.backends.count) == [3])

        store.write { $0.release([Self.backendKey(here[1]), Self.backendKey(there[0])]) }
        _ = reconciler.pass(store, now: .zero)
        #expect(datapath.service(key(1))?.slices.map(\.backends.count) == [4, 1])
        #expect(datapath.service(key(1))?.slices.map(\.weight) == [200, 50])
        #expect(store.snapshot().quarantines.isEmpty)
    }

    @Test("a service whose backends are all in quarantine keeps them")
    func lastBackend() throws {
        let datapath = try MemoryDatapath(node: node("n0"))
        let store = MeshStore()
        let only = backends(2, in: 1)
        store.write {
            _ = $0.frontends.upsert(frontend(key(1), [slice(1, only)]))
            $0.quarantine(only.map(Self.quarantine))
        }
        var reconciler = Reconciler(FrontendTarget(datapath, store), table: \.frontends)
        _ = reconciler.pass(store, now: .zero)
        #expect(datapath.service(key(1))?.slices.map(\.backends.count) == [2])
    }
}
