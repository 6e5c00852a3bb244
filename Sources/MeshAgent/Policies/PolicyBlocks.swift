// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshPolicy

/// Numbers of the classes of addresses, as the datapath knows them. A prefix keeps its number, so that
/// what was said of it is true in every generation.
struct PolicyBlocks {
    /// 0: no policy asks for addresses.
    private(set) var generation: UInt32 = 0
    private var numbers: [Prefix: UInt32] = [:]
    private var last: UInt32 = 0

    func number(of prefix: Prefix?) -> UInt32 { prefix.flatMap { numbers[$0] } ?? 0 }

    func peer(_ key: PeerKey) -> DatapathPeer {
        DatapathPeer(identity: key.identity, block: number(of: key.prefix))
    }

    /// Adds a generation for `prefixes`.
    ///
    /// - Throws: ``DatapathError``: there is none.
    func next(
        _ prefixes: [Prefix], in datapath: any Datapath
    ) throws(DatapathError) -> PolicyBlocks {
        var next = self
        next.numbers = [:]
        next.generation = 0
        guard !prefixes.isEmpty else { return next }
        for prefix in prefixes {
            if let number = numbers[prefix] {
                next.numbers[prefix] = number
            } else {
                next.last += 1
                next.numbers[prefix] = next.last
            }
        }
        next.generation = try datapath.addPolicyBlocks(next.numbers)
        return next
    }
}
