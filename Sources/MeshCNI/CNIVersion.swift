// SPDX-License-Identifier: Apache-2.0

/// A version of the specification that this plugin speaks. Older ones have results of another shape.
public enum CNIVersion: String, CaseIterable, Comparable, Sendable {
    case v030 = "0.3.0"
    case v031 = "0.3.1"
    case v040 = "0.4.0"
    case v100 = "1.0.0"
    case v110 = "1.1.0"

    public static let newest = v110

    public static func < (left: CNIVersion, right: CNIVersion) -> Bool {
        left.rank < right.rank
    }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// What a runtime wants, `CNI_COMMAND`.
public enum CNIVerb: String, CaseIterable, Sendable {
    case add = "ADD"
    case delete = "DEL"
    case check = "CHECK"
    case collectGarbage = "GC"
    case status = "STATUS"
    case version = "VERSION"

    /// The first version that has it.
    var since: CNIVersion {
        switch self {
        case .add, .delete, .version: .v030
        case .check: .v040
        case .collectGarbage, .status: .v110
        }
    }
}
