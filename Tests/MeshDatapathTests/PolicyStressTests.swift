// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Glibc
import KernelTestSupport
import MeshModel
import MeshStore
import Synchronization
import Testing

@testable import MeshDatapath

@Suite("policies that change while packets are judged", .tags(.kernel))
struct PolicyStressTests {
    private static let client = Address("10.1.0.2")!
    private static let server = Address("10.1.0.3")!
    private static let set: UInt32 = 1
    private static let allowedPort: UInt16 = 80
    private static let deniedPort: UInt16 = 81

    private static func identity(_ address: Address) -> Identity {
        Identity(cluster: cluster(1), local: 256 + UInt32(address.bytes[15]))!
    }

    /// UDP of the client to the server.
    private static func packet(from source: UInt16, to destination: UInt16) -> [UInt8] {
        func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
        let ethernet: [UInt8] = [0x0a, 2, 2, 2, 2, 2, 0x0a, 1, 1, 1, 1, 1, 8, 0]
        let ip: [UInt8] =
            [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0] + client.bytes.suffix(4)
            + server.bytes.suffix(4)
        return ethernet + ip + bytes(source) + bytes(destination) + [0, 8, 0, 0]
    }

    /// Every version allows UDP port 80 and denies port 81 from the client, some by a list of its
    /// own, some to everybody. The rule that denies tells odd versions from even ones.
    private static func image(_ number: Int, noise: Int) -> PolicyImage {
        let rule = rule(number)
        let udp = UInt32(17) << 16
        let gate = [
            interval(0, .deny, rule: rule), interval(udp | UInt32(allowedPort), .allow),
            interval(udp | UInt32(deniedPort), .deny, rule: rule),
        ]
        var peers: [DatapathPeer: [PolicyInterval]] = [:]
        for index in 0..<noise {
            // Lists that say the opposite, under other peers.
            peers[peer(UInt32(index))] = [
                interval(0, .allow), interval(udp | UInt32(allowedPort), .deny, rule: 77),
                interval(udp | UInt32(deniedPort) + UInt32(index + number) % 7, .allow),
            ]
        }
        let isOwn = number % 3 == 0
        if isOwn { peers[DatapathPeer(identity: identity(client))] = gate }
        return PolicyImage(
            standard: .init(
                egress: all(.allow), ingress: isOwn ? all(.deny, rule: 77) : gate),
            ingress: peers)
    }

    private static func rule(_ number: Int) -> Int32 { 1 + Int32(number % 2) }

    @Test("no packet meets a verdict of neither version")
    func swaps() throws {
        let sandbox = try Sandbox("policy-stress")
        try inOwnNamespace {
            let datapath = try KernelDatapath(
                sandbox.configuration {
                    $0.capacities.connections = 4096
                    $0.capacities.policyPeers = 2048
                    $0.capacities.policyIntervals = 4096
                })
            let first = try datapath.publishPolicy(Self.image(0, noise: 50), as: Self.set)
            for address in [Self.client, Self.server] {
                try datapath.apply(
                    EndpointEntry(
                        address: address, identity: Self.identity(address), node: node("n0"),
                        local: LocalInterface(
                            ifindex: 1, mac: LinkAddress(rawValue: 0x0a00_0000_0001)!),
                        policySet: address == Self.server ? Self.set : 0))
            }
            let isOver = Atomic(false)
            let wrong = Mutex<[String]>([])
            let reader = Companion {
                var source: UInt16 = 1
                while !isOver.load(ordering: .acquiring) {
                    source = source == .max ? 1 : source + 1
                    // What is denied is judged each time; once allowed, it would stay so.
                    for (port, action, times) in [
                        (Self.allowedPort, 7, 1), (Self.deniedPort, 2, 200),
                    ] {
                        let run = try? datapath.endpointPrograms.from.testRun(
                            data: Self.packet(from: source, to: port), repetitions: times)
                        guard run?.returnValue != UInt32(action) else { continue }
                        wrong.withLock {
                            $0.append("port \(port): \(run.map { "\($0.returnValue)" } ?? "-")")
                        }
                    }
                }
            }
            var rules = [first: Self.rule(0)]
            var events = 0
            for number in 1...400 {
                let version = try datapath.publishPolicy(
                    Self.image(number, noise: 20 + number % 60), as: Self.set)
                rules[version] = Self.rule(number)
                // Elements come and go in the version in force, so that the kernel reuses them.
                for index in 0..<20 {
                    let other = peer(UInt32(1000 + index))
                    try datapath.setPolicyPeer(
                        other, egress: nil, ingress: all(.allow, rule: Int32(index)), in: Self.set)
                    try datapath.setPolicyPeer(other, egress: nil, ingress: nil, in: Self.set)
                }
                try datapath.consumeEvents { event in
                    guard event.kind == .denied, let policy = event.policy else { return }
                    events += 1
                    if policy.rule != rules[policy.version] {
                        wrong.withLock { $0.append("\(policy)") }
                    }
                }
            }
            isOver.store(true, ordering: .releasing)
            reader.join()
            #expect(wrong.withLock { $0.prefix(5) } == [])
            #expect(events > 0)
            let judged = try datapath.counters().first {
                $0.subject == .drop(DropReason(label: "policy_denied")!)
            }
            print("packets denied while 400 versions were published: \(judged?.packets ?? 0)")
        }
    }
}
