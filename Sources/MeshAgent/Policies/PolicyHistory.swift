// SPDX-License-Identifier: Apache-2.0

import MeshPolicy

/// Whose rules the versions in events were made of.
struct PolicyHistory: Sendable {
    private static let maximum = 8
    /// The newest last.
    private var books: [(book: PolicyBook, versions: Set<UInt32>)] = []

    mutating func begin(_ book: PolicyBook, _ versions: [UInt32]) {
        books.append((book, Set(versions)))
        if books.count > Self.maximum { books.removeFirst() }
    }

    /// Another version of the newest book.
    mutating func add(_ version: UInt32) {
        guard !books.isEmpty else { return }
        books[books.count - 1].versions.insert(version)
    }

    /// Nil for a version of an earlier process, or of long ago.
    func reason(version: UInt32, code: Int32) -> PolicyReason? {
        books.last { $0.versions.contains(version) }?.book.reason(code: code)
    }
}
