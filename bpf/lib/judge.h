/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verdict on a connection, with everything that it was taken with. */
#pragma once

#include "connection.h"
#include "encap.h"
#include "endpoint.h"
#include "policy.h"

/*
 * Takes the verdict of a connection, or takes it again: for each end that is here by its policy
 * set. A local end has the identity that weft_endpoints says; a remote opener keeps that of its
 * packets.
 */
WEFT_SEPARATE int connection_judge(struct weft_connection *entry, const struct packet *packet,
				   bool from_opener)
{
	const struct weft_endpoint *opener, *replier;
	__u8 verdict = WEFT_VERDICT_ALLOW;
	__be16 port;

	if (!entry || !packet)
		return WEFT_VERDICT_DENY;
	port = from_opener ? packet->destination_port : packet->source_port;

	/* Read before identities and sets: the agent writes them first, then the generation. */
	entry->identity_generation = WEFT_LIVENESS_POLICY(cluster_liveness(entry->cluster));
	opener = endpoint_find(from_opener ? &packet->source : &packet->destination);
	replier = endpoint_find(from_opener ? &packet->destination : &packet->source);
	if (opener && !(entry->flags & WEFT_CONNECTION_FROM_OVERLAY))
		entry->opener_identity = opener->identity;
	if (replier)
		entry->replier_identity = replier->identity;
	if (opener && opener->flags & WEFT_ENDPOINT_LOCAL) {
		entry->policy_set = opener->policy_set;
		verdict |= policy_verdict(opener->policy_set, WEFT_EGRESS, entry->replier_identity,
					  packet->protocol, port);
	}
	if (replier && replier->flags & WEFT_ENDPOINT_LOCAL) {
		entry->policy_set = replier->policy_set;
		verdict |= policy_verdict(replier->policy_set, WEFT_INGRESS,
					  entry->opener_identity, packet->protocol, port);
	}
	entry->verdict = verdict;
	return verdict;
}

/*
 * Fills in the remote side of a new connection: cluster and node, their generations, and where
 * packets to the node are sent. Generations are read first, so that a change in between is seen as
 * one. Returns 0 or a drop reason.
 */
static __always_inline int connection_set_remote(struct weft_connection *entry, __u32 node,
						 __u16 cluster)
{
	const struct weft_tunnel *tunnel;

	entry->node = node;
	entry->cluster = cluster;
	entry->cluster_generation = WEFT_LIVENESS_GENERATION(cluster_liveness(cluster));
	entry->node_generation = WEFT_LIVENESS_GENERATION(node_liveness(node));
	tunnel = tunnel_at(node);
	entry->mtu = tunnel_mtu(tunnel);
	if (!tunnel)
		return WEFT_DROP_NO_TUNNEL;
	entry->outer = tunnel->address;
	return 0;
}

/* Follows a node to its new underlay address. */
static __always_inline void connection_refresh_remote(struct weft_connection *entry,
						      weft_liveness word)
{
	const struct weft_tunnel *tunnel = tunnel_at(entry->node);

	if (tunnel) {
		entry->outer = tunnel->address;
		entry->mtu = tunnel_mtu(tunnel);
	}
	entry->node_generation = WEFT_LIVENESS_GENERATION(word);
}
