/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection tracking: one entry a connection, both directions, LRU. Expiry is judged at lookup.
 *
 * A flow that is translated packet by packet has a second entry of scope FORWARD, {opener,
 * frontend} to backend; the connection itself is {opener, backend}.
 */
#pragma once

#include "event.h"
#include "evidence.h"
#include "liveness.h"

/* Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct weft_connection_key);
	__type(value, struct weft_connection);
	__uint(max_entries, 131072);
} weft_connections SEC(".maps");

enum connection_scope {
	WEFT_SCOPE_CONNECTION = 0,
	WEFT_SCOPE_FORWARD = 1,
	WEFT_SCOPE_END = 2,
};

/* Room for an entry of each scope in the making, which the stack has not. Written by the programs:
 * a packet is handled to its end before the CPU takes the next. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct weft_connection);
	__uint(max_entries, WEFT_SCOPE_END);
} weft_scratch SEC(".maps");

#define WEFT_CLOSING_NANOSECONDS 10000000000ULL	/* an entry's life after both FIN or a RST */

/* An entry of zeros. */
static __always_inline struct weft_connection *connection_scratch(__u32 scope)
{
	struct weft_connection *entry = bpf_map_lookup_elem(&weft_scratch, &scope);

	if (entry)
		__builtin_memset(entry, 0, sizeof(*entry));
	return entry;
}

/* A packet's canonical key, as its sender sees it. */
struct flow {
	struct weft_connection_key key;
	__u32 reversed;		/* the sender is `b` of the key */
};

/* Makes the canonical key. */
static __always_inline void flow_key(struct flow *flow, const struct weft_address *source,
				     __be16 source_port, const struct weft_address *destination,
				     __be16 destination_port, __u8 protocol, __u8 scope)
{
	int order = address_compare(source, destination);

	flow->reversed = order > 0 || (!order && bpf_ntohs(source_port) >
						 bpf_ntohs(destination_port));
	flow->key.a = flow->reversed ? *destination : *source;
	flow->key.b = flow->reversed ? *source : *destination;
	flow->key.a_port = flow->reversed ? destination_port : source_port;
	flow->key.b_port = flow->reversed ? source_port : destination_port;
	flow->key.protocol = protocol;
	flow->key.scope = scope;
	flow->key.pad = 0;
}

static __always_inline __u32 connection_flags(const struct weft_connection *entry)
{
	return *(volatile const __u32 *)&entry->flags;
}

static __always_inline bool connection_is_closing(const struct weft_connection *entry)
{
	const __u32 both = WEFT_CONNECTION_OPENER_FIN | WEFT_CONNECTION_REPLIER_FIN;

	return (connection_flags(entry) & both) == both;
}

static __always_inline bool connection_is_over(const struct weft_connection *entry,
					       const struct packet *packet, __u64 now)
{
	__u64 life = weft_config.other_idle_nanoseconds;

	if (packet->protocol == IPPROTO_TCP) {
		const __u32 ended = WEFT_CONNECTION_OPENER_FIN | WEFT_CONNECTION_REPLIER_FIN |
				    WEFT_CONNECTION_RESET;

		/* The same ports again: a new connection. Nobody repeats a SYN after a FIN. */
		if (packet_opens_tcp(packet) && connection_flags(entry) & ended)
			return true;
		if (connection_is_closing(entry))
			life = WEFT_CLOSING_NANOSECONDS;
		else if (connection_flags(entry) & WEFT_CONNECTION_REPLIED)
			life = weft_config.tcp_idle_nanoseconds;
		else
			life = weft_config.tcp_opening_nanoseconds;
	}
	return entry->seen + life < now;
}

/* The packet's connection, NULL if there is none that still counts. */
static __always_inline struct weft_connection *
connection_find(const struct flow *flow, const struct packet *packet, __u64 now)
{
	struct weft_connection *entry = bpf_map_lookup_elem(&weft_connections, &flow->key);

	return entry && !connection_is_over(entry, packet, now) ? entry : 0;
}

static __always_inline bool flow_is_from_opener(const struct flow *flow,
						const struct weft_connection *entry)
{
	return !(connection_flags(entry) & WEFT_CONNECTION_REVERSED) == !flow->reversed;
}

/* The lower half of a TCP segment's sequence number: it tells a repeated SYN from another one with the
 * same ports. One in 65,536 others looks like the same. */
static __always_inline __be16 packet_sequence(struct __sk_buff *skb, const struct packet *packet)
{
	__be16 half = 0;

	bpf_skb_load_bytes(skb, packet->transport + 6, &half, sizeof(half));
	return half;
}

/* The flags that a packet adds to its connection. */
static __always_inline __u32 connection_progress(const struct packet *packet, bool from_opener)
{
	__u32 flags = from_opener ? 0 : WEFT_CONNECTION_REPLIED;

	if (!(packet->tcp_flags & (WEFT_TCP_FIN | WEFT_TCP_RST)))
		return flags;
	if (packet->tcp_flags & WEFT_TCP_RST)
		return flags | WEFT_CONNECTION_OPENER_FIN | WEFT_CONNECTION_REPLIER_FIN;
	return flags | (from_opener ? WEFT_CONNECTION_OPENER_FIN : WEFT_CONNECTION_REPLIER_FIN);
}

/* Tells of a connection's end, once, with source and destination as its opener has them. */
WEFT_SEPARATE int connection_report_close(struct __sk_buff *skb, struct packet *packet,
					  struct weft_connection *entry, bool from_opener)
{
	struct weft_event *event;

	if (!packet || !entry || !weft_config.flow_events)
		return 0;
	if (__sync_fetch_and_or(&entry->flags, WEFT_CONNECTION_CLOSED_REPORTED) &
	    WEFT_CONNECTION_CLOSED_REPORTED)
		return 0;
	event = event_reserve(WEFT_EVENT_CLOSED);
	if (!event)
		return 0;
	event_describe(skb, event, packet);
	if (!from_opener) {
		event->source = packet->destination;
		event->source_port = packet->destination_port;
		event->destination = packet->source;
		event->destination_port = packet->source_port;
	}
	if (entry->flags & WEFT_CONNECTION_TRANSLATED) {
		event->frontend = entry->frontend;
		event->frontend_port = entry->frontend_port;
	}
	event->packets = entry->opener_packets + entry->replier_packets;
	event->bytes = entry->opener_bytes + entry->replier_bytes;
	event->source_identity = entry->opener_identity;
	event->destination_identity = entry->replier_identity;
	event->cluster = entry->cluster;
	event_submit(event);
	return 0;
}

/* Counts a packet of an entry in the map and moves its state on. Each direction has its own fields:
 * mostly one CPU writes them, and a rare lost count is cheaper than a locked addition a packet. */
static __always_inline void connection_account(struct __sk_buff *skb, struct packet *packet,
					       struct weft_connection *entry, bool from_opener,
					       __u64 now)
{
	__u32 flags = connection_progress(packet, from_opener);

	entry->seen = now;
	if (from_opener) {
		entry->opener_packets++;
		entry->opener_bytes += packet->length;
	} else {
		entry->replier_packets++;
		entry->replier_bytes += packet->length;
	}
	if (flags & ~connection_flags(entry)) {
		__u32 before = __sync_fetch_and_or(&entry->flags, flags);

		if (flags & ~before & WEFT_CONNECTION_REPLIED)
			evidence_of_answer(packet, entry);
		if (connection_is_closing(entry))
			connection_report_close(skb, packet, entry, from_opener);
	} else if (packet_opens_tcp(packet) &&
		   !(connection_flags(entry) & WEFT_CONNECTION_REPLIED)) {
		evidence_of_silence(packet, entry);
	}
}

/*
 * Puts the entry of a new flow, in scratch, into the map, opened by the packet's sender, and tells.
 * False if the map has no room; counted.
 */
WEFT_SEPARATE bool connection_insert(struct __sk_buff *skb, struct packet *packet,
				     struct flow *flow)
{
	__u32 scope = WEFT_SCOPE_CONNECTION;
	struct weft_connection *entry = bpf_map_lookup_elem(&weft_scratch, &scope);
	struct weft_connection_key key;
	struct weft_event *event;

	if (!packet || !flow || !entry)
		return false;
	key = flow->key;
	if (flow->reversed)
		entry->flags |= WEFT_CONNECTION_REVERSED;
	if (packet_opens_tcp(packet)) {
		entry->flags |= WEFT_CONNECTION_BEGAN_WITH_SYN;
		entry->opening = packet_sequence(skb, packet);
	}
	entry->flags |= connection_progress(packet, true);
	entry->opener_packets = 1;
	entry->opener_bytes = packet->length;
	if (bpf_map_update_elem(&weft_connections, &key, entry, BPF_ANY)) {
		count(WEFT_COUNTER_CONNECTION_INSERT_FAILED, packet->length);
		return false;
	}
	count(WEFT_COUNTER_CONNECTIONS_OPENED, packet->length);
	if (!weft_config.flow_events || entry->verdict != WEFT_VERDICT_ALLOW)
		return true;
	event = event_reserve(WEFT_EVENT_OPENED);
	if (!event)
		return true;
	event_describe(skb, event, packet);
	event->packets = 1;
	event->bytes = packet->length;
	event->source_identity = entry->opener_identity;
	event->destination_identity = entry->replier_identity;
	event->cluster = entry->cluster;
	event_submit(event);
	return true;
}
