// SPDX-License-Identifier: Apache-2.0

import BPF
import Glibc
import MeshModel
import Netlink

extension Lab {
    /// Loses what some nodes send to others, and nothing of what comes back: on the bridge's side of
    /// the receivers' cables, out of sight of everybody's agents.
    ///
    /// - Parameters:
    ///   - senders: `CLUSTER` or `CLUSTER/NODE`.
    ///   - receivers: the same.
    ///   - share: of the packets, 0...1.
    ///   - object: the bytes of what `scripts/build-bpf` makes of `bpf/tests/impair.c`.
    /// - Returns: the fault, which lasts as long as it is held or until ``LabCut/heal()``.
    public func cut(
        from senders: String, to receivers: String, share: Double = 1, object: [UInt8]
    ) throws -> LabCut {
        let sources = try plan.nodes(matching: senders).map { node in
            guard let address = Address(node.underlay)?.ipv4 else {
                throw LabError(.failed, "'\(node.underlay)' of node \(node.name) is no address")
            }
            return address.bigEndian
        }
        return try LabCut(
            underlay: plan.underlayNamespace,
            ports: try plan.nodes(matching: receivers).map(\.port), sources: sources,
            share: share, object: object)
    }

    /// Stops agents where they are, as an overloaded or a suspended machine does; cables and
    /// workloads go on.
    ///
    /// - Parameter target: `CLUSTER` or `CLUSTER/NODE`.
    @discardableResult
    public func freeze(_ target: String) throws -> Moment { try signalAgents(of: target, SIGSTOP) }

    /// Undoes ``freeze(_:)``.
    @discardableResult
    public func thaw(_ target: String) throws -> Moment { try signalAgents(of: target, SIGCONT) }

    private func signalAgents(of target: String, _ number: Int32) throws -> Moment {
        let processes = try plan.nodes(matching: target).flatMap {
            try LabCgroup.processes(in: cgroup.agent(of: $0, in: try cluster(of: $0)))
        }
        let began = Self.now()
        for process in processes {
            guard Glibc.kill(process, number) == 0 || errno == ESRCH else {
                throw LabError.system("signal process \(process)")
            }
        }
        return Moment(began: began, ended: Self.now())
    }
}

/// A fault in one direction; see ``Lab/cut(from:to:share:object:)``.
///
/// Ends with its owner, also by a crash, where the kernel has tcx (Linux 6.6); before, with
/// ``heal()`` or with the lab.
public struct LabCut: ~Copyable {
    /// From the first packet that may be lost until all that are to be are.
    public let moment: Lab.Moment
    private let program: CutProgram
    private let sources: [UInt32]
    private let namespace: NetworkNamespace
    private let ports: [CutPort]

    init(
        underlay: String, ports: [String], sources: [UInt32], share: Double, object: [UInt8]
    ) throws {
        let program = try object.withUnsafeBytes { try CutProgram($0) }
        let namespace = try NetworkNamespace(named: underlay)
        var socket = try RouteSocket(in: namespace)
        let interfaces = try ports.map { try index(of: $0, &socket) }
        let attached = try namespace.run {
            try interfaces.map { CutPort(try program.attach(to: $0)) }
        }
        // Without a source nothing is lost yet: attaching takes longer than writing these.
        let began = Lab.now()
        for source in sources {
            try program.lost.update(source, UInt64(min(max(share, 0), 1) * 0x1p32))
        }
        moment = Lab.Moment(began: began, ended: Lab.now())
        self.program = program
        self.sources = sources
        self.namespace = namespace
        self.ports = attached
    }

    /// Ends the fault: every packet passes when this returns.
    ///
    /// - Returns: when that was.
    @discardableResult
    public consuming func heal() throws -> Lab.Moment {
        let began = Lab.now()
        for source in sources { try program.lost.delete(source) }
        let ended = Lab.now()
        try namespace.run { for port in ports { try port.detach() } }
        return Lab.Moment(began: began, ended: ended)
    }
}

/// The program and its map; both outlive the object they come from.
private final class CutProgram {
    let lost: HashMap<UInt32, UInt64>
    private let program: Program

    init(_ bytes: UnsafeRawBufferPointer) throws {
        let object = try BPFObject(bytes: bytes, name: "impair").load()
        lost = try HashMap(object.map(named: "impair_sources"))
        program = try object.program(named: "impair")
    }

    /// - Parameter interface: its index in the namespace of the calling thread.
    func attach(to interface: UInt32) throws -> InterfaceAttachment {
        try program.attach(toInterface: interface, .egress)
    }
}

/// An attachment that fits into an array.
private final class CutPort {
    private var attachment: InterfaceAttachment?
    init(_ attachment: consuming InterfaceAttachment) { self.attachment = consume attachment }
    func detach() throws { try attachment.take()?.detach() }
}
