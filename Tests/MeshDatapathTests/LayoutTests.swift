// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import Testing

/// A structure as Swift lays it out.
struct SwiftLayout: Sendable, CustomTestStringConvertible {
    let name: String
    let size: Int
    let offsets: [String: Int]
    var testDescription: String { name }

    init<Value: BitwiseCopyable>(
        _ type: Value.Type, _ name: String, _ members: [(String, PartialKeyPath<Value>)]
    ) {
        self.name = name
        size = MemoryLayout<Value>.size
        offsets = Dictionary(
            uniqueKeysWithValues: members.map { ($0.0, MemoryLayout<Value>.offset(of: $0.1)!) })
    }
}

@Suite("structures shared with the kernel")
struct LayoutTests {
    static let all: [SwiftLayout] = [
        SwiftLayout(
            weft_address.self, "weft_address",
            [("word0", \.word0), ("word1", \.word1), ("word2", \.word2), ("word3", \.word3)]),
        SwiftLayout(
            weft_frontend_key.self, "weft_frontend_key",
            [
                ("address", \.address), ("port", \.port), ("protocol", \.protocol), ("pad", \.pad),
            ]),
        SwiftLayout(
            weft_list.self, "weft_list",
            [
                ("slices", \.slices), ("affinity_seconds", \.affinity_seconds),
                ("pad0", \.pad0), ("pad1", \.pad1),
            ]),
        SwiftLayout(
            weft_slice.self, "weft_slice",
            [
                ("cluster", \.cluster), ("tier", \.tier), ("weight", \.weight),
                ("first", \.first), ("count", \.count), ("pad", \.pad),
            ]),
        SwiftLayout(
            weft_backend.self, "weft_backend",
            [
                ("address", \.address), ("port", \.port), ("cluster", \.cluster),
                ("node", \.node),
            ]),
        SwiftLayout(
            weft_endpoint.self, "weft_endpoint",
            [
                ("identity", \.identity), ("node", \.node), ("policy_set", \.policy_set),
                ("ifindex", \.ifindex), ("mac_low", \.mac_low), ("mac_high", \.mac_high),
                ("flags", \.flags),
            ]),
        SwiftLayout(
            weft_tunnel.self, "weft_tunnel",
            [("address", \.address), ("cluster", \.cluster), ("mtu", \.mtu), ("pad", \.pad)]),
        SwiftLayout(
            weft_outer_source.self, "weft_outer_source",
            [("node", \.node), ("cluster", \.cluster), ("pad", \.pad)]),
        SwiftLayout(
            weft_prefix_key.self, "weft_prefix_key",
            [("length", \.length), ("address", \.address)]),
        SwiftLayout(
            weft_cluster_settings.self, "weft_cluster_settings",
            [("cluster", \.cluster), ("source_check", \.source_check), ("pad", \.pad)]),
        SwiftLayout(
            weft_connection_key.self, "weft_connection_key",
            [
                ("a", \.a), ("b", \.b), ("a_port", \.a_port), ("b_port", \.b_port),
                ("protocol", \.protocol), ("scope", \.scope), ("pad", \.pad),
            ]),
        SwiftLayout(
            weft_connection.self, "weft_connection",
            [
                ("created", \.created), ("seen", \.seen),
                ("opener_packets", \.opener_packets), ("opener_bytes", \.opener_bytes),
                ("replier_packets", \.replier_packets), ("replier_bytes", \.replier_bytes),
                ("outer", \.outer), ("frontend", \.frontend),
                ("frontend_port", \.frontend_port), ("cluster", \.cluster), ("node", \.node),
                ("cluster_generation", \.cluster_generation),
                ("node_generation", \.node_generation),
                ("opener_identity", \.opener_identity),
                ("replier_identity", \.replier_identity), ("policy_set", \.policy_set),
                ("identity_generation", \.identity_generation), ("verdict", \.verdict),
                ("pad0", \.pad0), ("flags", \.flags),
                ("opener_ifindex", \.opener_ifindex),
                ("replier_ifindex", \.replier_ifindex), ("mtu", \.mtu),
                ("opening", \.opening),
            ]),
        SwiftLayout(
            weft_evidence_key.self, "weft_evidence_key",
            [
                ("address", \.address), ("port", \.port), ("protocol", \.protocol), ("pad", \.pad),
            ]),
        SwiftLayout(
            weft_evidence.self, "weft_evidence",
            [
                ("answered_at", \.answered_at), ("silent_at", \.silent_at),
                ("refused_at", \.refused_at), ("unreachable_at", \.unreachable_at),
                ("denied_at", \.denied_at), ("answered", \.answered), ("openings", \.openings),
                ("silent", \.silent),
                ("refused", \.refused), ("unreachable", \.unreachable),
                ("retracted_openings", \.retracted_openings), ("retracted", \.retracted),
                ("node", \.node),
                ("ifindex", \.ifindex), ("cluster", \.cluster), ("pad", \.pad),
            ]),
        SwiftLayout(
            weft_count.self, "weft_count", [("packets", \.packets), ("bytes", \.bytes)]),
        SwiftLayout(
            weft_event.self, "weft_event",
            [
                ("time", \.time), ("packets", \.packets), ("bytes", \.bytes),
                ("source", \.source), ("destination", \.destination), ("frontend", \.frontend),
                ("source_port", \.source_port), ("destination_port", \.destination_port),
                ("frontend_port", \.frontend_port), ("protocol", \.protocol), ("type", \.type),
                ("source_identity", \.source_identity),
                ("destination_identity", \.destination_identity), ("reason", \.reason),
                ("cluster", \.cluster), ("ifindex", \.ifindex),
                ("policy_version", \.policy_version), ("policy_rule", \.policy_rule),
                ("policy_direction", \.policy_direction), ("pad0", \.pad0), ("pad1", \.pad1),
                ("pad2", \.pad2),
            ]),
        SwiftLayout(
            weft_policy_peer_key.self, "weft_policy_peer_key",
            [
                ("version", \.version), ("identity", \.identity), ("block", \.block),
                ("direction", \.direction), ("pad0", \.pad0), ("pad1", \.pad1),
            ]),
        SwiftLayout(
            weft_policy_block_key.self, "weft_policy_block_key",
            [
                ("length", \.length), ("generation", \.generation), ("address", \.address),
            ]),
        SwiftLayout(
            weft_policy_known_key.self, "weft_policy_known_key",
            [("identity", \.identity), ("block", \.block)]),
        SwiftLayout(
            weft_config.self, "weft_config",
            [
                ("outer_source", \.outer_source), ("cluster", \.cluster),
                ("underlay_mtu", \.underlay_mtu), ("overlay_ifindex", \.overlay_ifindex),
                ("initial_identity", \.initial_identity), ("flow_events", \.flow_events),
                ("tcp_idle_nanoseconds", \.tcp_idle_nanoseconds),
                ("tcp_opening_nanoseconds", \.tcp_opening_nanoseconds),
                ("other_idle_nanoseconds", \.other_idle_nanoseconds),
                ("health_port", \.health_port), ("pad0", \.pad0),
                ("denied_answer", \.denied_answer),
            ]),
        SwiftLayout(
            weft_probe.self, "weft_probe",
            [
                ("kind", \.kind), ("age", \.age), ("nonce", \.nonce), ("instance", \.instance),
            ]),
        SwiftLayout(
            weft_beat.self, "weft_beat",
            [("outer", \.outer), ("length", \.length), ("pad", \.pad)]),
    ]

    @Test("clang for BPF and Swift agree on size and every offset", arguments: all)
    func layout(swift: SwiftLayout) throws {
        let object = try BPFObject(
            bytes: UnsafeRawBufferPointer(
                start: weft_object_bytes(), count: Int(weft_object_size())),
            name: "weft")
        let found = object.layout(ofStruct: swift.name)
        let kernel = try #require(found)
        #expect(kernel.size == swift.size)
        let offsets = Dictionary(uniqueKeysWithValues: kernel.members.map { ($0.name, $0.offset) })
        for (member, offset) in swift.offsets {
            #expect(offsets[member] == offset, "offset of \(member)")
        }
        let unnamed = Set(offsets.keys).subtracting(swift.offsets.keys)
        #expect(unnamed.allSatisfy { $0.hasPrefix("pad") }, "only padding may go unmentioned")
    }
}
