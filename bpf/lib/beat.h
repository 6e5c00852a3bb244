/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Heartbeats inside the overlay: frames of a link-layer protocol of their own, so that nothing takes
 * them for a packet to an endpoint. The agent seals and opens them; the kernel carries them.
 */
#pragma once

#include "encap.h"
#include "endpoint.h"

struct beat_record {
	struct weft_beat beat;
	__u8 bytes[WEFT_BEAT_BYTES_MAX];
};

/* Beats that wait for the agent. Written by from-overlay. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} weft_beats SEC(".maps");

#define WEFT_IDENTITY_HEALTH 4u

/* Between clusters health speaks for the node, as no workload may. */
static __always_inline __u32 beat_identity(__u32 cluster)
{
	return cluster << 20 | WEFT_IDENTITY_HEALTH;
}

/* Whether a node of another cluster may have sent this. Who it was is proven by the beat's seal. */
static __always_inline bool beat_is_from_node(const struct origin *origin)
{
	__u32 cluster = WEFT_IDENTITY_CLUSTER(origin->identity);
	const struct weft_outer_source *source;

	if (origin->identity != beat_identity(cluster))
		return false;
	if (cluster_source_check(cluster) != WEFT_SOURCE_CHECK_NODE)
		return true;
	source = bpf_map_lookup_elem(&weft_outer_sources, &origin->outer);
	return source && source->cluster == cluster;
}

/* Hands a beat to the agent. Returns the frame's fate: it ends here. */
WEFT_SEPARATE int take_beat(struct __sk_buff *skb)
{
	struct origin origin = {};
	struct beat_record *record;
	__u32 last, length = skb->len - ETH_HLEN;
	int reason = decapsulate(skb, &origin);

	if (reason)
		return -reason;
	if (!beat_is_from_node(&origin))
		return -WEFT_DROP_UNKNOWN_NODE;
	/* One comparison, by which a verifier that looks at it without the compiler knows both ends. */
	last = length - 1;
	asm volatile("" : "+r"(last));
	if (last >= WEFT_BEAT_BYTES_MAX)
		return -WEFT_DROP_MALFORMED;
	record = bpf_ringbuf_reserve(&weft_beats, sizeof(*record), 0);
	if (!record)
		return -WEFT_DROP_BEAT_LOST;
	record->beat.outer = origin.outer;
	record->beat.length = length;
	record->beat.pad = 0;
	/* Bytes behind these aren't cleared: the length says how many count. */
	if (bpf_skb_load_bytes(skb, ETH_HLEN, record->bytes, last + 1)) {
		bpf_ringbuf_discard(record, 0);
		return -WEFT_DROP_MALFORMED;
	}
	bpf_ringbuf_submit(record, 0);
	return TC_ACT_SHOT;
}
