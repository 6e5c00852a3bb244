// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshModel
import MeshTrust

extension AdminBridge {
    func rotationStatus() async throws -> RotationStatus {
        guard let status = await status(of: try service()) else {
            throw AdminFault(
                .notFound, "no key of this cluster's authority was ever replaced",
                hint: "weft ca rotate root, or intermediate, begins to")
        }
        return status
    }

    /// Nil between rotations, and elsewhere than on the home.
    func rotationUnderWay() async -> RotationStatus? {
        guard let rotation, let status = await status(of: rotation), !status.isOver
        else { return nil }
        return status
    }

    func rotate(_ request: RotationRequest) async throws -> RotationAnswer {
        let service = try service()
        let actor = AuditActor.user(geteuid())
        var broken: [String] = []
        do {
            switch (request.wish, request.kind) {
            case (.begin, .root?): try await service.begin(.root, by: actor)
            case (.begin, .intermediate?): try await service.begin(.intermediate, by: actor)
            case (.force, nil): broken = try await service.force(by: actor).map(\.rawValue)
            case (.abort, nil): try await service.abort(by: actor)
            default: throw AdminFault(.invalidRequest, "begin takes root or intermediate")
            }
        } catch let refusal as RotationRefusal {
            throw AdminFault(.conflict, "\(refusal)")
        } catch let fault as RotationFault {
            throw AdminFault(.conflict, "\(fault)")
        }
        guard let status = await status(of: service)
        else { throw AdminFault(.internalError, "the rotation is gone") }
        return RotationAnswer(status: status, broken: broken)
    }

    func spiffeBundle() async throws -> [UInt8] {
        guard let announcement = await mesh.desk?.roster.announcement.content
        else { throw notHome }
        return try BundleDocument(
            sequence: announcement.sequence, roots: announcement.description.bundle.anchors
        ).json()
    }

    private func service() throws(AdminFault) -> RotationService {
        guard let rotation else { throw notHome }
        return rotation
    }

    private var notHome: AdminFault {
        AdminFault(
            .conflict, "only \(configuration.home) replaces the authority's keys",
            hint: "run the command there")
    }

    private func status(of service: RotationService) async -> RotationStatus? {
        guard let rotation = await service.rotation else { return nil }
        return RotationStatus(
            kind: rotation.kind == .root ? .root : .intermediate,
            phase: rotation.phase.rawValue, sentence: rotation.status,
            waitingFor: rotation.waitingFor.map(\.cluster.rawValue),
            laggards: await service.laggards, obstacle: await service.obstacle)
    }
}
