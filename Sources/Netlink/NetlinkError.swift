// SPDX-License-Identifier: Apache-2.0

import Glibc
public import SystemPackage

/// Why a request to the kernel's network configuration failed. Nothing was changed by the request
/// that failed, except where the operation says that it has several steps.
public struct NetlinkError: Error, Hashable, Sendable {
    public enum Code: String, Hashable, Sendable {
        /// A name or address is taken.
        case exists
        /// The link, address, route or namespace isn't there.
        case notFound
        /// Not root, or not in the namespace's owner.
        case notPermitted
        /// The kernel rejects the request; ``NetlinkError/message`` often says why.
        case invalid
        case busy
        /// The kernel lacks the feature (a module, a configuration option).
        case unsupported
        /// A reply that doesn't parse or exceeds a bound. The request may have been carried out.
        case malformedReply
        /// No reply within ``NetlinkSocket/replyTimeoutSeconds``. It may have been carried out.
        case timedOut
        case other
    }

    public let code: Code
    /// Nil where no system call failed.
    public let errno: Errno?
    /// What was being done, with the names of the things concerned: `create veth weft1`.
    public let operation: String
    /// The kernel's own explanation (extended acknowledgement), if it gave one.
    public let message: String?

    public init(code: Code, errno: Errno? = nil, operation: String, message: String? = nil) {
        self.code = code
        self.errno = errno
        self.operation = operation
        self.message = message
    }

    init(_ errno: Errno, operation: String, message: String? = nil) {
        let code: Code =
            switch errno {
            case .fileExists, .addressInUse: .exists
            case .noSuchFileOrDirectory, Errno(rawValue: ENODEV), .noSuchAddressOrDevice,
                .addressNotAvailable, .noSuchProcess:
                .notFound
            case .notPermitted, .permissionDenied: .notPermitted
            case .invalidArgument, .outOfRange: .invalid
            case .resourceBusy: .busy
            case .notSupported, .addressFamilyNotSupported, .protocolNotSupported: .unsupported
            case .resourceTemporarilyUnavailable: .timedOut
            default: .other
            }
        self.init(code: code, errno: errno, operation: operation, message: message)
    }
}

extension NetlinkError: CustomStringConvertible {
    public var description: String {
        let reason = [message, errno.map { "\($0)" }].compactMap(\.self).joined(separator: ", ")
        return "\(operation): \(reason.isEmpty ? code.rawValue : reason)"
    }
}
