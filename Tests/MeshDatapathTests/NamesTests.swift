// SPDX-License-Identifier: Apache-2.0

import CMeshABI
import Testing

@testable import MeshDatapath

@Suite("reasons and counters")
struct NamesTests {
    @Test("every drop reason has a label of its own and a sentence")
    func dropReasons() {
        let reasons = DropReason.allCases
        #expect(reasons.count == Int(WEFT_DROP_END.rawValue))
        #expect(Set(reasons.map(\.label)).count == reasons.count)
        #expect(reasons.allSatisfy { $0.sentence.hasSuffix(".") && !$0.label.contains(" ") })
        #expect(DropReason(rawValue: UInt16(WEFT_DROP_END.rawValue)) == nil)
        #expect(
            DropReason(label: "policy_denied")?.rawValue == UInt16(WEFT_DROP_POLICY_DENIED.rawValue)
        )
        #expect(DropReason(label: "no such reason") == nil)
    }

    @Test("every counter of the kernel has a case, in order")
    func counters() {
        let range = UInt32(WEFT_COUNTER_FIRST)..<WEFT_COUNTER_END.rawValue
        #expect(DatapathCounter.allCases.map(\.rawValue) == Array(range))
        #expect(DatapathCounter.toHost.rawValue == WEFT_COUNTER_TO_HOST.rawValue)
        let subjects = CounterReading.Subject.all
        #expect(Set(subjects.map(\.index)).count == subjects.count)
        #expect(subjects.count == DropReason.allCases.count - 1 + DatapathCounter.allCases.count)
    }

    @Test("event kinds and connection flags are the kernel's numbers")
    func numbers() {
        #expect(FlowEvent.Kind.opened.rawValue == UInt8(WEFT_EVENT_OPENED.rawValue))
        #expect(FlowEvent.Kind.reset.rawValue == UInt8(WEFT_EVENT_RESET.rawValue))
        #expect(FlowEvent.Kind.audited.rawValue == UInt8(WEFT_EVENT_AUDITED.rawValue))
        #expect(FlowPolicy.Direction.egress.rawValue == UInt8(WEFT_EGRESS.rawValue))
        #expect(FlowPolicy.Direction.ingress.rawValue == UInt8(WEFT_INGRESS.rawValue))
        #expect(PolicyVerdict.allow.rawValue == UInt8(WEFT_POLICY_ALLOW.rawValue))
        #expect(PolicyVerdict.deny.rawValue == UInt8(WEFT_POLICY_DENY.rawValue))
        #expect(PolicyVerdict.denyUnknown.rawValue == UInt8(WEFT_POLICY_DENY_UNKNOWN.rawValue))
        #expect(PolicyInterval.maximumPerList == Int(WEFT_POLICY_INTERVALS_MAX))
        let flags: [(ConnectionReading.Flags, weft_connection_flag)] = [
            (.replied, WEFT_CONNECTION_REPLIED), (.openerFinished, WEFT_CONNECTION_OPENER_FIN),
            (.replierFinished, WEFT_CONNECTION_REPLIER_FIN), (.reset, WEFT_CONNECTION_RESET),
            (.translated, WEFT_CONNECTION_TRANSLATED),
            (.fromOverlay, WEFT_CONNECTION_FROM_OVERLAY),
        ]
        for (swift, c) in flags { #expect(swift.rawValue == c.rawValue) }
    }
}
