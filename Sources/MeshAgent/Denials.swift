// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshTrust
import Synchronization

/// Which certificates are denied: asked by whoever judges a chain, and on disk before it counts.
final class Denials: Sendable {
    static let fileName = "denials"

    private let folder: String
    /// Held while a change is written, which readers don't wait for.
    private let writing = Mutex<Void>(())
    private let held: Mutex<DenyBook>

    /// - Parameter state: the agent's folder of state; denials have one of their own in it.
    /// - Throws: ``TrustError`` for a damaged file: going on without it would let in who is denied.
    init(mesh: String, state: String, now: Date = Date()) throws(TrustError) {
        folder = "\(state)/trust"
        var book =
            try TrustStateFile.load(DenyBook.self, named: Self.fileName, in: folder)
            ?? DenyBook(mesh: mesh)
        guard book.mesh == mesh else {
            throw .unusableFile(
                path: "\(folder)/\(Self.fileName)", reason: "it is of mesh \(book.mesh)")
        }
        _ = book.expire(now: now)
        held = Mutex(book)
    }

    var book: DenyBook { held.withLock { $0 } }

    /// For verifiers: says at any time what is denied at that time.
    var denied: MeshTrust.Denial {
        { [self] path in book.denial(of: path).map { "\($0)" } }
    }

    /// One change at a time.
    ///
    /// - Throws: what `body` does, or ``TrustError`` when it can't be written: what was in force stays.
    func update<Value>(_ body: (inout DenyBook) throws -> Value) throws -> Value {
        try writing.withLock { _ in
            let former = book
            var next = former
            let value = try body(&next)
            guard next != former else { return value }
            try TrustStateFile.save(next, named: Self.fileName, in: folder)
            held.withLock { $0 = next }
            return value
        }
    }
}
