// SPDX-License-Identifier: Apache-2.0

/// Walks a flow from its source to all that it may be sent to, and tells how far it gets.
///
/// A value: what it goes by is handed in, and it decides nothing that the programs and the policies
/// don't.
public struct FlowWalk: Sendable {
    /// Candidates that are looked at one by one; a service's other backends are counted only.
    public static let candidatesMaximum = 16
    /// Of ``FlowStory/candidates``.
    public static let shownMaximum = 64
    /// Refused flows that are shown.
    public static let evidenceMaximum = 8
    /// A flow that is older may be gone from the kernel of the other side.
    static let lostSeconds = 30.0

    public let scene: FlowScene
    public let source: FlowStory.End
    public let destination: FlowStory.End
    public let traffic: WhyQuestion.Traffic
    /// Set for a service.
    public let frontend: ServiceStatus?
    /// Set for a service.
    public let choice: BackendChoice?
    /// What was made of the question.
    public let notes: [String]
    /// The nodes where the flow begins and may end. What they said is in the other values already.
    public var sides: [FlowStory.Side] = []
    /// Why a candidate isn't in place, by its address, as its node says.
    public var problems: [String: String] = [:]

    public init(
        scene: FlowScene, source: FlowStory.End, destination: FlowStory.End,
        traffic: WhyQuestion.Traffic, frontend: ServiceStatus? = nil, notes: [String] = []
    ) {
        self.scene = scene
        self.source = source
        self.destination = destination
        self.traffic = traffic
        self.frontend = frontend
        self.notes = notes
        choice = frontend.map {
            BackendChoice(
                of: $0, for: source.addresses, clusters: scene.clusters, nodes: scene.nodes)
        }
    }

    /// Those whose policies have to be asked, in turn.
    public var candidates: [FlowStory.Candidate] {
        if let choice {
            return Array(
                choice.candidates.filter { $0.passedOver == nil }.prefix(Self.candidatesMaximum))
        }
        let isIPv4 = source.addresses.contains { !$0.contains(":") }
        let address =
            destination.addresses.first { !$0.contains(":") == isIPv4 }
            ?? destination.addresses.first ?? destination.name
        var port: UInt16?
        if case .port(_, let number) = traffic { port = number }
        return [
            FlowStory.Candidate(
                address: address, port: port, cluster: destination.cluster, node: destination.node)
        ]
    }

    /// - Parameters:
    ///   - traces: what policies say to the flow to each of ``candidates``, in their order.
    ///   - refused: flows that were refused lately, oldest first; those like this one are found.
    ///   - now: milliseconds since 1970.
    public func story(
        traces: [PolicyTraceAnswer], refused: [Flow], at now: Int64
    ) -> FlowStory {
        var telling = Telling(walk: self, traces: traces)
        telling.tellSource()
        telling.tellService()
        telling.tellPolicies(.egress)
        telling.tellPaths()
        telling.tellPolicies(.ingress)
        let evidence = Array(
            refused.filter { telling.isAlike($0) }.suffix(Self.evidenceMaximum))
        telling.tell(evidence, at: now)
        telling.tellConnections(evidence)
        return telling.conclude(evidence)
    }
}
