/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What from-endpoint's cost is compared with: an empty program with one lookup in a hash map. The
 * key comes out of the packet, so that lookups can be spread; the sender has the lower address.
 */
#include "../lib/connection.h"

struct ipv4_tcp {
	struct ethhdr ethernet;
	struct iphdr ip;
	__be16 source_port;
	__be16 destination_port;
} __attribute__((packed));

SEC("tc")
int weft_test_baseline(struct __sk_buff *skb)
{
	struct cursor cursor = cursor_at(skb, 0);
	struct ipv4_tcp *packet = cursor_take(&cursor, sizeof(*packet));
	struct weft_connection_key key = {};

	if (!packet)
		return TC_ACT_SHOT;
	address_from_ipv4(&key.a, packet->ip.saddr);
	address_from_ipv4(&key.b, packet->ip.daddr);
	key.a_port = packet->source_port;
	key.b_port = packet->destination_port;
	key.protocol = packet->ip.protocol;
	return bpf_map_lookup_elem(&weft_connections, &key) ? TC_ACT_OK : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
