/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Why a packet was dropped. Append only: the number is a metric, a flow event's field and part of
 * recorded output. Columns: C name, metric label, sentence for an operator.
 */
#pragma once

#define WEFT_DROP_REASONS(X) \
	X(NONE, "none", "The packet was not dropped.") \
	X(MALFORMED, "malformed", "The packet is too short for the headers it claims to have.") \
	X(UNKNOWN_PROTOCOL, "unknown_protocol", "The link-layer protocol is neither IPv4, IPv6 nor ARP.") \
	X(FRAGMENT, "fragment", "A later fragment arrived, which names no port, and its first one isn't known.") \
	X(INVALID_SOURCE, "invalid_source", "The endpoint sent from an address that is not its own.") \
	X(ISOLATED, "isolated", "The endpoint is not ready: its programs are still being put in place.") \
	X(NO_ENDPOINT, "no_endpoint", "The address belongs to a cluster of the mesh, but no endpoint has it.") \
	X(NO_BACKEND, "no_backend", "The service has no backend.") \
	X(NO_TUNNEL, "no_tunnel", "The destination's node has no known underlay address.") \
	X(ENCAPSULATION_FAILED, "encapsulation_failed", "The kernel refused the tunnel metadata.") \
	X(NO_IDENTITY, "no_identity", "An overlay packet carries no identity: not sent by Weft.") \
	X(UNKNOWN_NODE, "unknown_node", "An overlay packet comes from an underlay address that is no known node.") \
	X(FOREIGN_IDENTITY, "foreign_identity", "An overlay packet carries an identity of another cluster than its node's.") \
	X(FOREIGN_SOURCE, "foreign_source", "The packet's source belongs to a cluster that it can't have come from that way.") \
	X(NOT_LOCAL, "not_local", "The packet is for an address that is no endpoint of this node, or not the one behind the interface.") \
	X(POLICY_DENIED, "policy_denied", "A policy denies the flow.") \
	X(CONNECTION_TABLE_FULL, "connection_table_full", "A flow that needs translation found no room in the connection table.") \
	X(TOO_BIG, "too_big", "The packet exceeds the path's MTU and must not be fragmented; the sender was told.") \
	X(PEER_DEAD, "peer_dead", "The cluster or node at the other end is gone; the connection was reset.") \
	X(TTL_EXCEEDED, "ttl_exceeded", "The packet's hop limit ran out.") \
	X(REWRITE_FAILED, "rewrite_failed", "The kernel refused to change the packet.") \
	X(UNSUPPORTED_TRANSPORT, "unsupported_transport", "The service address was used with a protocol it does not serve.") \
	X(INVALID_ARP, "invalid_arp", "An ARP or neighbour message claims an address that is not the endpoint's.") \
	X(PROBE_RATE, "probe_rate", "More probes arrived in a second than are answered.") \
	X(UNKNOWN_IDENTITY, "unknown_identity", "The peer's identity isn't known here yet, and a policy depends on it.") \
	X(BEAT_LOST, "beat_lost", "A heartbeat inside the overlay arrived, and the agent didn't take those before it.") \
	X(STRAY_DENIAL, "stray_denial", "A node said that it denies a connection which isn't known here, or is with another node.")

enum weft_drop_reason {
#define WEFT_DROP_ENUM(name, label, sentence) WEFT_DROP_##name,
	WEFT_DROP_REASONS(WEFT_DROP_ENUM)
#undef WEFT_DROP_ENUM
	WEFT_DROP_END,
};

/* Label and sentence of a reason, NULL for a number that is none. */
const char *weft_drop_label(unsigned int reason);
const char *weft_drop_sentence(unsigned int reason);
