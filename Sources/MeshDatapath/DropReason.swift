// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI

/// Why a packet was dropped. The reasons are those of `weft_drop.h`, and nowhere else.
public struct DropReason: RawRepresentable, Hashable, Sendable, CaseIterable {
    public let rawValue: UInt16

    /// Nil for a number that no reason has.
    public init?(rawValue: UInt16) {
        guard rawValue < WEFT_DROP_END.rawValue else { return nil }
        self.rawValue = rawValue
    }

    /// The reason with a metric label, nil when there is none.
    public init?(label: String) {
        guard let reason = Self.allCases.first(where: { $0.label == label }) else { return nil }
        self = reason
    }

    /// Every reason, "not dropped" first.
    public static var allCases: [DropReason] {
        (0..<UInt16(WEFT_DROP_END.rawValue)).compactMap(DropReason.init(rawValue:))
    }

    /// Metric label, as `policy_denied`.
    public var label: String { String(cString: weft_drop_label(UInt32(rawValue))) }

    /// What it means, for an operator.
    public var sentence: String { String(cString: weft_drop_sentence(UInt32(rawValue))) }
}

extension DropReason: CustomStringConvertible {
    public var description: String { label }
}
