// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// How often and how much a reflector asks.
public struct ReflectorParameters: Hashable, Sendable {
    /// Objects a page in the beginning: 500 endpoint slices of 100 addresses are about 10 MiB.
    public var pageLimit = 500
    /// What a page grows to when the server forgets a list before its end was read.
    public var pageLimitMaximum = 4000
    /// When the server is to end a watch, at random, so that 1,000 nodes don't come back together.
    public var watchSeconds = 300..<600
    /// A watch that lived as long is a success; a shorter one leaves the pauses as they are.
    public var settledAfter = Duration.seconds(60)
    /// Pause before the first list, at random below: nodes of a cluster begin together.
    public var spread = Duration.zero
    /// Between looks at a resource that the server doesn't have.
    public var absentRetry = Duration.seconds(300)
    /// Whether the server is asked for streaming lists first.
    public var prefersStreaming = true

    public init() {}
}

/// Keeps a consumer's state the server's: lists, watches from the list's version, goes on from the
/// last version seen, and lists again when the server has forgotten it. Sans-IO, with one request
/// under way at most; objects pass through and aren't kept.
///
/// Two pauses guard the server. One grows with every list that isn't followed by a watch of
/// ``ReflectorParameters/settledAfter``, so that no fault, however often it comes back, makes a
/// storm of lists; the other with every watch that ends sooner than that.
public struct ReflectorCore: Sendable {
    public enum Request: Hashable, Sendable {
        case page(limit: Int, continueToken: String?)
        case watch(WatchStart, seconds: Int)
    }

    /// To be answered any number of times by `.opened` and `.event`, and once by another answer.
    public struct Call: Hashable, Sendable {
        public let id: UInt64
        public let request: Request
    }

    public enum Answer: Hashable, Sendable {
        case page(ObjectPage)
        /// The server accepted the watch.
        case opened
        case event(WatchEvent)
        /// The server ended the watch at its time.
        case ended
        case failed(KubernetesError)
    }

    public enum Effect: Sendable {
        /// What was asked before is to be given up.
        case call(Call)
        case deliver(ObjectEvent)
        /// Phase and error, for ``FeedHealth``.
        case health(FeedHealth.Phase, String?)
    }

    enum Phase: Hashable {
        /// Until ``wake``.
        case pausing(Next)
        /// - Parameter page: the one under way.
        case listing(Page)
        case streaming
        /// From ``version``.
        case watching
    }

    enum Next: Hashable {
        case list
        case page(Page)
        case watch
    }

    struct Page: Hashable {
        var limit: Int
        var continueToken: String?
    }

    /// Streaming lists that break off one after the other before pages are asked for instead.
    static let streamingFailuresMaximum = 3
    /// Watches in a row that can't be read, or whose version the server doesn't know yet, before
    /// the state is listed again.
    static let doubtsMaximum = 3
    /// Looks at a resource that was there and isn't found, before it is believed to be gone.
    static let absencesMaximum = 3

    public let isOptional: Bool
    public let parameters: ReflectorParameters
    /// When ``step(at:using:)`` is due; far away while a request is under way.
    public internal(set) var wake = Instant.zero
    /// How many lists were begun.
    public internal(set) var lists = 0

    var phase: Phase
    /// The last one seen; nil before the first list.
    var version: String?
    var isSynced: Bool { version != nil }
    var call: Call?
    var lastID: UInt64 = 0
    var began = Instant.zero
    var pageLimit: Int
    var offersStreaming: Bool
    /// Whether the server accepted the streaming list that is under way.
    var isOpen = false
    var streamingFailures = 0
    var doubts = 0
    var absences = 0
    var listPause = KubernetesBackoff(first: .seconds(1), longest: .seconds(60))
    var watchPause = KubernetesBackoff(first: .milliseconds(200), longest: .seconds(30))
    var told: Told?

    struct Told: Hashable {
        let phase: FeedHealth.Phase
        let error: String?
    }

    public init(isOptional: Bool, parameters: ReflectorParameters = ReflectorParameters()) {
        self.isOptional = isOptional
        self.parameters = parameters
        pageLimit = parameters.pageLimit
        offersStreaming = parameters.prefersStreaming
        phase = .pausing(.list)
    }

    /// Time has passed.
    public mutating func step(
        at now: Instant, using generator: inout some RandomNumberGenerator
    ) -> [Effect] {
        var effects: [Effect] = []
        if told == nil {
            tell(.connecting, nil, into: &effects)
            let share = Double.random(in: 0..<1, using: &generator)
            wake = now + parameters.spread * share
        }
        guard case .pausing(let next) = phase, now >= wake else { return effects }
        switch next {
        case .list: beginList(at: now, using: &generator, into: &effects)
        case .page(let page): ask(page, at: now, into: &effects)
        case .watch:
            if let version {
                phase = .watching
                watch(.version(version), at: now, using: &generator, into: &effects)
            }
        }
        return effects
    }

    /// What came of a request; an answer to one that was given up changes nothing.
    public mutating func receive(
        _ answer: Answer, to id: UInt64, at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) -> [Effect] {
        guard call?.id == id else { return [] }
        var effects: [Effect] = []
        switch (phase, answer) {
        case (.listing, .page(let page)):
            take(page, at: now, using: &generator, into: &effects)
        case (.listing(let page), .failed(let error)):
            fail(page, error, at: now, using: &generator, into: &effects)
        case (.streaming, .opened): isOpen = true
        case (.streaming, .event(let event)):
            takeInitial(event, at: now, using: &generator, into: &effects)
        case (.streaming, .failed(let error)):
            failStreaming(error, at: now, using: &generator, into: &effects)
        case (.streaming, .ended):
            failStreaming(
                KubernetesError(.unavailable, "the list was ended early"), at: now,
                using: &generator, into: &effects)
        case (.watching, .opened): tell(.synced, nil, into: &effects)
        case (.watching, .event(let event)):
            take(event, at: now, using: &generator, into: &effects)
        case (.watching, .ended):
            resume(after: nil, at: now, using: &generator, into: &effects)
        case (.watching, .failed(let error)):
            failWatch(error, at: now, using: &generator, into: &effects)
        default: break
        }
        return effects
    }

    /// Whether more of that request is wanted.
    public func isWaiting(for id: UInt64) -> Bool { call?.id == id }

    // MARK: Asking

    private mutating func beginList(
        at now: Instant, using generator: inout some RandomNumberGenerator,
        into effects: inout [Effect]
    ) {
        lists += 1
        if offersStreaming {
            phase = .streaming
            isOpen = false
            effects.append(.deliver(.listBegan))
            watch(.initialEvents, at: now, using: &generator, into: &effects)
        } else {
            ask(Page(limit: pageLimit, continueToken: nil), at: now, into: &effects)
            effects.insert(.deliver(.listBegan), at: effects.count - 1)
        }
    }

    private mutating func ask(_ page: Page, at now: Instant, into effects: inout [Effect]) {
        phase = .listing(page)
        send(.page(limit: page.limit, continueToken: page.continueToken), at: now, into: &effects)
    }

    mutating func watch(
        _ start: WatchStart, at now: Instant, using generator: inout some RandomNumberGenerator,
        into effects: inout [Effect]
    ) {
        let seconds = Int.random(in: parameters.watchSeconds, using: &generator)
        send(.watch(start, seconds: seconds), at: now, into: &effects)
    }

    private mutating func send(
        _ request: Request, at now: Instant, into effects: inout [Effect]
    ) {
        lastID += 1
        began = now
        wake = Instant(nanoseconds: .max)
        let call = Call(id: lastID, request: request)
        self.call = call
        effects.append(.call(call))
    }

    mutating func pause(_ next: Next, for duration: Duration, at now: Instant) {
        call = nil
        phase = .pausing(next)
        wake = now + duration
    }

    mutating func tell(
        _ phase: FeedHealth.Phase, _ error: KubernetesError?, into effects: inout [Effect]
    ) {
        let text = error.map(\.sentence)
        let now = Told(phase: phase, error: text)
        guard told != now else { return }
        told = now
        effects.append(.health(phase, text))
    }
}

extension KubernetesError {
    /// At most as long as ``FeedHealth/lastError`` may be.
    fileprivate var sentence: String {
        var text = description
        while text.utf8.count > Self.maximumMessageBytes { text.removeLast() }
        return text
    }
}
