// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What is wrong with an object, for an Event on it.
public struct ObjectProblem: Hashable, Sendable {
    /// As Events have it.
    public enum Reason: String, Hashable, Sendable {
        /// It can't be used as it stands.
        case unusable = "Unusable"
        /// What it claims is somebody else's.
        case collides = "Collides"
        /// Other clusters don't take what it claims.
        case outsideCharter = "OutsideCharter"
    }

    public let reason: Reason
    public let resource: ObjectResource
    public let name: ObjectName
    /// Empty if that isn't known.
    public internal(set) var uid: String
    /// What is wrong, and what to do.
    public let message: String

    public init(
        _ reason: Reason, _ resource: ObjectResource, _ name: ObjectName, _ message: String
    ) {
        self.reason = reason
        self.resource = resource
        self.name = name
        uid = ""
        self.message = message
    }

    init(_ object: ObjectText, of resource: ObjectResource, message: String) {
        self.init(.unusable, resource, object.name, message)
        let metadata = object.json.flatMap { try? JSONValue($0) }?["metadata"]
        uid = metadata?["uid"].text ?? ""
    }

    /// Asks for the object: a list, for which whoever watches it has the right.
    public var lookup: ObjectRequest {
        var request = ObjectRequest(
            .get, ObjectPath(resource, namespace: name.namespace.isEmpty ? nil : name.namespace))
        request.query = [("fieldSelector", "metadata.name=\(name.name)")]
        return request
    }

    /// The answer's UID; nil if there is no such object any more.
    ///
    /// - Throws: ``KubernetesError`` `.malformed`.
    public static func uid(of answer: [UInt8]) throws(KubernetesError) -> String? {
        guard let list = try? JSONValue(answer) else {
            throw KubernetesError(.malformed, "the list is no JSON")
        }
        return list["items"].items.first?["metadata"]["uid"].text
    }
}
