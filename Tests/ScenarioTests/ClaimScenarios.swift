// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

@Suite("What relays of other clusters say of their dead nodes")
struct ClaimScenarios {
    @Test("reaches a node that was restarted meanwhile, though no relay says it anew")
    func restart() throws {
        let world = try World()
        try world.run(for: .seconds(2))
        let claim = Message.DeadNodes(relay: World.id(2, "a"), names: ["b"])
        world.kill(1, "b")
        world.forge(.deadNodes(claim), from: World.id(2, "a"), to: World.id(1, "a"))
        try world.run(for: .milliseconds(100))
        world.revive(1, "b")
        try world.run(for: .milliseconds(300))
        #expect(world.node(1, "b").claims.contains(claim))
    }
}
