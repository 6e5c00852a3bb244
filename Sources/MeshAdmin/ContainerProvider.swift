// SPDX-License-Identifier: Apache-2.0

/// What container runtimes ask of this node, through ``weft-cni``. Every method may be called again
/// with the same words, and then does nothing more.
public protocol ContainerProvider: Sendable {
    /// Attaches a container, or says again how it is attached; returns when its interface is in place.
    /// `unavailable` for what a later attempt may get.
    func attach(_ request: ContainerRequest) async throws -> ContainerInterface
    /// One that isn't attached is success.
    func detach(_ key: ContainerKey) async throws
    /// `notFound` if it isn't attached any more, `conflict` if otherwise than it was.
    func check(_ request: ContainerCheck) async throws
    /// Detaches what a network doesn't have any more.
    func collectGarbage(_ request: ContainerGarbage) async throws -> ContainerGarbageAnswer
    /// Whether containers could be attached now.
    func readiness() async throws -> ContainerReadiness
}

/// What tells attachments apart: one interface of one container.
public struct ContainerKey: Codable, Hashable, Sendable {
    public var container: String
    /// Name of the link inside.
    public var interface: String

    public init(container: String, interface: String) {
        self.container = container
        self.interface = interface
    }
}

/// `POST /v1/containers`: attach a container.
public struct ContainerRequest: Codable, Hashable, Sendable {
    public var key: ContainerKey
    /// The network's name, for ``ContainerGarbage``.
    public var network: String
    /// The pod, or what stands for it.
    public var namespace: String
    public var name: String
    /// Nil if there is no pod.
    public var uid: String?
    /// Path of the network namespace as the agent sees it.
    public var namespacePath: String
    /// Of a link that another plugin has made; nil has the agent make one, with addresses of its own.
    public var addresses: [String]?

    public init(
        key: ContainerKey, network: String, namespace: String, name: String, uid: String? = nil,
        namespacePath: String, addresses: [String]? = nil
    ) {
        self.key = key
        self.network = network
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.namespacePath = namespacePath
        self.addresses = addresses
    }
}

/// How a container is attached.
public struct ContainerInterface: Codable, Hashable, Sendable {
    public struct Assignment: Codable, Hashable, Sendable {
        public var address: String
        public var gateway: String

        public init(address: String, gateway: String) {
            self.address = address
            self.gateway = gateway
        }
    }

    /// The node's end of its cable.
    public var hostInterface: String
    /// Of the container's end.
    public var hardwareAddress: String
    /// Bytes; of an interface that the agent makes.
    public var mtu: UInt32
    public var assignments: [Assignment]

    public init(
        hostInterface: String, hardwareAddress: String, mtu: UInt32, assignments: [Assignment]
    ) {
        self.hostInterface = hostInterface
        self.hardwareAddress = hardwareAddress
        self.mtu = mtu
        self.assignments = assignments
    }
}

/// `POST /v1/containers/check`.
public struct ContainerCheck: Codable, Hashable, Sendable {
    public var key: ContainerKey
    /// What the container was given.
    public var addresses: [String]

    public init(key: ContainerKey, addresses: [String]) {
        self.key = key
        self.addresses = addresses
    }
}

/// `POST /v1/containers/garbage`.
public struct ContainerGarbage: Codable, Hashable, Sendable {
    public var network: String
    public var valid: [ContainerKey]

    public init(network: String, valid: [ContainerKey]) {
        self.network = network
        self.valid = valid
    }
}

public struct ContainerGarbageAnswer: Codable, Hashable, Sendable {
    public var detached: [ContainerKey]

    public init(detached: [ContainerKey]) {
        self.detached = detached
    }
}

/// `GET /v1/containers/readiness`.
public struct ContainerReadiness: Codable, Hashable, Sendable {
    /// Sentences; empty if containers can be attached.
    public var obstacles: [String]
    /// Whether what is attached may reach less than it should.
    public var isLimited: Bool

    public init(obstacles: [String], isLimited: Bool) {
        self.obstacles = obstacles
        self.isLimited = isLimited
    }
}
