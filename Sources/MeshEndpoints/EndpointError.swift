// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// Why an endpoint could not be attached, detached or restored. A failed attach leaves nothing.
public struct EndpointError: Error, Hashable, Sendable {
    public enum Code: String, Hashable, Sendable {
        /// It is attached differently: detach it first.
        case exists
        /// Another call is attaching or detaching it: try again.
        case busy
        case notFound
        /// The path is no network namespace.
        case unknownNamespace
        /// Every address of the node's prefixes of one family is taken.
        case exhausted
        /// A requested address lies outside the node's prefixes, or is reserved.
        case addressNotInPrefix
        case addressInUse
        /// What another plugin made is no veth pair that ends at this node.
        case unusableLink
        /// The caller's programs could not be put in place.
        case notPrepared
        /// The kernel refused.
        case kernel
        /// The state file can't be read or written.
        case state
    }

    public let code: Code
    /// Nil where the whole node is concerned.
    public let object: ObjectName?
    /// What went wrong, with the names of the things concerned.
    public let message: String

    public init(_ code: Code, _ object: ObjectName?, _ message: String) {
        self.code = code
        self.object = object
        self.message = message
    }
}

extension EndpointError: CustomStringConvertible {
    public var description: String {
        object.map { "endpoint \($0): \(message)" } ?? message
    }
}
