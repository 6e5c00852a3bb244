// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Ten regions of a public cloud and the round trips between them.
///
/// - SeeAlso: IBM Cloud, "Network latency dashboards", averages of 27 July to 25 August 2024; 2 ms
///   between zones of a region from the same page.
public enum Region: Int, CaseIterable, Sendable {
    case dallas, toronto, washington, frankfurt, london, madrid, osaka, sydney, tokyo, saoPaulo

    /// Milliseconds from a region to those before it.
    private static let table: [[Int64]] = [
        [],
        [34],
        [31, 19],
        [123, 93, 91],
        [113, 82, 75, 13],
        [122, 108, 87, 29, 27],
        [150, 168, 172, 232, 244, 257],
        [186, 215, 214, 250, 261, 275, 122],
        [143, 162, 164, 233, 243, 258, 9, 115],
        [146, 129, 118, 198, 188, 209, 293, 328, 284],
    ]

    public func roundTrip(to other: Region) -> Duration {
        guard self != other else { return .milliseconds(2) }
        let (first, second) = (min(rawValue, other.rawValue), max(rawValue, other.rawValue))
        return .milliseconds(Self.table[second][first])
    }

    /// Clusters are dealt out to the regions in turn.
    public init(of cluster: ClusterID) {
        let all = Region.allCases
        self = all[(Int(cluster.rawValue) - 1) % all.count]
    }

    /// Half the round trip, up to 5 ms more.
    public static func link(_ from: ClusterID, _ to: ClusterID, loss: Double = 0) -> Link {
        Link(
            latency: Region(of: from).roundTrip(to: Region(of: to)) / 2, jitter: .milliseconds(5),
            loss: loss)
    }
}
