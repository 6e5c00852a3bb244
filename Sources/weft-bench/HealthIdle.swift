// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import MeshLab

/// What agents cost while nothing happens: bytes on the underlay, of every protocol and with every
/// header, and processor time.
struct HealthIdle {
    static let duration = Duration.seconds(10)

    let lab: Lab
    let relays: Set<String>

    private struct Reading {
        var sent: Double
        var received: Double
        var processorSeconds: Double
    }

    func report() async throws {
        let before = try readings()
        let begin = monotonicNow()
        try await Task.sleep(for: Self.duration)
        let seconds = milliseconds(from: begin, to: monotonicNow()) / 1000
        let after = try readings()
        for kind in [HealthKind.node, .relay] {
            let names = before.keys.filter { relays.contains($0) == (kind == .relay) }
            func mean(_ value: (Reading) -> Double) -> Double {
                let rates = names.compactMap { name -> Double? in
                    guard let first = before[name], let last = after[name] else { return nil }
                    return (value(last) - value(first)) / seconds
                }
                return rates.reduce(0, +) / Double(max(rates.count, 1))
            }
            let name = "health.idle.\(kind.rawValue)"
            Figure("\(name).sent", mean(\.sent), "bytes/s").report()
            Figure("\(name).received", mean(\.received), "bytes/s").report()
            Figure("\(name).processor", mean(\.processorSeconds) * 100, "% of a core").report()
        }
    }

    /// By the node's name.
    private func readings() throws -> [String: Reading] {
        var readings: [String: Reading] = [:]
        let root = "\(try BPFFileSystem.cgroupRoot())/weft-\(lab.plan.name)"
        for cluster in lab.plan.clusters {
            for node in cluster.nodes {
                let folder = "\(root)/\(cluster.name)/\(node.name)/agent"
                guard let agent = try text("\(folder)/cgroup.procs").split(separator: "\n").first
                else { throw LabError(.failed, "\(node.name) has no agent") }
                let (received, sent) = try traffic(seenBy: agent)
                readings[node.name] = Reading(
                    sent: sent, received: received,
                    processorSeconds: try processorSeconds(of: folder))
            }
        }
        return readings
    }

    /// Bytes received and sent by the node's cable since its making.
    private func traffic(seenBy process: Substring) throws -> (received: Double, sent: Double) {
        for line in try text("/proc/\(process)/net/dev").split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == ":" }
            // Interface, eight columns of what was received, the bytes sent.
            if words.first == "eth0", words.count > 9, let received = Double(words[1]),
                let sent = Double(words[9])
            {
                return (received, sent)
            }
        }
        throw LabError(.failed, "process \(process) has no interface eth0")
    }

    private func processorSeconds(of cgroup: String) throws -> Double {
        for line in try text("\(cgroup)/cpu.stat").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "usage_usec", words.count == 2, let microseconds = Double(words[1]) {
                return microseconds / 1e6
            }
        }
        throw LabError(.failed, "\(cgroup) doesn't count processor time")
    }

    private func text(_ path: String) throws -> String {
        String(decoding: try fileContents(path), as: UTF8.self)
    }
}

/// Up to a mebibyte of a file, also of one whose size the kernel doesn't know.
func fileContents(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "re") else {
        throw LabError(.failed, "read \(path): \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    return [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
        count = fread(buffer.baseAddress, 1, buffer.count, file)
    }
}
