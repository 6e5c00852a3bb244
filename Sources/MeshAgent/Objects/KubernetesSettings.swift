// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Which API server objects come from, beside the folder of manifests.
public struct KubernetesSettings: Hashable, Sendable {
    public enum Source: Hashable, Sendable {
        /// What every pod finds of its own cluster, in the folder of its service account; nil: where kubelets
        /// put that.
        case inCluster(folder: String?)
        /// The file's current context; an absolute path.
        case kubeconfig(path: String)
    }

    public let source: Source
    /// `https://host:port` instead of the one that the source names: a node serves the service addresses
    /// itself and must not need one of them to begin with. Nil: the source's.
    public let server: String?
    /// What the API server calls this node.
    public let nodeName: String
}

struct RawKubernetesSettings: Decodable {
    let inCluster: Bool?
    let serviceAccountFolder: String?
    let kubeconfig: String?
    let apiServer: String?
    let nodeName: String?
}

extension KubernetesSettings {
    init(
        _ raw: RawKubernetesSettings, node: String, listsNodes: Bool, file: String
    ) throws(ConfigurationError) {
        switch (raw.inCluster ?? false, raw.kubeconfig) {
        case (true, nil):
            if let folder = raw.serviceAccountFolder, !folder.hasPrefix("/") {
                throw ConfigurationError(
                    file, "kubernetes.serviceAccountFolder: '\(folder)' must begin with /")
            }
            source = .inCluster(folder: raw.serviceAccountFolder)
        case (false, let path?):
            guard path.hasPrefix("/") else {
                throw ConfigurationError(
                    file, "kubernetes.kubeconfig: '\(path)' must begin with /")
            }
            guard raw.serviceAccountFolder == nil else {
                throw ConfigurationError(
                    file, "kubernetes.serviceAccountFolder needs inCluster: true")
            }
            source = .kubeconfig(path: path)
        case (true, _?), (false, nil):
            throw ConfigurationError(
                file, "kubernetes: say either inCluster: true or kubeconfig: FILE")
        }
        if let server = raw.apiServer {
            guard server.hasPrefix("https://"), server.utf8.count > 8, !server.hasSuffix("/") else {
                throw ConfigurationError(
                    file, "kubernetes.apiServer: '\(server)' must be https://host:port")
            }
        }
        server = raw.apiServer
        nodeName = raw.nodeName ?? node
        guard isSubdomain(nodeName) else {
            throw ConfigurationError(
                file, "kubernetes.nodeName: '\(nodeName)' is not a DNS name")
        }
        // Others dial a node by the name that the API server has for it.
        guard listsNodes || nodeName == node else {
            throw ConfigurationError(
                file,
                "kubernetes.nodeName: '\(nodeName)' must be node.name, '\(node)', unless nodes lists them"
            )
        }
    }
}
