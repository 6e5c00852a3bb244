// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshModel

/// Asks one check's question from inside its client's namespace.
struct ConnectivityProbe: Sendable {
    let stage: ConnectivityStage
    /// Those of the endpoints, for what they say when a check fails.
    let witnesses: ConnectivityWitnesses

    /// - Parameter number: of the check, unique in a run.
    func run(_ check: ConnectivityCheck, number: Int) async throws -> ConnectivityResult {
        let file = "\(stage.folder)/\(number).jsonl"
        let start = ContinuousClock.now
        let process = try stage.start(
            [
                "lab", "load", check.url, "--interval", "0", "--count", "\(check.count)",
                "--timeout", "\(check.timeout.milliseconds)ms",
                // Nobody waits for all of many questions that nobody answers.
                "--duration", "\((check.timeout * 3 + .seconds(1)).milliseconds)ms",
            ], in: check.client, output: file)
        let ending = try await process.waitOrKill(atMost: check.timeout * 3 + .seconds(20))
        var objection = check.objection(to: try LoadLog(file: file).records)
        if case .exited(0) = ending {} else { objection = try LabFolder.read(file) }
        try LabFolder.remove(file)
        if objection == nil, check.expectation == .denial {
            objection = try await witnesses.objection(toDenial: check)
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        return ConnectivityResult(
            group: check.group, check: check.name, outcome: objection == nil ? .passed : .failed,
            seconds: seconds, reason: objection,
            evidence: objection == nil ? [] : await witnesses.evidence(about: check))
    }
}

extension Duration {
    fileprivate var milliseconds: Int { Int(self / .milliseconds(1)) }
}
