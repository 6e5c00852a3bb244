/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet and what its headers say. The cursor moves over the headers and returns what it found,
 * or NULL when the packet ends before.
 */
#pragma once

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "address.h"

enum {
	WEFT_EXTENSION_HEADERS_MAX = 6,	/* IPv6 extension headers looked through */
	WEFT_PULL_BYTES = 192,		/* made linear when a header is not */
	WEFT_HOP_LIMIT = 64,		/* of packets that the datapath makes */
	/* packet->fragment */
	WEFT_FRAGMENT_MORE = 0x2000,
	WEFT_FRAGMENT_OFFSET = 0x1fff,
};

/* Of both families; <linux/icmp.h> drags the C library in. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;	/* echo; with `sequence` the second word of other messages */
	__be16 sequence;
};

enum weft_icmp {
	WEFT_ICMP_ECHO_REPLY = 0,
	WEFT_ICMP_UNREACHABLE = 3,
	WEFT_ICMP_UNREACHABLE_PORT = 3,
	WEFT_ICMP_UNREACHABLE_TOO_BIG = 4,
	WEFT_ICMP_UNREACHABLE_PROHIBITED = 13,
	WEFT_ICMP_ECHO = 8,
	WEFT_ICMP_TIME_EXCEEDED = 11,
	WEFT_ICMP_PARAMETER_PROBLEM = 12,
	WEFT_ICMPV6_UNREACHABLE = 1,
	WEFT_ICMPV6_UNREACHABLE_PROHIBITED = 1,
	WEFT_ICMPV6_UNREACHABLE_PORT = 4,
	WEFT_ICMPV6_TOO_BIG = 2,
	WEFT_ICMPV6_ECHO = 128,
	WEFT_ICMPV6_ECHO_REPLY = 129,
	WEFT_ICMPV6_ROUTER_SOLICITATION = 133,
	WEFT_ICMPV6_ROUTER_ADVERTISEMENT = 134,
	WEFT_ICMPV6_NEIGHBOUR_SOLICITATION = 135,
	WEFT_ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136,
	WEFT_ICMPV6_REDIRECT = 137,
	/* Requests with the next number as their answer. */
	WEFT_ICMP_TIMESTAMP = 13,	/* also information and address mask: 15, 17 */
	WEFT_ICMP_ADDRESS_MASK_REPLY = 18,
	WEFT_ICMPV6_NODE_QUERY = 139,
	WEFT_ICMPV6_NODE_REPLY = 140,
};

enum weft_tcp_flag {
	WEFT_TCP_FIN = 1 << 0,
	WEFT_TCP_SYN = 1 << 1,
	WEFT_TCP_RST = 1 << 2,
	WEFT_TCP_ACK = 1 << 4,
};

/* No pointers and no padding, for it goes to functions that the verifier checks separately. */
struct packet {
	struct weft_address source;
	struct weft_address destination;	/* the backend once a service was translated */
	struct weft_address frontend;		/* translated: the destination in the packet */
	__be16 source_port;			/* ICMP: see icmp_ports() */
	__be16 destination_port;
	__be16 frontend_port;
	__u16 transport;			/* offset of the transport header */
	__u32 length;				/* as the IP header says */
	__u32 source_identity;			/* as far as known, for events */
	__u32 destination_identity;		/* likewise */
	__be32 fragment_id;			/* IPv4: the identification's two bytes */
	__u16 fragment_start;			/* offset of what was cut into fragments */
	__u16 fragment;		/* 0 whole; else its place in units of 8 bytes and WEFT_FRAGMENT_MORE */
	__u16 path_mtu;				/* what would have fitted */
	__u8 is_judged;				/* a policy denied it: policy_scratch() says which */
	__u8 pad;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 hop_limit;
	__u8 ipv6;
	__u8 has_ports;				/* TCP or UDP */
	__u8 is_error;				/* an ICMP error */
	__u8 translated;
};

WEFT_ASSERT_SIZE(struct packet, 88);

/* Whether the packet lacks its transport header. */
static __always_inline bool packet_is_later_fragment(const struct packet *packet)
{
	return packet->fragment & WEFT_FRAGMENT_OFFSET;
}

struct cursor {
	void *position;
	void *end;
};

static __always_inline struct cursor cursor_at(struct __sk_buff *skb, __u32 offset)
{
	return (struct cursor){
		.position = (void *)(long)skb->data + offset,
		.end = (void *)(long)skb->data_end,
	};
}

static __always_inline void *cursor_take(struct cursor *cursor, __u32 size)
{
	void *start = cursor->position;

	if (start + size > cursor->end)
		return 0;
	cursor->position = start + size;
	return start;
}

static __always_inline bool is_extension_header(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_AH ||
	       protocol == IPPROTO_DSTOPTS;
}

/*
 * Moves packet->transport and packet->protocol behind IPv6's extension headers.
 * Returns 0 or a drop reason.
 */
WEFT_SEPARATE int skip_extension_headers(struct __sk_buff *skb, struct packet *packet)
{
	struct { __u8 next, length; __be16 fragment; __be32 id; } header;	/* none is shorter */
	__u16 fragment;

	if (!packet)
		return WEFT_DROP_MALFORMED;
	for (int i = 0; i < WEFT_EXTENSION_HEADERS_MAX; i++) {
		if (!is_extension_header(packet->protocol))
			return 0;
		if (bpf_skb_load_bytes(skb, packet->transport, &header, sizeof(header)))
			return WEFT_DROP_MALFORMED;
		if (packet->protocol == IPPROTO_FRAGMENT) {
			if (packet->fragment)
				return WEFT_DROP_MALFORMED;
			fragment = bpf_ntohs(header.fragment);
			packet->transport += 8;
			packet->fragment = fragment >> 3 | (fragment & 1 ? WEFT_FRAGMENT_MORE : 0);
			packet->fragment_id = header.id;
			packet->fragment_start = packet->transport;
			if (packet_is_later_fragment(packet))
				return WEFT_DROP_FRAGMENT;
		} else if (packet->protocol == IPPROTO_AH) {
			packet->transport += (header.length + 2) * 4;
		} else {
			packet->transport += (header.length + 1) * 8;
		}
		packet->protocol = header.next;
	}
	return is_extension_header(packet->protocol) ? WEFT_DROP_MALFORMED : 0;
}

/* The type of the request that an ICMP message is or answers; that of any other is its own. */
static __always_inline __u8 icmp_request(__u8 type, bool ipv6)
{
	if (ipv6) {
		if (type == WEFT_ICMPV6_ECHO_REPLY)
			return WEFT_ICMPV6_ECHO;
		return type == WEFT_ICMPV6_NODE_REPLY ? WEFT_ICMPV6_NODE_QUERY : type;
	}
	if (type == WEFT_ICMP_ECHO_REPLY)
		return WEFT_ICMP_ECHO;
	if (type >= WEFT_ICMP_TIMESTAMP && type <= WEFT_ICMP_ADDRESS_MASK_REPLY)
		return (type - 1) | 1;
	return type;
}

/*
 * What tells flows of ICMP apart: the identifier of an echo stands at both ends. That of another
 * message isn't looked at; its request's type stands at the end that asks and 0 at the other, so
 * that no flow of one type is one of another.
 */
static __always_inline void icmp_ports(__u8 type, __be16 id, bool ipv6, __be16 *source,
				       __be16 *destination)
{
	__u8 request = icmp_request(type, ipv6);

	*source = *destination = 0;
	if (request == (ipv6 ? WEFT_ICMPV6_ECHO : WEFT_ICMP_ECHO))
		*source = *destination = id;
	else if (type == request)
		*source = bpf_htons(request);
	else
		*destination = bpf_htons(request);
}

static __always_inline int parse_transport(struct __sk_buff *skb, struct packet *packet)
{
	/* The offset's bound is for the verifier: 6 extension headers of 2,048 bytes fit. */
	struct cursor cursor = cursor_at(skb, packet->transport & 0x3fff);

	switch (packet->protocol) {
	case IPPROTO_TCP: {
		struct tcphdr *tcp = cursor_take(&cursor, sizeof(*tcp));

		if (!tcp || tcp->doff < 5)
			return WEFT_DROP_MALFORMED;
		packet->source_port = tcp->source;
		packet->destination_port = tcp->dest;
		packet->tcp_flags = ((__u8 *)tcp)[13];
		packet->has_ports = 1;
		return 0;
	}
	case IPPROTO_UDP: {
		struct udphdr *udp = cursor_take(&cursor, sizeof(*udp));

		if (!udp)
			return WEFT_DROP_MALFORMED;
		packet->source_port = udp->source;
		packet->destination_port = udp->dest;
		packet->has_ports = 1;
		return 0;
	}
	case IPPROTO_SCTP: {
		/* Its common header begins as UDP's does, and has 12 bytes. */
		struct udphdr *sctp = cursor_take(&cursor, 12);

		if (!sctp)
			return WEFT_DROP_MALFORMED;
		packet->source_port = sctp->source;
		packet->destination_port = sctp->dest;
		return 0;
	}
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: {
		struct icmp_header *icmp = cursor_take(&cursor, sizeof(*icmp));
		bool v6 = packet->protocol == IPPROTO_ICMPV6;

		if (!icmp)
			return WEFT_DROP_MALFORMED;
		packet->icmp_type = icmp->type;
		packet->is_error = v6 ? icmp->type < WEFT_ICMPV6_ECHO
				      : icmp->type == WEFT_ICMP_UNREACHABLE ||
						icmp->type == WEFT_ICMP_TIME_EXCEEDED ||
						icmp->type == WEFT_ICMP_PARAMETER_PROBLEM;
		icmp_ports(icmp->type, icmp->id, v6, &packet->source_port,
			   &packet->destination_port);
		return 0;
	}
	default:
		return 0;
	}
}

static __always_inline int parse_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor cursor = cursor_at(skb, ETH_HLEN);
	struct iphdr *ip = cursor_take(&cursor, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return WEFT_DROP_MALFORMED;
	/* A total length of zero means more than 65,535 bytes, which only segmentation makes. */
	packet->length = ip->tot_len ? bpf_ntohs(ip->tot_len) : skb->len - ETH_HLEN;
	if (packet->length < ip->ihl * 4 || packet->length > skb->len - ETH_HLEN)
		return WEFT_DROP_MALFORMED;
	address_from_ipv4(&packet->source, ip->saddr);
	address_from_ipv4(&packet->destination, ip->daddr);
	packet->protocol = ip->protocol;
	packet->hop_limit = ip->ttl;
	packet->transport = ETH_HLEN + ip->ihl * 4;
	packet->fragment = bpf_ntohs(ip->frag_off) & (WEFT_FRAGMENT_MORE | WEFT_FRAGMENT_OFFSET);
	if (packet->fragment) {
		packet->fragment_id = ip->id;
		packet->fragment_start = packet->transport;
	}
	if (packet_is_later_fragment(packet))
		return WEFT_DROP_FRAGMENT;
	return parse_transport(skb, packet);
}

static __always_inline int parse_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor cursor = cursor_at(skb, ETH_HLEN);
	struct ipv6hdr *ip = cursor_take(&cursor, sizeof(*ip));

	if (!ip || ip->version != 6)
		return WEFT_DROP_MALFORMED;
	/* A payload length of zero: a jumbogram, which only segmentation makes. */
	packet->length = ip->payload_len ? bpf_ntohs(ip->payload_len) + sizeof(*ip)
					 : skb->len - ETH_HLEN;
	if (packet->length > skb->len - ETH_HLEN)
		return WEFT_DROP_MALFORMED;
	__builtin_memcpy(&packet->source, &ip->saddr, sizeof(packet->source));
	__builtin_memcpy(&packet->destination, &ip->daddr, sizeof(packet->destination));
	/* Every table would take it for IPv4, and the stack drops it anyway. */
	if (address_is_ipv4(&packet->source) || address_is_ipv4(&packet->destination))
		return WEFT_DROP_MALFORMED;
	packet->protocol = ip->nexthdr;
	packet->hop_limit = ip->hop_limit;
	packet->transport = ETH_HLEN + sizeof(*ip);
	packet->ipv6 = 1;
	if (is_extension_header(packet->protocol)) {
		int reason = skip_extension_headers(skb, packet);

		if (reason)
			return reason;
	}
	return parse_transport(skb, packet);
}

/* Fills in the packet; of a later fragment, for which WEFT_DROP_FRAGMENT is returned, all but what its
 * first one says. Returns 0 or a drop reason. */
static __always_inline int parse(struct __sk_buff *skb, struct packet *packet)
{

	/* Headers usually are linear; a longer first part costs a copy, so only if they are not. */
	if (skb->data_end - skb->data < skb->len && skb->data_end - skb->data < WEFT_PULL_BYTES) {
		__u32 length = skb->len;

		if (bpf_skb_pull_data(skb, length < WEFT_PULL_BYTES ? length : WEFT_PULL_BYTES))
			return WEFT_DROP_MALFORMED;
	}
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(skb, packet);
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(skb, packet);
	return WEFT_DROP_UNKNOWN_PROTOCOL;
}

static __always_inline bool packet_is_icmp(const struct packet *packet)
{
	return packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6;
}

static __always_inline bool packet_opens_tcp(const struct packet *packet)
{
	return packet->protocol == IPPROTO_TCP &&
	       (packet->tcp_flags & (WEFT_TCP_SYN | WEFT_TCP_ACK | WEFT_TCP_RST)) == WEFT_TCP_SYN;
}
