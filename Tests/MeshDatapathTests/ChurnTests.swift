// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import Testing

@Suite("services that come, change and go")
struct ChurnTests {
    /// A generator that is the same on every run.
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 31
        }
    }

    private static func randomFrontend(
        _ number: Int, _ random: inout Random
    ) -> ServiceFrontend {
        let slices = (1...3).filter { _ in Bool.random(using: &random) }.map { number in
            slice(
                UInt16(number),
                backends(
                    Int.random(in: 1...4, using: &random), in: UInt16(number),
                    from: Int.random(in: 0...2, using: &random)),
                weight: UInt8.random(in: 1...2, using: &random))
        }
        return frontend(key(number), slices)
    }

    @Test(
        "after any history the maps hold exactly what was last asked for, and use no more memory",
        arguments: [1, 2, 3, 4] as [UInt64])
    func history(seed: UInt64) throws {
        var random = Random(state: seed)
        var capacities = MapCapacities()
        // Tight: memory has to be found again, and sometimes there is none.
        capacities.frontends = 12
        capacities.lists = 45
        capacities.backends = 70
        let datapath = try MemoryDatapath(node: node("n0"), capacities: capacities)
        var model: [FrontendKey: ServiceFrontend] = [:]
        var refused = 0
        for _ in 0..<2_000 {
            let number = Int.random(in: 0..<16, using: &random)
            if Int.random(in: 0..<4, using: &random) == 0 {
                try datapath.removeFrontend(key(number))
                model[key(number)] = nil
            } else {
                let wanted = Self.randomFrontend(number, &random)
                do {
                    try datapath.apply(wanted)
                    model[key(number)] = wanted
                } catch {
                    guard case .mapFull = error else { throw error }
                    refused += 1
                }
            }
            for (key, frontend) in model {
                let expected = frontend.slices.flatMap { slice in
                    slice.backends.map { "\(slice.cluster):\($0.address)" }
                }
                try #require(datapath.service(key)?.story == expected)
            }
        }
        #expect(refused > 0)
        #expect(Set(datapath.frontendKeys()) == Set(model.keys))
        let usage = Dictionary(
            uniqueKeysWithValues: try datapath.mapUsage().map { ($0.name, $0.entries) })
        let slices = model.values.flatMap(\.slices)
        #expect(usage["weft_backends"] == slices.reduce(0) { $0 + $1.backends.count })
        let lists = model.values.filter { !$0.slices.isEmpty }.count
        #expect(usage["weft_lists"] == slices.count + lists)
        #expect(usage["weft_services"] == model.count)
    }
}
