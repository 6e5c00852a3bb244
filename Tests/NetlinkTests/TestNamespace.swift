// SPDX-License-Identifier: Apache-2.0

import Glibc
import Netlink
import Synchronization

/// A named network namespace for one test; `remove()` at its end.
struct TestNamespace {
    private static let count = Atomic<Int>(0)

    let name: String
    let namespace: NetworkNamespace

    init() throws {
        let number = Self.count.wrappingAdd(1, ordering: .relaxed).newValue
        name = "wtest-netlink-\(getpid())-\(number)"
        namespace = try NetworkNamespace.create(named: name)
    }

    func remove() {
        do {
            try NetworkNamespace.delete(named: name)
        } catch {
            print("left behind: \(error)")
        }
    }
}

/// Runs `body` with fresh namespaces and removes them, whatever happens.
func withNamespaces(_ count: Int, _ body: ([NetworkNamespace]) throws -> Void) throws {
    let made = try (0..<count).map { _ in try TestNamespace() }
    defer { for namespace in made { namespace.remove() } }
    try body(made.map(\.namespace))
}
