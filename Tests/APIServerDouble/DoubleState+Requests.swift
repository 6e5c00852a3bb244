// SPDX-License-Identifier: Apache-2.0

/// What comes of a request.
public enum DoubleReply: Sendable {
    case answer(DoubleAnswer)
    /// Status 200 and a stream of lines, which the cursor reads.
    case watch(DoubleCursor)
}

extension DoubleState {
    /// Answers one request; what it writes is written.
    public mutating func handle(_ request: DoubleRequest) -> DoubleReply {
        do throws(DoubleStatus) {
            return try serve(request)
        } catch {
            return .answer(error.answer)
        }
    }

    private mutating func serve(_ request: DoubleRequest) throws(DoubleStatus) -> DoubleReply {
        let user = try user(of: request)
        if let accept = request.accept, !accept.contains("json"), !accept.contains("*/*") {
            throw .notAcceptable
        }
        if request.path == ["version"] { return .answer(Self.serverVersion) }
        if request.path == ["apis", "authentication.k8s.io", "v1", "tokenreviews"] {
            try user?.check("create", "tokenreviews", nil)
            return .answer(try review(request))
        }
        guard let target = DoubleTarget(request.path, in: resources) else {
            return .answer(
                DoubleAnswer(
                    status: 404, body: Array("404 page not found\n".utf8),
                    contentType: "text/plain; charset=utf-8"))
        }
        try user?.check(request.verb(target), target)
        switch request.method {
        case "GET" where request.isWatch: return .watch(try cursor(request, target))
        case "GET" where target.name == nil: return .answer(try list(request, target))
        case "GET": return .answer(DoubleAnswer(body: try present(target).text))
        case "POST" where target.subresource == "token":
            return .answer(try issue(request, target))
        case "POST": return .answer(try create(request, target))
        case "PUT": return .answer(try replace(request, target))
        case "PATCH": return .answer(try patch(request, target))
        case "DELETE": return .answer(try delete(target))
        default: throw .badRequest("the method \(request.method) isn't allowed")
        }
    }

    func present(_ target: DoubleTarget) throws(DoubleStatus) -> DoubleObject {
        guard let key = target.key, let object = objects[target.resource]?[key] else {
            throw .notFound(target.resource, target.name ?? "")
        }
        return object
    }

    private static let serverVersion = DoubleAnswer(
        body: Array(
            """
            {
              "major": "1",
              "minor": "36",
              "emulationMajor": "1",
              "emulationMinor": "36",
              "minCompatibilityMajor": "1",
              "minCompatibilityMinor": "35",
              "gitVersion": "v1.36.0",
              "gitCommit": "0000000",
              "gitTreeState": "",
              "buildDate": "2026-01-01T00:00:00Z",
              "goVersion": "go1.26.5",
              "compiler": "gc",
              "platform": "linux/amd64"
            }
            """.utf8))
}

extension DoubleTarget {
    var key: DoubleKey? { name.map { DoubleKey(namespace: namespace ?? "", name: $0) } }
}

extension DoubleRequest {
    /// As RBAC calls it.
    func verb(_ target: DoubleTarget) -> String {
        switch method {
        case "GET": isWatch ? "watch" : target.name == nil ? "list" : "get"
        case "POST": "create"
        case "PUT": "update"
        default: method.lowercased()
        }
    }
}
