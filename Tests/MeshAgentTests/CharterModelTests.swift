// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshSimulation
import Testing

@testable import MeshAgent

/// A ledger that an exporter changes at random, and an importer that sees what its gate lets in.
private struct CharterWorld {
    static let south = cluster(2)

    let charter: Charter
    var gate: CharterGate
    var random: SeededGenerator
    var ledger: [String: [UInt8]] = [:]
    var seen: [String: [UInt8]] = [:]
    var scans = 0
    var faults: [String] = []

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        var charter = Charter(podPrefixes: prefixes("10.2.0.0/16"))
        charter.quota.endpoints = Int(random.next() % 30) + 1
        charter.quota.services = Int(random.next() % 10) + 1
        charter.quota.records = Int(random.next() % 50) + 1
        self.charter = charter
        gate = CharterGate(remembered: [0, 3, 10, 1000].randomElement(using: &random)!)
        gate.set(charter, of: Self.south)
    }

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            if random.chance(0.05) { sweep() }
            if random.chance(0.45), let key = ledger.keys.sorted().randomElement(using: &random) {
                ledger[key] = nil
                seen[key] = nil
                gate.removed(key, of: Self.south)
            } else {
                let record = record()
                put(record.key, record.value)
            }
            if random.chance(0.7) { readmit() }
            check()
        }
        readmit()
        checkNobodyWaits()
    }

    private mutating func record() -> LedgerEntry {
        let number = random.next() % 40
        switch random.next() % 5 {
        case 0...1:
            // One in four lies.
            let address = random.chance(0.25) ? "10.1.0.1" : "10.2.0.\(random.next() % 250)"
            let record = endpoint("p\(number)", on: "n", address)
            return LedgerEntry(key: record.key.description, value: record.encoded)
        case 2:
            let record = service("s\(number)", ip: "10.98.0.\(random.next() % 250)")
            return LedgerEntry(key: record.key.description, value: record.encoded)
        case 3:
            let record = node("n\(number)", "10.2.\(number).0/24")
            return LedgerEntry(key: record.key.description, value: record.encoded)
        default: return LedgerEntry(key: "policy/x\(number)", value: [UInt8(number)])
        }
    }

    private mutating func put(_ key: String, _ value: [UInt8]) {
        ledger[key] = value
        let wasSeen = seen[key] != nil
        let entry = LedgerEntry(key: key, value: value)
        if gate.judge(entry, of: Self.south) == .accept {
            seen[key] = value
        } else {
            seen[key] = nil
            if wasSeen, charter.violation(of: entry, by: Self.south) == nil {
                faults.append("\(key) was let in, updated and refused")
            }
        }
    }

    /// A large part of the ledger goes at once.
    private mutating func sweep() {
        for key in ledger.keys.sorted() where random.chance(0.4) {
            ledger[key] = nil
            seen[key] = nil
            gate.removed(key, of: Self.south)
        }
    }

    private mutating func readmit() {
        while true {
            let keys = gate.readmissible(of: Self.south)
            for key in keys {
                guard let value = ledger[key] else {
                    faults.append("\(key) was readmitted, but is gone")
                    continue
                }
                if seen[key] != nil { faults.append("\(key) was readmitted, but is there") }
                put(key, value)
            }
            if !keys.isEmpty { continue }
            guard gate.mustRescan(of: Self.south) else { return }
            scans += 1
            for (key, value) in ledger.sorted(by: { $0.key < $1.key }) { put(key, value) }
        }
    }

    private func count(_ kind: String, in keys: some Sequence<String>) -> Int {
        keys.count { $0.hasPrefix(kind) }
    }

    private mutating func check() {
        let quota = charter.quota
        if count("endpoint/", in: seen.keys) > quota.endpoints
            || count("service/", in: seen.keys) > quota.services || seen.count > quota.records
        {
            faults.append("more is seen than the quotas allow")
        }
        if gate.acceptedCount(of: Self.south) != seen.count {
            faults.append("\(gate.acceptedCount(of: Self.south)) counted, \(seen.count) seen")
        }
    }

    /// Nothing waits that there is room for.
    private mutating func checkNobodyWaits() {
        let quota = charter.quota
        guard seen.count < quota.records else { return }
        for (key, value) in ledger where seen[key] == nil {
            let isAllowed =
                charter.violation(of: LedgerEntry(key: key, value: value), by: Self.south) == nil
            let isFull =
                key.hasPrefix("endpoint/") && count("endpoint/", in: seen.keys) == quota.endpoints
                || key.hasPrefix("service/") && count("service/", in: seen.keys) == quota.services
            if isAllowed, !isFull { faults.append("\(key) waits, though there is room") }
        }
    }
}

@Suite("Charters, whatever an exporter does")
struct CharterModelTests {
    @Test(
        "quotas hold, what is in stays in, what is out comes in when there is room",
        arguments: Replay.seeds(100))
    func quotas(seed: UInt64) {
        var world = CharterWorld(seed: seed)
        world.run(steps: 300)
        #expect(
            world.faults.isEmpty,
            "\(world.faults.prefix(3)): \(Replay.hint(seed, filter: "CharterModelTests"))")
        // The same history leads to the same picture.
        var again = CharterWorld(seed: seed)
        again.run(steps: 300)
        #expect(again.seen == world.seen && again.scans == world.scans)
    }
}
