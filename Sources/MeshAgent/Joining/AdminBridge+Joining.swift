// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshModel
import MeshTransport
import MeshTrust

extension AdminBridge {
    func makeToken(_ request: TokenRequest) async throws -> TokenAnswer {
        try await told { try await mesh.makeToken(request) }
    }

    func join(_ request: JoinRequestBody) async throws -> JoinAnswer {
        try await told { try await mesh.join(request.target) }
    }

    func leave(_ request: LeaveRequest) async throws -> LeaveAnswer {
        try await told { try await mesh.leave(force: request.force) }
    }

    func accept(cluster: String, _ request: AcceptRequest) async throws -> RosterAnswer {
        try await told { try await mesh.accept(cluster, root: request.root) }
    }

    func forget(cluster: String) async throws -> RosterAnswer {
        try await told { try await mesh.forget(cluster) }
    }

    func introducers() async throws -> IntroducersStatus { try await mesh.introducers }

    func setIntroducers(_ request: IntroducersRequest) async throws -> RosterAnswer {
        try await told { try await mesh.setIntroducers(request.names) }
    }

    func tokens() async throws -> [TokenStatus] { try await mesh.tokens() }

    func revoke(token id: String) async throws -> TokenStatus {
        try await told { try await mesh.revoke(token: id) }
    }

    /// Each refusal in its own sentence.
    private func told<Answer>(_ body: () async throws -> Answer) async throws -> Answer {
        do {
            return try await body()
        } catch let refusal as JoinRefusal {
            throw AdminFault(.conflict, "\(refusal)")
        } catch let error as EnrolmentError {
            throw AdminFault(.unavailable, "\(error)")
        } catch let fault as RosterFault {
            var code = AdminFault.Code.conflict
            if case .unknown = fault { code = .notFound }
            throw AdminFault(code, "\(fault)")
        } catch let fault as TokenBook.Fault {
            throw AdminFault(.conflict, "\(fault)")
        } catch let fault as DeskFault {
            var code = AdminFault.Code.conflict
            if case .noToken = fault { code = .notFound }
            throw AdminFault(code, "\(fault)")
        }
    }

    /// Rows of the roster, and of clusters that only it knows.
    func withRoster(_ clusters: [ClusterStatus]) async -> [ClusterStatus] {
        guard let roster = await mesh.desk?.roster else { return clusters }
        let heard = await mesh.heard
        var clusters = clusters
        let places = Dictionary(
            clusters.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
        for member in roster.clusters.values.sorted(by: { $0.name < $1.name }) {
            let status = RosterStatus(member, heard: heard[member.name])
            if let index = places[member.name.rawValue] {
                clusters[index].roster = status
            } else {
                clusters.append(
                    ClusterStatus(
                        name: member.name.rawValue, id: member.description.id.rawValue,
                        isLocal: false, verdict: .unknown, sinceSeconds: age(nil), weight: 0,
                        generation: 0, paths: [], epoch: 0, revision: 0, nodes: 0, services: 0,
                        endpoints: 0, roster: status))
            }
        }
        return clusters
    }
}

extension RosterStatus {
    fileprivate init(_ member: RosterMember, heard: UInt64?) {
        let (state, reason): (State, String?) =
            switch member.state {
            case .member: (.member, nil)
            case .pending(let why): (.pending, "\(why)")
            case .conflicted(let why): (.conflicted, "\(why)")
            case .left: (.left, nil)
            case .forgotten(let introducer): (.forgotten, "by '\(introducer)'")
            }
        self.init(
            state: state, reason: reason, roots: member.description.pins.map(\.short),
            introducers: member.introducers.map(\.rawValue),
            isAcceptedHere: member.isAcceptedHere, asksForMore: member.growth != nil,
            heard: heard)
    }
}
