// SPDX-License-Identifier: Apache-2.0

/// Something that reads bytes which anyone may have written, and what must hold whatever they are.
///
/// A fuzzer looks for bytes that break it; bytes that once did, or that reach code which others
/// don't, stay in the target's corpus and are arguments of an ordinary test.
struct FuzzTarget: Sendable {
    let name: String
    /// Where the fuzzer starts from, made by the encoders of the day.
    let seeds: @Sendable () throws -> [[UInt8]]
    /// Throws ``BrokenProperty`` if the bytes show a fault; a trap is one, too.
    let check: @Sendable ([UInt8]) throws -> Void

    init(
        _ name: String, seeds: @escaping @Sendable () throws -> [[UInt8]],
        check: @escaping @Sendable ([UInt8]) throws -> Void
    ) {
        self.name = name
        self.seeds = seeds
        self.check = check
    }
}

/// What should have held, in words.
struct BrokenProperty: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// Throws unless `condition` holds.
func demand(_ condition: Bool, _ words: @autoclosure () -> String) throws {
    guard condition else { throw BrokenProperty(words()) }
}
