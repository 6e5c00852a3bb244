// SPDX-License-Identifier: Apache-2.0

public import SystemPackage

/// Why the kernel or libbpf refused, and what was being done.
public struct BPFError: Error, Hashable, Sendable {
    public enum Code: Hashable, Sendable {
        /// The name, pin or descriptor does not exist; nothing changed.
        case notFound
        case alreadyExists
        /// No room for another element: the previous elements stay in force.
        case mapFull
        /// A type's size is not the kernel's: the map was not opened.
        case layoutMismatch
        /// A pinned map cannot serve the object that wants it: nothing was loaded.
        case incompatiblePin
        /// ``BPFError/detail`` holds the end of the verifier's log: nothing was loaded.
        case rejectedByVerifier
        /// The bytes are no object this libbpf understands, or lack what was asked for.
        case invalidObject
        /// The kernel lacks the feature.
        case unsupported
        case noPermission
        /// Any other refusal: see ``BPFError/errno``.
        case system
    }

    public let code: Code
    /// Nil when no system call was involved.
    public let errno: Errno?
    /// What was being done, as "updating map services".
    public let action: String
    /// What libbpf or the verifier said, empty when nothing.
    public let detail: String

    public init(_ code: Code, errno: Errno? = nil, action: String, detail: String = "") {
        self.code = code
        self.errno = errno
        self.action = action
        self.detail = detail
    }

    /// - Parameter result: the negative errno that a libbpf call returned.
    init(result: Int32, action: String, detail: String = "") {
        let errno = Errno(rawValue: -result)
        self.init(Code(errno), errno: errno, action: action, detail: detail)
    }
}

extension BPFError: CustomStringConvertible {
    public var description: String {
        var text = action
        if let errno { text += ": \(errno)" }
        if !detail.isEmpty { text += ": \(detail)" }
        return text
    }
}

extension BPFError.Code {
    init(_ errno: Errno) {
        switch errno {
        case .noSuchFileOrDirectory: self = .notFound
        case .fileExists: self = .alreadyExists
        case .argListTooLong, .noSpace: self = .mapFull
        case .notPermitted, .permissionDenied: self = .noPermission
        case .notSupported: self = .unsupported
        default: self = .system
        }
    }
}

/// Throws the negative errno that a libbpf call returned; passes everything else through.
@discardableResult
func check(
    _ result: Int32, _ action: @autoclosure () -> String
) throws(BPFError) -> Int32 {
    guard result < 0 else { return result }
    throw BPFError(result: result, action: action())
}

/// The `sz` of a libbpf options structure: up to the end of its last field. libbpf refuses bytes
/// behind it that are not zero, and Swift leaves tail padding as it finds it.
func optionsSize<Options, Field>(_ last: KeyPath<Options, Field>) -> Int {
    MemoryLayout<Options>.offset(of: last)! + MemoryLayout<Field>.size
}
