// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import FoundationEssentials
import MeshLease
import MeshModel
import MeshSimulation

@testable import MeshKubernetes

/// Keepers with wrong clocks, a network that loses, and one API server with the Lease.
struct LeaseWorld {
    enum Node: Hashable {
        case world
        case server
        case keeper(Int)
    }

    enum Event {
        case timer
        case request(Origin, ObjectRequest)
        case response(Origin, ObjectRequest, Result<[UInt8], KubernetesError>)
        case fault
    }

    /// Which call a request is of.
    struct Origin {
        let member: Int
        let life: Int
        let call: LeaseCall
    }

    struct Member {
        var keeper: LeaseKeeper
        /// Its clock's rate, 1 being right, and how far it is ahead.
        let rate: Double
        let ahead: Duration
        /// Its wall clock's error: what it writes into the Lease.
        let skew: Double
        var life = 1
        var isAlive = true
        var timerAt: Instant?
        /// The highest numbers it saw, as its disk keeps them.
        var floor = LeaseRecord.initial

        func reading(at real: Instant) -> Instant {
            .zero + .nanoseconds(Int64(Double(real.nanoseconds) * rate)) + ahead
        }

        /// First real instant at which the clock shows `local`.
        func real(_ local: Instant) -> Instant {
            guard local.nanoseconds < UInt64(Int64.max) else { return local }
            let shown = max((local - Instant.zero - ahead).nanoseconds, 0)
            return Instant(nanoseconds: UInt64(Double(shown) / rate) + 1)
        }
    }

    var simulation: Simulation<Node, Event>
    var server = DoubleState()
    var members: [Member] = []
    private(set) var violations: [String] = []
    private(set) var acquisitions: [UInt64] = []
    private(set) var requests = 0
    private(set) var conflicts = 0
    private var epochs: Set<UInt32> = []
    private var reserved: UInt32 = 0
    private var isDeleted = false
    /// Planted: writes succeed whatever the version.
    let isUnconditional: Bool
    /// Planted: a renewal writes what is there already.
    var repeatsItself = false
    private let lease = KubernetesLease(
        namespace: "kube-system", name: "weft-publisher", parameters: .contended)

    init(seed: UInt64, isUnconditional: Bool = false) {
        self.isUnconditional = isUnconditional
        simulation = Simulation(
            seed: seed, start: .zero + .seconds(100),
            network: Network { _, _ in Link(latency: .milliseconds(1), jitter: .milliseconds(9)) })
        for index in 0..<2 + Int(seed % 3) {
            members.append(
                Member(
                    keeper: LeaseKeeper(
                        holder: LeaseHolder(node: "n\(index)", instance: 1),
                        parameters: .contended),
                    rate: 0.9 + 0.2 * simulation.generator.unit(),
                    ahead: simulation.generator.duration(below: .seconds(1000)),
                    skew: 1e6 * (simulation.generator.unit() - 0.5)))
        }
        for index in members.indices { schedule(index) }
    }

    var now: Instant { simulation.now }

    mutating func run(for duration: Duration, onFault: (inout LeaseWorld) -> Void = { _ in }) {
        let end = now + duration
        while let (node, event) = simulation.next(until: end) {
            switch (node, event) {
            case (.keeper(let index), .timer):
                members[index].timerAt = nil
                act(index) { $0.step(at: $1, using: &$2) }
            case (_, .request(let origin, let request)): serve(request, origin)
            case (_, .response(let origin, let request, let result)):
                receive(result, to: request, origin)
            case (_, .fault): onFault(&self)
            default: break
            }
            if believers.count > 1 { violations.append("\(believers) believe at \(now)") }
        }
    }

    var believers: [Int] {
        members.indices.filter { index in
            let member = members[index]
            return member.isAlive && member.keeper.tenure(at: member.reading(at: now)) != nil
        }
    }

    // MARK: Requests

    private mutating func serve(_ request: ObjectRequest, _ origin: Origin) {
        requests += 1
        var request = request
        if isUnconditional, request.method == .put, var body = try? JSONValue(request.body) {
            body["metadata"]["resourceVersion"] = .null
            request.body = body.bytes
        }
        let asked = DoubleRequest(
            request.method.rawValue, request.target, contentType: request.contentType,
            body: request.body)
        guard case .answer(let answer) = server.handle(asked) else { return }
        if answer.status == 409 { conflicts += 1 }
        let result: Result<[UInt8], KubernetesError> =
            (200..<300).contains(answer.status)
            ? .success(answer.body)
            : .failure(KubernetesError(status: answer.status, body: answer.body))
        simulation.send(
            .response(origin, request, result), from: .server, to: .keeper(origin.member))
    }

    private mutating func receive(
        _ result: Result<[UInt8], KubernetesError>, to request: ObjectRequest, _ origin: Origin
    ) {
        guard members[origin.member].life == origin.life else { return }
        take(lease.proceed(origin.call.request, request, result), origin)
    }

    private mutating func take(_ step: KubernetesLease.Step, _ origin: Origin) {
        switch step {
        case .ask(let request):
            simulation.send(
                .request(origin, request), from: .keeper(origin.member), to: .server)
        case .answer(let answer):
            act(origin.member) { $0.receive(answer, to: origin.call.id, at: $1, using: &$2) }
        }
    }

    private mutating func act(
        _ index: Int,
        _ body: (inout LeaseKeeper, Instant, inout SeededGenerator) -> [LeaseEffect]
    ) {
        guard members[index].isAlive else { return }
        let local = members[index].reading(at: now)
        for effect in body(&members[index].keeper, local, &simulation.generator) {
            perform(effect, of: index)
        }
        schedule(index)
    }

    private mutating func perform(_ effect: LeaseEffect, of index: Int) {
        switch effect {
        case .call(let call):
            let date = Date(timeIntervalSince1970: 1.8e9 + members[index].skew)
            let origin = Origin(member: index, life: members[index].life, call: call)
            let nonce = repeatsItself ? 0 : simulation.generator.next()
            take(lease.begin(call.request, at: date, nonce: nonce), origin)
        case .acquired(let tenure):
            if !isDeleted, let last = acquisitions.last, last >= tenure.token {
                violations.append("token \(tenure.token) after \(last)")
            }
            acquisitions.append(tenure.token)
            // Everybody's disk is asked, as a new publisher asks every node it reaches.
            let epoch = members.map(\.floor.epoch).reduce(tenure.epoch, max) + 1
            wish(index) { (keeper, local, generator) throws(LeaseRefusal) in
                try keeper.open(epoch: epoch, at: local, using: &generator)
            }
            wish(index) { (keeper, local, generator) throws(LeaseRefusal) in
                try keeper.reserve(1024, at: local, using: &generator)
            }
        case .opened(let epoch):
            if !epochs.insert(epoch).inserted { violations.append("epoch \(epoch) twice") }
            members[index].floor.epoch = epoch
        case .reserved(let range):
            if !isDeleted, range.lowerBound < reserved {
                violations.append("identities from \(range.lowerBound) twice")
            }
            reserved = max(reserved, range.upperBound)
        case .observed(let record?):
            members[index].floor.token = max(members[index].floor.token, record.token)
            members[index].floor.epoch = max(members[index].floor.epoch, record.epoch)
            members[index].floor.identities = max(
                members[index].floor.identities, record.identities)
        case .observed, .lost, .failed: break
        }
    }

    private mutating func wish(
        _ index: Int,
        _ body: (inout LeaseKeeper, Instant, inout SeededGenerator) throws(LeaseRefusal)
            -> [LeaseEffect]
    ) {
        act(index) { keeper, local, generator in
            do { return try body(&keeper, local, &generator) } catch { return [] }
        }
    }

    private mutating func schedule(_ index: Int) {
        let member = members[index]
        let wake = max(member.real(member.keeper.wake), now)
        guard member.isAlive, member.timerAt.map({ wake < $0 }) ?? true,
            wake < now + .seconds(3600)
        else { return }
        members[index].timerAt = wake
        simulation.schedule(.timer, for: .keeper(index), at: wake)
    }

    // MARK: Faults

    mutating func kill(_ index: Int) {
        members[index].isAlive = false
        members[index].life += 1
        simulation.kill(.keeper(index))
    }

    mutating func revive(_ index: Int) {
        guard !members[index].isAlive else { return }
        simulation.revive(.keeper(index))
        members[index].isAlive = true
        members[index].timerAt = nil
        members[index].keeper = LeaseKeeper(
            holder: LeaseHolder(node: "n\(index)", instance: UInt64(members[index].life)),
            parameters: .contended, floor: members[index].floor)
        schedule(index)
    }

    mutating func release(_ index: Int) { act(index) { $0.release(at: $1, using: &$2) } }

    mutating func delete() {
        isDeleted = true
        server.remove(.leases, namespace: "kube-system", name: "weft-publisher")
    }

    /// Somebody edits the object without being a candidate.
    mutating func edit() {
        let path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/weft-publisher"
        _ = server.handle(
            DoubleRequest(
                "PATCH", path, contentType: "application/merge-patch+json",
                body: Array("{\"metadata\":{\"labels\":{\"v\":\"\(requests)\"}}}".utf8)))
    }
}
