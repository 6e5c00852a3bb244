// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import KernelTestSupport
import MeshDatapath
import MeshModel
import Testing

@Suite("the lease under which the kernel answers probes")
struct LeaseTests {
    private static let now = Instant(nanoseconds: 90_000_000_000)

    @Test("is renewed by one store, ended by one, and knows whose it is")
    func memory() throws {
        let datapath = try MemoryDatapath(node: node("n0"))
        #expect(datapath.lease == nil)
        datapath.renewLease(of: 7, at: Self.now)
        #expect(datapath.lease == ResponderLease(instance: 7, renewed: Self.now))
        let before = datapath.writeCount
        datapath.renewLease(of: 7, at: Self.now + .milliseconds(500))
        #expect(datapath.writeCount.since(before).byMap == ["weft_responder": 1])
        datapath.renewLease(of: 8, at: Self.now + .seconds(1))
        #expect(
            datapath.lease == ResponderLease(instance: 8, renewed: Self.now + .seconds(1)))
        datapath.endLease()
        #expect(datapath.lease == nil)
    }

    @Test("outlives its agent as the program does, until the next one renews it", .tags(.kernel))
    func restart() throws {
        let sandbox = try Sandbox("lease")
        try inOwnNamespace {
            func start(answering: Bool = true) throws -> KernelDatapath {
                try KernelDatapath(
                    sandbox.configuration {
                        $0.responder = answering ? ProbeResponder(interface: 1, port: 4791) : nil
                    })
            }
            do {
                let datapath = try start()
                datapath.renewLease(of: 7, at: Self.now)
            }
            let words = try ArrayMap<UInt64>(
                BPFMap(pinnedAt: "\(sandbox.pins)/maps/weft_responder"))
            #expect(try words.lookup(0) == Self.now.nanoseconds && words.lookup(1) == 7)
            #expect(try sandbox.pinned().contains("links/underlay"))
            do {
                let heir = try start()
                #expect(heir.writeCount.total == 0)
                #expect(heir.lease == ResponderLease(instance: 7, renewed: Self.now))
                heir.renewLease(of: 8, at: Self.now)
                #expect(try words.lookup(1) == 8)
                heir.endLease()
                #expect(try words.lookup(0) == 0)
            }
            _ = try start(answering: false)
            #expect(try sandbox.pinned().contains("links/underlay") == false)
        }
    }
}
