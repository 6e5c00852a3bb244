// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// An object that can't be used as it stands, for an Event on it.
public struct ObjectProblem: Hashable, Sendable {
    public let resource: ObjectResource
    public let name: ObjectName
    /// Empty if that can't be read either.
    public let uid: String
    /// The field and what is wrong with it.
    public let message: String

    init(_ object: ObjectText, of resource: ObjectResource, message: String) {
        self.resource = resource
        name = object.name
        let metadata = object.json.flatMap { try? JSONValue($0) }?["metadata"]
        uid = metadata?["uid"].text ?? ""
        self.message = message
    }
}
