/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stays on the link between an endpoint and its node: ARP and neighbour discovery. The host
 * answers for the gateway; a lie about who one is goes no further.
 */
#pragma once

#include "counter.h"
#include "endpoint.h"
#include "parse.h"

struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender[4];
	__u8 target_mac[ETH_ALEN];
	__u8 target[4];
};

static __always_inline int leave_to_host(struct __sk_buff *skb)
{
	count(WEFT_COUNTER_TO_HOST, skb->len);
	return TC_ACT_OK;
}

/* The endpoint behind this interface, if the address is its own. */
static __always_inline const struct weft_endpoint *owner_find(struct __sk_buff *skb,
							      const struct weft_address *address)
{
	const struct weft_endpoint *endpoint = endpoint_find_local(address);

	return endpoint && endpoint->ifindex == skb->ifindex ? endpoint : 0;
}

WEFT_SEPARATE int arp_from_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	struct arp_ipv4 arp;
	__be32 sender;

	if (!packet)
		return -WEFT_DROP_MALFORMED;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &arp, sizeof(arp)))
		return -WEFT_DROP_MALFORMED;
	__builtin_memcpy(&sender, arp.sender, sizeof(sender));
	address_from_ipv4(&packet->source, sender);
	if (!owner_find(skb, &packet->source))
		return -WEFT_DROP_INVALID_ARP;
	return leave_to_host(skb);
}

static __always_inline bool is_link_scope(const struct packet *packet)
{
	return address_is_link_local(&packet->source) || address_is_zero(&packet->source) ||
	       address_is_link_local(&packet->destination) ||
	       address_is_link_multicast(&packet->destination);
}

/* IPv6 that stays on the link: neighbour discovery and what the host may want to hear. */
WEFT_SEPARATE int link_from_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	struct weft_address target;
	bool own_link;

	if (!packet)
		return -WEFT_DROP_MALFORMED;
	own_link = address_is_link_local(&packet->source) || address_is_zero(&packet->source);
	if (own_link && !address_is_link_local(&packet->destination) &&
	    !address_is_link_multicast(&packet->destination))
		return -WEFT_DROP_INVALID_SOURCE;
	if (!own_link && !owner_find(skb, &packet->source))
		return -WEFT_DROP_INVALID_SOURCE;
	if (packet->protocol != IPPROTO_ICMPV6)
		return leave_to_host(skb);
	if (packet->icmp_type == WEFT_ICMPV6_ROUTER_ADVERTISEMENT ||
	    packet->icmp_type == WEFT_ICMPV6_REDIRECT)
		return -WEFT_DROP_INVALID_ARP;
	if (packet->icmp_type == WEFT_ICMPV6_NEIGHBOUR_ADVERTISEMENT) {
		if (bpf_skb_load_bytes(skb, packet->transport + sizeof(struct icmp_header),
				       &target, sizeof(target)))
			return -WEFT_DROP_MALFORMED;
		if (!address_is_link_local(&target) && !owner_find(skb, &target))
			return -WEFT_DROP_INVALID_ARP;
	}
	return leave_to_host(skb);
}
