// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// Refusals, word for word as the recordings have them.
struct DoubleStatus: Error {
    let code: Int
    let reason: String
    let message: String
    var details: JSONValue = .null
    var continueToken: String?

    var object: JSONValue {
        var metadata: JSONValue = .object([])
        if let continueToken { metadata["continue"] = .string(continueToken) }
        var status: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": .string(message), "reason": .string(reason),
        ]
        if reason.isEmpty { status["reason"] = .null }
        status["details"] = details
        status["code"] = .number("\(code)")
        return status
    }

    var answer: DoubleAnswer { DoubleAnswer(status: code, body: object.bytes) }

    static let unauthorized = DoubleStatus(
        code: 401, reason: "Unauthorized", message: "Unauthorized")

    static func forbidden(
        user: String, verb: String, _ target: DoubleTarget
    ) -> DoubleStatus {
        let resource = target.resource
        let scope = target.namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
        let what = [resource.plural, target.subresource].compactMap { $0 }.joined(separator: "/")
        let named = target.name.map { " \"\($0)\"" } ?? ""
        return DoubleStatus(
            code: 403, reason: "Forbidden",
            message: "\(resource.qualified)\(named) is forbidden: User \"\(user)\" cannot \(verb) "
                + "resource \"\(what)\" in API group \"\(resource.group)\" \(scope)",
            details: details(resource, name: target.name))
    }

    static func notFound(_ resource: DoubleResource, _ name: String) -> DoubleStatus {
        DoubleStatus(
            code: 404, reason: "NotFound", message: "\(resource.qualified) \"\(name)\" not found",
            details: details(resource, name: name))
    }

    static func alreadyExists(_ resource: DoubleResource, _ name: String) -> DoubleStatus {
        DoubleStatus(
            code: 409, reason: "AlreadyExists",
            message: "\(resource.qualified) \"\(name)\" already exists",
            details: details(resource, name: name))
    }

    static func conflict(_ resource: DoubleResource, _ name: String) -> DoubleStatus {
        DoubleStatus(
            code: 409, reason: "Conflict",
            message: "Operation cannot be fulfilled on \(resource.qualified) \"\(name)\": the "
                + "object has been modified; please apply your changes to the latest version and "
                + "try again", details: details(resource, name: name))
    }

    static func applyConflict(
        _ resource: DoubleResource, _ name: String, manager: String
    ) -> DoubleStatus {
        DoubleStatus(
            code: 409, reason: "Conflict",
            message: "Apply failed with 1 conflict: conflict with \"\(manager)\"",
            details: details(resource, name: name))
    }

    static func invalid(
        _ resource: DoubleResource, _ name: String, _ causes: [(field: String, message: String)]
    ) -> DoubleStatus {
        let list = causes.map { "\($0.field): \($0.message)" }
        let text = list.count == 1 ? list[0] : "[\(list.joined(separator: ", "))]"
        let qualified =
            resource.group.isEmpty ? resource.kind : "\(resource.kind).\(resource.group)"
        var details: JSONValue = ["name": .string(name)]
        if !resource.group.isEmpty { details["group"] = .string(resource.group) }
        details["kind"] = .string(resource.kind)
        details["causes"] = .array(
            causes.map {
                [
                    "reason": "FieldValueInvalid", "message": .string($0.message),
                    "field": .string($0.field),
                ]
            })
        return DoubleStatus(
            code: 422, reason: "Invalid", message: "\(qualified) \"\(name)\" is invalid: \(text)",
            details: details)
    }

    /// The server takes its own refusal for a fault of its own (kubernetes/kubernetes#139253).
    static func undeclared(
        _ resource: DoubleResource, _ object: JSONValue, _ path: String
    ) -> DoubleStatus {
        let metadata = object["metadata"]
        let name = [metadata["namespace"].text, metadata["name"].text].compactMap(\.self)
            .joined(separator: "/")
        return DoubleStatus(
            code: 500, reason: "",
            message: "failed to create typed patch object (\(name); "
                + "\(object["apiVersion"].text ?? ""), Kind=\(resource.kind)): .\(path): "
                + "field not declared in schema")
    }

    static func badRequest(_ message: String) -> DoubleStatus {
        DoubleStatus(code: 400, reason: "BadRequest", message: message)
    }

    static let notAcceptable = DoubleStatus(
        code: 406, reason: "NotAcceptable",
        message: "406: Not Acceptable\n\nAvailable representations: application/json, "
            + "application/yaml, application/vnd.kubernetes.protobuf", details: .object([]))

    static let exactTooOld = DoubleStatus(
        code: 410, reason: "Expired",
        message: "The resourceVersion for the provided list is too old.")

    static func continueTooOld(_ token: String) -> DoubleStatus {
        DoubleStatus(
            code: 410, reason: "Expired",
            message: "The provided continue parameter is too old to display a consistent list "
                + "result. You can start a new list without the continue parameter, or use the "
                + "continue token in this response to retrieve the remainder of the results. "
                + "Continuing with the provided token results in an inconsistent list - objects "
                + "that were created, modified, or deleted between the time the first chunk was "
                + "returned and now may show up in the list.", continueToken: token)
    }

    static func watchTooOld(_ version: UInt64, oldest: UInt64) -> DoubleStatus {
        DoubleStatus(
            code: 410, reason: "Expired",
            message: "too old resource version: \(version) (\(oldest))")
    }

    /// apiserver's `NewTooLargeResourceVersionError`.
    static func tooLarge(_ version: UInt64, current: UInt64) -> DoubleStatus {
        DoubleStatus(
            code: 504, reason: "Timeout",
            message: "Too large resource version: \(version), current: \(current)",
            details: [
                "causes": [
                    [
                        "reason": "ResourceVersionTooLarge",
                        "message": "Too large resource version",
                    ]
                ], "retryAfterSeconds": 1,
            ])
    }

    static let throttled = DoubleStatus(
        code: 429, reason: "TooManyRequests",
        message: "too many requests, please try again later",
        details: ["retryAfterSeconds": 1])

    static let broken = DoubleStatus(
        code: 500, reason: "InternalError", message: "Internal error occurred: etcdserver: timeout")

    private static func details(_ resource: DoubleResource, name: String?) -> JSONValue {
        var details: JSONValue = .object([])
        if let name { details["name"] = .string(name) }
        if !resource.group.isEmpty { details["group"] = .string(resource.group) }
        details["kind"] = .string(resource.plural)
        return details
    }
}
