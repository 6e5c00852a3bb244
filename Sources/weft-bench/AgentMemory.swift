// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import MeshLab

/// What idle agents of a lab hold in memory: the largest of all, MiB.
///
/// Resident memory counts the pages of the program itself, which all agents of a machine share, and
/// the kernel's maps as far as they were touched; anonymous memory is the agent's own.
struct AgentMemory {
    let lab: Lab

    func report() throws {
        var resident = Sample()
        var anonymous = Sample()
        for cluster in lab.plan.clusters {
            for node in cluster.nodes {
                resident.add(try mebibytes("VmRSS", of: node, in: cluster))
                anonymous.add(try mebibytes("RssAnon", of: node, in: cluster))
            }
        }
        Figure("propagation.memory.resident", resident.largest, "MiB", goal: "value<=64").report()
        Figure("propagation.memory.anonymous", anonymous.largest, "MiB").report()
    }

    /// What the kernel says in `/proc/PID/status` of a node's agent.
    func mebibytes(
        _ field: String, of node: LabPlan.Node, in cluster: LabPlan.Cluster
    ) throws -> Double {
        let folder =
            "\(try BPFFileSystem.cgroupRoot())/weft-\(lab.plan.name)/\(cluster.name)/"
            + "\(node.name)/agent"
        guard let process = try contents("\(folder)/cgroup.procs").split(separator: "\n").first
        else { throw LabError(.failed, "\(node.name) has no agent") }
        let status = try contents("/proc/\(process)/status")
        for line in status.split(separator: "\n") where line.hasPrefix("\(field):") {
            let words = line.split { $0 == " " || $0 == "\t" }
            if words.count == 3, let kibibytes = Double(words[1]) { return kibibytes / 1024 }
        }
        throw LabError(.failed, "/proc says nothing about \(field)")
    }

    private func contents(_ path: String) throws -> String {
        guard let file = fopen(path, "re") else { throw failure("read \(path)") }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}
