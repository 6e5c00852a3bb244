// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// Where an API server is, whom it has to prove to be, and who asks.
public struct KubernetesConfiguration: Sendable {
    /// What a client shows of itself.
    public enum Credentials: Sendable {
        case none
        case token(String)
        /// Read again as it rotates.
        case tokenFile(path: String)
        /// PEM.
        case certificate(chain: Material, key: Material)
    }

    /// Bytes, or a file that is read again for each new set of connections.
    public enum Material: Hashable, Sendable {
        case inline([UInt8])
        case file(path: String)
    }

    /// `https://10.96.0.1:443`, with a path if the server stands behind one; no slash at the end.
    public var server: String
    /// Where to connect instead of to the host of ``server``, whose name is still what the
    /// certificate has to prove.
    public var address: String?
    /// PEM; nil: those that the system trusts.
    public var authorities: Material?
    public var credentials: Credentials
    /// Of the workload, or of the kubeconfig's context.
    public var namespace: String

    public init(
        server: String, authorities: Material?, credentials: Credentials,
        namespace: String = "default"
    ) {
        self.server = server
        self.authorities = authorities
        self.credentials = credentials
        self.namespace = namespace
    }

    /// Largest file of a configuration that is read.
    static let maximumFileBytes = 1 << 20

    /// That of a pod, from this process's environment unless another is given: `KUBERNETES_SERVICE_HOST` and `_PORT`, and the service account's folder.
    ///
    /// - Throws: ``KubernetesError`` `.configuration`, saying what is missing.
    public static func inCluster(
        environment: [String: String]? = nil,
        folder: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws(KubernetesError) -> KubernetesConfiguration {
        let environment = environment ?? ProcessInfo.processInfo.environment
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"].flatMap({ UInt16($0) })
        else {
            throw KubernetesError(
                .configuration,
                "KUBERNETES_SERVICE_HOST and _PORT aren't set: this is no pod of a cluster")
        }
        let authority = host.contains(":") ? "[\(host)]" : host
        let token = "\(folder)/token"
        _ = try Material.file(path: token).read(as: "the service account's token")
        let certificates = Material.file(path: "\(folder)/ca.crt")
        _ = try certificates.read(as: "the cluster's CA")
        let namespace = try Material.file(path: "\(folder)/namespace").read(as: "the namespace")
        return KubernetesConfiguration(
            server: "https://\(authority):\(port)", authorities: certificates,
            credentials: .tokenFile(path: token),
            namespace: String(decoding: namespace, as: UTF8.self)
                .split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "default")
    }
}

extension KubernetesConfiguration.Material {
    /// - Parameter purpose: for whoever reads the error; the content never gets there.
    func read(as purpose: String) throws(KubernetesError) -> [UInt8] {
        switch self {
        case .inline(let bytes): return bytes
        case .file(let path):
            let maximum = KubernetesConfiguration.maximumFileBytes
            do {
                let file = try ManifestDescriptor(path: path)
                _ = try file.stamp()
                let bytes = try file.contents(max: maximum + 1)
                guard bytes.count <= maximum else {
                    throw KubernetesError(
                        .configuration, "\(purpose) is larger than \(maximum) bytes: \(path)")
                }
                return bytes
            } catch let error as KubernetesError {
                throw error
            } catch {
                throw KubernetesError(.configuration, "\(purpose) can't be read: \(path)")
            }
        }
    }
}
