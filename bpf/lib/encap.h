/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The overlay: where nodes are reached, and the tunnel metadata of a packet. */
#pragma once

#include "address.h"
#include "identity.h"

/* Indexed like weft_nodes. Written by the agent, through a memory mapping: the address first, then
 * the node's word with a new generation. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct weft_tunnel);
	__uint(max_entries, WEFT_NODES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_tunnels SEC(".maps");

/* Every address that a node announced to send from. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct weft_address);
	__type(value, struct weft_outer_source);
	__uint(max_entries, 65536);
} weft_outer_sources SEC(".maps");

enum {
	WEFT_OVERHEAD_IPV4 = 50,	/* Ethernet, VXLAN, UDP, IPv4 */
	WEFT_OVERHEAD_IPV6 = 70,
};

static __always_inline const struct weft_tunnel *tunnel_at(__u32 node)
{
	const struct weft_tunnel *tunnel = bpf_map_lookup_elem(&weft_tunnels, &node);

	return tunnel && !address_is_zero(&tunnel->address) ? tunnel : 0;
}

static __always_inline bool underlay_is_ipv4(void)
{
	/* Field by field: a volatile structure has no address that could be passed on. */
	return !weft_config.outer_source.word0 && !weft_config.outer_source.word1 &&
	       weft_config.outer_source.word2 == WEFT_MAPPED_PREFIX;
}

/* Bytes of the largest packet to a node, without the Ethernet header. */
static __always_inline __u16 tunnel_mtu(const struct weft_tunnel *tunnel)
{
	__u16 own = weft_config.underlay_mtu -
		    (underlay_is_ipv4() ? WEFT_OVERHEAD_IPV4 : WEFT_OVERHEAD_IPV6);

	return tunnel && tunnel->mtu && tunnel->mtu < own ? tunnel->mtu : own;
}

/* Writes the tunnel metadata; marks are some of WEFT_OVERLAY_MARKS. Returns 0, or below zero if the
 * kernel refused. */
static __always_inline long encapsulate(struct __sk_buff *skb, const struct weft_address *outer,
					__u32 identity, __u32 marks)
{
	struct bpf_tunnel_key key = { .tunnel_ttl = 64 };
	/* Else the outer packet is silently fragmented. */
	__u64 flags = BPF_F_DONT_FRAGMENT;
	struct group_policy policy;
	long error;

	identity_encode(identity, marks, &key.tunnel_id, &policy);
	/* The source is pinned: receivers know a node by it. */
	if (underlay_is_ipv4()) {
		key.remote_ipv4 = bpf_ntohl(outer->word3);
		key.local_ipv4 = bpf_ntohl(weft_config.outer_source.word3);
		flags |= BPF_F_ZERO_CSUM_TX;	/* receivers on IPv6 drop it */
	} else {
		key.remote_ipv6[0] = outer->word0;
		key.remote_ipv6[1] = outer->word1;
		key.remote_ipv6[2] = outer->word2;
		key.remote_ipv6[3] = outer->word3;
		key.local_ipv6[0] = weft_config.outer_source.word0;
		key.local_ipv6[1] = weft_config.outer_source.word1;
		key.local_ipv6[2] = weft_config.outer_source.word2;
		key.local_ipv6[3] = weft_config.outer_source.word3;
		flags |= BPF_F_TUNINFO_IPV6;
	}
	error = bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
	return error ? error : bpf_skb_set_tunnel_opt(skb, &policy, sizeof(policy));
}

/* Who sent an overlay packet, as its outer headers say. */
struct origin {
	struct weft_address outer;
	__u32 identity;
	__u32 node;	/* WEFT_NODE_UNKNOWN if it can't be told */
	__u32 marks;	/* of WEFT_OVERLAY_MARKS */
};

/* Reads the tunnel metadata. Returns 0 or a drop reason. */
WEFT_SEPARATE int decapsulate(struct __sk_buff *skb, struct origin *origin)
{
	struct bpf_tunnel_key key = {};
	struct group_policy policy = {};
	bool ipv4 = underlay_is_ipv4();

	if (!origin ||
	    bpf_skb_get_tunnel_key(skb, &key, sizeof(key), ipv4 ? 0 : BPF_F_TUNINFO_IPV6) ||
	    bpf_skb_get_tunnel_opt(skb, &policy, sizeof(policy)) != sizeof(policy) ||
	    !identity_decode(key.tunnel_id, &policy, &origin->identity))
		return WEFT_DROP_NO_IDENTITY;
	origin->marks = policy.value & WEFT_OVERLAY_MARKS;
	if (ipv4)
		address_from_ipv4(&origin->outer, bpf_htonl(key.remote_ipv4));
	else
		__builtin_memcpy(&origin->outer, key.remote_ipv6, sizeof(origin->outer));
	return 0;
}
