// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel

extension DoubleState {
    /// Largest object that etcd takes.
    private static let maximumObjectBytes = 1536 << 10

    mutating func create(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleAnswer {
        var value = target.resource.pruned(try object(request, target))
        let name = value["metadata"]["name"].text ?? ""
        try validate(value, name: name, target)
        let key = DoubleKey(namespace: target.namespace ?? "", name: name)
        guard objects[target.resource]?[key] == nil else {
            throw .alreadyExists(target.resource, name)
        }
        value["metadata"] = metadata(of: value, key: key, former: nil, target)
        track(&value, former: nil, manager: request.manager, target)
        return DoubleAnswer(status: 201, body: write(value, key, target).text)
    }

    mutating func replace(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleAnswer {
        let former = try present(target)
        let value = try object(request, target)
        try validate(value, name: target.name ?? "", target)
        if let version = value["metadata"]["resourceVersion"].text, !version.isEmpty,
            version != "\(former.version)"
        {
            throw .conflict(target.resource, target.name ?? "")
        }
        return store(value, over: former, manager: request.manager, target)
    }

    mutating func patch(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleAnswer {
        switch request.contentType {
        case "application/merge-patch+json":
            let former = try present(target)
            let patch = try body(request, target)
            if let version = patch["metadata"]["resourceVersion"].text,
                version != "\(former.version)"
            {
                throw .conflict(target.resource, target.name ?? "")
            }
            let merged = Self.merged(former.value, patch)
            try validate(merged, name: target.name ?? "", target)
            return store(merged, over: former, manager: request.manager, target)
        case "application/apply-patch+yaml": return try apply(request, target)
        default:
            throw DoubleStatus(
                code: 415, reason: "UnsupportedMediaType",
                message: "the body of the request was in an unknown format")
        }
    }

    mutating func delete(_ target: DoubleTarget) throws(DoubleStatus) -> DoubleAnswer {
        let former = try present(target)
        guard let key = target.key else { throw .notFound(target.resource, "") }
        erase(key, target.resource)
        let status: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "metadata": .object([]), "status": "Success",
            "details": [
                "name": .string(key.name), "kind": .string(target.resource.plural),
                "uid": former.value["metadata"]["uid"],
            ],
        ]
        return DoubleAnswer(body: status.bytes)
    }

    // MARK: Steps

    /// Puts what a request may change in the place of what is there; nothing is written, and no
    /// version spent, if it is the same.
    mutating func store(
        _ value: JSONValue, over former: DoubleObject, manager: String, _ target: DoubleTarget
    ) -> DoubleAnswer {
        guard let key = target.key else { return DoubleAnswer(status: 404) }
        let value = target.resource.pruned(value)
        var next = value
        if target.subresource == "status" {
            next = former.value
            next["status"] = value["status"]
        } else if target.resource.hasStatus {
            next["status"] = former.value["status"]
        }
        next["metadata"] = metadata(of: next, key: key, former: former, target)
        track(&next, former: former.value, manager: manager, target)
        var unchanged = next
        unchanged["metadata"]["resourceVersion"] = former.value["metadata"]["resourceVersion"]
        guard FieldOwnership.sorted(unchanged) != FieldOwnership.sorted(former.value) else {
            return DoubleAnswer(body: former.text)
        }
        return DoubleAnswer(body: write(next, key, target).text)
    }

    func body(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> JSONValue {
        do throws(JSONFault) {
            return try JSONValue(request.body)
        } catch {
            let start = String(decoding: request.body.prefix(64), as: UTF8.self)
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(target.resource.kind)): "
                    + "couldn't get version/kind; json parse error: invalid character "
                    + "(\(start))")
        }
    }

    private func object(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> JSONValue {
        guard request.body.count <= Self.maximumObjectBytes else {
            throw DoubleStatus(
                code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large")
        }
        return try body(request, target)
    }

    func validate(
        _ value: JSONValue, name: String, _ target: DoubleTarget
    ) throws(DoubleStatus) {
        var causes: [(field: String, message: String)] = []
        if !isSubdomain(name) {
            causes.append(
                (
                    "metadata.name",
                    "Invalid value: \"\(name)\": a lowercase RFC 1123 subdomain must consist of "
                        + "lower case alphanumeric characters, '-' or '.', and must start and end "
                        + "with an alphanumeric character (e.g. 'example.com', regex used for "
                        + "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*"
                        + "[a-z0-9])?)*')"
                ))
        }
        if target.resource.kind == "Lease" {
            if let seconds = value["spec"]["leaseDurationSeconds"].integer, seconds <= 0 {
                causes.append(
                    (
                        "spec.leaseDurationSeconds",
                        "Invalid value: \(seconds): must be greater than 0"
                    ))
            }
            if let transitions = value["spec"]["leaseTransitions"].integer, transitions < 0 {
                causes.append(
                    (
                        "spec.leaseTransitions",
                        "Invalid value: \(transitions): must be greater than or equal to 0"
                    ))
            }
        }
        guard causes.isEmpty else { throw .invalid(target.resource, name, causes) }
    }

    /// RFC 7386.
    static func merged(_ value: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var result = value
        if case .object = result {} else { result = .object([]) }
        for change in changes {
            result[change.key] =
                change.value == .null ? .null : merged(result[change.key], change.value)
        }
        return result
    }
}

extension DoubleRequest {
    /// Who a change is written down to: what the client calls itself.
    var manager: String { query["fieldManager"] ?? "weftd" }
}

extension DoubleResource {
    /// The first of its ``undeclared`` fields that an object has.
    func undeclaredPath(in value: JSONValue) -> String? {
        undeclared.sorted().first { path in
            FieldOwnership.get(path.split(separator: ".").map(String.init), of: value) != .null
        }
    }

    /// An object without the fields that it can't have.
    func pruned(_ value: JSONValue) -> JSONValue {
        undeclared.reduce(into: value) { value, path in
            let path = path.split(separator: ".").map(String.init)
            guard FieldOwnership.get(path, of: value) != .null else { return }
            FieldOwnership.set(path, of: &value, to: .null)
        }
    }
}
