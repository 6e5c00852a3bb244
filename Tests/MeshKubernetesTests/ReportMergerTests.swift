// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import Testing

private let echo = RecordKey(kind: .service, name: "default/echo")

@Suite("Reports of several nodes")
struct ReportMergerTests {
    private var merger = ReportMerger()

    @Test("that agree are no conflict, and the value stays until the last one drops it")
    mutating func agreement() {
        let steps = [
            merger.update(node: "a", key: echo, value: [1], revision: 1),
            merger.update(node: "b", key: echo, value: [1], revision: 2),
            merger.update(node: "a", key: echo, value: nil, revision: 3),
            merger.update(node: "b", key: echo, value: nil, revision: 4),
            merger.update(node: "b", key: echo, value: nil, revision: 5),
        ]
        #expect(
            steps == [
                ReportChange(key: echo, value: [1]), nil, nil, ReportChange(key: echo, value: nil),
                nil,
            ])
        #expect(merger.conflicts == [] && merger.values == [:])
    }

    @Test("that differ: the older one is in force and the conflict is told until it ends")
    mutating func conflict() {
        _ = merger.update(node: "b", key: echo, value: [1], revision: 1)
        let overruled = merger.update(node: "a", key: echo, value: [2], revision: 2)
        #expect(overruled == nil && merger.values == [echo: [1]])
        #expect(
            merger.conflicts.map(\.description) == [
                "service/default/echo differs between nodes: b said it first and is in force, a "
                    + "is overruled; make their manifests equal"
            ])
        // The manifest is corrected where it is in force: now the other one is older.
        let corrected = merger.update(node: "b", key: echo, value: [3], revision: 3)
        #expect(corrected == ReportChange(key: echo, value: [2]))
        let both = merger.update(node: "a", key: echo, value: [3], revision: 4)
        #expect(both == ReportChange(key: echo, value: [3]))
        #expect(merger.conflicts == [])
    }

    @Test("that are repeated keep their age")
    mutating func repetition() {
        _ = merger.update(node: "a", key: echo, value: [1], revision: 1)
        _ = merger.update(node: "b", key: echo, value: [2], revision: 2)
        let repeated = merger.update(node: "a", key: echo, value: [1], revision: 9)
        #expect(repeated == nil && merger.values == [echo: [1]])
    }

    @Test(
        "in any order of arrival, the outcome is the same",
        arguments: [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
    mutating func order(order: [Int]) {
        let reports: [(String, [UInt8], UInt64)] = [("a", [1], 7), ("b", [2], 5), ("c", [3], 5)]
        for index in order {
            let (node, value, revision) = reports[index]
            _ = merger.update(node: node, key: echo, value: value, revision: revision)
        }
        #expect(merger.values == [echo: [2]], "equally old: the first node by name")
        #expect(merger.conflicts.map(\.overruled) == [["a", "c"]])
    }

    @Test("lose what a removed node alone said")
    mutating func removal() {
        let other = RecordKey(kind: .slice, name: "default/echo-a")
        _ = merger.update(node: "a", key: echo, value: [1], revision: 1)
        _ = merger.update(node: "b", key: echo, value: [2], revision: 2)
        _ = merger.update(node: "a", key: other, value: [9], revision: 3)
        let changes = merger.remove(node: "a")
        #expect(
            changes == [
                ReportChange(key: echo, value: [2]), ReportChange(key: other, value: nil),
            ])
        #expect(merger.conflicts == [])
    }
}
