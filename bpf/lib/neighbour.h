/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What stays on the link between an endpoint and its node: ARP and neighbour discovery. The host
 * answers for the gateway; a lie about who one is goes no further: neither an address that isn't the
 * endpoint's, nor a hardware address that isn't the frame's.
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

enum {
	WEFT_ARP_ETHERNET = 1,
	WEFT_NEIGHBOUR_OPTIONS_MAX = 4,	/* options of a neighbour message looked through */
	/* Types of options. */
	WEFT_OPTION_SOURCE_LINK_ADDRESS = 1,
	WEFT_OPTION_TARGET_LINK_ADDRESS = 2,
};

/* An option of neighbour discovery, as long as Ethernet's addresses make it. */
struct neighbour_option {
	__u8 type;
	__u8 length;	/* in units of 8 bytes */
	__u8 mac[ETH_ALEN];
};

/* Whether the frame comes from this hardware address. */
static __always_inline bool is_frame_source(struct __sk_buff *skb, const __u8 *mac)
{
	struct { __u16 a, b, c; } source, claimed;

	__builtin_memcpy(&claimed, mac, sizeof(claimed));
	return !bpf_skb_load_bytes(skb, ETH_ALEN, &source, sizeof(source)) &&
	       source.a == claimed.a && source.b == claimed.b && source.c == claimed.c;
}

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
	if (arp.hardware != bpf_htons(WEFT_ARP_ETHERNET) || arp.protocol != bpf_htons(ETH_P_IP) ||
	    arp.hardware_length != ETH_ALEN || arp.protocol_length != sizeof(sender) ||
	    !owner_find(skb, &packet->source) || !is_frame_source(skb, arp.sender_mac))
		return -WEFT_DROP_INVALID_ARP;
	return leave_to_host(skb);
}

static __always_inline bool is_link_scope(const struct packet *packet)
{
	return address_is_link_local(&packet->source) || address_is_zero(&packet->source) ||
	       address_is_link_local(&packet->destination) ||
	       address_is_link_multicast(&packet->destination);
}

/* Neighbour discovery goes from link to link with its hop limit untouched (RFC 4861 §6.1), whatever
 * addresses it uses. */
static __always_inline bool is_neighbour_discovery(const struct packet *packet)
{
	return packet->protocol == IPPROTO_ICMPV6 && packet->hop_limit == 255 &&
	       packet->icmp_type >= WEFT_ICMPV6_ROUTER_SOLICITATION &&
	       packet->icmp_type <= WEFT_ICMPV6_REDIRECT;
}

/* Whether it asks for a neighbour's hardware address, or answers that. */
static __always_inline bool is_neighbour_resolution(const struct packet *packet)
{
	return is_neighbour_discovery(packet) &&
	       (packet->icmp_type == WEFT_ICMPV6_NEIGHBOUR_SOLICITATION ||
		packet->icmp_type == WEFT_ICMPV6_NEIGHBOUR_ADVERTISEMENT);
}

/* Whether the frame is for the endpoint itself, across the bridge of another plugin. Without a bridge
 * the host's stack takes no frame that isn't for it. */
WEFT_SEPARATE bool is_across_bridge(struct __sk_buff *skb, const struct packet *packet)
{
	const struct weft_endpoint *endpoint;
	struct { __u16 a, b, c; } target, own;

	if (!packet || !is_neighbour_resolution(packet))
		return false;
	endpoint = endpoint_find_local(&packet->destination);
	if (!endpoint || bpf_skb_load_bytes(skb, 0, &target, sizeof(target)))
		return false;
	__builtin_memcpy(&own, &endpoint->mac_low, 4);
	own.c = endpoint->mac_high;
	return target.a == own.a && target.b == own.b && target.c == own.c;
}

/* Bytes of a neighbour message before its options. */
static __always_inline __u32 neighbour_message_bytes(const struct packet *packet)
{
	return packet->icmp_type == WEFT_ICMPV6_ROUTER_SOLICITATION
		       ? sizeof(struct icmp_header)
		       : sizeof(struct icmp_header) + sizeof(struct weft_address);
}

/* Whether a message's options name no hardware address but the frame's. */
WEFT_SEPARATE bool has_honest_options(struct __sk_buff *skb, const struct packet *packet)
{
	struct neighbour_option option;
	__u32 offset, end;

	if (!packet)
		return false;
	offset = packet->transport + neighbour_message_bytes(packet);
	end = ETH_HLEN + packet->length;
	for (int i = 0; i < WEFT_NEIGHBOUR_OPTIONS_MAX; i++) {
		if (offset >= end)
			return true;
		if (bpf_skb_load_bytes(skb, offset, &option, sizeof(option)) || !option.length)
			return false;
		if ((option.type == WEFT_OPTION_SOURCE_LINK_ADDRESS ||
		     option.type == WEFT_OPTION_TARGET_LINK_ADDRESS) &&
		    !is_frame_source(skb, option.mac))
			return false;
		offset += option.length * 8;
	}
	return offset >= end;
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
	/* RFC 6980: nobody believes a message that was cut. */
	if (packet->fragment && packet->icmp_type >= WEFT_ICMPV6_ROUTER_SOLICITATION &&
	    packet->icmp_type <= WEFT_ICMPV6_REDIRECT)
		return -WEFT_DROP_INVALID_ARP;
	if (packet->icmp_type == WEFT_ICMPV6_ROUTER_ADVERTISEMENT ||
	    packet->icmp_type == WEFT_ICMPV6_REDIRECT)
		return -WEFT_DROP_INVALID_ARP;
	if (packet->icmp_type != WEFT_ICMPV6_ROUTER_SOLICITATION &&
	    packet->icmp_type != WEFT_ICMPV6_NEIGHBOUR_SOLICITATION &&
	    packet->icmp_type != WEFT_ICMPV6_NEIGHBOUR_ADVERTISEMENT)
		return leave_to_host(skb);
	/* A solicitation without a source asks whether the address that it wants is taken. */
	if (packet->icmp_type == WEFT_ICMPV6_NEIGHBOUR_ADVERTISEMENT ||
	    (packet->icmp_type == WEFT_ICMPV6_NEIGHBOUR_SOLICITATION &&
	     address_is_zero(&packet->source))) {
		if (bpf_skb_load_bytes(skb, packet->transport + sizeof(struct icmp_header),
				       &target, sizeof(target)))
			return -WEFT_DROP_MALFORMED;
		if (!address_is_link_local(&target) && !owner_find(skb, &target))
			return -WEFT_DROP_INVALID_ARP;
	}
	return has_honest_options(skb, packet) ? leave_to_host(skb) : -WEFT_DROP_INVALID_ARP;
}
