// SPDX-License-Identifier: Apache-2.0

import MeshLease
import Testing

@Suite("A lease record")
struct LeaseRecordTests {
    @Test(
        "survives being written as text",
        arguments: [
            (LeaseRecord.initial, "weft-lease/1 0 0 0 -"),
            (
                LeaseRecord(
                    holder: LeaseHolder(node: "east-1.lab", instance: 0xbeef), token: 7, epoch: 3,
                    identities: 2048),
                "weft-lease/1 7 3 2048 east-1.lab_beef"
            ),
            (
                LeaseRecord(
                    holder: LeaseHolder(node: "a_b", instance: .max), token: .max - 1,
                    epoch: .max - 1, identities: .max - 1),
                "weft-lease/1 18446744073709551614 4294967294 4294967294 a_b_ffffffffffffffff"
            ),
        ])
    func coding(record: LeaseRecord, text: String) {
        #expect(record.description == text)
        #expect(LeaseRecord(text) == record)
        #expect(LeaseRecord(text + " of a later version") == record)
    }

    @Test(
        "is none if any part of it isn't",
        arguments: [
            "", "weft-lease/1", "weft-lease/2 1 1 1 -", "weft-lease/1 -1 1 1 -",
            "weft-lease/1 1 4294967296 1 -", "weft-lease/1 1 1 x -", "weft-lease/1 1 1 1 ",
            "weft-lease/1 1 1 1 node", "weft-lease/1 1 1 1 node_", "weft-lease/1 1 1 1 _ff",
            "weft-lease/1  1 1 1 -",
        ])
    func malformed(text: String) {
        #expect(LeaseRecord(text) == nil)
    }
}
