// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import MeshModel
import MeshSimulation

@testable import MeshKubernetes

/// A reflector and an API server in virtual time, with everything in between that breaks.
///
/// Answers are the double's bytes, cut into pieces and read by the code that ships.
struct ReflectorWorld {
    enum Event {
        case wake
        /// The server comes to the request.
        case arrive(UInt64, ObjectRequestText)
        /// A watch gets what is due.
        case read(UInt64)
        case bookmark(UInt64)
        case time(UInt64)
        /// Nothing came for 90 s.
        case silence(UInt64, heard: Instant)
        case answer(UInt64, ReflectorCore.Answer)
        case write
        case fault
    }

    struct ObjectRequestText {
        let request: ReflectorCore.Request
    }

    struct Watch {
        var cursor: DoubleCursor
        var decoder = WatchDecoder()
        var heard: Instant
        /// Bytes until the connection breaks.
        var room: Int?
        var isHung = false
    }

    private(set) var queue = EventQueue<Event>()
    private(set) var now = Instant.zero + .seconds(1000)
    var generator: SeededGenerator
    var server: DoubleState
    var backup: DoubleState
    var core: ReflectorCore
    var mirror = ObjectMirror()
    /// One at most: the reflector has one request under way.
    private var watch: (id: UInt64, state: Watch)?
    private var wakeAt: Instant?
    var isFaulty = true
    private var created = 0
    /// Requests that reached the server.
    private(set) var requests = 0
    private(set) var lists = 0
    private(set) var faults = 0
    private(set) var violations: [String] = []
    let nodeName: String?

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        var parameters = ReflectorParameters()
        parameters.pageLimit = Int.random(in: 1...4, using: &generator)
        parameters.prefersStreaming = generator.chance(0.5)
        parameters.watchSeconds = 100..<200
        nodeName = generator.chance(0.4) ? "node-1" : nil
        server = DoubleState()
        server.offersStreaming = generator.chance(0.8)
        server.sendsBookmarks = generator.chance(0.7)
        backup = server
        core = ReflectorCore(isOptional: false, parameters: parameters)
        for _ in 0..<Int.random(in: 0...8, using: &generator) { write() }
        backup = server
        queue.add(.wake, at: now)
    }

    private var selection: ObjectSelection {
        ObjectSelection(.pods, fieldSelector: nodeName.map { "spec.nodeName=\($0)" })
    }

    /// Whether the consumer holds exactly what the server does.
    var isCurrent: Bool { mirror.objects == server.texts(.pods, nodeName: nodeName) }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while let time = queue.nextTime, time <= end, let (_, event) = queue.take() {
            now = time
            handle(event)
        }
        now = end
    }

    mutating func start(writesEvery pause: Duration, faultsEvery: Duration) {
        queue.add(.write, at: now + generator.duration(below: pause * 2))
        queue.add(.fault, at: now + generator.duration(below: faultsEvery * 2))
        self.pause = (pause, faultsEvery)
    }

    private var pause = (writes: Duration.seconds(5), faults: Duration.seconds(30))

    private mutating func handle(_ event: Event) {
        switch event {
        case .wake:
            if wakeAt.map({ $0 <= now }) ?? false { wakeAt = nil }
            perform(core.step(at: now, using: &generator))
        case .arrive(let id, let text): serve(id, text.request)
        case .answer(let id, let answer): give(answer, to: id)
        case .read(let id): read(id)
        case .bookmark(let id):
            guard let watch, watch.id == id else { return }
            push(watch.state.cursor.bookmark(of: server), to: id)
            queue.add(.bookmark(id), at: now + .seconds(60))
        case .time(let id):
            guard let watch, watch.id == id, !watch.state.isHung else { return }
            give(.ended, to: id)
        case .silence(let id, let heard):
            guard let watch, watch.id == id else { return }
            if watch.state.heard == heard {
                give(.failed(KubernetesError(.timedOut, "nothing came")), to: id)
            } else {
                queue.add(
                    .silence(id, heard: watch.state.heard), at: watch.state.heard + .seconds(90))
            }
        case .write:
            if isFaulty {
                write()
                queue.add(.write, at: now + generator.duration(below: pause.writes * 2))
                if let watch { queue.add(.read(watch.id), at: now + latency) }
            }
        case .fault:
            if isFaulty {
                strike()
                queue.add(.fault, at: now + generator.duration(below: pause.faults * 2))
            }
        }
    }

    private var latency: Duration {
        mutating get { .milliseconds(1) + generator.duration(below: .milliseconds(20)) }
    }

    // MARK: Client

    private mutating func perform(_ effects: [ReflectorCore.Effect]) {
        for effect in effects {
            switch effect {
            case .call(let call):
                watch = nil
                queue.add(
                    .arrive(call.id, ObjectRequestText(request: call.request)), at: now + latency)
            case .deliver(let event): mirror.receive(event)
            case .health(let phase, _): mirror.note(phase)
            }
        }
        violations += mirror.violations
        let wake = core.wake
        guard wake.nanoseconds < UInt64(Int64.max), wakeAt.map({ wake < $0 }) ?? true else {
            return
        }
        wakeAt = wake
        queue.add(.wake, at: max(wake, now))
    }

    private mutating func give(_ answer: ReflectorCore.Answer, to id: UInt64) {
        switch answer {
        case .ended, .failed: if watch?.id == id { watch = nil }
        default: break
        }
        perform(core.receive(answer, to: id, at: now, using: &generator))
        if !core.isWaiting(for: id), watch?.id == id { watch = nil }
    }

    // MARK: Server

    private mutating func serve(_ id: UInt64, _ request: ReflectorCore.Request) {
        guard core.isWaiting(for: id) else { return }
        requests += 1
        let asked = DoubleRequest("GET", request.target(selection))
        if case .page(_, nil) = request { lists += 1 }
        if case .watch(.initialEvents, _) = request { lists += 1 }
        var room: Int?
        if isFaulty, generator.chance(0.25) {
            faults += 1
            switch Int.random(in: 0..<6, using: &generator) {
            case 0:
                let seconds = Int.random(in: 0...5, using: &generator)
                return fail(id, DoubleFault.throttle(seconds: seconds).answer)
            case 1: return fail(id, DoubleFault.fail.answer)
            case 2:
                let error = KubernetesError(.unavailable, "the connection broke")
                return queue.add(.answer(id, .failed(error)), at: now + latency)
            case 3:
                // Slow: the server comes to it again, later, and its answer is as of then.
                let delay = generator.duration(below: .seconds(20))
                return queue.add(.arrive(id, ObjectRequestText(request: request)), at: now + delay)
            case 4:
                let error = KubernetesError(.timedOut, "nothing came")
                return queue.add(.answer(id, .failed(error)), at: now + .seconds(30))
            default: room = Int.random(in: 0...1500, using: &generator)
            }
        }
        switch server.handle(asked) {
        case .answer(let answer) where answer.status != 200: fail(id, answer)
        case .answer(let answer):
            queue.add(.answer(id, Self.page(answer.body, room: room)), at: now + latency)
        case .watch(let cursor):
            watch = (id, Watch(cursor: cursor, heard: now, room: room))
            give(.opened, to: id)
            queue.add(.read(id), at: now + latency)
            queue.add(.bookmark(id), at: now + .seconds(60))
            queue.add(.time(id), at: now + .seconds(cursor.timeoutSeconds ?? 1800))
            queue.add(.silence(id, heard: now), at: now + .seconds(90))
        }
    }

    private mutating func fail(_ id: UInt64, _ answer: DoubleAnswer?) {
        guard let answer else { return }
        let error = KubernetesError(
            status: answer.status, body: answer.body, retryAfter: answer.headers["Retry-After"])
        queue.add(.answer(id, .failed(error)), at: now + latency)
    }

    /// A body that is cut never reads as a page.
    private static func page(_ body: [UInt8], room: Int?) -> ReflectorCore.Answer {
        do throws(JSONFault) {
            return .page(try ObjectPage(room.map { Array(body.prefix($0)) } ?? body))
        } catch {
            return .failed(KubernetesError(.malformed, "\(error)"))
        }
    }

    private mutating func read(_ id: UInt64) {
        guard watch?.id == id, let bytes = watch?.state.cursor.lines(of: server) else { return }
        push(bytes, to: id)
        if let watch, watch.id == id, watch.state.cursor.isFinished, !watch.state.isHung {
            give(.ended, to: id)
        }
    }

    /// In pieces, as sockets have them.
    private mutating func push(_ bytes: [UInt8], to id: UInt64) {
        guard !bytes.isEmpty, watch?.state.isHung == false else { return }
        watch?.state.heard = now
        var rest = bytes[...]
        if let room = watch?.state.room {
            watch?.state.room = room - rest.count
            rest = rest.prefix(room)
        }
        while !rest.isEmpty, watch?.id == id {
            let piece = rest.prefix(Int.random(in: 1...400, using: &generator))
            rest = rest.dropFirst(piece.count)
            guard let (events, fault) = watch?.state.decoder.decode(piece) else { return }
            for event in events where watch?.id == id { give(.event(event), to: id) }
            if let fault {
                return give(.failed(KubernetesError(.malformed, "\(fault)")), to: id)
            }
        }
        if let watch, watch.id == id, let room = watch.state.room, room <= 0 {
            let isWhole = watch.state.decoder.isBetweenLines
            let error = KubernetesError(isWhole ? .unavailable : .malformed, "cut")
            give(.failed(error), to: id)
        }
    }

    // MARK: Life

    private mutating func write() {
        let names = (0..<12).map { "pod-\($0)" }
        let name = names[Int.random(in: 0..<names.count, using: &generator)]
        if generator.chance(0.3) {
            server.remove(.pods, namespace: "shop", name: name)
        } else {
            created += 1
            server.put(
                .pods,
                [
                    "metadata": ["name": .string(name), "namespace": "shop"],
                    "spec": [
                        "nodeName": generator.chance(0.5) ? "node-1" : "node-2",
                        "count": .number("\(created)"), "text": "a \"b\" \\ \u{1F9F5}",
                    ],
                ])
        }
    }

    private mutating func strike() {
        faults += 1
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: server.compact()
        case 1:
            server.compact()
            cut()
        case 2: cut()
        case 3: watch?.state.isHung = true
        case 4: watch?.state.room = Int.random(in: 0...600, using: &generator)
        case 5: backup = server
        case 6:
            server.restore(backup)
            cut()
        default: server.sendsBookmarks.toggle()
        }
    }

    private mutating func cut() {
        guard let watch else { return }
        give(.failed(KubernetesError(.unavailable, "the connection broke")), to: watch.id)
    }

    /// Everything works again.
    mutating func heal() {
        isFaulty = false
        server.sendsBookmarks = true
    }
}
