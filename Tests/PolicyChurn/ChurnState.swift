// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshPolicy

/// Everything that policies go by, at one step of a churn.
struct ChurnState: Sendable {
    /// By cluster, as their names stand in ``ChurnWorld/clusters``.
    var policies: [[ChurnPolicy]]
    /// Indexes into the history's books, by cluster.
    var books: [Int]
    /// By slot; nil where nobody is attached.
    var endpoints: [ChurnEndpoint?]

    func owner(of address: Address) -> ChurnEndpoint? {
        for case let endpoint? in endpoints where endpoint.addresses.contains(address) {
            return endpoint
        }
        return nil
    }
}

/// A pod that is attached in a slot's network namespace.
struct ChurnEndpoint: Hashable, Sendable {
    let name: String
    let slot: Int
    let addresses: [Address]
    var labels: Labels
}

/// Room for an endpoint: a network namespace that stays, whoever is attached in it.
struct ChurnSlot: Sendable {
    /// Index among the clusters.
    let cluster: Int
    /// Name of the node.
    let node: String
    /// The Kubernetes namespace.
    let objectNamespace: String
    /// Path of the network namespace.
    let path: String
}

/// A policy as its author writes it, and as the engine reads it.
struct ChurnPolicy: Sendable {
    let name: PolicyName
    let text: String
    let policy: Policy
}

/// The states in the order in which they came to be, and when each may have been in force.
struct ChurnHistory: Sendable {
    private struct Step: Sendable {
        let state: ChurnState
        /// Nanoseconds, before the first of its inputs was touched.
        let began: UInt64
        /// When the last agent that it concerns had reported it in force.
        var settled: UInt64?
    }

    private var steps: [Step]
    private(set) var books: [PolicyBook]

    init(_ state: ChurnState, books: [PolicyBook]) {
        steps = [Step(state: state, began: 0, settled: 0)]
        self.books = books
    }

    /// The newest.
    var state: ChurnState { steps[steps.count - 1].state }
    var count: Int { steps.count }

    mutating func add(_ book: PolicyBook) -> Int {
        books.append(book)
        return books.count - 1
    }

    mutating func begin(_ state: ChurnState, at moment: UInt64) {
        steps.append(Step(state: state, began: moment))
    }

    mutating func settle(at moment: UInt64) { steps[steps.count - 1].settled = moment }

    /// Milliseconds from the first touch of each step's inputs to the last report that it is in force.
    var windows: [Double] {
        steps.dropFirst().compactMap { step in
            step.settled.map { Double($0 - step.began) / 1e6 }
        }
    }

    /// Every state that any node may have gone by at some moment of an interval: one that had begun
    /// before its end, and whose successor wasn't reported everywhere before its start.
    func states(from start: UInt64, to end: UInt64) -> [ChurnState] {
        // Binary search for the first whose successor was not settled before the start.
        var low = 0
        var high = steps.count - 1
        while low < high {
            let middle = (low + high) / 2
            if let settled = steps[middle + 1].settled, settled < start {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return steps[low...].prefix { $0.began <= end }.map(\.state)
    }
}
