// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshModel
import MeshTransport
import MeshTrust

extension AdminBridge {
    func trustStatus() async throws -> TrustStatus {
        let now = Date()
        return TrustStatus(
            certificates: TrustedLife.all(links.security, authority: authority?.present).map {
                CertificateStatus(
                    kind: $0.kind, cluster: $0.cluster.rawValue, name: $0.life.name,
                    keyIdentifier: $0.life.keyIdentifierText, serial: $0.life.serialText,
                    notAfterUnixSeconds: unixSeconds($0.life.notAfter),
                    secondsLeft: $0.life.notAfter.timeIntervalSince(now),
                    fractionLeft: $0.life.fractionLeft(at: now))
            },
            home: configuration.home,
            audit: authority?.auditHead.map { .init(sequence: $0.sequence, hash: $0.hash) },
            denials: lines(now: now).count, rotation: await rotationUnderWay())
    }

    /// What is in force: each cluster's list, then the local one. That of one that is gone waits for
    /// its return.
    private func lines(now: Date) -> [(owner: TrustDomain?, entry: DenyEntry)] {
        let book = denying.book
        let known = Set(links.security.trust.trustDomains)
        let lists = book.owners.filter(known.contains).flatMap { owner in
            (book.list(of: owner)?.entries ?? []).map { (owner as TrustDomain?, $0) }
        }
        return (lists + book.localEntries.map { (nil, $0) }).filter { $0.1.until > now }
    }

    func denials() async throws -> [DenialStatus] {
        lines(now: Date()).map { owner, entry in
            DenialStatus(
                owner: owner?.cluster.rawValue, subject: "\(entry.subject)", reason: entry.reason,
                sinceUnixSeconds: unixSeconds(entry.since),
                untilUnixSeconds: unixSeconds(entry.until))
        }
    }

    func deny(_ request: DenyRequest) async throws {
        let subject = try subject(request.subject)
        try await answering {
            if request.isLocal {
                try await denying.denyLocally(subject, reason: request.reason)
            } else {
                try await denying.deny(subject, reason: request.reason)
            }
        }
    }

    func allow(_ request: AllowRequest) async throws {
        let subject = try subject(request.subject)
        try await answering {
            if request.isLocal {
                try await denying.allowLocally(subject)
            } else {
                try await denying.allow(subject)
            }
        }
    }

    func certify(_ request: CertifyRequest) async throws -> CertifyAnswer {
        guard let authority else {
            throw AdminFault(
                .conflict, "this node doesn't hold the cluster's authority",
                hint: "ask \(configuration.home)")
        }
        guard let der = Data(base64Encoded: request.request) else {
            throw AdminFault(.invalidRequest, "the certificate request isn't base64")
        }
        do {
            let chain = try authority.certify(
                node: request.node, request: Array(der), for: .operatorHere)
            return CertifyAnswer(
                chain: chain.map { Data($0).base64EncodedString() },
                bundle: try authority.authority.bundle.pem())
        } catch let error as TrustError {
            throw AdminFault(.conflict, "\(error)")
        }
    }

    /// What an operator names, as lists have it.
    private func subject(_ named: DenialSubject) throws(AdminFault) -> DenySubject {
        func bytes(_ text: String, _ name: String) throws(AdminFault) -> [UInt8] {
            // As people copy them, with colons between the pairs.
            guard let bytes = [UInt8](hexadecimal: text.filter { $0 != ":" }), !bytes.isEmpty
            else {
                throw AdminFault(
                    .invalidRequest, "\(name) '\(text)' isn't hexadecimal",
                    hint: "weft ca status and weft ca log show it as it is written")
            }
            return bytes
        }
        switch (named.serial, named.key, named.node, named.authority) {
        case (let serial?, nil, nil, let authority):
            let issuer: [UInt8]
            if let authority {
                issuer = try bytes(authority, "authority")
            } else if let own = self.authority?.present {
                issuer = CertificateLife(own.chain[0]).keyIdentifier
            } else {
                throw AdminFault(
                    .invalidRequest, "a serial number alone names a certificate on the home only",
                    hint: "add its issuer's key identifier with --authority")
            }
            let number = Array(try bytes(serial, "serial").drop { $0 == 0 })
            guard (1...DenySubject.serialBytesMaximum).contains(number.count),
                issuer.count <= DenySubject.keyIdentifierBytesMaximum
            else {
                throw AdminFault(
                    .invalidRequest, "no certificate has the serial number \(serial)",
                    hint: "weft ca log shows those that were issued")
            }
            return .certificate(authority: issuer, serial: number)
        case (nil, let key?, nil, nil):
            let digest = try bytes(key, "key")
            guard digest.count == DenySubject.digestBytes else {
                throw AdminFault(
                    .invalidRequest, "a key is named by \(DenySubject.digestBytes) bytes",
                    hint: "SHA-256 of its SubjectPublicKeyInfo in DER")
            }
            return .key(digest: digest)
        case (nil, nil, let node?, nil): return .identity(try identity(of: node))
        case (nil, nil, nil, let authority?):
            let identifier = try bytes(authority, "authority")
            guard identifier.count <= DenySubject.keyIdentifierBytesMaximum
            else {
                throw AdminFault(
                    .invalidRequest, "no authority has the key identifier \(authority)",
                    hint: "weft ca status shows them")
            }
            return .authority(keyIdentifier: identifier)
        default:
            throw AdminFault(
                .invalidRequest, "name one: a serial number, a key, a node or an authority")
        }
    }

    private func identity(of node: String) throws(AdminFault) -> SPIFFEID {
        let parts = node.split(separator: "/", maxSplits: 1).map(String.init)
        let cluster =
            parts.count == 2 ? ClusterName(rawValue: parts[0]) : configuration.clusterName
        guard let name = parts.last, let cluster,
            let domain = try? TrustDomain(cluster: cluster, mesh: configuration.mesh),
            let peer = PeerIdentity(domain: domain, node: name)
        else {
            throw AdminFault(
                .invalidRequest, "'\(node)' isn't a node, nor CLUSTER/NODE",
                hint: "weft node list shows them")
        }
        return peer.spiffeID
    }

    /// Carries out a wish; says in an operator's words why it can't be.
    private func answering(_ wish: () async throws -> Void) async throws {
        do { try await wish() } catch let fault as DenyFault {
            throw AdminFault(fault)
        } catch let refusal as StatementRefusal {
            throw AdminFault(.invalidRequest, "\(refusal)")
        }
    }

    private func unixSeconds(_ date: Date) -> Int64 { Int64(date.timeIntervalSince1970) }
}

extension AdminFault {
    fileprivate init(_ fault: DenyFault) {
        switch fault {
        case .notHome(let home):
            self.init(
                .conflict, "only \(home) denies for every cluster: it speaks for the authority",
                hint: "run the command there, or add --local to deny on this node alone")
        case .notDenied(let subject):
            self.init(.notFound, "\(subject) isn't denied", hint: "weft ca denied shows what is")
        case .full:
            self.init(
                .tooLarge, "the deny list is full", hint: "deny an authority, or allow some again")
        case .oneself:
            self.init(
                .conflict, "that would deny the authority that signs the list, or this node itself",
                hint: "renew the authority or the certificate first")
        }
    }
}

extension AdminBridge {
    /// Denials in force by the cluster that denies; the empty name: this node's own.
    func denialCounts(now: Date) -> [(cluster: String, count: Int)] {
        Dictionary(grouping: lines(now: now)) { $0.owner?.cluster.rawValue ?? "" }
            .map { ($0.key, $0.value.count) }.sorted { $0.cluster < $1.cluster }
    }
}
