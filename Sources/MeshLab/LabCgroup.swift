// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc

/// The lab's subtree of the cgroup2 hierarchy. Every process of the lab is in it, so that nothing
/// needs to remember process IDs: the kernel knows who belongs to the lab, also after a crash.
///
/// `ROOT/weft-LAB/CLUSTER/NODE/agent`, `…/authority`, `…/endpoints/NAME` and `ROOT/weft-LAB/CLUSTER/etcd` or
/// `…/apiserver`.
struct LabCgroup: Sendable {
    /// The lab's own folder.
    let root: String

    init(lab: String) throws(LabError) {
        do throws(BPFError) {
            root = "\(try BPFFileSystem.cgroupRoot())/weft-\(lab)"
        } catch {
            throw LabError(.unsupported, "\(error)")
        }
    }

    func node(_ node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        "\(root)/\(cluster.name)/\(node.name)"
    }
    func agent(of node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        "\(self.node(node, in: cluster))/agent"
    }
    /// The replica of an authority that is no node.
    func authority(on node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        "\(self.node(node, in: cluster))/authority"
    }
    func etcd(of cluster: LabPlan.Cluster) -> String { "\(root)/\(cluster.name)/etcd" }
    func apiServer(of cluster: LabPlan.Cluster) -> String {
        "\(root)/\(cluster.name)/apiserver"
    }
    /// Where the agent attaches its socket programs.
    func endpoints(of node: LabPlan.Node, in cluster: LabPlan.Cluster) -> String {
        "\(self.node(node, in: cluster))/endpoints"
    }
    func endpoint(_ endpoint: LabPlan.Endpoint, in cluster: LabPlan.Cluster) -> String {
        "\(root)/\(cluster.name)/\(endpoint.node)/endpoints/\(endpoint.name)"
    }

    func create(for plan: LabPlan) throws(LabError) {
        for cluster in plan.clusters {
            if cluster.etcd { try LabFolder.make(etcd(of: cluster)) }
            if cluster.apiServer { try LabFolder.make(apiServer(of: cluster)) }
            for node in cluster.nodes {
                try LabFolder.make(agent(of: node, in: cluster))
                try LabFolder.make(endpoints(of: node, in: cluster))
            }
            for node in cluster.authorityNodes {
                try LabFolder.make(authority(on: node, in: cluster))
            }
            for endpoint in cluster.endpoints {
                try LabFolder.make(self.endpoint(endpoint, in: cluster))
            }
        }
    }

    /// The processes in `folder` itself.
    static func processes(in folder: String) throws(LabError) -> [pid_t] {
        try LabFolder.read("\(folder)/cgroup.procs").split(separator: "\n").compactMap {
            pid_t($0)
        }
    }

    /// Whether a process lives in `folder` or below; false if there is no such folder.
    static func isPopulated(_ folder: String) throws(LabError) -> Bool {
        guard LabFolder.exists(folder) else { return false }
        return try LabFolder.read("\(folder)/cgroup.events").contains("populated 1")
    }

    /// Removes every folder below and `root` itself; no process may be left in it.
    func remove() throws(LabError) { try Self.remove(root) }

    static func remove(_ folder: String) throws(LabError) {
        guard LabFolder.exists(folder) else { return }
        for name in try LabFolder.names(in: folder) where LabFolder.isFolder("\(folder)/\(name)") {
            try remove("\(folder)/\(name)")
        }
        guard rmdir(folder) == 0 || errno == ENOENT else {
            throw LabError.system("remove cgroup \(folder)")
        }
    }
}

/// A cgroup opened for killing everything in it and below, with one write (Linux 5.14).
struct CgroupKiller: ~Copyable {
    private let descriptor: Int32
    private let folder: String

    init(_ folder: String) throws(LabError) {
        self.folder = folder
        descriptor = open("\(folder)/cgroup.kill", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LabError.system("open \(folder)/cgroup.kill") }
    }

    deinit { close(descriptor) }

    /// SIGKILL to all of them at once; forks can't escape.
    func kill() throws(LabError) {
        guard write(descriptor, "1", 1) == 1 else { throw LabError.system("kill \(folder)") }
    }
}
