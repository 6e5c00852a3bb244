// SPDX-License-Identifier: Apache-2.0

/// Why the journal did not do what it was asked, and what that was.
public struct JournalError: Error, Hashable, Sendable {
    public enum Code: Hashable, Sendable {
        /// Another connection, here or in another process, holds the file: nothing was changed.
        case inUse
        /// A newer release wrote the file: it is left as it is.
        case newerSchema
        /// No space left: nothing of the transaction is stored, the next one may be.
        case full
        /// The file system refused: nothing of the transaction is acknowledged. It may still be
        /// found whole at the next opening, if the refusal came after its last byte was written.
        case system
        /// The content contradicts itself: what opens the file next sets it aside.
        case damaged
        /// The transaction doesn't continue what is stored: nothing of it is.
        case gap
        /// A value is above its bound in ``JournalLimits``: nothing of the transaction is stored.
        case outOfBounds
        /// The writer's queue has no room: the transaction was not taken.
        case backlogged
        /// An earlier transaction failed, on which this one may build: it was not tried.
        case suspended
        /// After ``Journal/close()``: nothing is stored.
        case closed
    }

    public let code: Code
    /// What was being done, as "writing own.db".
    public let action: String
    /// What SQLite, the system or a check said.
    public let detail: String

    public init(_ code: Code, action: String, detail: String) {
        self.code = code
        self.action = action
        self.detail = detail
    }
}

extension JournalError: CustomStringConvertible {
    public var description: String { "\(action): \(detail)" }
}
