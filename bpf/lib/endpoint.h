/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who has an address: the endpoints of the whole mesh, and the prefixes they come from. */
#pragma once

#include "config.h"

/* Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct weft_address);
	__type(value, struct weft_endpoint);
	__uint(max_entries, 131072);
} weft_endpoints SEC(".maps");

/* Pod CIDRs of every cluster. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct weft_prefix_key);
	__type(value, struct weft_cluster_settings);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} weft_prefixes SEC(".maps");

/* Indexed by cluster ID. Written by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct weft_cluster_settings);
	__uint(max_entries, WEFT_CLUSTERS_MAX);
} weft_cluster_settings SEC(".maps");

static __always_inline const struct weft_endpoint *endpoint_find(const struct weft_address *address)
{
	struct weft_address key = *address;

	return bpf_map_lookup_elem(&weft_endpoints, &key);
}

/* The endpoint of this node that has the address. */
static __always_inline const struct weft_endpoint *
endpoint_find_local(const struct weft_address *address)
{
	const struct weft_endpoint *endpoint = endpoint_find(address);

	return endpoint && endpoint->flags & WEFT_ENDPOINT_LOCAL ? endpoint : 0;
}

/* The cluster whose prefixes contain the address, 0 if it is outside the mesh. */
static __always_inline __u16 prefix_cluster(const struct weft_address *address)
{
	struct weft_prefix_key key = { .length = 128, .address = *address };
	const struct weft_cluster_settings *settings = bpf_map_lookup_elem(&weft_prefixes, &key);

	return settings ? settings->cluster : 0;
}

static __always_inline __u8 cluster_source_check(__u32 cluster)
{
	const struct weft_cluster_settings *settings =
		bpf_map_lookup_elem(&weft_cluster_settings, &cluster);

	return settings ? settings->source_check : WEFT_SOURCE_CHECK_NODE;
}
