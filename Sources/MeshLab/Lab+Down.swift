// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc

extension Lab {
    /// How long killed processes may take to go.
    static let killLimit = Duration.seconds(10)

    /// Removes everything that carries the lab's name: processes, namespaces with their links, pins,
    /// cgroups, files. Works after a crash of anything; a lab that isn't there is success.
    ///
    /// - Throws: ``LabError`` with every step that failed; the others were still taken.
    public static func down(
        _ name: String, progress: (String) -> Void = { _ in }
    ) async throws {
        try checkLabName(name)
        var failures: [String] = []
        func step(_ what: String, _ body: () async throws -> Void) async {
            do {
                try await body()
                progress(what)
            } catch {
                failures.append("\(error)")
            }
        }
        let cgroup = try LabCgroup(lab: name)
        await step("every process of the lab has ended") { try await endProcesses(cgroup.root) }
        await step("its namespaces are gone, and their links with them") {
            try LabNetwork.remove(lab: name)
        }
        await step("its pins are gone") {
            do throws(BPFError) {
                let folder = try bpfFolderIfMounted(of: name)
                if let folder { try BPFFileSystem.removeDirectory(folder.own) }
                // Fails while another lab has pins, as it should.
                if let folder { rmdir(folder.shared) }
            } catch {
                throw LabError(.failed, "\(error)")
            }
        }
        await step("its cgroups are gone") { try cgroup.remove() }
        await step("its files are gone") {
            try LabFolder.remove("\(LabPlan.folder)/\(name)")
            rmdir(LabPlan.folder)  // As above.
        }
        guard failures.isEmpty else {
            throw LabError(.failed, failures.joined(separator: "\n"))
        }
    }

    /// Ends whatever lives in a cgroup and below, and waits until it is gone.
    static func endProcesses(_ folder: String) async throws {
        guard LabFolder.exists(folder) else { return }
        try CgroupKiller(folder).kill()
        _ = try await awaiting("the processes in \(folder) to end", atMost: killLimit) {
            LabProcess.reap()
            return try LabCgroup.isPopulated(folder) ? nil : true
        }
        LabProcess.reap()
    }

    private static func bpfFolderIfMounted(
        of name: String
    ) throws(BPFError) -> (own: String, shared: String)? {
        let shared = "\(try BPFFileSystem.mountPoint())/weft-lab"
        return LabFolder.exists(shared) ? ("\(shared)/\(name)", shared) : nil
    }
}
