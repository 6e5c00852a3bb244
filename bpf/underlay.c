/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * from-underlay: tc ingress of the interface that other nodes are reached by. Their probes for this
 * node's address and health port are answered while the agent's lease lasts; everything else, and
 * without a lease they, too, are left to whoever comes next.
 *
 * A question becomes its answer where it stands. What changes places (MAC addresses, addresses,
 * ports) leaves every checksum as it is, and so does the hop limit, which isn't renewed.
 */
#include "lib/reset.h"
#include "lib/responder.h"

/* What follows a probe's IP header, up to its end. */
struct probe_datagram {
	struct udphdr udp;
	struct weft_probe probe;
};

enum {
	WEFT_PROBE_TRANSPORT_IPV4 = ETH_HLEN + sizeof(struct iphdr),
	WEFT_PROBE_TRANSPORT_IPV6 = ETH_HLEN + sizeof(struct ipv6hdr),
	WEFT_PROBE_FRAME_IPV4 = WEFT_PROBE_TRANSPORT_IPV4 + sizeof(struct probe_datagram),
	WEFT_PROBE_FRAME_IPV6 = WEFT_PROBE_TRANSPORT_IPV6 + sizeof(struct probe_datagram),
};

/* A probe that this node would only pass on is for the next one to answer. */
static __always_inline bool is_for_this_node(const struct packet *packet)
{
	/* Field by field: a volatile structure has no address that could be passed on. */
	return packet->destination.word3 == weft_config.outer_source.word3 &&
	       packet->destination.word2 == weft_config.outer_source.word2 &&
	       packet->destination.word1 == weft_config.outer_source.word1 &&
	       packet->destination.word0 == weft_config.outer_source.word0;
}

/* Whether a packet is as long as a probe and addressed like one, without options. */
static __always_inline bool is_like_probe(struct __sk_buff *skb, struct packet *packet)
{
	/* First what is false for nearly every packet, and costs nothing. */
	if (skb->len != WEFT_PROBE_FRAME_IPV4 && skb->len != WEFT_PROBE_FRAME_IPV6)
		return false;
	if (skb->vlan_present || skb->pkt_type != WEFT_PACKET_HOST || parse(skb, packet))
		return false;
	return packet->protocol == IPPROTO_UDP && packet->destination_port &&
	       packet->destination_port == weft_config.health_port && is_for_this_node(packet) &&
	       packet->length + ETH_HLEN == skb->len &&
	       packet->transport + sizeof(struct probe_datagram) == skb->len &&
	       packet->transport == (packet->ipv6 ? WEFT_PROBE_TRANSPORT_IPV6
						  : WEFT_PROBE_TRANSPORT_IPV4) &&
	       !packet->fragment;
}

/* Lets source and destination change places. Returns 0, or below zero if the kernel refused. */
static __always_inline long answer_turn_addresses(struct __sk_buff *skb,
						  const struct packet *packet)
{
	struct weft_address ipv6[] = { packet->destination, packet->source };
	__be32 ipv4[] = { packet->destination.word3, packet->source.word3 };

	return packet->ipv6 ? bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, saddr),
						  ipv6, sizeof(ipv6), 0)
			    : bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, saddr),
						  ipv4, sizeof(ipv4), 0);
}

/* Writes the answer over the question. Returns 0, or below zero if the kernel refused. */
static __always_inline long answer_write(struct __sk_buff *skb, const struct packet *packet,
					 struct probe_datagram *question, __u32 age)
{
	struct probe_datagram answer = {
		.udp = question->udp,
		.probe = {
			.kind = bpf_htonl(WEFT_PROBE_ANSWER),
			.age = bpf_htonl(age),
			.nonce = question->probe.nonce,
			.instance = bpf_cpu_to_be64(responder_word(WEFT_RESPONDER_INSTANCE)),
		},
	};
	/* By the difference: right as well where a device has yet to fill the checksum in, and a
	 * question that was damaged on its way gets an answer as damaged. */
	__s64 change = bpf_csum_diff((__be32 *)&question->probe, sizeof(question->probe),
				     (__be32 *)&answer.probe, sizeof(answer.probe), 0);

	answer.udp.source = question->udp.dest;
	answer.udp.dest = question->udp.source;
	return bpf_skb_store_bytes(skb, packet->transport, &answer, sizeof(answer), 0) ?:
	       bpf_l4_csum_replace(skb, packet->transport + offsetof(struct udphdr, check), 0,
				   change, BPF_F_MARK_MANGLED_0);
}

/* Returns the packet's fate. */
WEFT_SEPARATE int from_underlay(struct __sk_buff *skb, struct packet *packet)
{
	struct probe_datagram question;
	int age;

	if (!packet || !is_like_probe(skb, packet) ||
	    bpf_skb_load_bytes(skb, packet->transport, &question, sizeof(question)) ||
	    question.udp.len != bpf_htons(sizeof(question)) ||
	    question.probe.kind != bpf_htonl(WEFT_PROBE_QUESTION))
		return TC_ACT_UNSPEC;
	age = lease_age();
	if (age < 0)
		return TC_ACT_UNSPEC;
	if (!probe_is_affordable())
		return drop(skb, packet, WEFT_DROP_PROBE_RATE);
	if (answer_write(skb, packet, &question, age) || answer_turn_addresses(skb, packet) ||
	    answer_turn_frame(skb))
		return drop(skb, packet, WEFT_DROP_REWRITE_FAILED);
	count(WEFT_COUNTER_PROBES_ANSWERED, skb->len);
	return bpf_redirect(skb->ifindex, 0);
}

/* Returns TC_ACT_UNSPEC, which is TCX_NEXT, for what the interface's other programs and the stack
 * are to see. */
SEC("tc")
int weft_from_underlay(struct __sk_buff *skb)
{
	struct packet packet = {};

	return from_underlay(skb, &packet);
}
