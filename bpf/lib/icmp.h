/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP errors: the connection they speak of is in the header they quote. */
#pragma once

#include "connection.h"
#include "translate.h"

/* What an ICMP error quotes. */
struct quoted {
	struct weft_address source;
	struct weft_address destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 network;		/* offset of the quoted IP header */
	__u32 transport;
	__u16 protocol;
	__u16 from_opener;	/* the connection's opener sent what is quoted */
};

/* Reads the quoted header. False if it is none that a connection could have. */
WEFT_SEPARATE bool parse_quoted(struct __sk_buff *skb, const struct packet *packet,
				struct quoted *quoted)
{
	struct { __be16 source, destination, id, rest; } ports;

	if (!packet || !quoted)
		return false;
	quoted->network = packet->transport + sizeof(struct icmp_header);
	if (packet->ipv6) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes(skb, quoted->network, &ip, sizeof(ip)) || ip.version != 6)
			return false;
		__builtin_memcpy(&quoted->source, &ip.saddr, sizeof(quoted->source));
		__builtin_memcpy(&quoted->destination, &ip.daddr, sizeof(quoted->destination));
		quoted->protocol = ip.nexthdr;
		quoted->transport = quoted->network + sizeof(ip);
	} else {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, quoted->network, &ip, sizeof(ip)) || ip.version != 4 ||
		    ip.ihl < 5)
			return false;
		address_from_ipv4(&quoted->source, ip.saddr);
		address_from_ipv4(&quoted->destination, ip.daddr);
		quoted->protocol = ip.protocol;
		quoted->transport = quoted->network + ip.ihl * 4;
	}
	if (bpf_skb_load_bytes(skb, quoted->transport, &ports, sizeof(ports)))
		return false;
	switch (quoted->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		quoted->source_port = ports.source;
		quoted->destination_port = ports.destination;
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp_ports(*(__u8 *)&ports, ports.id, quoted->protocol == IPPROTO_ICMPV6,
			   &quoted->source_port, &quoted->destination_port);
		return true;
	default:
		return false;
	}
}

/*
 * Gives an error about a translated packet the frontend's address, as the opener knows it: in the
 * quote, and as the source if it comes from the backend. Returns 0 or a drop reason.
 */
WEFT_SEPARATE int translate_error(struct __sk_buff *skb, struct packet *packet,
				  struct quoted *quoted, struct weft_connection *entry)
{
	struct rewrite rewrite = {};
	__s64 difference;
	__u32 check;

	if (!packet || !quoted || !entry)
		return WEFT_DROP_REWRITE_FAILED;
	rewrite.from = quoted->destination;
	rewrite.from_port = quoted->destination_port;
	rewrite.to = entry->frontend;
	rewrite.to_port = entry->frontend_port;
	difference = address_difference(&rewrite);
	check = packet->transport + offsetof(struct icmp_header, checksum);

	/* IPv4's quoted address and its header's checksum change by opposite amounts; the quoted
	 * transport checksum isn't looked at by anybody. */
	if (packet->ipv6 && bpf_l4_csum_replace(skb, check, 0, difference, 0))
		return WEFT_DROP_REWRITE_FAILED;
	if (store_address(skb, packet, quoted->network, &rewrite, difference) ||
	    bpf_l4_csum_replace(skb, check, rewrite.from_port, rewrite.to_port,
				sizeof(rewrite.to_port)) ||
	    bpf_skb_store_bytes(skb, quoted->transport + 2, &rewrite.to_port,
				sizeof(rewrite.to_port), 0))
		return WEFT_DROP_REWRITE_FAILED;
	if (!address_equal(&packet->source, &quoted->destination))
		return 0;
	rewrite.is_source = 1;
	return rewrite_packet(skb, packet, &rewrite);
}

/* The connection that an error is about, NULL if it is none of ours. */
static __always_inline struct weft_connection *
error_connection(struct __sk_buff *skb, const struct packet *packet, struct quoted *quoted)
{
	struct weft_connection *about;
	struct flow flow = {};

	/* An error goes to who sent what it quotes. */
	if (!parse_quoted(skb, packet, quoted) ||
	    !address_equal(&quoted->source, &packet->destination))
		return 0;
	flow_key(&flow, &quoted->source, quoted->source_port, &quoted->destination,
		 quoted->destination_port, quoted->protocol, WEFT_SCOPE_CONNECTION);
	about = bpf_map_lookup_elem(&weft_connections, &flow.key);
	/* Only what the opener sent carries the frontend's address. */
	quoted->from_opener = about && flow_is_from_opener(&flow, about);
	return about;
}

/* Whether the error says that what it quotes found nobody. */
static __always_inline bool is_unreachable(struct __sk_buff *skb, const struct packet *packet,
					   const struct quoted *quoted)
{
	__u8 code;

	if (packet->icmp_type != (packet->ipv6 ? WEFT_ICMPV6_UNREACHABLE : WEFT_ICMP_UNREACHABLE) ||
	    bpf_skb_load_bytes(skb, packet->transport + offsetof(struct icmp_header, code), &code,
			       sizeof(code)))
		return false;
	if (quoted->protocol == IPPROTO_UDP)
		return code == (packet->ipv6 ? WEFT_ICMPV6_UNREACHABLE_PORT
					     : WEFT_ICMP_UNREACHABLE_PORT);
	return packet->ipv6 || code != WEFT_ICMP_UNREACHABLE_TOO_BIG;
}

/*
 * Notes an error about the first packet of an opener here. The caller says whether the sender may
 * speak for the backend: anybody else could put it under suspicion.
 */
WEFT_SEPARATE int evidence_of_error(struct __sk_buff *skb, const struct packet *packet,
				    const struct quoted *quoted, struct weft_connection *about)
{
	struct weft_evidence_key backend = {};

	if (!packet || !quoted || !about || !about->opener_ifindex || !quoted->from_opener ||
	    (quoted->protocol != IPPROTO_TCP && quoted->protocol != IPPROTO_UDP) ||
	    about->flags & (WEFT_CONNECTION_REPLIED | WEFT_CONNECTION_DENIED_AFAR) ||
	    !is_unreachable(skb, packet, quoted))
		return 0;
	backend.address = quoted->destination;
	backend.port = quoted->destination_port;
	backend.protocol = quoted->protocol;
	return evidence_note(&backend, about, WEFT_FAILURE_UNREACHABLE);
}

/* Translates the error back if the packet that it quotes was translated here. Returns 0 or a drop
 * reason. */
static __always_inline int restore_error(struct __sk_buff *skb, struct packet *packet, struct quoted *quoted,
					 struct weft_connection *about)
{
	if (!quoted->from_opener || !(connection_flags(about) & WEFT_CONNECTION_TRANSLATED))
		return 0;
	return translate_error(skb, packet, quoted, about);
}
