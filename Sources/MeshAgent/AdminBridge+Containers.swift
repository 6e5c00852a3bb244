// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshEndpoints
import MeshModel
import MeshStore

/// What container runtimes ask for.
extension AdminBridge {
    func attach(_ request: ContainerRequest) async throws -> ContainerInterface {
        if let obstacle = await obstacleToAttaching() {
            throw AdminFault(.unavailable, obstacle, hint: "try again in a moment")
        }
        let object = ObjectName(namespace: request.namespace, name: request.name)
        let attachment = RuntimeAttachment(
            key: RuntimeAttachment.Key(request.key), network: request.network,
            podUID: request.uid, isChained: request.addresses != nil)
        let wanted = EndpointRequest(
            object: object, namespacePath: request.namespacePath,
            addresses: try request.addresses.map(parse), interfaceName: request.key.interface,
            attachment: attachment)
        try await makeWay(for: wanted)
        var prepared: UInt32?
        let endpoint: LocalEndpoint
        do throws(EndpointError) {
            endpoint = try endpointManager.attach(wanted) {
                try datapath.attach(endpointInterface: $0.interfaceIndex)
                prepared = $0.interfaceIndex
            }
        } catch {
            // With a link of ours they go, too; another's stays.
            if attachment.isChained, let prepared {
                try datapath.detach(endpointInterface: prepared)
            }
            throw fault(ofContainer: error)
        }
        await state.endpointsChanged()
        await reconciliation.reconcile()
        await awaitIdentity(of: endpoint.addresses)
        return ContainerInterface(
            hostInterface: endpoint.hostInterface,
            hardwareAddress: "\(endpoint.hardwareAddress)",
            mtu: endpointManager.configuration.endpointMTU,
            assignments: endpoint.addresses.map {
                .init(address: "\($0)", gateway: EndpointManager.gateway(of: $0))
            })
    }

    /// A pod has one container that stands for it, the one that was attached last: of its predecessor
    /// only the end is still to come.
    private func makeWay(for request: EndpointRequest) async throws {
        let former = endpointManager.endpoints.first { $0.object == request.object }
        guard let former, former.attachment != request.attachment else { return }
        guard let key = former.attachment?.key else {
            throw AdminFault(
                .conflict, "\(request.object) is attached already, and not by a container runtime",
                hint: "detach it, or give the container another name")
        }
        guard key.container != request.attachment?.key.container else {
            throw AdminFault(
                .conflict,
                "container \(key.container) is attached as \(request.object) otherwise than now",
                hint: "it has one interface of Weft's, in one network; delete it first")
        }
        try await detach(ContainerKey(key))
    }

    func detach(_ key: ContainerKey) async throws {
        let detached: LocalEndpoint?
        do throws(EndpointError) {
            detached = try endpointManager.detach(RuntimeAttachment.Key(key))
        } catch {
            throw fault(ofContainer: error)
        }
        guard let detached else { return }
        await state.endpointsChanged()
        await reconciliation.reconcile()
        try datapath.detach(endpointInterface: detached.interfaceIndex)
    }

    func check(_ request: ContainerCheck) async throws {
        let endpoint: LocalEndpoint
        do throws(EndpointError) {
            endpoint = try endpointManager.check(RuntimeAttachment.Key(request.key))
        } catch {
            throw fault(ofContainer: error)
        }
        guard Set(try parse(request.addresses)) == Set(endpoint.addresses) else {
            let addresses = endpoint.addresses.map(\.description).joined(separator: ", ")
            throw AdminFault(.conflict, "\(endpoint.object) has other addresses: \(addresses)")
        }
        guard try datapath.isAttached(endpointInterface: endpoint.interfaceIndex) else {
            throw AdminFault(
                .conflict, "\(endpoint.object) has lost its programs at \(endpoint.hostInterface)",
                hint: "restart the node's agent, which puts them back")
        }
    }

    func collectGarbage(_ request: ContainerGarbage) async throws -> ContainerGarbageAnswer {
        let valid = Set(request.valid.map { RuntimeAttachment.Key($0) })
        let garbage = endpointManager.endpoints.compactMap(\.attachment).filter {
            $0.network == request.network && !valid.contains($0.key)
        }
        for attachment in garbage { try await detach(ContainerKey(attachment.key)) }
        return ContainerGarbageAnswer(detached: garbage.map { ContainerKey($0.key) })
    }

    func readiness() async throws -> ContainerReadiness {
        var obstacles = [await obstacleToAttaching()].compactMap(\.self)
        do throws(EndpointError) {
            _ = try endpointManager.nextAddresses()
        } catch {
            obstacles.append(error.message)
        }
        let status = store.snapshot().endpoints.statuses
        let isLimited = endpointManager.endpoints.lazy.flatMap(\.addresses).contains { address in
            guard case .error(let reason) = status(address) else { return false }
            return reason != EndpointTarget.Unplaced.sentence
        }
        return ContainerReadiness(obstacles: obstacles, isLimited: isLimited)
    }

    /// Until all objects are known an endpoint couldn't be told of.
    private func obstacleToAttaching() async -> String? {
        guard await state.hasReadFolder else {
            return "the agent is still reading its folder of manifests"
        }
        guard await state.pods != nil else {
            return "the API server hasn't told the agent of this node's pods yet"
        }
        return nil
    }

    /// What may succeed another time is `unavailable`.
    private func fault(ofContainer error: EndpointError) -> AdminFault {
        error.code == .busy ? AdminFault(.unavailable, "\(error)") : fault(error)
    }
}

extension RuntimeAttachment.Key {
    fileprivate init(_ key: ContainerKey) {
        self.init(container: key.container, interface: key.interface)
    }
}

extension ContainerKey {
    fileprivate init(_ key: RuntimeAttachment.Key) {
        self.init(container: key.container, interface: key.interface)
    }
}
