// SPDX-License-Identifier: Apache-2.0

import MeshAdmin

/// The acts of one test, in their order.
struct ConnectivityRun {
    let test: ConnectivityTest
    private(set) var results: [ConnectivityResult] = []
    private(set) var endpoints: [ConnectivityEndpoint] = []
    private var numbers = 0

    init(test: ConnectivityTest) { self.test = test }

    var clusters: [String] {
        var seen: Set<String> = []
        return test.sites.map(\.cluster).filter { seen.insert($0).inserted }
    }

    /// Sites whose endpoints are there.
    var sites: [ConnectivitySite] {
        test.sites.filter { site in endpoints.contains { $0.node == site.node } }
    }

    mutating func play() async throws {
        try await attach()
        let services = try await announce()
        try await settle(services)
        guard let first = endpoints.first else { return }
        let plan = ConnectivityPlan(
            clusters: clusters, endpoints: endpoints,
            mtu: try ConnectivityTest.mtu(of: first) ?? ConnectivityPlan.defaultMTU)
        var checks = plan.direct
        if let client = endpoints.first(where: { $0.role == .client }) {
            checks += test.remotes.flatMap { plan.direct(client, $0) }
        }
        let probe = ConnectivityProbe(
            stage: test.stage, witnesses: await ConnectivityWitnesses(test.sites))
        try await run(checks, probe)
        guard let lab = test.lab else { return }
        let shared = services.compactMapValues { $0[ConnectivityManifests.shared] }
        try await run(plan.shared(shared, expected: Set(services.keys)), probe)
        if try await enforce(lab) { try await run(plan.policy, probe) }
        try await failOver(lab, services, probe)
    }

    mutating func add(_ group: [ConnectivityResult]) {
        results += group
        test.report(group)
    }

    /// Reports one check, which is a group of its own.
    ///
    /// - Returns: whether it passed.
    mutating func check(
        _ group: String, _ name: String, isolation: isolated (any Actor)? = #isolation,
        _ body: () async throws -> Void
    ) async throws -> Bool {
        let start = ContinuousClock.now
        var reason: String?
        do {
            try await body()
        } catch let error as CancellationError {
            throw error
        } catch {
            reason = "\(error)"
        }
        add([
            ConnectivityResult(
                group: group, check: name, outcome: reason == nil ? .passed : .failed,
                seconds: (ContinuousClock.now - start) / .seconds(1), reason: reason)
        ])
        return reason == nil
    }

    /// Runs checks side by side; a group is reported when all of it have ended.
    mutating func run(_ checks: [ConnectivityCheck], _ probe: ConnectivityProbe) async throws {
        var finished: [Int: ConnectivityResult] = [:]
        var open: [String: Int] = checks.reduce(into: [:]) { $0[$1.group, default: 0] += 1 }
        let first = numbers
        numbers += checks.count
        try await withThrowingTaskGroup(of: (Int, ConnectivityResult).self) { tasks in
            var next = 0
            func startOne() {
                guard next < checks.count else { return }
                let index = next
                let check = checks[index]
                tasks.addTask {
                    let result = try await probe.run(check, number: first + index)
                    return (index, result)
                }
                next += 1
            }
            for _ in 0..<ConnectivityTest.checksAtOnceMax { startOne() }
            while let (index, result) = try await tasks.next() {
                startOne()
                finished[index] = result
                open[result.group, default: 1] -= 1
                guard open[result.group] == 0 else { continue }
                let group = checks.indices.filter { checks[$0].group == result.group }
                add(group.compactMap { finished[$0] })
            }
        }
    }

    /// Makes the endpoints of all sites, side by side.
    private mutating func attach() async throws {
        let stage = test.stage
        let built = try await withThrowingTaskGroup(of: SiteOutcome.self) { tasks in
            for site in test.sites {
                tasks.addTask {
                    do {
                        let endpoints = try await stage.build(site)
                        return SiteOutcome(node: site.node, endpoints: endpoints)
                    } catch let error as CancellationError {
                        throw error
                    } catch {
                        return SiteOutcome(node: site.node, failure: "\(error)")
                    }
                }
            }
            var built: [String: SiteOutcome] = [:]
            for try await outcome in tasks { built[outcome.node] = outcome }
            return built
        }
        let outcomes = test.sites.compactMap { built[$0.node] }
        endpoints = outcomes.flatMap(\.endpoints)
        add(
            outcomes.map {
                ConnectivityResult(
                    group: "set up", check: "endpoints on \($0.node)",
                    outcome: $0.failure == nil ? .passed : .failed, reason: $0.failure)
            })
    }
}

/// What became of a site's endpoints.
private struct SiteOutcome: Sendable {
    let node: String
    var endpoints: [ConnectivityEndpoint] = []
    var failure: String?
}
