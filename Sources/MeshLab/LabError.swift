// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a lab, in one sentence that names the thing.
public struct LabError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The lab file: nothing was made.
        case invalidFile
        /// There is a lab of this name.
        case exists
        case notFound
        /// Not root, or a kernel without what is needed: nothing was made.
        case unsupported
        /// A promise wasn't kept within its time.
        case timedOut
        /// The system refused a step.
        case failed
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
