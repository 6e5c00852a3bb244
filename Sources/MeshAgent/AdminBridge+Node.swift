// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshLease
import MeshModel
import MeshTransport

// MARK: What is done to this node

extension AdminBridge {
    func departure() async throws -> DepartureStatus {
        let departure = await state.core.departure
        let phase: DepartureStatus.Phase =
            switch departure.phase {
            case .serving: .serving
            case .draining: .draining
            case .left: .left
            }
        return DepartureStatus(
            phase: phase, open: departure.burden.sentences,
            remainingSeconds: departure.remaining(at: .bootNow)?.seconds)
    }

    func depart(_ request: DepartureRequest) async throws -> DepartureStatus {
        if let seconds = request.timeoutSeconds {
            let maximum = NodeDeparture.timeoutMaximum.seconds
            guard seconds >= 0, seconds <= maximum else {
                throw AdminFault(
                    .invalidRequest, "a node waits for 0 to \(Int(maximum)) seconds, not \(seconds)"
                )
            }
            await state.leave(within: .nanoseconds(Int64(seconds * 1e9)))
        } else {
            await state.stayAfterAll()
        }
        return try await departure()
    }

    func gossipKeys() async throws -> [GossipKeyStatus] {
        let uses = socket.gossipKeyUses
        return uses.map { use in
            GossipKeyStatus(
                key: use.key.bytes.prefix(8).map(Self.hexadecimal).joined(),
                ageSeconds: age(use.madeAt), isNewest: use.key == uses.last?.key,
                users: use.users, nodes: use.nodes)
        }
    }

    func rotateGossipKey() async throws -> [GossipKeyStatus] {
        guard socket.rotateGossipKey() else {
            throw AdminFault(
                .conflict, "this node's gossip key is being changed already",
                hint: "weft node keys shows who still needs the old one")
        }
        return try await gossipKeys()
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}
