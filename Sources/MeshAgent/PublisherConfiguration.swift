// SPDX-License-Identifier: Apache-2.0

public import MeshEtcd
import MeshModel

/// Who may sequence the cluster's ledger, and how they agree on who does.
public struct PublisherConfiguration: Hashable, Sendable {
    public enum Lease: Hashable, Sendable {
        /// The only candidate publishes, always.
        case fixed
        /// Candidates share a lease in etcd.
        case etcd(EtcdConfiguration)
        /// Candidates share a Lease object of the API server that `kubernetes` names.
        case kubernetes
    }

    /// How the cluster's own nodes hear of its ledger.
    public enum Store: String, Hashable, Sendable, CaseIterable {
        /// From the publisher and from each other.
        case embedded
        /// From etcd, where the publisher writes it.
        case etcd
    }

    /// Names of nodes of the cluster, which hold the keys of its CA; 1 or more. Or the one name of an
    /// authority apart from nodes.
    public let candidates: [String]
    /// Whether the authority runs as `weftd --authority`, and no node holds it.
    public var isApart = false
    public let lease: Lease
    public let store: Store
}

struct RawPublisher: Decodable {
    let candidates: [String]?
    let authority: String?
    let lease: String?

    private enum CodingKeys: CodingKey { case candidates, authority, lease }

    /// A node's name, or a mapping.
    init(from decoder: any Decoder) throws {
        if let name = try? decoder.singleValueContainer().decode(String.self) {
            (candidates, authority, lease) = ([name], nil, nil)
            return
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        candidates = try container.decodeIfPresent([String].self, forKey: .candidates)
        authority = try container.decodeIfPresent(String.self, forKey: .authority)
        lease = try container.decodeIfPresent(String.self, forKey: .lease)
    }
}

struct RawEtcd: Decodable {
    let endpoints: [String]
    let bundle: String?
    let certificate: String?
    let key: String?
}

extension PublisherConfiguration {
    /// - Parameter members: nil if the API server has them.
    /// - Throws: a sentence that names the field.
    init(
        _ raw: RawPublisher, etcd: RawEtcd?, hasKubernetes: Bool, store: String?,
        members: Set<String>?
    ) throws(Problem) {
        let names: [String]
        switch (raw.candidates, raw.authority) {
        case (let candidates?, nil):
            for name in candidates where members?.contains(name) == false {
                throw Problem("publisher: '\(name)' is not among nodes")
            }
            names = candidates
        case (nil, let authority?):
            guard isSubdomain(authority), members?.contains(authority) != true else {
                throw Problem(
                    "publisher.authority: '\(authority)' must be a DNS name that no node has")
            }
            guard raw.lease == "kubernetes" else {
                throw Problem("publisher.authority needs publisher.lease: kubernetes")
            }
            names = [authority]
            isApart = true
        default: throw Problem("publisher: name either candidates or authority")
        }
        guard let first = names.first, Set(names).count == names.count
        else { throw Problem("publisher.candidates: name each candidate once, at least one") }
        switch raw.lease ?? "fixed" {
        case "fixed":
            guard names.count == 1 else {
                throw Problem(
                    "publisher.lease: 'fixed' allows one candidate, '\(first)'; use etcd or kubernetes for "
                        + "more")
            }
            lease = .fixed
        case "etcd":
            guard let etcd else { throw Problem("etcd is missing; publisher.lease needs it") }
            lease = .etcd(try EtcdConfiguration(etcd))
        case "kubernetes":
            guard hasKubernetes else {
                throw Problem("kubernetes is missing; publisher.lease needs it")
            }
            lease = .kubernetes
        case let other:
            throw Problem("publisher.lease: '\(other)' must be fixed, etcd or kubernetes")
        }
        guard let kind = Store(rawValue: store ?? Store.embedded.rawValue) else {
            throw Problem("store: '\(store ?? "")' must be embedded or etcd")
        }
        if case .etcd = kind {
            guard case .etcd = lease else {
                throw Problem(
                    "store: etcd needs publisher.lease: etcd, which guards what is written")
            }
        }
        candidates = names
        self.store = kind
    }

    struct Problem: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }
}

extension EtcdConfiguration {
    fileprivate init(_ raw: RawEtcd) throws(PublisherConfiguration.Problem) {
        var endpoints: [EtcdEndpoint] = []
        for text in raw.endpoints {
            guard let colon = text.lastIndex(of: ":"),
                let port = UInt16(text[text.index(after: colon)...]), port > 0
            else { throw PublisherConfiguration.Problem("etcd: '\(text)' is not host:port") }
            let host = text[..<colon].filter { $0 != "[" && $0 != "]" }
            endpoints.append(EtcdEndpoint(host: host, port: port))
        }
        let credentials: EtcdCredentials?
        switch (raw.bundle, raw.certificate, raw.key) {
        case (let bundle?, let certificate?, let key?):
            credentials = EtcdCredentials(
                trustedFile: bundle, certificateFile: certificate, keyFile: key)
        case (nil, nil, nil): credentials = nil
        default:
            throw PublisherConfiguration.Problem(
                "etcd: bundle, certificate and key go together; one is missing")
        }
        self.init(endpoints: endpoints, credentials: credentials)
    }
}
