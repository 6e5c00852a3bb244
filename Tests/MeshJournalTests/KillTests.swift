// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import MeshJournal
import MeshSimulation
import Testing

/// The same promise, kept by the real file system under a real signal.
@Suite("kill -9", .tags(.simulation))
struct KillTests {
    @Test("loses nothing acknowledged", arguments: [Journal.Durability.full, .normal])
    func killed(durability: Journal.Durability) async throws {
        let script = Workload.script(seed: 20, count: 250)
        let pictures = pictures(script)
        for round in 0..<5 {
            let folder = TemporaryFolder()
            let path = folder.path
            let isFull = durability == .full
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [
                    path = path as String, isFull = isFull as Bool, round = round as Int
                ] in
                try KillTests.write(until: 40 + 45 * round, in: path, isFull ? .full : .normal)
            }
            // One byte for each acknowledgement.
            let acknowledged = folder.read("acknowledged").count
            #expect(acknowledged >= 40 + 45 * round)
            let opening = try Journal.open(folder.database, durability: durability)
            try opening.journal.close()
            let found = try #require(Picture(opening).number(in: pictures))
            #expect((acknowledged...acknowledged + 1).contains(found), "round \(round)")
        }
    }

    /// Writes, and is killed by another thread some time after the acknowledgement of `count`.
    private static func write(
        until count: Int, in folder: String, _ durability: Journal.Durability
    ) throws {
        let opening = try Journal.open(folder + "/own.db", durability: durability)
        let tally = Glibc.open(folder + "/acknowledged", O_CREAT | O_WRONLY | O_APPEND, 0o600)
        for (number, transaction) in Workload.script(seed: 20, count: 250).enumerated() {
            if number == count {
                DispatchQueue.global().async { kill(getpid(), SIGKILL) }
            }
            try opening.journal.write(transaction)
            Glibc.write(tally, [1], 1)
        }
        // All is written: the signal is on its way.
        while true { pause() }
    }
}
