// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshKubernetes
import MeshLease
import MeshModel
import ServiceLifecycle

/// Tells the authors of objects that can't be used, or claim what isn't theirs, with Events on these objects: of
/// its own pods each node, of everything else the publisher alone.
struct EventService: Service {
    typealias Problems = @Sendable () async -> [ObjectProblem]

    private static let interval = Duration.seconds(2)
    /// After an attempt that failed: Events are the least that an API server has to do.
    private static let pause = Duration.seconds(60)

    /// The node that tells.
    let node: String
    let log: Logger
    /// What this node has to tell.
    let problems: Problems
    /// Sends one request, once.
    let read: AuthorityVault.Ask
    let write: ExportService.Write

    func run() async {
        var plan = ObjectEventPlan()
        var quietUntil = Instant.zero
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            guard Instant.bootNow >= quietUntil else { continue }
            for report in plan.due(await problems(), at: .bootNow) {
                do {
                    try await tell(report)
                } catch {
                    log.warning(
                        "The API server doesn't take Events about objects",
                        metadata: ["error": "\(error)"])
                    quietUntil = .bootNow + Self.pause
                    plan = ObjectEventPlan()
                    break
                }
            }
        }
    }

    func tell(_ report: ObjectEventPlan.Report) async throws {
        guard let report = try await identified(report) else { return }
        let now = unixSeconds()
        do {
            try await write(report.creation(by: node, nowUnixSeconds: now))
        } catch let error as KubernetesError where error.code == .alreadyExists {
            // By another publisher, or by this one before it restarted.
            try await write(report.repetition(nowUnixSeconds: now))
        }
    }

    /// Who looks at an object finds its Events by its UID. Nil: the object is gone.
    private func identified(
        _ report: ObjectEventPlan.Report
    ) async throws -> ObjectEventPlan.Report? {
        guard report.problem.uid.isEmpty else { return report }
        return try ObjectProblem.uid(of: await read(report.problem.lookup))
            .map { report.identified(uid: $0) }
    }
}
