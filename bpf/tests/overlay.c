/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * from-overlay for test runs, which can't give a packet the metadata of a tunnel: it is taken from
 * skb->cb[] and attached before the program runs.
 */
#include "../weft.c"

enum metadata {
	TEST_NETWORK = 0,	/* cb[]: VXLAN network identifier */
	TEST_GROUP_POLICY = 1,
	TEST_OUTER_SOURCE = 2,	/* IPv4 in host byte order; zero: no metadata at all */
	TEST_OUTER_DESTINATION = 3,
};

WEFT_SEPARATE int attach_metadata(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	struct group_policy policy = {};

	key.tunnel_id = skb->cb[TEST_NETWORK];
	/* What a sender writes as its own address is what a receiver reads as remote. */
	key.local_ipv4 = skb->cb[TEST_OUTER_SOURCE];
	policy.value = skb->cb[TEST_GROUP_POLICY];
	if (!key.local_ipv4)
		return 0;
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0) ?:
	       bpf_skb_set_tunnel_opt(skb, &policy, sizeof(policy));
}

WEFT_SEPARATE int detach_metadata(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};
	struct group_policy policy = {};

	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) ||
	    bpf_skb_get_tunnel_opt(skb, &policy, sizeof(policy)) != sizeof(policy))
		return 0;
	skb->cb[TEST_NETWORK] = key.tunnel_id;
	skb->cb[TEST_GROUP_POLICY] = policy.value;
	/* Read back by the sender, local and remote have changed places. */
	skb->cb[TEST_OUTER_SOURCE] = key.remote_ipv4;
	skb->cb[TEST_OUTER_DESTINATION] = key.local_ipv4;
	return 0;
}

SEC("tc")
int weft_test_from_overlay(struct __sk_buff *skb)
{
	struct packet packet = {};
	int action;

	if (attach_metadata(skb))
		return -1;
	action = conclude(skb, &packet, from_overlay(skb, &packet), WEFT_ANSWER_TO_OVERLAY);
	detach_metadata(skb);
	return action;
}

/* Tells in cb[] what send_to_overlay left as metadata. */
SEC("tc")
int weft_test_from_endpoint(struct __sk_buff *skb)
{
	struct packet packet = {};
	int action = conclude(skb, &packet, from_endpoint(skb, &packet), WEFT_ANSWER_TO_ENDPOINT);

	detach_metadata(skb);
	return action;
}
