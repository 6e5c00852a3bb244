/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who isn't of the mesh: this node itself, other nodes, the world. The host's stack leads to them. */
#pragma once

#include "connection.h"
#include "encap.h"
#include "endpoint.h"

/* Local parts of an identity that are the same in every cluster. */
enum weft_reserved_identity {
	WEFT_IDENTITY_HOST = 1,
	WEFT_IDENTITY_WORLD = 2,	/* of no cluster */
	WEFT_IDENTITY_REMOTE_NODE = 6,
};

enum {
	/* Address families, as the kernel has them. */
	WEFT_AF_INET = 2,
	WEFT_AF_INET6 = 10,
};

static __always_inline __u32 identity_of_host(void)
{
	return (__u32)weft_config.cluster << 20 | WEFT_IDENTITY_HOST;
}

/* The identity of an address outside the mesh that isn't this node's. */
static __always_inline __u32 identity_beyond(const struct weft_address *address)
{
	struct weft_address key = *address;
	const struct weft_outer_source *node = bpf_map_lookup_elem(&weft_outer_sources, &key);

	/* This node's own says nothing: it is the host's, or of whoever the host masquerades. */
	return node && node->node != WEFT_NODE_LOCAL
		       ? (__u32)node->cluster << 20 | WEFT_IDENTITY_REMOTE_NODE
		       : WEFT_IDENTITY_WORLD;
}

static __always_inline bool address_is_multicast(const struct weft_address *address)
{
	if (!address_is_ipv4(address))
		return (address->word0 & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
	return (address->word3 & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) ||
	       address->word3 == 0xffffffff;
}

/* What the host's stack would do with the packet, if it came in at this interface: BPF_FIB_LKUP_RET_… */
static __always_inline long route_find(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_fib_lookup route = {};

	route.family = packet->ipv6 ? WEFT_AF_INET6 : WEFT_AF_INET;
	route.l4_protocol = packet->protocol;
	route.ifindex = skb->ifindex;
	if (packet->ipv6) {
		__builtin_memcpy(route.ipv6_src, &packet->source, sizeof(route.ipv6_src));
		__builtin_memcpy(route.ipv6_dst, &packet->destination, sizeof(route.ipv6_dst));
	} else {
		route.ipv4_src = packet->source.word3;
		route.ipv4_dst = packet->destination.word3;
	}
	return bpf_fib_lookup(skb, &route, sizeof(route), 0);
}

/*
 * Whether the host's stack keeps what is sent to the destination from this interface. The stack's
 * answer is the same for an address without any route, which it drops; where it doesn't forward at
 * all it doesn't say, and the address is taken for somebody else's.
 */
static __always_inline bool is_host_address(struct __sk_buff *skb, const struct packet *packet)
{
	/* Field by field: a volatile structure has no address that could be passed on. */
	if (packet->destination.word3 == weft_config.outer_source.word3 &&
	    packet->destination.word2 == weft_config.outer_source.word2 &&
	    packet->destination.word1 == weft_config.outer_source.word1 &&
	    packet->destination.word0 == weft_config.outer_source.word0)
		return true;
	return route_find(skb, packet) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Whether the packet, left to the host, may leave it again. */
WEFT_SEPARATE bool is_forwarded(struct __sk_buff *skb, const struct packet *packet)
{
	long route;

	if (!packet)
		return true;
	route = route_find(skb, packet);
	return route != BPF_FIB_LKUP_RET_NOT_FWDED && route != BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* The identity of what an endpoint's packet is for, outside the mesh. */
WEFT_SEPARATE __u32 identity_of_destination(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 identity;

	if (!packet)
		return WEFT_IDENTITY_WORLD;
	identity = identity_beyond(&packet->destination);
	return identity == WEFT_IDENTITY_WORLD && is_host_address(skb, packet) ? identity_of_host()
									       : identity;
}

/*
 * Fills in that the remote side of a new connection is reached through the host's stack: no
 * cluster's word but that of 0 says anything about it, and no node's. connection_judge() keeps the
 * identity that the caller sets, as no row has it.
 */
static __always_inline void connection_set_outside(struct weft_connection *entry)
{
	entry->flags |= WEFT_CONNECTION_HOST;
	entry->cluster = 0;
	entry->node = WEFT_NODE_UNKNOWN;
}
