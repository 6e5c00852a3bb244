// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import MeshLab

/// What a node's agent has used since it started, and its node's cable carried since it was laid.
struct AgentReading {
    /// Bytes, with every header.
    let sent: Double
    let received: Double
    let processorSeconds: Double

    /// - Parameter interface: the cable's end.
    init(
        of node: LabPlan.Node, in cluster: LabPlan.Cluster, _ lab: Lab, interface: String = "eth0"
    ) throws {
        let folder =
            "\(try BPFFileSystem.cgroupRoot())/weft-\(lab.plan.name)/\(cluster.name)/"
            + "\(node.name)/agent"
        guard let agent = try text("\(folder)/cgroup.procs").split(separator: "\n").first
        else { throw LabError(.failed, "\(node.name) has no agent") }
        (received, sent) = try traffic(of: interface, seenBy: agent)
        processorSeconds = try Self.processorSeconds(of: folder)
    }

    private static func processorSeconds(of cgroup: String) throws -> Double {
        for line in try text("\(cgroup)/cpu.stat").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "usage_usec", words.count == 2, let microseconds = Double(words[1]) {
                return microseconds / 1e6
            }
        }
        throw LabError(.failed, "\(cgroup) doesn't count processor time")
    }
}

private func traffic(
    of interface: String, seenBy process: Substring
) throws -> (received: Double, sent: Double) {
    for line in try text("/proc/\(process)/net/dev").split(separator: "\n") {
        let words = line.split { $0 == " " || $0 == ":" }
        // Interface, eight columns of what was received, the bytes sent.
        if words.first == interface[...], words.count > 9, let received = Double(words[1]),
            let sent = Double(words[9])
        {
            return (received, sent)
        }
    }
    throw LabError(.failed, "process \(process) has no interface \(interface)")
}

private func text(_ path: String) throws -> String {
    String(decoding: try fileContents(path), as: UTF8.self)
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
