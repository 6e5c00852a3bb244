// SPDX-License-Identifier: Apache-2.0

import BPF
import MeshLab
import Netlink

/// Nanoseconds of from-endpoint for the first packet of a flow and for one of an established flow,
/// under policies of different sizes, against none in the same round.
struct PolicyPrograms {
    private static let namespace = "weftbench-policy"
    private static let sizes = [1, 100, 10_000]

    let isQuick: Bool

    func run() throws {
        try NetworkNamespace.delete(named: Self.namespace)
        let namespace = try NetworkNamespace.create(named: Self.namespace)
        let outcome = Result { [self] in try namespace.run { try measure() } }
        try NetworkNamespace.delete(named: Self.namespace)
        for figure in try outcome.get() { figure.report() }
    }

    private func measure() throws -> [Figure] {
        try stay(onCPU: measuringCPU())
        let world = try ProgramWorld()
        // Who isn't asked costs nothing.
        try world.setPolicy(rules: 100, denying: true)
        let denied = try world.run("weft_from_endpoint", .out, repetitions: 1)
        guard denied.returnValue == ProgramWorld.actionDrop else {
            throw LabError(.failed, "the policy isn't asked: \(denied.returnValue)")
        }
        var opening: [Int: Sample] = [:]
        var established: [Int: Sample] = [:]
        for _ in 0..<(isQuick ? 5 : 21) {
            for size in [0] + Self.sizes {
                try world.setPolicy(rules: size == 0 ? nil : size)
                try world.forgetConnections()
                opening[size, default: Sample()].add(try time(world))
                // The second round finds what the first one opened.
                established[size, default: Sample()].add(try time(world))
            }
        }
        return Self.sizes.flatMap { size in
            [("new", opening), ("established", established)].map { name, samples in
                Figure(
                    "policy.\(name).\(size)-rules", samples[size]?.median, "ns",
                    baseline: samples[0]?.median,
                    ratio: zip(samples[size]?.values ?? [], samples[0]?.values ?? [])
                        .reduce(into: Sample()) { $0.add($1.0 / $1.1) }.median)
            }
        }
    }

    private func time(_ world: borrowing ProgramWorld) throws -> Double {
        let empty = try world.runEmpty(.out, repetitions: ProgramWorld.connections)
        let run = try world.run(
            "weft_from_endpoint", .out, repetitions: ProgramWorld.connections)
        guard run.returnValue == ProgramWorld.actionRedirect else {
            throw LabError(.failed, "from-endpoint returned \(run.returnValue)")
        }
        return Double(run.nanoseconds) - Double(empty.nanoseconds)
    }
}
