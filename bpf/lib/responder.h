/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's lease: while it lasts, the kernel answers other nodes' probes, so that an agent that
 * restarts or is held up doesn't look like a dead node.
 */
#pragma once

#include "config.h"

/* Indexed by enum weft_responder_word. Written by the agent, through a memory mapping: the instance
 * before the first lease. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, WEFT_RESPONDER_WORDS);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_responder SEC(".maps");

#define WEFT_NANOSECONDS_PER_MILLISECOND 1000000ULL

struct probe_budget {
	__u64 second;
	__u64 answers;
};

/* One element. Written by from-underlay. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct probe_budget);
	__uint(max_entries, 1);
} weft_probe_budget SEC(".maps");

static __always_inline __u64 responder_word(__u32 index)
{
	volatile __u64 *word = bpf_map_lookup_elem(&weft_responder, &index);

	return word ? *word : 0;
}

/* Milliseconds since the lease was renewed; below zero when there is none, or it is over. */
static __always_inline int lease_age(void)
{
	/* Read before the clock is, so that it is never newer. */
	__u64 renewed = responder_word(WEFT_RESPONDER_RENEWED);
	__u64 age = (bpf_ktime_get_ns() - renewed) / WEFT_NANOSECONDS_PER_MILLISECOND;

	return renewed && age < WEFT_LEASE_MILLISECONDS ? (int)age : -1;
}

/* Whether one more answer fits into this second. */
static __always_inline bool probe_is_affordable(void)
{
	__u64 second = bpf_ktime_get_coarse_ns() / WEFT_NANOSECONDS_PER_SECOND;
	__u32 index = 0;
	struct probe_budget *budget = bpf_map_lookup_elem(&weft_probe_budget, &index);

	if (!budget)
		return false;
	if (budget->second != second) {
		budget->second = second;
		budget->answers = 0;
	}
	return budget->answers++ < WEFT_PROBES_PER_SECOND_MAX;
}
