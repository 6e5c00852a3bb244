/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services translated packet by packet: for sockets that the hooks did not see. The first packet of
 * a flow chooses a backend, the flow's FORWARD entry leads the next ones there.
 */
#pragma once

#include "affinity.h"
#include "connection.h"
#include "endpoint.h"
#include "reset.h"
#include "translate.h"

static __always_inline void packet_translate(struct packet *packet,
					     const struct weft_address *backend, __be16 port)
{
	packet->frontend = packet->destination;
	packet->frontend_port = packet->destination_port;
	packet->destination = *backend;
	packet->destination_port = port;
	packet->translated = 1;
}

static __always_inline void packet_untranslate(struct packet *packet)
{
	packet->destination = packet->frontend;
	packet->destination_port = packet->frontend_port;
	packet->translated = 0;
}

static __always_inline void connection_key(struct flow *flow, const struct packet *packet)
{
	flow_key(flow, &packet->source, packet->source_port, &packet->destination,
		 packet->destination_port, packet->protocol, WEFT_SCOPE_CONNECTION);
}

static __always_inline void forward_key(struct flow *flow, const struct packet *packet)
{
	flow_key(flow, &packet->source, packet->source_port, packet_target(packet),
		 packet->translated ? packet->frontend_port : packet->destination_port,
		 packet->protocol, WEFT_SCOPE_FORWARD);
}

/* Whether the packet needs no state of a backend. Such packets may go to one that is gone for ever,
 * for each prolongs the life of its flow. */
static __always_inline bool may_change_backend(const struct packet *packet)
{
	return packet->protocol == IPPROTO_UDP || packet_opens_tcp(packet);
}

/*
 * Translates a packet of a flow that was translated before, and finds its connection. A backend
 * that died or is gone, or a connection that is over, leaves the packet as it is: a new choice is
 * due.
 */
static __always_inline struct weft_connection *
follow_forward(struct packet *packet, struct flow *flow, __u64 now)
{
	struct weft_connection *forward, *entry;

	forward_key(flow, packet);
	forward = connection_find(flow, packet, now);
	if (forward && may_change_backend(packet) && !endpoint_find(&forward->frontend))
		forward = 0;
	if (!forward) {
		connection_key(flow, packet);
		return 0;
	}
	forward->seen = now;
	packet_translate(packet, &forward->frontend, forward->frontend_port);
	connection_key(flow, packet);
	entry = connection_find(flow, packet, now);
	if (entry)
		return entry;
	if (packet_opens_tcp(packet) ||
	    liveness_is_death(cluster_liveness(forward->cluster), forward->cluster_generation) ||
	    liveness_is_death(node_liveness(forward->node), forward->node_generation)) {
		packet_untranslate(packet);
		connection_key(flow, packet);
	}
	return 0;
}

/* Translates the first packet of a flow to a service. Returns 0 or a drop reason. */
WEFT_SEPARATE int choose_backend(struct packet *packet, struct flow *flow)
{
	const struct weft_backend *backend;
	weft_service_slot *slot;
	int index;

	if (!packet || !flow)
		return WEFT_DROP_NO_BACKEND;
	slot = service_find(&packet->destination, packet->destination_port, packet->protocol);
	if (!slot)
		return 0;
	index = service_backend(*slot, &packet->source, bpf_get_prandom_u32());
	backend = index < 0 ? 0 : backend_at(index);
	if (!backend || address_is_ipv4(&backend->address) == packet->ipv6)
		return WEFT_DROP_NO_BACKEND;
	packet_translate(packet, &backend->address, backend->port);
	connection_key(flow, packet);
	return 0;
}

/*
 * Rewrites the packet as its connection says. An opener that uses one port for both the frontend
 * and the backend itself gets answers from the one it addressed last. Returns 0 or a drop reason.
 */
WEFT_SEPARATE int apply_translation(struct __sk_buff *skb, struct packet *packet,
				    struct weft_connection *entry, bool from_opener)
{
	struct rewrite rewrite = {};

	if (!packet || !entry)
		return WEFT_DROP_REWRITE_FAILED;
	if (packet->translated && !(entry->flags & WEFT_CONNECTION_TRANSLATED)) {
		entry->frontend = packet->frontend;
		entry->frontend_port = packet->frontend_port;
		__sync_fetch_and_or(&entry->flags, WEFT_CONNECTION_TRANSLATED);
	}
	if (!packet->translated && from_opener)
		__sync_fetch_and_and(&entry->flags, ~WEFT_CONNECTION_TRANSLATED);
	if (packet->translated) {
		rewrite.from = packet->frontend;
		rewrite.from_port = packet->frontend_port;
		rewrite.to = packet->destination;
		rewrite.to_port = packet->destination_port;
	} else if (!from_opener && entry->flags & WEFT_CONNECTION_TRANSLATED) {
		rewrite.from = packet->source;
		rewrite.from_port = packet->source_port;
		rewrite.to = entry->frontend;
		rewrite.to_port = entry->frontend_port;
		rewrite.is_source = 1;
	} else {
		return 0;
	}
	return rewrite_packet(skb, packet, &rewrite);
}

static __always_inline bool needs_translation(const struct packet *packet,
					      const struct weft_connection *entry)
{
	return packet->translated || connection_flags(entry) & WEFT_CONNECTION_TRANSLATED;
}

/* Remembers the backend for the next packets to the frontend. False if there is no room. */
WEFT_SEPARATE bool insert_forward(const struct packet *packet, const struct weft_connection *entry)
{
	struct weft_connection *forward = connection_scratch(WEFT_SCOPE_FORWARD);
	struct flow flow;

	if (!packet || !entry || !forward)
		return false;
	forward->created = entry->created;
	forward->seen = entry->seen;
	forward->frontend = packet->destination;
	forward->frontend_port = packet->destination_port;
	forward->cluster = entry->cluster;
	forward->node = entry->node;
	forward->cluster_generation = entry->cluster_generation;
	forward->node_generation = entry->node_generation;
	/* It lives as long as an open connection. */
	forward->flags = WEFT_CONNECTION_FORWARD | WEFT_CONNECTION_REPLIED;
	forward_key(&flow, packet);
	return !bpf_map_update_elem(&weft_connections, &flow.key, forward, BPF_ANY);
}
