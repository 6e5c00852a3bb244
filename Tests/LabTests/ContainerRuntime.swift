// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

@testable import MeshLab

/// A containerd of its own on a node of a lab, with folders and a mount namespace of its own: it
/// shares nothing with one that the machine may have, but for the hierarchies of cgroups.
struct ContainerRuntime {
    /// Where containerd's shims have their sockets, whatever it is told.
    static let shimFolder = "/run/containerd"
    private static let startLimit = Duration.seconds(20)

    let lab: Lab
    let node: LabPlan.Node
    private let cluster: LabPlan.Cluster
    private let daemon: LabProcess

    private var folder: String { "\(lab.plan.stateFolder)/runtime" }
    private var socket: String { "\(folder)/containerd.sock" }
    /// Where the runtime finds plugins, and networks.
    static func plugins(of lab: Lab) -> String { "\(lab.plan.stateFolder)/runtime/plugins" }
    static func networks(of lab: Lab) -> String { "\(lab.plan.stateFolder)/runtime/networks" }

    /// Makes a root file system of Debian's busybox, has Weft installed as `weft cni install` does it,
    /// and starts containerd.
    ///
    /// - Parameter network: the list of another network's plugins, to go before Weft's.
    static func start(
        in lab: Lab, on node: LabPlan.Node, after network: String? = nil
    ) async throws -> ContainerRuntime {
        let folder = "\(lab.plan.stateFolder)/runtime"
        for name in ["plugins", "networks", "root/bin", "shims", "overlay"] {
            try LabFolder.make("\(folder)/\(name)")
        }
        var install = [
            "weft", "cni", "install", "--plugins", plugins(of: lab), "--networks",
            networks(of: lab), "--agent-socket", "\(lab.plan.runFolder(of: node))/weft-admin.sock",
        ]
        if let network {
            try LabFolder.write(network, to: "\(folder)/before.conflist")
            install += ["--after", "\(folder)/before.conflist"]
        }
        try await lab.run(install, on: node)
        try await lab.run(
            [
                "sh", "-c",
                """
                cp /usr/lib/cni/* \(plugins(of: lab)) && cp /bin/busybox \(folder)/root/bin &&
                for tool in sh nc httpd timeout printf sleep mkdir; do
                  ln -s busybox \(folder)/root/bin/$tool
                done
                """,
            ], on: node)
        try LabFolder.write(configuration(folder), to: "\(folder)/containerd.toml")
        try LabFolder.write(setup(folder), to: "\(folder)/setup.sh")
        try LabFolder.make(shimFolder)
        let daemon = try lab.start(
            ["unshare", "--mount", "sh", "\(folder)/setup.sh"], on: node, cgroup: lab.cgroup.root,
            output: "\(lab.plan.stateFolder)/logs/containerd.log")
        let runtime = ContainerRuntime(
            lab: lab, node: node, cluster: try lab.cluster(of: node), daemon: daemon)
        _ = try await awaiting("containerd to answer", atMost: startLimit) {
            try await runtime.control(["version"]).ending == .exited(0) ? true : nil
        }
        return runtime
    }

    /// Nothing of the machine's is written to: what has to be found at fixed places is laid over it, in
    /// a mount namespace that ends with the daemon.
    private static func setup(_ folder: String) -> String {
        """
        set -e
        mount --make-rprivate /
        mount --bind \(folder)/shims \(shimFolder)
        mount -t tmpfs none \(folder)/overlay
        for place in etc opt; do
          mkdir -p \(folder)/overlay/$place/upper \(folder)/overlay/$place/work
          mount -t overlay none /$place -o \
        lowerdir=/$place,upperdir=\(folder)/overlay/$place/upper,workdir=\(folder)/overlay/$place/work
        done
        mkdir -p /etc/cni/net.d /opt/cni/bin
        mount --bind \(folder)/networks /etc/cni/net.d
        mount --bind \(folder)/plugins /opt/cni/bin
        exec containerd --config \(folder)/containerd.toml
        """
    }

    private static func configuration(_ folder: String) -> String {
        """
        version = 2
        root = "\(folder)/images"
        state = "\(folder)/state"
        disabled_plugins = ["io.containerd.grpc.v1.cri"]
        [grpc]
        address = "\(folder)/containerd.sock"
        [ttrpc]
        address = "\(folder)/containerd.sock.ttrpc"
        """
    }

    /// The object that stands for a container that no pod is named for.
    static func objectName(of container: String) -> String { "lab-\(container)" }

    /// Starts a container whose web server says `words`. It has its network when it starts, and loses it
    /// when it ends.
    func run(_ container: String, saying words: String) throws -> LabProcess {
        try start(
            [
                "run", "--rm", "--cni", "--cgroup",
                "/weft-\(lab.plan.name)/\(cluster.name)/\(node.name)/endpoints/\(container)",
                "--fifo-dir", "\(folder)/state/fifo", "--rootfs", "\(folder)/root", container,
                "/bin/sh", "-c",
                """
                mkdir -p /\(container) && echo \(words) > /\(container)/index.html &&
                exec httpd -f -p 8080 -h /\(container)
                """,
            ], output: log(of: container))
    }

    func log(of container: String) -> String {
        "\(lab.plan.stateFolder)/logs/container-\(container).log"
    }

    /// Asks a web server from inside a container.
    func get(_ address: String, _ port: Int, from container: String) async throws -> String? {
        let result = try await control(
            ["task", "exec", "--exec-id", lab.freshName(), container] + webRequest(address, port))
        return webAnswer(result)
    }

    func kill(_ container: String) async throws {
        let result = try await control(["task", "kill", "--signal", "SIGKILL", container])
        try #require(result.ending == .exited(0), "\(result.output)")
    }

    private func control(_ arguments: [String]) async throws -> LabResult {
        let output = "\(lab.plan.stateFolder)/logs/\(lab.freshName())"
        return try await lab.finish(try start(arguments, output: output), output)
    }

    /// `ctr`, which calls CNI plugins itself, where containerd runs.
    private func start(_ arguments: [String], output: String) throws -> LabProcess {
        try lab.start(
            [
                "nsenter", "--mount=/proc/\(daemon.identifier)/ns/mnt", "ctr", "--address", socket,
                "--namespace", "lab",
            ] + arguments, on: node, cgroup: lab.cgroup.root, output: output)
    }
}

/// What runc leaves of a lab's cgroups in hierarchies other than the lab's: folders without processes.
func removeForeignCgroups(of lab: String) throws {
    let hierarchies = "/sys/fs/cgroup"
    let own = try LabCgroup(lab: lab).root
    for name in try LabFolder.names(in: hierarchies) {
        let folder = "\(hierarchies)/\(name)/weft-\(lab)"
        guard folder != own, LabFolder.isFolder(folder) else { continue }
        try LabCgroup.remove(folder)
    }
}

/// How a command of a lab ended, and what it wrote.
struct LabResult {
    let ending: LabProcess.Ending
    let output: String
}

extension Lab {
    private static let commandLimit = Duration.seconds(60)

    /// A name that nothing else in this process has.
    func freshName() -> String { freshLabName() }

    /// Runs a command in a node's network; what goes wrong is an error.
    func run(_ command: [String], on node: LabPlan.Node) async throws {
        let result = try await result(of: command, on: node)
        try #require(result.ending == .exited(0), "\(command): \(result.output)")
    }

    func result(of command: [String], on node: LabPlan.Node) async throws -> LabResult {
        let program = command[0] == "weft" ? [executable] + command.dropFirst() : command
        let output = "\(plan.stateFolder)/logs/\(freshName())"
        return try await finish(
            try start(program, on: node, cgroup: cgroup.root, output: output), output)
    }

    /// Asks a web server from inside an endpoint.
    func get(_ address: String, _ port: Int, from endpoint: String) async throws -> String? {
        let output = "\(plan.stateFolder)/logs/\(freshName())"
        return webAnswer(
            try await finish(
                try start(webRequest(address, port), in: endpoint, output: output), output))
    }

    /// Asks a web server from the node itself.
    func get(_ address: String, _ port: Int, on node: LabPlan.Node) async throws -> String? {
        webAnswer(try await result(of: webRequest(address, port), on: node))
    }

    func finish(_ process: LabProcess, _ output: String) async throws -> LabResult {
        let ending = try await process.waitOrKill(atMost: Self.commandLimit)
        return LabResult(ending: ending, output: try LabFolder.read(output))
    }
}

/// Three seconds are long: what gets an answer gets it in milliseconds.
private func webRequest(_ address: String, _ port: Int) -> [String] {
    [
        "/bin/sh", "-c",
        "printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' "
            + "| timeout 3 /bin/busybox nc \(address) \(port)",
    ]
}

/// The last line; nil if nobody answered.
private func webAnswer(_ result: LabResult) -> String? {
    guard result.output.contains("200 OK") else { return nil }
    return result.output.split(whereSeparator: \.isNewline).last.map(String.init)
}
