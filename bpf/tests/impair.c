/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A cable that loses in one direction: tc egress of a lab's bridge port, where packets leave for one
 * node. What comes from certain IPv4 addresses is dropped by chance; everything else, ARP included,
 * is left to whoever comes next.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IMPAIR_SOURCES_MAX 4096

/* Sources, network byte order, and how many of 2^32 packets are lost. Written by the lab. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IMPAIR_SOURCES_MAX);
	__type(key, __be32);
	__type(value, __u64);
} impair_sources SEC(".maps");

SEC("tc")
int impair(struct __sk_buff *skb)
{
	const __u64 *lost;
	__be32 source;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, ETH_HLEN + offsetof(struct iphdr, saddr), &source,
			       sizeof(source)))
		return TC_ACT_UNSPEC;
	lost = bpf_map_lookup_elem(&impair_sources, &source);
	return lost && bpf_get_prandom_u32() < *lost ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
