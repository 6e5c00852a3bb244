// SPDX-License-Identifier: Apache-2.0

/// One request as it goes out: what the client sends and tests compare.
public struct ObjectRequest: Hashable, Sendable {
    public enum Method: String, Hashable, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    /// How a PATCH changes an object.
    public enum Patch: Hashable, Sendable {
        /// Server-side apply: the fields that are written are this manager's; those it wrote before
        /// and doesn't write now go.
        case apply(fieldManager: String, force: Bool)
        /// RFC 7386.
        case merge
    }

    public var method: Method
    public var path: ObjectPath
    /// In order; not encoded.
    public var query: [(name: String, value: String)] = []
    public var contentType = "application/json"
    public var body: [UInt8] = []

    public init(_ method: Method, _ path: ObjectPath, body: [UInt8] = []) {
        self.method = method
        self.path = path
        self.body = body
    }

    public static func == (left: ObjectRequest, right: ObjectRequest) -> Bool {
        left.method == right.method && left.target == right.target && left.body == right.body
            && left.contentType == right.contentType
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(method)
        hasher.combine(target)
    }

    /// Path and query.
    public var target: String {
        let query = query.map { "\($0.name)=\(percentEncoded($0.value))" }.joined(separator: "&")
        return query.isEmpty ? path.text : "\(path.text)?\(query)"
    }

    /// Whether repeating it changes nothing more.
    var isIdempotent: Bool { method != .post && method != .delete }
}

extension ObjectRequest {
    static func page(
        of selection: ObjectSelection, limit: Int, continueToken: String?
    ) -> ObjectRequest {
        var request = ObjectRequest(.get, ObjectPath(selection.resource))
        request.query = [("limit", "\(limit)")] + request.selectors(selection)
        if let continueToken { request.query.append(("continue", continueToken)) }
        return request
    }

    static func watch(
        _ selection: ObjectSelection, from start: WatchStart, seconds: Int
    ) -> ObjectRequest {
        var request = ObjectRequest(.get, ObjectPath(selection.resource))
        request.query = [("watch", "1")] + request.selectors(selection)
        switch start {
        case .version(let version): request.query.append(("resourceVersion", version))
        case .initialEvents:
            request.query += [
                ("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan"),
                ("resourceVersion", ""),
            ]
        }
        request.query += [("allowWatchBookmarks", "true"), ("timeoutSeconds", "\(seconds)")]
        return request
    }

    private func selectors(_ selection: ObjectSelection) -> [(name: String, value: String)] {
        selection.fieldSelector.map { [("fieldSelector", $0)] } ?? []
    }

    public static func patch(
        _ path: ObjectPath, _ patch: Patch, body: [UInt8]
    ) -> ObjectRequest {
        var request = ObjectRequest(.patch, path, body: body)
        switch patch {
        case .apply(let manager, let force):
            // JSON is YAML.
            request.contentType = "application/apply-patch+yaml"
            request.query = [("fieldManager", manager), ("force", "\(force)")]
        case .merge: request.contentType = "application/merge-patch+json"
        }
        return request
    }
}

/// Where a watch begins.
public enum WatchStart: Hashable, Sendable {
    case version(String)
    /// With everything that exists, as a streaming list.
    case initialEvents
}

extension ReflectorCore.Request {
    /// Path and query.
    public func target(_ selection: ObjectSelection) -> String {
        switch self {
        case .page(let limit, let token):
            ObjectRequest.page(of: selection, limit: limit, continueToken: token).target
        case .watch(let start, let seconds):
            ObjectRequest.watch(selection, from: start, seconds: seconds).target
        }
    }
}
