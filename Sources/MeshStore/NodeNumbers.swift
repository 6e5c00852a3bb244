// SPDX-License-Identifier: Apache-2.0

import HashTreeCollections
import MeshModel

/// Numbers of the nodes that rows are on; a number is used again when its node has no row any more.
struct NodeNumbers: Sendable {
    private var numbers: TreeDictionary<NodeID, UInt32> = [:]
    private var nodes: [NodeID?] = []
    private var uses: [UInt32] = []
    private var free: [UInt32] = []

    /// The highest number that ever was in use, and one.
    var count: Int { nodes.count }

    /// Only of a number in use.
    subscript(number: UInt32) -> NodeID { nodes[Int(number)]! }

    mutating func use(_ node: NodeID) -> UInt32 {
        if let number = numbers[node] {
            uses[Int(number)] += 1
            return number
        }
        let number = free.popLast() ?? UInt32(nodes.count)
        if Int(number) == nodes.count {
            nodes.append(nil)
            uses.append(0)
        }
        nodes[Int(number)] = node
        uses[Int(number)] = 1
        numbers[node] = number
        return number
    }

    mutating func release(_ number: UInt32) {
        uses[Int(number)] -= 1
        guard uses[Int(number)] == 0 else { return }
        if let node = nodes[Int(number)] { numbers[node] = nil }
        nodes[Int(number)] = nil
        free.append(number)
    }
}
