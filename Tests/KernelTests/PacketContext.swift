// SPDX-License-Identifier: Apache-2.0

/// The kernel's `struct __sk_buff`, of which a test run takes a few fields and wants zero in all
/// others.
struct PacketContext: BitwiseCopyable {
    private var fieldsBeforeIngress: (UInt64, UInt64, UInt64, UInt64, UInt32) = (0, 0, 0, 0, 0)
    /// skb->ingress_ifindex: where a packet that is forwarded came in; 0 for the host's own.
    var ingressInterface: UInt32 = 0
    private var fieldsBeforeControl: UInt64 = 0
    /// skb->cb[]
    var network: UInt32 = 0
    var groupPolicy: UInt32 = 0
    var outerSource: UInt32 = 0
    var outerDestination: UInt32 = 0
    private var lastOfControl: UInt32 = 0
    private var hash: UInt32 = 0
    private var fieldsBeforeSegmentSize:
        (
            UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64,
            UInt64, UInt64
        ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    /// skb->gso_size: bytes of payload in each segment.
    var segmentSize: UInt32 = 0
    private var padding: UInt32 = 0
    private var timestamp: UInt64 = 0

    var metadata: [UInt32] { [network, groupPolicy, outerSource, outerDestination] }
}
