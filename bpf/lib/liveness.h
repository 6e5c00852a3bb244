/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which clusters and nodes live: one aligned word each, flipped by one store of the agent. */
#pragma once

#include "config.h"

/* Indexed by cluster ID. Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, weft_liveness);
	__uint(max_entries, WEFT_CLUSTERS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_clusters SEC(".maps");

/* Indexed by the agent's node index. Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, weft_liveness);
	__uint(max_entries, WEFT_NODES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_nodes SEC(".maps");

/* The word is read once: two reads may see two worlds. */
static __always_inline weft_liveness cluster_liveness(__u32 cluster)
{
	volatile weft_liveness *word = bpf_map_lookup_elem(&weft_clusters, &cluster);

	return word ? *word : 0;
}

/* Zero, which is unknown, for WEFT_NODE_UNKNOWN. */
static __always_inline weft_liveness node_liveness(__u32 node)
{
	volatile weft_liveness *word = bpf_map_lookup_elem(&weft_nodes, &node);

	return word ? *word : 0;
}

/* Whether what was made under `generation` died since. What is made after a death is left alone. */
static __always_inline bool liveness_is_death(weft_liveness word, __u32 generation)
{
	return WEFT_LIVENESS_STATE(word) == WEFT_STATE_UNREACHABLE &&
	       WEFT_LIVENESS_GENERATION(word) != generation;
}
