// SPDX-License-Identifier: Apache-2.0

import HashTreeCollections
import MeshModel

/// Numbers of the nodes that rows are on; a number is used again when its node has no row any more.
struct NodeNumbers: Sendable {
    private var numbers: TreeDictionary<NodeID, UInt32> = [:]
    private var nodes: [NodeID?] = []
    private var uses: [UInt32] = []
    /// Of these, rows of endpoints that have an earlier one there.
    private var repetitions: [UInt32] = []
    /// Rows of endpoints with several addresses.
    private var rowsOf: TreeDictionary<Endpoint, UInt32> = [:]
    private var free: [UInt32] = []

    private struct Endpoint: Hashable {
        let node: UInt32
        let record: UInt32
    }

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
            repetitions.append(0)
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

    // MARK: Endpoints

    /// Endpoints on each node that has any.
    ///
    /// - Complexity: goes through the nodes.
    var endpointCounts: [NodeID: Int] {
        numbers.reduce(into: [:]) { counts, entry in
            let number = Int(entry.value)
            counts[entry.key] = Int(uses[number] - repetitions[number])
        }
    }

    /// A row of an endpoint that has others: it is counted once.
    mutating func addRow(ofRecord record: UInt32, on number: UInt32) {
        let endpoint = Endpoint(node: number, record: record)
        let rows = rowsOf[endpoint] ?? 0
        rowsOf[endpoint] = rows + 1
        if rows > 0 { repetitions[Int(number)] += 1 }
    }

    mutating func removeRow(ofRecord record: UInt32, on number: UInt32) {
        let endpoint = Endpoint(node: number, record: record)
        guard let rows = rowsOf[endpoint] else { return }
        rowsOf[endpoint] = rows > 1 ? rows - 1 : nil
        if rows > 1 { repetitions[Int(number)] -= 1 }
    }
}
