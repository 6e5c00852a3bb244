// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@testable import MeshAgent

@Suite("What all relays of a cluster hear together")
struct ReportedPathTests {
    private func path(_ name: String, _ state: PathState, isPunctual: Bool = true) -> ReportedPath {
        ReportedPath(
            status: PathStatus(
                remote: NodeID(cluster: ClusterID(rawValue: 2)!, name: name)!, state: state,
                missed: 0, beats: 0, silence: nil, roundTrip: nil, drain: .never, head: .origin,
                relaySetGeneration: 0),
            isPunctual: isPunctual)
    }

    @Test("a relay that is late accuses nobody, but what it hears lives")
    func lateness() {
        let paths = [
            path("a", .up, isPunctual: false), path("b", .down, isPunctual: false),
            path("c", .down), path("d", .up), path("e", .suspect), path("f", .unknown),
        ]
        #expect(paths.reachable.map(\.name) == ["a", "d"])
        #expect(
            paths.testimonies == [
                Testimony(about: "a", isHeard: true), Testimony(about: "c", isHeard: false),
                Testimony(about: "d", isHeard: true),
            ])
    }

    @Test("whom one relay hears is heard, whatever the others say", arguments: [false, true])
    func several(_ isFirst: Bool) {
        let paths = [path("a", isFirst ? .up : .down), path("a", isFirst ? .down : .up)]
        #expect(paths.reachable.map(\.name) == ["a"])
        #expect(paths.testimonies == [Testimony(about: "a", isHeard: true)])
    }
}
