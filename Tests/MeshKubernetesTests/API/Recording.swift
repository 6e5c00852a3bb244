// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import FoundationEssentials
import MeshKubernetes

/// One exchange with a real API server, as it was.
struct Recording: CustomStringConvertible {
    let name: String
    let request: DoubleRequest
    let status: Int
    let headers: [String: String]
    let body: [UInt8]

    var description: String { name }
    var json: JSONValue { get throws { try JSONValue(body) } }
    var lines: [[UInt8]] { body.split(separator: UInt8(ascii: "\n")).map { Array($0) } }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../APIServerDouble/Recordings").standardized

    static let names: [String] = {
        let files = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (files ?? []).filter { $0.hasSuffix(".http") }.sorted()
    }()

    /// - Throws: also for a file that isn't there or says something else.
    init(_ name: String) throws {
        self.name = name
        let path = Self.folder.appending(path: name).path
        guard let data = FileManager.default.contents(atPath: path) else { throw Unreadable(name) }
        let text = String(decoding: data, as: UTF8.self)
        let (asked, answered) = ("> ", "< ")
        func lines(_ mark: String) -> [String] {
            text.split(separator: "\n", omittingEmptySubsequences: false)
                .filter { $0.hasPrefix(mark) || $0 == mark.dropLast() }
                .map { String($0.dropFirst(2)) }
        }
        let (requestLines, answerLines) = (lines(asked), lines(answered))
        let (requestHead, requestBody) = Self.split(requestLines)
        let (answerHead, answerBody) = Self.split(answerLines)
        let words = requestHead[0].split(separator: " ").map(String.init)
        let code = answerHead[0].split(separator: " ")
        guard words.count == 3, code.count >= 2, let status = Int(code[1]) else {
            throw Unreadable(name)
        }
        let requestHeaders = Self.headers(requestHead)
        request = DoubleRequest(
            words[0], words[1], token: requestHeaders["authorization"].map { _ in "REDACTED" },
            accept: requestHeaders["accept"], contentType: requestHeaders["content-type"],
            body: Array(requestBody.utf8))
        self.status = status
        headers = Self.headers(answerHead)
        body = Array(answerBody.utf8)
    }

    private static func split(_ lines: [String]) -> (head: [String], body: String) {
        let end = lines.firstIndex(of: "") ?? lines.count
        return (Array(lines[..<end]), lines.dropFirst(end + 1).joined(separator: "\n"))
    }

    private static func headers(_ head: [String]) -> [String: String] {
        var headers: [String: String] = [:]
        for line in head.dropFirst() {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { continue }
            headers[sides[0].lowercased()] = String(sides[1].drop { $0 == " " })
        }
        return headers
    }
}

struct Unreadable: Error {
    let name: String

    init(_ name: String) { self.name = name }
}
