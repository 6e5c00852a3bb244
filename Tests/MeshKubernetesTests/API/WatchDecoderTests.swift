// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshKubernetes

@Suite("Reading watches and pages")
struct WatchDecoderTests {
    private static let watches = [
        "watch-endpointslices.http", "watch-list-endpointslices.http", "watch-too-old-410.http",
    ]

    private func events(_ bytes: [UInt8], pieces: Int) throws -> [WatchEvent] {
        var decoder = WatchDecoder()
        var events: [WatchEvent] = []
        for start in stride(from: 0, to: bytes.count, by: pieces) {
            let found = decoder.decode(bytes[start..<min(start + pieces, bytes.count)])
            if let fault = found.fault { throw fault }
            events += found.events
        }
        #expect(decoder.isBetweenLines)
        return events
    }

    @Test("events are the same whatever the pieces they arrive in", arguments: watches)
    func pieces(name: String) throws {
        let body = try Recording(name).body + [UInt8(ascii: "\n")]
        let whole = try events(body, pieces: body.count)
        for pieces in [1, 2, 3, 7, 100, 4096] {
            #expect(try events(body, pieces: pieces) == whole)
        }
    }

    @Test(
        "events before a line that can't be read count, whatever the pieces",
        arguments: [1, 1 << 20])
    func beforeFault(pieces: Int) throws {
        let first = try #require(try Recording("watch-endpointslices.http").lines.first)
        let bytes = first + Array("\nnonsense\n".utf8)
        var decoder = WatchDecoder()
        var events: [WatchEvent] = []
        var fault: JSONFault?
        for start in stride(from: 0, to: bytes.count, by: pieces) where fault == nil {
            let found = decoder.decode(bytes[start..<min(start + pieces, bytes.count)])
            events += found.events
            fault = found.fault
        }
        #expect(events.count == 1 && fault != nil)
    }

    @Test("a recorded watch says which objects changed, and how far it is")
    func recorded() throws {
        let body = try Recording("watch-endpointslices.http").body + [UInt8(ascii: "\n")]
        let events = try events(body, pieces: 1000)
        let kinds = events.map { event in
            switch event {
            case .added(let object): "+\(object.name)@\(object.resourceVersion)"
            case .modified(let object): "~\(object.name)@\(object.resourceVersion)"
            case .deleted(let object): "-\(object.name)@\(object.resourceVersion)"
            case .bookmark(let version, let ends): "\(version) \(ends)"
            case .error, .unusable: "?"
            }
        }
        #expect(
            kinds == [
                "~shop/db-v4@258", "~shop/db-v4@259", "+pay/sticky-1@260", "-pay/sticky-1@261",
                "261 false", "261 false",
            ])
        guard case .modified(let object) = events[0], let json = object.json else {
            throw Unreadable("no object")
        }
        let line = try JSONValue(try Recording("watch-endpointslices.http").lines[0])
        #expect(try JSONValue(json) == line["object"])
    }

    @Test("the end of a streaming list and a version that is gone are told apart")
    func marks() throws {
        let list = try Recording("watch-list-endpointslices.http").body + [UInt8(ascii: "\n")]
        #expect(
            try events(list, pieces: 50).last
                == .bookmark(resourceVersion: "261", endsInitialEvents: true))
        let gone = try Recording("watch-too-old-410.http").body + [UInt8(ascii: "\n")]
        guard case .error(let error) = try events(gone, pieces: 50).first else {
            throw Unreadable("no error")
        }
        #expect(error.code == .expired)
    }

    @Test("an object that is too large is delivered without its text, and the next one whole")
    func large() throws {
        let filler = String(repeating: "x", count: WatchDecoder.maximumLineBytes)
        func line(_ name: String, _ text: String) -> [UInt8] {
            let object =
                #"{"kind":"Pod","metadata":{"name":"\#(name)","namespace":"a","#
                + #""resourceVersion":"7"},"spec":{"text":"\#(text)"}}"#
            return Array(#"{"type":"ADDED","object":\#(object)}"#.utf8) + [UInt8(ascii: "\n")]
        }
        let found = try events(line("big", filler) + line("small", "y"), pieces: 1 << 16)
        guard case .added(let big) = found[0], case .added(let small) = found[1] else {
            throw Unreadable("no objects")
        }
        #expect(big.name == ObjectName(namespace: "a", name: "big"))
        #expect(big.json == nil)
        #expect(small.json != nil)
        #expect(found.count == 2)
    }

    @Test("a recorded page says its objects, its version and where the next one begins")
    func page() throws {
        let page = try ObjectPage(try Recording("list-pods-page1.http").body)
        #expect(page.objects.map { "\($0.name)" } == ["kube-system/host-agent", "pay/api-1"])
        #expect(page.resourceVersion == "255")
        #expect(page.continueToken?.hasPrefix("eyJ2Ijoi") == true)
        let last = try ObjectPage(try Recording("list-serviceexports.http").body)
        #expect(last.continueToken == nil)
        #expect(last.objects.count == 2)
    }

    @Test(
        "what isn't JSON, or nests too deep, is refused",
        arguments: [
            "{", "{\"a\":1,}", "[1 2]", "\"\u{1}\"", "{\"a\":01}", "nul", "{\"a\" 1}", "\"\\x\"",
            "\"\\ud800\"", "1.", "-", "{} {}",
            String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
        ])
    func faults(text: String) {
        #expect(throws: JSONFault.self) { try JSONValue(Array(text.utf8)) }
    }

    @Test(
        "JSON is written as it was read",
        arguments: [
            #"{"a":[1,2.5e-3,null,true,false,"x\"y\\z"],"b":{}}"#, #"[]"#, #""🧵é""#,
            #"{"a":"\u0000"}"#,
        ])
    func writing(text: String) throws {
        #expect(String(decoding: try JSONValue(Array(text.utf8)).bytes, as: UTF8.self) == text)
    }

    @Test("escapes mean their characters")
    func escapes() throws {
        let value = try JSONValue(Array(#""\ud83e\uddf5\u00e9\n\/\b\f\r\t""#.utf8))
        #expect(value == "\u{1F9F5}é\n/\u{8}\u{c}\r\t")
    }

    @Test("20,000 mutations of recorded answers are read or refused, and nothing is invented")
    func mutations() throws {
        var generator = SeededGenerator(seed: 8)
        let originals = try Self.watches.map { try Recording($0).body + [UInt8(ascii: "\n")] }
        let pages = try ["list-pods-page1.http", "list-services.http"].map {
            try Recording($0).body
        }
        var refused = 0
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? originals[round / 2 % 3] : pages[round / 2 % 2]
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes.mutate(using: &generator)
            }
            do throws(JSONFault) {
                if round % 2 == 0 {
                    var decoder = WatchDecoder()
                    let found = decoder.decode(bytes)
                    for event in found.events { check(event) }
                    if let fault = found.fault { throw fault }
                } else {
                    for object in try ObjectPage(bytes).objects { check(object) }
                }
            } catch {
                refused += 1
            }
        }
        #expect(refused > 2000 && refused < 19_000)
    }

    private func check(_ event: WatchEvent) {
        switch event {
        case .added(let object), .modified(let object), .deleted(let object): check(object)
        case .bookmark(let version, _): #expect(ObjectText.isVersion(version))
        case .error(let error): #expect(error.message.utf8.count <= 256)
        case .unusable: break
        }
    }

    private func check(_ object: ObjectText) {
        #expect(!object.name.name.isEmpty && object.name.name.utf8.count <= 253)
        #expect(ObjectText.isVersion(object.resourceVersion))
        if let json = object.json {
            #expect(json.first == UInt8(ascii: "{") && json.last == UInt8(ascii: "}"))
        }
    }
}

extension [UInt8] {
    /// One byte, one piece, or one end.
    mutating func mutate(using generator: inout SeededGenerator) {
        guard !isEmpty else { return }
        let at = Int.random(in: 0..<count, using: &generator)
        let length = Swift.min(Int.random(in: 1...64, using: &generator), count - at)
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: self[at] = UInt8.random(in: 0...255, using: &generator)
        case 1: removeSubrange(at..<at + length)
        case 2: insert(contentsOf: Array(self[at..<at + length]), at: at)
        case 3: removeSubrange(at...)
        case 4:
            let marks = Array("{}[]\",:\\\n0".utf8)
            self[at] = marks[Int.random(in: 0..<marks.count, using: &generator)]
        default: self[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        }
    }
}
