// SPDX-License-Identifier: Apache-2.0

import Glibc

/// One client of ``LabServe``: requests in, answers out, one after the other.
struct ServerConnection {
    enum Progress {
        case wantsInput, wantsOutput, ended
    }

    static let requestBytesMax = 16_384
    static let bodyBytesMax = 1 << 40
    /// What `/bytes/N` is cut from.
    private static let filler = [UInt8](repeating: UInt8(ascii: "w"), count: 262_144)
    private static let end = Array("\r\n\r\n".utf8)

    let descriptor: Int32
    private var input: [UInt8] = []
    private var output: ArraySlice<UInt8> = []
    /// Bytes of filler that follow `output`.
    private var fillerBytes = 0
    private var isLast = false
    private var isHeld = false

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Reads, answers and writes as far as it goes without waiting.
    mutating func progress(who: [UInt8]) -> Progress {
        while true {
            guard flush() else { return errno == EAGAIN ? .wantsOutput : .ended }
            if isLast { return .ended }
            if !isHeld, let head = takeRequest() {
                answer(head, who)
                continue
            }
            guard input.count < Self.requestBytesMax else { return .ended }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return count < 0 && errno == EAGAIN ? .wantsInput : .ended }
            input += buffer[..<count]
        }
    }

    /// - Returns: false with `errno` if not all could be written.
    private mutating func flush() -> Bool {
        while true {
            if output.isEmpty {
                guard fillerBytes > 0 else { return true }
                output = Self.filler.prefix(fillerBytes)
                fillerBytes -= output.count
            }
            let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
            let count = output.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, flags)
            }
            guard count > 0 else { return false }
            output = output.dropFirst(count)
        }
    }

    /// The lines of the next request, without its empty line; requests have no body.
    private mutating func takeRequest() -> [Substring]? {
        guard let range = input.firstRange(of: Self.end) else { return nil }
        let head = String(decoding: input[..<range.lowerBound], as: UTF8.self)
        input.removeSubrange(..<range.upperBound)
        return head.split(separator: "\r\n")
    }

    private mutating func answer(_ head: [Substring], _ who: [UInt8]) {
        let request = head.first?.split(separator: " ") ?? []
        isLast = head.dropFirst().contains { $0.lowercased() == "connection: close" }
        guard request.count == 3, request[0] == "GET", request[2] == "HTTP/1.1" else {
            isLast = true
            return respond("400 Bad Request", Array("only GET and HTTP/1.1\n".utf8))
        }
        if request[1] == "/" {
            respond("200 OK", who)
        } else if request[1] == "/hold" {
            isHeld = true
            isLast = false  // The client ends it.
        } else if request[1].hasPrefix("/bytes/"), let count = Int(request[1].dropFirst(7)),
            (0...Self.bodyBytesMax).contains(count)
        {
            respond("200 OK", [], filler: count)
        } else {
            respond("404 Not Found", Array("try /, /hold or /bytes/N\n".utf8))
        }
    }

    private mutating func respond(_ status: String, _ body: [UInt8], filler: Int = 0) {
        let connection = isLast ? "close" : "keep-alive"
        let head =
            "HTTP/1.1 \(status)\r\ncontent-type: text/plain\r\nconnection: \(connection)\r\n"
            + "content-length: \(body.count + filler)\r\n\r\n"
        output = (Array(head.utf8) + body)[...]
        fillerBytes = filler
    }
}
