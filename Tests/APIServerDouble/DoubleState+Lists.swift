// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshKubernetes

extension DoubleState {
    func list(
        _ request: DoubleRequest, _ target: DoubleTarget
    ) throws(DoubleStatus) -> DoubleAnswer {
        let selector = try DoubleSelector(request.query, target: target)
        let limit = request.query["limit"].flatMap { Int($0) } ?? 0
        var version = version
        var start = ""
        if let token = request.query["continue"], !token.isEmpty {
            guard let position = ContinueToken(text: token) else {
                throw .badRequest("continue key is not valid")
            }
            start = position.start
            if position.version >= 0 { version = UInt64(position.version) }
            guard version >= compacted else {
                throw .continueTooOld(ContinueToken(version: -1, start: start).text)
            }
        } else if request.query["resourceVersionMatch"] == "Exact" {
            guard let exact = request.query["resourceVersion"].flatMap({ UInt64($0) }) else {
                throw .badRequest("resourceVersion is missing")
            }
            guard exact >= compacted else { throw .exactTooOld }
            version = exact
        } else if let least = request.query["resourceVersion"].flatMap({ UInt64($0) }),
            least > version
        {
            throw .tooLarge(least, current: version)
        }
        let all = snapshot(of: target.resource, at: version).filter { selector.matches($0, $1) }
        let rest = all.sorted { $0.key < $1.key }.filter { $0.key.text >= start }
        let page = limit > 0 ? Array(rest.prefix(limit)) : rest
        var metadata: JSONValue = ["resourceVersion": .string("\(version)")]
        if page.count < rest.count, let last = page.last {
            let next = ContinueToken(version: Int64(version), start: last.key.text + "\u{0}")
            metadata["continue"] = .string(next.text)
            // It isn't known how many of the others a selector would leave.
            if request.query["fieldSelector"] == nil, request.query["labelSelector"] == nil {
                metadata["remainingItemCount"] = .number("\(rest.count - page.count)")
            }
        } else if target.resource.isCustom {
            metadata = ["continue": "", "resourceVersion": .string("\(version)")]
        }
        return DoubleAnswer(body: Self.list(page.map(\.value.item), metadata, target))
    }

    private static func list(
        _ items: [[UInt8]], _ metadata: JSONValue, _ target: DoubleTarget
    ) -> [UInt8] {
        let kind = JSONValue.string("\(target.resource.kind)List").bytes
        let version = JSONValue.string(target.apiVersion).bytes
        var body = Array("{\"kind\":".utf8)
        body += kind + Array(",\"apiVersion\":".utf8) + version
        body += Array(",\"metadata\":".utf8) + metadata.bytes + Array(",\"items\":[".utf8)
        for (index, item) in items.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body += item
        }
        return body + Array("]}\n".utf8)
    }

    /// All objects as they were at a version that isn't compacted.
    private func snapshot(
        of resource: DoubleResource, at version: UInt64
    ) -> [DoubleKey: DoubleObject] {
        var objects = objects[resource] ?? [:]
        guard version < self.version else { return objects }
        for event in (events[resource] ?? []).reversed() where event.version > version {
            objects[event.key] = event.former
        }
        return objects
    }
}

/// Where the next page begins, as apiserver encodes it: Base64 for URLs, unpadded, of
/// `{"v":"meta.k8s.io/v1","rv":255,"start":"/pay/api-1\u0000"}`.
struct ContinueToken {
    /// −1: whatever is there now.
    let version: Int64
    let start: String

    init(version: Int64, start: String) {
        self.version = version
        self.start = start
    }

    init?(text: String) {
        var base64 = text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : String($0) }.joined()
        base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
        guard let data = Data(base64Encoded: base64), let json = try? JSONValue(Array(data)),
            let version = json["rv"].integer, let start = json["start"].text
        else { return nil }
        self.init(version: version, start: start)
    }

    var text: String {
        let json: JSONValue = [
            "v": "meta.k8s.io/v1", "rv": .number("\(version)"), "start": .string(start),
        ]
        return Data(json.bytes).base64EncodedString()
            .map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 == "=" ? "" : String($0) }.joined()
    }
}
