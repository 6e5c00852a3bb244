/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Services: a frontend names a slot, whose word names a list of cluster slices, each of which is a
 * range of backends. Replacing a service is one store of its word; lists and backends never change
 * while a word leads to them.
 */
#pragma once

#include "address.h"

/* Written by the agent when a frontend appears or goes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct weft_frontend_key);
	__type(value, weft_service_slot);
	__uint(max_entries, 65536);
} weft_frontends SEC(".maps");

/* Indexed by slot. Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, weft_service_word);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_services SEC(".maps");

/* Headers (struct weft_list) and slices. Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct weft_slice);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_lists SEC(".maps");

/* Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct weft_backend);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_backends SEC(".maps");

/* The slot of a frontend, or NULL if the address is no service's. */
static __always_inline weft_service_slot *service_find(const struct weft_address *address,
						       __be16 port, __u8 protocol)
{
	struct weft_frontend_key key = {
		.address = *address,
		.port = port,
		.protocol = protocol,
	};

	return bpf_map_lookup_elem(&weft_frontends, &key);
}

/* The word is read once, so that list and generation belong together. */
static __always_inline weft_service_word service_word(weft_service_slot slot)
{
	volatile weft_service_word *word = bpf_map_lookup_elem(&weft_services, &slot);

	return word ? *word : 0;
}

static __always_inline const struct weft_list *list_header(__u32 list)
{
	/* An element is a header or a slice; both have 16 bytes. */
	return list ? bpf_map_lookup_elem(&weft_lists, &list) : 0;
}

static __always_inline const struct weft_slice *list_slice(__u32 list, __u32 index)
{
	__u32 element = list + 1 + index;

	return bpf_map_lookup_elem(&weft_lists, &element);
}

static __always_inline const struct weft_backend *backend_at(__u32 index)
{
	return bpf_map_lookup_elem(&weft_backends, &index);
}
