// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshModel
import MeshStore

@testable import MeshAgent

// MARK: What nodes are told

extension World {
    /// The folder of a node changed, or its endpoints did.
    func speak(_ id: NodeID) {
        guard let node = nodes[id], node.agent != nil, mute[id] == nil else { return }
        do throws(FolderError) {
            _ = try nodes[id]!.agent!.folder.scan(nowUnixSeconds: 0)
        } catch {
            preconditionFailure("\(error)")
        }
        let snapshot = nodes[id]!.agent!.folder.snapshot
        act(id) {
            $0.setOwn(
                folder: snapshot, endpoints: node.endpoints, at: now, realTime: now.nanoseconds,
                into: &$1)
        }
    }

    func write(
        _ number: UInt16, _ text: String, to file: String = "all.yaml", on name: String = "a"
    ) throws {
        let id = Self.id(number, name)
        try nodes[id]?.disk.write(file, text)
        speak(id)
    }

    func remove(_ number: UInt16, file: String = "all.yaml", on name: String = "a") throws {
        let id = Self.id(number, name)
        try nodes[id]?.disk.remove(file)
        speak(id)
    }

    func attach(
        _ number: UInt16, _ name: String, _ endpoint: String, _ address: String,
        labels: Labels = ["app": "echo"]
    ) {
        let id = Self.id(number, name)
        let interface = LocalInterface(ifindex: 7, mac: LinkAddress(rawValue: 7)!)
        nodes[id]?.endpoints[ObjectName(namespace: "default", name: endpoint)] = OwnEndpoint(
            addresses: [Address(address)!], labels: labels, interface: interface)
        speak(id)
    }

    /// A container runtime has a node attach a container.
    func attach(
        _ number: UInt16, _ name: String, _ endpoint: String, _ address: String,
        as sandbox: Sandbox
    ) {
        let interface = LocalInterface(ifindex: 7, mac: LinkAddress(rawValue: 7)!)
        let object = ObjectName(namespace: "default", name: endpoint)
        nodes[Self.id(number, name)]?.endpoints[object] = OwnEndpoint(
            addresses: [Address(address)!], labels: [:], interface: interface, sandbox: sandbox)
        speak(Self.id(number, name))
    }

    func detach(_ number: UInt16, _ name: String, _ endpoint: String) {
        let id = Self.id(number, name)
        nodes[id]?.endpoints[ObjectName(namespace: "default", name: endpoint)] = nil
        speak(id)
    }

    /// The peers' files of a cluster's nodes say something else.
    func setPeers(_ number: UInt16, _ peers: [PeerCluster]) {
        for id in ids where id.cluster.rawValue == number {
            nodes[id]!.peers = peers
            act(id) { [authorities = nodes[id]!.ledgerAuthorities] core, effects in
                core.setPeers(peers, authorities: authorities, into: &effects)
                core.settle(into: &effects)
            }
        }
    }

    /// The configurations of a cluster's nodes list others.
    func setMembers(_ number: UInt16, _ names: [String]) {
        for id in ids where id.cluster.rawValue == number {
            let members = nodes[id]!.configuration.members.filter { names.contains($0.name) }
            act(id) { [now] in $0.setMembers(members, at: now, into: &$1) }
            speak(id)
        }
    }

    func drain(_ number: UInt16, _ name: String, _ isDraining: Bool, generation: UInt64) {
        act(Self.id(number, name)) {
            $0.setDrain(isDraining, generation: generation, into: &$1)
        }
    }

    /// The operator has a node leave, or stay after all.
    func leave(_ number: UInt16, _ name: String, within timeout: Duration?) {
        act(Self.id(number, name)) { [now] core, effects in
            if let timeout {
                core.leave(within: timeout, at: now, into: &effects)
            } else {
                core.stayAfterAll(into: &effects)
            }
        }
    }

    /// A node that drains looks around; its agent does so every second.
    func stepDeparture(_ number: UInt16, _ name: String, connections: Int) {
        let paths = health(number, name).beatingPaths
        act(Self.id(number, name)) { [now] in
            $0.stepDeparture(connections: connections, paths: paths, at: now, into: &$1)
        }
    }
}
