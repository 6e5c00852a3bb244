// SPDX-License-Identifier: Apache-2.0

import BPF
import MeshLab
import Netlink

/// Nanoseconds of each packet program on established connections, against an empty program with one
/// hash lookup of the same connections.
struct ProgramBenchmark {
    private static let namespace = "weftbench-programs"
    private static let limit = 2.5

    let isQuick: Bool

    /// In a network namespace of its own, whose loopback device packets of test runs arrive on.
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
        let repetitions = isQuick ? 200_000 : 1_000_000
        try check(world)
        var bare = Sample()
        var lookup = Sample()
        var endpoint = Sample()
        var overlay = Sample()
        for _ in 0..<(isQuick ? 5 : 15) {
            func time(_ run: TestRun, _ expected: UInt32) throws -> Double {
                guard run.returnValue == expected else {
                    throw LabError(
                        .failed, "a program returned \(run.returnValue), not \(expected)")
                }
                return Double(run.nanoseconds)
            }
            let redirect = ProgramWorld.actionRedirect
            let empty = try time(world.runBare(repetitions: repetitions), 0)
            // What the driver adds to a program, measured behind each.
            let out = try time(world.runEmpty(.out, repetitions: repetitions), 0) - empty
            bare.add(empty)
            lookup.add(try time(world.runLookup(repetitions: repetitions), 0) - out)
            endpoint.add(
                try time(
                    world.run("weft_from_endpoint", .out, repetitions: repetitions), redirect) - out
            )
            let back = try time(world.runEmpty(.back, repetitions: repetitions), 0) - empty
            overlay.add(
                try time(
                    world.run("weft_from_overlay", .back, repetitions: repetitions), redirect)
                    - back)
        }
        func figure(_ name: String, _ sample: Sample) -> Figure {
            let ratios = Sample(zip(sample.values, lookup.values).map { $0 / $1 })
            return Figure(
                "path.program.\(name)", sample.median, "ns", baseline: lookup.median,
                ratio: ratios.median, goal: "ratio<=\(Self.limit)")
        }
        return [
            Figure("path.program.empty", bare.median, "ns"),
            figure("from-endpoint", endpoint), figure("from-overlay", overlay),
        ]
    }

    /// Opens every connection, answers on it, and makes sure that none is refused.
    private func check(_ world: borrowing ProgramWorld) throws {
        let rounds = [
            ("weft_from_endpoint", ProgramWorld.Direction.out), ("weft_from_overlay", .back),
        ]
        for (name, direction) in rounds {
            let run = try world.run(name, direction, repetitions: ProgramWorld.connections)
            guard run.returnValue == ProgramWorld.actionRedirect else {
                throw LabError(.failed, "\(name) returned \(run.returnValue), not a redirection")
            }
        }
        let count = try world.connectionCount()
        guard count == ProgramWorld.connections else {
            throw LabError(.failed, "\(count) of \(ProgramWorld.connections) connections are open")
        }
    }
}
