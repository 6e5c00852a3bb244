// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import Testing

@testable import MeshAgent

@Suite("What agents tell each other")
struct MessageTests {
    private static let report = Message.report(
        Message.Report(
            opens: true, closes: false,
            puts: [
                .init(
                    key: service("echo").key, since: 1_700_000_000_000_000_000,
                    value: service("echo").encoded),
                .init(key: RecordKey(kind: .namespace, name: "x"), since: 0, value: []),
            ],
            deletes: [endpoint("p", on: "a").key]))

    private static let paths = Message.paths(
        RelayReport(
            relay: "a", sequence: 7, instance: .max, isAbstaining: true,
            paths: [
                PathStatus(
                    remote: NodeID(cluster: cluster(2), name: "b.zone")!, state: .suspect,
                    missed: 4, beats: 0, silence: .milliseconds(900), roundTrip: nil,
                    drain: DrainDeclaration(generation: 3, isDraining: true),
                    head: Position(epoch: 2, revision: 9), relaySetGeneration: 1)
            ]))

    private static let claim = Message.deadNodes(
        Message.DeadNodes(relay: own, names: ["b", "c.example"]))

    private static let drain = Message.drain(
        Message.DrainWish(isDraining: true, generation: .max))

    private static let request = Message.certificateRequest(.authority, [0x30, 0x82])
    private static let issued = Message.certificate(.node, .issued([[0x30, 1], [0x30]]))
    private static let refused = Message.certificate(.authority, .refused("the clock went back"))

    private static let flowsAsk = Message.flowsAsk(
        FlowAsk(id: 7, life: .max, position: 9, last: 10, bytes: 4096, filter: "port=80"))
    private static let flowsAnswer = Message.flowsAnswer(
        FlowAnswer(
            id: 7, life: .max, position: 12, lost: 1, kernelLost: 2, flows: [[0x7b, 0x7d], []],
            refusal: "no"))

    private static let accountAsk = Message.accountAsk(.fixture)
    private static let account = Message.account(.fixture)
    private static let nameless = Message.accountAsk(
        AccountAsk(
            id: .max, source: .nameless(.remoteNode), transport: 0, frontend: nil, targets: []))

    static let all: [Message] = [
        .replication([0, 1, 255]), report, paths, claim, drain, request, issued, refused,
        flowsAsk, flowsAnswer, accountAsk, nameless, account,
    ]

    /// Of a question about a flow.
    private static let number = [UInt8](repeating: 0, count: 8)

    @Test("is what the other one reads", arguments: all)
    func roundTrip(message: Message) throws {
        #expect(try Message(encoded: message.encoded) == message)
    }

    @Test(
        "cut short anywhere, is refused",
        arguments: [
            report, paths, claim, drain, request, issued, refused, flowsAsk, flowsAnswer,
            accountAsk,
            nameless, account,
        ])
    func truncation(message: Message) {
        let bytes = message.encoded
        // A report of paths may end where an earlier version's does: before its path's last byte.
        let end = message == Self.paths ? bytes.count - 1 : bytes.count
        for count in 0..<end {
            #expect(throws: DecodingFault.self, "\(count) of \(bytes.count) bytes") {
                try Message(encoded: Array(bytes.prefix(count)))
            }
        }
    }

    @Test(
        "with something behind it, is refused",
        arguments: [
            report, claim, drain, request, issued, refused, flowsAsk, flowsAnswer, accountAsk,
            account,
        ])
    func trailing(message: Message) {
        #expect(throws: DecodingFault.trailingBytes) {
            try Message(encoded: message.encoded + [0])
        }
    }

    /// A frame written by hand: what the bytes of a drain wish mean, and what is no message.
    @Test(
        "that isn't one says why",
        arguments: [
            ([], .truncated),
            ([200], .invalid("message kind 200")),
            ([0], .invalid("message kind 0")),
            // Flag 2.
            ([5, 2, 0, 0, 0, 0, 0, 0, 0, 1], .invalid("flag")),
            // Cluster 0, cluster 4096, an empty node name, a name with a slash.
            ([4, 0, 0, 0, 0, 0, 1, 97, 0, 0, 0, 0], .invalid("cluster ID")),
            ([4, 16, 0, 0, 0, 0, 1, 97, 0, 0, 0, 0], .invalid("cluster ID")),
            ([4, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], .invalid("node name")),
            ([4, 0, 1, 0, 0, 0, 1, 47, 0, 0, 0, 0], .invalid("node name")),
            // 2^32 − 1 dead nodes; 20,001 records; a key of no kind.
            ([4, 0, 1, 0, 0, 0, 1, 97, 255, 255, 255, 255], .tooLong("nodes")),
            ([2, 1, 1, 0, 0, 78, 33], .tooLong("records")),
            // A request of 4,097 bytes, five certificates.
            ([7, 1, 0, 0, 16, 1], .tooLong("request")),
            ([8, 2, 0, 0, 0, 5], .tooLong("certificates")),
            ([7, 3], .invalid("purpose of a certificate")),
            // A filter of 4,097 bytes; 4,097 flows; a flow of 65,537 bytes.
            (
                [10] + [UInt8](repeating: 0, count: 30) + [0, 0, 16, 1], .tooLong("filter")
            ),
            ([11] + [UInt8](repeating: 0, count: 40) + [0, 0, 16, 1], .tooLong("flows")),
            (
                [11] + [UInt8](repeating: 0, count: 40) + [0, 0, 0, 1, 0, 1, 0, 1],
                .tooLong("flow")
            ),
            // A question from 17 addresses, from a fourth nameless one, about a fourth transport, about 17
            // targets.
            ([12] + number + [0, 0, 0, 0, 17], .tooLong("addresses")),
            ([12] + number + [4], .invalid("source")),
            ([12] + number + [1, 7], .invalid("transport")),
            ([12] + number + [1, 6, 0, 0, 0, 0, 17], .tooLong("targets")),
            // A refusal of 513 bytes, one that would clear a screen, 33 parties, a fifth state.
            ([13] + number + [0, 0, 2, 1], .tooLong("refusal")),
            ([13] + number + [0, 0, 0, 4, 0x1b, 0x5b, 0x32, 0x4a], .invalid("refusal")),
            ([13] + number + [0, 0, 0, 2, 0xc2, 0x9b], .invalid("refusal")),
            ([13] + number + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33], .tooLong("parties")),
            (
                [13] + number + [UInt8](repeating: 0, count: 36) + [0, 0, 0, 1, 5]
                    + [UInt8](repeating: 0, count: 68), .invalid("state of a connection")
            ),
            ([2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 120, 47, 121], .invalid("record key")),
        ] as [([UInt8], DecodingFault)])
    func wrong(bytes: [UInt8], fault: DecodingFault) {
        #expect(throws: fault) { try Message(encoded: bytes) }
    }

    @Test("a text that an answer couldn't hold is cut, and has nothing in it that a terminal obeys")
    func texts() throws {
        #expect(FlowAccount.text("a\u{1b}[2J\u{7f}\u{9b}b\n") == "a [2J  b ")
        let long = FlowAccount.text(String(repeating: "é", count: 300))
        #expect(long.utf8.count == FlowAccount.textBytes)
        let account = FlowAccount(id: 1, refusal: FlowAccount.text("x\u{0}" + long + long))
        #expect(try Message(encoded: Message.account(account).encoded) == .account(account))
    }

    @Test("about a drain is ten bytes: kind, flag, generation in network byte order")
    func hex() {
        let wish = Message.DrainWish(isDraining: true, generation: 0x0102)
        #expect(Message.drain(wish).encoded == [5, 1, 0, 0, 0, 0, 0, 0, 1, 2])
    }
}
