// SPDX-License-Identifier: Apache-2.0

/// How a container runtime knows an endpoint that it had attached (CNI 1.1 §2).
public struct RuntimeAttachment: Codable, Hashable, Sendable {
    /// What tells attachments apart.
    public struct Key: Codable, Hashable, Sendable {
        /// `CNI_CONTAINERID`.
        public let container: String
        /// `CNI_IFNAME`: the link inside.
        public let interface: String

        public init(container: String, interface: String) {
            self.container = container
            self.interface = interface
        }
    }

    public let key: Key
    /// The `name` of the network's configuration.
    public let network: String
    /// `K8S_POD_UID`; nil if the runtime knows of no pod.
    public let podUID: String?
    /// Whether a plugin before this one made the link and gave it its addresses.
    public let isChained: Bool

    public init(key: Key, network: String, podUID: String? = nil, isChained: Bool = false) {
        self.key = key
        self.network = network
        self.podUID = podUID
        self.isChained = isChained
    }
}
