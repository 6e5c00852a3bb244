/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Per-CPU counters of packets and bytes. */
#pragma once

#include "config.h"

/* Indexed by enum weft_drop_reason and enum weft_counter. Written by every program. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct weft_count);
	__uint(max_entries, WEFT_COUNTERS_MAX);
} weft_counters SEC(".maps");

/* Atomic, because a packet may interrupt a socket hook on the same CPU. */
static __always_inline void count(__u32 counter, __u64 bytes)
{
	struct weft_count *slot = bpf_map_lookup_elem(&weft_counters, &counter);

	if (!slot)
		return;
	__sync_fetch_and_add(&slot->packets, 1);
	__sync_fetch_and_add(&slot->bytes, bytes);
}
