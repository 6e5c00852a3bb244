// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import Synchronization
import Testing

/// Debian's Chromium without a window, driven over its DevTools protocol: JSON messages that end in a
/// zero byte, on its descriptors 3 and 4.
final class Browser: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private struct State {
        var unread: [UInt8] = []
        var lastMessage = 0
        /// Of the page; nil before there is one.
        var session: String?
        /// URLs that were asked for since the start.
        var requests: [String] = []
        /// What the page's console and its security policy complained of.
        var complaints: [String] = []
    }

    private let process: pid_t
    private let writing: Int32
    private let reading: Int32
    private let state = Mutex(State())

    var requests: [String] { state.withLock { $0.requests } }
    var complaints: [String] { state.withLock { $0.complaints } }

    /// Opens `url` in a browser with a profile of its own, which goes away with it.
    static func run(_ url: String, _ body: (Browser) async throws -> Void) async throws {
        try await withFolder { folder in
            let browser = try Browser(profile: folder)
            do {
                try browser.open(url)
                try await body(browser)
            } catch {
                browser.end()
                throw error
            }
            browser.end()
        }
    }

    private init(profile: String) throws {
        let chromium = "/usr/bin/chromium"
        try #require(access(chromium, X_OK) == 0, "scripts/bootstrap installs chromium")
        var toBrowser: [Int32] = [0, 0]
        var fromBrowser: [Int32] = [0, 0]
        try #require(pipe(&toBrowser) == 0 && pipe(&fromBrowser) == 0)
        for end in toBrowser + fromBrowser { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // Out of the way of 3 and 4, which the copies below would close.
        let ends = [toBrowser[0], fromBrowser[1]].map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
        close(toBrowser[0])
        close(fromBrowser[1])
        defer { for end in ends { close(end) } }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for output in [STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 3)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 4)
        // Its helpers end with it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))

        let arguments = [
            chromium, "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu",
            "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--no-proxy-server", "--user-data-dir=\(profile)/profile",
            "--window-size=1280,1600", "about:blank",
        ]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        let home = [strdup("HOME=\(profile)"), strdup("PATH=/usr/bin:/bin"), nil]
        defer { for pointer in home { free(pointer) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, chromium, &actions, &attributes, &pointers, home)
        try #require(result == 0, "\(chromium): \(String(cString: strerror(result)))")
        self.process = process
        writing = toBrowser[1]
        reading = fromBrowser[0]
    }

    private func end() {
        kill(-process, SIGKILL)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        close(writing)
        close(reading)
    }

    private func open(_ url: String) throws {
        struct Target: Decodable { let targetId: String }
        struct Session: Decodable { let sessionId: String }
        let target = try ask(
            "Target.createTarget", ["url": .text("about:blank")], for: Target.self)
        let session = try ask(
            "Target.attachToTarget", ["targetId": .text(target.targetId), "flatten": .flag(true)],
            for: Session.self)
        state.withLock { $0.session = session.sessionId }
        for domain in ["Network", "Runtime", "Log", "Page"] { try ask("\(domain).enable") }
        try ask("Page.navigate", ["url": .text(url)])
    }

    private struct Evaluation: Decodable {
        struct Result: Decodable { let value: String? }
        struct Exception: Decodable {
            struct Thrown: Decodable { let description: String? }
            let text: String
            let exception: Thrown?
        }
        let result: Result
        let exceptionDetails: Exception?
    }

    /// What a JavaScript expression comes to.
    @discardableResult
    func evaluate<Value: Decodable>(
        _ expression: String, as _: Value.Type = Value.self
    ) throws -> Value {
        let answer = try ask(
            "Runtime.evaluate",
            [
                "expression": .text("(async () => JSON.stringify(await (\(expression))))()"),
                "awaitPromise": .flag(true), "returnByValue": .flag(true),
            ], for: Evaluation.self)
        guard let text = answer.result.value, answer.exceptionDetails == nil else {
            let exception = answer.exceptionDetails
            throw Failure(
                description: "\(expression): \(exception?.exception?.description ?? "no value")")
        }
        return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }

    /// Awaits an expression to be true, up to twenty seconds.
    func await(_ expression: String) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while try !evaluate("Boolean(\(expression))", as: Bool.self) {
            guard ContinuousClock.now < deadline else {
                let text: String = try evaluate("document.body.innerText.slice(0, 600)")
                throw Failure(description: "not yet: \(expression); \(complaints)\n\(text)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// As a keyboard would: `Tab`, `Enter`, `ArrowRight`, ….
    func press(_ keys: String...) throws {
        let codes = [
            "Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37,
            "ArrowRight": 39,
        ]
        for key in keys {
            let code = try #require(codes[key])
            for type in ["rawKeyDown", "keyUp"] {
                try ask(
                    "Input.dispatchKeyEvent",
                    [
                        "type": .text(type), "key": .text(key), "code": .text(key),
                        "windowsVirtualKeyCode": .number(code),
                    ])
            }
        }
    }

    /// Media features as an operating system would set them, `prefers-color-scheme: dark`.
    func prefer(_ feature: String, _ value: String) throws {
        try ask(
            "Emulation.setEmulatedMedia",
            ["features": .list([.object(["name": .text(feature), "value": .text(value)])])])
    }

    func resize(width: Int, height: Int) throws {
        try ask(
            "Emulation.setDeviceMetricsOverride",
            [
                "width": .number(width), "height": .number(height), "deviceScaleFactor": .number(1),
                "mobile": .flag(false),
            ])
    }

    // MARK: the protocol

    enum Parameter: Encodable {
        case text(String)
        case number(Int)
        case flag(Bool)
        case list([Parameter])
        case object([String: Parameter])

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .flag(let value): try container.encode(value)
            case .list(let value): try container.encode(value)
            case .object(let value): try container.encode(value)
            }
        }
    }

    private struct Command: Encodable {
        let id: Int
        let method: String
        let params: [String: Parameter]
        let sessionId: String?
    }

    private struct Nothing: Decodable {}

    private struct Envelope: Decodable {
        struct Fault: Decodable { let message: String }
        let id: Int?
        let method: String?
        let error: Fault?
    }

    private struct Answer<Value: Decodable>: Decodable { let result: Value }

    private struct Event<Value: Decodable>: Decodable { let params: Value }

    private func ask(_ method: String, _ parameters: [String: Parameter] = [:]) throws {
        _ = try ask(method, parameters, for: Nothing.self)
    }

    private func ask<Value: Decodable>(
        _ method: String, _ parameters: [String: Parameter] = [:], for _: Value.Type
    ) throws -> Value {
        let command = state.withLock { state in
            state.lastMessage += 1
            return Command(
                id: state.lastMessage, method: method, params: parameters, sessionId: state.session)
        }
        try send(Array(try JSONEncoder().encode(command)) + [0])
        while true {
            let message = Data(try receive())
            let envelope = try JSONDecoder().decode(Envelope.self, from: message)
            if envelope.id == command.id {
                if let fault = envelope.error {
                    throw Failure(description: "\(method): \(fault.message)")
                }
                return try JSONDecoder().decode(Answer<Value>.self, from: message).result
            }
            if let event = envelope.method { try note(event, message) }
        }
    }

    private func note(_ event: String, _ message: Data) throws {
        struct Asked: Decodable {
            struct Request: Decodable { let url: String }
            let request: Request
        }
        switch event {
        case "Network.requestWillBeSent":
            let url = try JSONDecoder().decode(Event<Asked>.self, from: message).params.request.url
            state.withLock { $0.requests.append(url) }
        case "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled":
            state.withLock { $0.complaints.append(String(decoding: message, as: UTF8.self)) }
        default: break
        }
    }

    private func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(writing, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(description: "the browser doesn't listen") }
            rest = rest.dropFirst(count)
        }
    }

    private func receive() throws -> [UInt8] {
        var unread = state.withLock { $0.unread }
        while true {
            if let end = unread.firstIndex(of: 0) {
                let message = Array(unread[..<end])
                unread.removeSubrange(...end)
                let rest = unread
                state.withLock { $0.unread = rest }
                return message
            }
            var wait = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, 30_000) == 1 else {
                throw Failure(description: "the browser says nothing for 30 s")
            }
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            let count = chunk.withUnsafeMutableBytes { read(reading, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Failure(description: "the browser has ended") }
            unread += chunk[..<count]
        }
    }
}
