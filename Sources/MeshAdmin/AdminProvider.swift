// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// The agent, as the admin server sees it.
///
/// Every method may throw an ``AdminFault``, which the client gets as it is; any other error becomes
/// `internalError` with the error's text and is logged.
public protocol AdminProvider: JoiningProvider, RotationProvider, PolicyProvider,
    ConfigurationProvider, PageProvider, FlowStoryProvider, ContainerProvider
{
    func status() async throws -> AgentStatus
    func clusters() async throws -> [ClusterStatus]
    func nodes() async throws -> [NodeStatus]
    /// What is believed of a cluster, or of one node of it, and how that came; `notFound` for one that
    /// isn't known.
    func why(cluster: String, node: String?) async throws -> HealthStory
    func services() async throws -> [ServiceStatus]
    /// In the order of their clusters' IDs, their nodes' names and their own.
    ///
    /// - Parameter ofThisNode: only those.
    func endpoints(ofThisNode: Bool) async throws -> [EndpointStatus]
    func identities() async throws -> [IdentityStatus]
    func drops() async throws -> [DropCount]
    func maps() async throws -> [MapUsage]
    func kernelServices() async throws -> [KernelService]
    func connections() async throws -> [ConnectionEntry]
    func metrics() async throws -> [MetricFamily]

    /// Recent flows, oldest first; where it is to follow, then those to come until the reader goes
    /// away. Lines are asked for one by one, as fast as the reader takes them.
    func flows(_ question: FlowQuestion) async throws -> AsyncStream<FlowLine>

    /// Attaches a workload, returning when it is reachable. Attaching what is attached the same way
    /// already succeeds.
    func attach(_ request: AttachRequest) async throws -> EndpointStatus

    /// Detaches a workload of this node; one that isn't there is `notFound`.
    func detach(_ endpoint: ObjectName) async throws

    /// Tells every cluster to send this one nothing new, or takes that back.
    func drain(_ draining: Bool) async throws

    func trustStatus() async throws -> TrustStatus
    func denials() async throws -> [DenialStatus]
    /// Ends the subject's sessions and accepts no new ones; `conflict` on a node that may not say so.
    func deny(_ request: DenyRequest) async throws
    /// Takes a denial back; `notFound` when there is none.
    func allow(_ request: AllowRequest) async throws
    /// Certifies a node's key; `conflict` on a node that doesn't hold the authority.
    func certify(_ request: CertifyRequest) async throws -> CertifyAnswer
    /// How far this node is with leaving its cluster.
    func departure() async throws -> DepartureStatus
    /// Begins to leave the cluster, or stays after all; returns at once.
    func depart(_ request: DepartureRequest) async throws -> DepartureStatus
    /// This node's gossip keys, the newest last.
    func gossipKeys() async throws -> [GossipKeyStatus]
    /// Gives the gossip key a successor; `conflict` while that is under way already.
    func rotateGossipKey() async throws -> [GossipKeyStatus]
}
