// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTransport

// MARK: Certificates

extension StateService {
    /// Asks the authority to certify a key; ``certificates`` or, about another authority,
    /// ``authorityCertificates`` has the answer.
    ///
    /// - Parameter attempt: another number asks another one of several that hold the CA.
    /// - Returns: false if nobody can be asked.
    func requestCertificate(
        _ purpose: Message.CertificatePurpose = .node, _ request: [UInt8], attempt: Int
    ) -> Bool {
        if let authority, authority.present != nil, purpose == .node {
            certificateAnswers.yield(
                answer(purpose, request, of: core.configuration.node, authority))
            return true
        }
        var isAsked = false
        step { core, effects in
            isAsked = core.requestCertificate(purpose, request, attempt: attempt, into: &effects)
        }
        return isAsked
    }

    func certify(
        _ purpose: Message.CertificatePurpose, _ request: [UInt8], of node: NodeID,
        over link: LinkID
    ) {
        guard let authority,
            purpose == .node || core.configuration.publisher.candidates.contains(node.name)
        else { return note(.outOfTurn(from: node, "certificate request")) }
        links.send(
            Message.certificate(purpose, answer(purpose, request, of: node, authority)).encoded,
            on: link)
    }

    private func answer(
        _ purpose: Message.CertificatePurpose, _ request: [UInt8], of node: NodeID,
        _ authority: AuthorityService
    ) -> Message.CertificateAnswer {
        do {
            return switch purpose {
            case .node: .issued(try authority.certify(node: node.name, request: request))
            case .authority: .issued(try authority.certifyDelegate(node: node.name, request))
            }
        } catch {
            return .refused("\(error)")
        }
    }
}
