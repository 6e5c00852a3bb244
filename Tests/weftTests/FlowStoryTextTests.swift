// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MeshAdmin
@testable import weft

@Suite("What weft why prints of a flow")
struct FlowStoryTextTests {
    private func story(_ sides: [FlowStory.Side]) -> FlowStory {
        FlowStory(
            seenFrom: "east/n1",
            source: .init(kind: .endpoint, name: "shop/client", cluster: "east", node: "n2"),
            destination: .init(kind: .endpoint, name: "shop/db", cluster: "east", node: "n3"),
            traffic: "TCP 5432", outcome: .works, stoppedAt: nil,
            conclusion: "works: nothing stops it", advice: nil,
            steps: [
                .init(.source, .fine, "it is on node east/n2", saidBy: ["east/n2"]),
                .init(.egress, .fine, "leaving the source: allowed", saidBy: ["east/n2"]),
                .init(
                    .ingress, .note, "reaching the destination: allowed",
                    details: ["east/n3 doesn't answer"], saidBy: ["east/n1"]),
            ], candidates: [], evidence: [], sides: sides, notes: [])
    }

    @Test("whose word a step is, unless the asked node's or named in it; and who said nothing")
    func sides() {
        let text = story([
            .init(node: "east/n2", roles: [.source], state: .answered),
            .init(
                node: "east/n3", roles: [.destination], state: .silent,
                reason: "no link to it is up"),
        ]).text(isColoured: false)
        #expect(
            text == """
                Works: nothing stops it.

                TCP 5432 from east:shop/client to east:shop/db, seen from east/n1
                  ok   source    it is on node east/n2
                  ok   egress    leaving the source: allowed (says east/n2)
                  note ingress   reaching the destination: allowed
                                 east/n3 doesn't answer

                NODE     IS THE       ANSWER
                east/n2  source       its own word counts
                east/n3  destination  no link to it is up

                """)
    }

    @Test("nothing of sides where both ends are on the node that was asked")
    func here() {
        let text = story([
            .init(node: "east/n1", roles: [.source, .destination], state: .answered)
        ]).text(isColoured: false)
        #expect(!text.contains("NODE"))
    }
}
