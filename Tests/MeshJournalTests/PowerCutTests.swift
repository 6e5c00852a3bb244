// SPDX-License-Identifier: Apache-2.0

import CFaultDisk
import MeshJournal
import Testing

/// One scripted life of a journal, and every instant at which it may lose power.
@Suite("power cuts", .tags(.simulation))
struct PowerCutTests {
    static let logPages: Int32 = 30

    /// A life told as the disk saw it.
    struct Life {
        var operations: [fault_operation] = []
        /// Of these numbers of operations, how many transactions had been begun, and acknowledged.
        var begun: [Int] = []
        var acknowledged: [Int] = []
    }

    @Test(
        "lose nothing acknowledged, wherever they fall",
        arguments: [1, 2] as [UInt64], [Journal.Durability.full, .normal])
    func everyOperation(seed: UInt64, durability: Journal.Durability) throws {
        let script = Workload.script(seed: seed, count: 60)
        let pictures = pictures(script)
        let folder = TemporaryFolder()
        let ashore = TemporaryFolder()
        defer { fault_disk_end() }
        let life = try live(script, in: folder, durability)
        #expect(life.operations.count >= 200)
        print(life.operations.count)

        var disk = FaultDisk(["own.db": []])
        for cut in 0...life.operations.count {
            if cut > 0 { disk.apply(life.operations[cut - 1]) }
            for survival in [UInt64(cut % 2), UInt64(2 * cut + 2), UInt64(2 * cut + 3)] {
                ashore.write(disk.survivors(seed: survival))
                let replay = "seed \(seed), cut \(cut), survival \(survival)"
                let opening = try Journal.open(ashore.database, durability: durability)
                try opening.journal.close()
                if case .setAside(_, let reason) = opening.outcome {
                    Issue.record("\(replay): set aside: \(reason)")
                    return
                }
                let found = Picture(opening).number(in: pictures)
                let range =
                    (durability == .full ? life.acknowledged[cut] : 0)...life.begun[cut]
                guard let found, range.contains(found) else {
                    let number = found.map(String.init) ?? "a mixture"
                    Issue.record("\(replay): \(number), expected one of \(range)")
                    return
                }
            }
        }
    }

    @Test("during the recovery from another one lose nothing either", arguments: [3] as [UInt64])
    func recovery(seed: UInt64) throws {
        let script = Workload.script(seed: seed, count: 40)
        let pictures = pictures(script)
        let folder = TemporaryFolder()
        let ashore = TemporaryFolder()
        defer { fault_disk_end() }
        let life = try live(script, in: folder, .full)
        var disk = FaultDisk(["own.db": []])
        var images: [[String: [UInt8]]] = []
        for (number, operation) in life.operations.enumerated() {
            disk.apply(operation)
            if number % 23 == 0 { images.append(disk.survivors(seed: UInt64(number))) }
        }
        fault_disk_end()

        for image in images {
            folder.write(image)
            var first = Picture()
            let operations = try FaultDisk.trace(folder, logPages: Self.logPages) {
                let opening = try Journal.open(folder.database, durability: .full)
                first = Picture(opening)
                try opening.journal.close()
            }
            #expect(first.number(in: pictures) != nil)
            var disk = FaultDisk(image)
            for (cut, operation) in operations.enumerated() {
                disk.apply(operation)
                ashore.write(disk.survivors(seed: UInt64(cut + 2)))
                let again = try Journal.open(ashore.database, durability: .full)
                try again.journal.close()
                #expect(Picture(again) == first, "cut \(cut) of the recovery")
            }
        }
    }

    /// Writes a script, with a clean end and a new beginning half-way.
    private func live(
        _ script: [JournalTransaction], in folder: TemporaryFolder,
        _ durability: Journal.Durability
    ) throws -> Life {
        var life = Life()
        /// Transaction `number` begins, or ends, with what is traced so far.
        func note(begun: Int, acknowledged: Int) {
            let count = fault_disk_count()
            while life.begun.count < count + 1 {
                life.begun.append(life.begun.last ?? 0)
                life.acknowledged.append(life.acknowledged.last ?? 0)
            }
            life.begun[count] = begun
            life.acknowledged[count] = acknowledged
        }
        life.operations = try FaultDisk.trace(folder, logPages: Self.logPages) {
            note(begun: 0, acknowledged: 0)
            for half in [0..<script.count / 2, script.count / 2..<script.count] {
                let opening = try Journal.open(folder.database, durability: durability)
                for number in half {
                    // What the next operation belongs to, should power fail after it.
                    note(begun: number, acknowledged: number)
                    let before = fault_disk_count()
                    try opening.journal.write(script[number])
                    note(begun: number + 1, acknowledged: number + 1)
                    for count in before + 1..<fault_disk_count() { life.begun[count] = number + 1 }
                }
                try opening.journal.close()
                note(begun: half.upperBound, acknowledged: half.upperBound)
            }
        }
        return life
    }
}
