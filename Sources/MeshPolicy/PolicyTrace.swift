// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One end of a flow, as the other end's policies see it.
public struct FlowEnd: Hashable, Sendable {
    public let peer: PolicyPeer
    /// After translation; nil if it has none that address blocks could mean.
    public let address: Address?

    public init(_ peer: PolicyPeer, at address: Address?) {
        self.peer = peer
        self.address = address
    }
}

/// What both sides say to a flow: it passes if both allow it, and its replies with it.
public struct PolicyTrace: Hashable, Sendable {
    /// At the source.
    public let egress: PolicyDecision
    /// At the destination.
    public let ingress: PolicyDecision

    public var allows: Bool { egress.allows && ingress.allows }

    /// - Parameters:
    ///   - source: policies of the source's cluster.
    ///   - destination: policies of the destination's cluster; the same within a cluster.
    public init(
        from sender: FlowEnd, governedBy source: PolicyBook?, to receiver: FlowEnd,
        governedBy destination: PolicyBook?, traffic: PolicyTraffic
    ) {
        if sender == receiver, sender.address != nil {
            egress = PolicyDecision(allows: true, reason: .itself)
            ingress = egress
            return
        }
        func ask(
            _ book: PolicyBook?, _ direction: PolicyDirection, _ own: FlowEnd, _ other: FlowEnd
        ) -> PolicyDecision {
            // Policies select endpoints only: not nodes, nor pods in their network namespace.
            guard let book, case .endpoint(let subject) = own.peer else {
                return PolicyDecision(allows: true, reason: .noPolicy)
            }
            return book.decide(
                direction, subject: subject, peer: other.peer, at: other.address, traffic: traffic)
        }
        egress = ask(source, .egress, sender, receiver)
        ingress = ask(destination, .ingress, receiver, sender)
    }
}
