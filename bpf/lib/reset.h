/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers to an endpoint's packet, in the name of its destination: TCP RST, ICMP errors. They are
 * made of the packet itself, so it must still be as it came.
 */
#pragma once

#include "checksum.h"
#include "drop.h"

enum {
	/* Quoted of the packet: its IP header and what names the ports (all of TCP's fixed header,
	 * below which the kernel doesn't cut a packet that waits for its checksum). */
	WEFT_QUOTE_MIN = sizeof(struct iphdr) + 8,
	WEFT_QUOTE_MAX = 96,
	WEFT_TCP_FLAGS_OFFSET = 13,
	WEFT_TCP_WORDS = sizeof(struct tcphdr) / 4,
};

/* The destination in the packet's bytes, which is not the backend's. */
static __always_inline const struct weft_address *packet_target(const struct packet *packet)
{
	return packet->translated ? &packet->frontend : &packet->destination;
}

static __always_inline struct pseudo_header answer_pseudo_header(const struct packet *packet,
								 __u8 protocol, __u32 length)
{
	return (struct pseudo_header){
		.source = *packet_target(packet),
		.destination = packet->source,
		.length = bpf_htonl(length),
		.protocol = bpf_htonl(protocol),
	};
}

/* Sizes the packet for `payload` bytes behind an IP header, and writes that header. */
static __always_inline long answer_begin(struct __sk_buff *skb, const struct packet *packet,
					 __u8 protocol, __u32 payload)
{
	struct weft_address source = *packet_target(packet);

	if (packet->ipv6) {
		struct ipv6hdr ip = {
			.version = 6,
			.payload_len = bpf_htons(payload),
			.nexthdr = protocol,
			.hop_limit = WEFT_HOP_LIMIT,
		};

		__builtin_memcpy(&ip.saddr, &source, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, &packet->source, sizeof(ip.daddr));
		return bpf_skb_change_tail(skb, ETH_HLEN + sizeof(ip) + payload, 0) ?:
		       bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
	}
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(ip) + payload),
		.ttl = WEFT_HOP_LIMIT,
		.protocol = protocol,
		.saddr = source.word3,
		.daddr = packet->source.word3,
	};

	ip.check = checksum_fold(checksum_add(0, &ip, sizeof(ip)));
	return bpf_skb_change_tail(skb, ETH_HLEN + sizeof(ip) + payload, 0) ?:
	       bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline __u32 answer_transport(const struct packet *packet)
{
	return ETH_HLEN + (packet->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* Lets the hardware addresses change places. Returns 0, or below zero if the kernel refused. */
static __always_inline long answer_turn_frame(struct __sk_buff *skb)
{
	__u8 addresses[2 * ETH_ALEN];
	__u8 swapped[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, addresses, sizeof(addresses)))
		return -1;
	__builtin_memcpy(swapped, addresses + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, addresses, ETH_ALEN);
	return bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), 0);
}

/* Sends an answer back into the endpoint's namespace, if it could be made: a plain redirect hangs if
 * the endpoint's checksum offload is off. */
static __always_inline int answer_send(struct __sk_buff *skb, struct packet *packet, int reason)
{
	if (reason || answer_turn_frame(skb) || bpf_skb_change_type(skb, WEFT_PACKET_HOST))
		return drop(skb, packet, WEFT_DROP_REWRITE_FAILED);
	return bpf_redirect_peer(skb->ifindex, 0);
}

/*
 * Turns a segment into its answer. Returns 0 or a drop reason.
 *
 * RFC 9293 §3.10.7.1: a segment to what doesn't exist is answered with a RST, but never a RST.
 */
WEFT_SEPARATE int make_tcp_reset(struct __sk_buff *skb, struct packet *packet)
{
	struct tcphdr tcp, reset = {};
	struct pseudo_header pseudo;
	__u32 payload, sum;

	if (!packet)
		return WEFT_DROP_REWRITE_FAILED;
	if (bpf_skb_load_bytes(skb, packet->transport, &tcp, sizeof(tcp)))
		return WEFT_DROP_REWRITE_FAILED;
	/* Of a segment that is yet to be cut, the IP header may not know the length. */
	payload = (skb->gso_size ? skb->len : packet->length + ETH_HLEN) -
		  packet->transport - tcp.doff * 4;
	reset.source = tcp.dest;
	reset.dest = tcp.source;
	reset.seq = tcp.ack_seq;
	reset.ack_seq = bpf_htonl(bpf_ntohl(tcp.seq) + payload + tcp.syn + tcp.fin);
	reset.doff = sizeof(reset) / 4;
	reset.rst = 1;
	reset.ack = 1;

	pseudo = answer_pseudo_header(packet, IPPROTO_TCP, sizeof(reset));
	sum = checksum_add(0, &pseudo, sizeof(pseudo));
	reset.check = checksum_fold(checksum_add(sum, &reset, sizeof(reset)));
	if (answer_begin(skb, packet, IPPROTO_TCP, sizeof(reset)) ||
	    bpf_skb_store_bytes(skb, answer_transport(packet), &reset, sizeof(reset),
				BPF_F_RECOMPUTE_CSUM))
		return WEFT_DROP_REWRITE_FAILED;
	return 0;
}

/*
 * Turns the packet into an ICMP error that quotes it. Type and code are the packet's family's; `rest`
 * is the second word of the ICMP header in network byte order. Returns 0 or a drop reason.
 */
WEFT_SEPARATE int make_icmp_error(struct __sk_buff *skb, struct packet *packet, __u8 type,
				    __u8 code, __be32 rest)
{
	struct { struct icmp_header icmp; __u8 quote[WEFT_QUOTE_MAX]; } answer = {};
	__u32 quote, sum = 0;

	if (!packet)
		return WEFT_DROP_REWRITE_FAILED;
	quote = packet->transport - ETH_HLEN +
		(packet->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : 8);
	if (quote > WEFT_QUOTE_MAX)
		quote = WEFT_QUOTE_MAX;
	if (quote < WEFT_QUOTE_MIN)	/* for the verifier: a header was parsed */
		return WEFT_DROP_REWRITE_FAILED;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, answer.quote, quote))
		return WEFT_DROP_REWRITE_FAILED;
	answer.icmp.type = type;
	answer.icmp.code = code;
	__builtin_memcpy(&answer.icmp.id, &rest, sizeof(rest));
	if (packet->ipv6) {
		struct pseudo_header pseudo = answer_pseudo_header(packet, IPPROTO_ICMPV6,
								   sizeof(answer.icmp) + quote);

		sum = checksum_add(0, &pseudo, sizeof(pseudo));
	}
	/* What lies behind the quote is zero and adds nothing. */
	answer.icmp.checksum = checksum_fold(checksum_add(sum, &answer, sizeof(answer)));
	if (answer_begin(skb, packet, packet->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			 sizeof(answer.icmp) + quote) ||
	    bpf_skb_store_bytes(skb, answer_transport(packet), &answer,
				sizeof(answer.icmp) + quote, BPF_F_RECOMPUTE_CSUM))
		return WEFT_DROP_REWRITE_FAILED;
	return 0;
}

/* Tells the endpoint that nobody is there: RST for TCP, port unreachable for UDP, silence else. */
static __always_inline int answer_refusal(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->protocol == IPPROTO_TCP && !(packet->tcp_flags & WEFT_TCP_RST))
		return answer_send(skb, packet, make_tcp_reset(skb, packet));
	if (packet->protocol != IPPROTO_UDP)
		return TC_ACT_SHOT;
	return answer_send(skb, packet,
			   make_icmp_error(skb, packet,
					   packet->ipv6 ? WEFT_ICMPV6_UNREACHABLE
							: WEFT_ICMP_UNREACHABLE,
					   packet->ipv6 ? WEFT_ICMPV6_UNREACHABLE_PORT
							: WEFT_ICMP_UNREACHABLE_PORT,
					   0));
}
