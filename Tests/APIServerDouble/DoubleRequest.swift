// SPDX-License-Identifier: Apache-2.0

/// A request as it reaches the double.
public struct DoubleRequest: Hashable, Sendable {
    public var method: String
    /// Path without the query, decoded.
    public var path: [String]
    public var query: [String: String]
    public var token: String?
    public var accept: String?
    public var contentType: String?
    public var body: [UInt8]

    /// - Parameter target: path and query as in the request line.
    public init(
        _ method: String, _ target: String, token: String? = nil, accept: String? = nil,
        contentType: String? = nil, body: [UInt8] = []
    ) {
        self.method = method
        self.token = token
        self.accept = accept
        self.contentType = contentType
        self.body = body
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts[0].split(separator: "/").map { percentDecoded($0) }
        query = [:]
        guard parts.count > 1 else { return }
        for pair in parts[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[percentDecoded(sides[0])] = sides.count > 1 ? percentDecoded(sides[1]) : ""
        }
    }

    var isWatch: Bool { ["1", "true"].contains(query["watch"]) }
}

/// What the double says, but for the time it takes.
public struct DoubleAnswer: Hashable, Sendable {
    public var status: Int
    public var headers: [String: String]
    public var body: [UInt8]

    public init(
        status: Int = 200, headers: [String: String] = [:], body: [UInt8] = [],
        contentType: String = "application/json"
    ) {
        self.status = status
        self.headers = headers
        self.headers["Content-Type"] = contentType
        self.headers["Cache-Control"] = "no-cache, private"
        self.body = body
    }
}

private func percentDecoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(2)
        if byte == UInt8(ascii: "%"), digits.count == 2,
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        {
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
