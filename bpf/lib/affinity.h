/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Session affinity: a client keeps its backend while that lives and the time runs. */
#pragma once

#include "selection.h"

/* Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct weft_affinity_key);
	__type(value, struct weft_affinity);
	__uint(max_entries, 65536);
} weft_affinity SEC(".maps");

struct affinity_search {
	struct weft_address address;
	__be16 port;
	__u16 cluster;
	__u32 list;
	__u32 first;
	__u32 backend;
	__u32 found;
};

static __always_inline bool backend_is(__u32 index, const struct weft_address *address, __be16 port)
{
	const struct weft_backend *backend = backend_at(index);

	return backend && backend->port == port && address_equal(&backend->address, address);
}

static long compare_backend(__u32 index, struct affinity_search *search)
{
	if (!backend_is(search->first + index, &search->address, search->port))
		return 0;
	search->backend = search->first + index;
	search->found = 1;
	return 1;
}

static long search_slice(__u32 index, struct affinity_search *search)
{
	const struct weft_slice *slice = list_slice(search->list, index);

	if (!slice)
		return 1;
	if (slice->cluster != search->cluster)
		return 0;
	search->first = slice->first;
	bpf_loop(slice->count < WEFT_BACKEND_SCAN_MAX ? slice->count : WEFT_BACKEND_SCAN_MAX,
		 compare_backend, search, 0);
	return search->found != 0;	/* the verifier wants 0 or 1 */
}

/* The index of the client's backend, WEFT_NO_BACKEND if it has none that may serve on. */
WEFT_SEPARATE int affinity_recall(const struct weft_affinity_key *client, weft_service_word word,
				  __u32 slices, __u32 seconds)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	const struct weft_backend *backend;
	struct affinity_search search = {};
	struct weft_affinity_key key;
	struct weft_affinity *memory;

	if (!client)
		return WEFT_NO_BACKEND;
	key = *client;
	memory = bpf_map_lookup_elem(&weft_affinity, &key);
	if (!memory || memory->expires <= now)
		return WEFT_NO_BACKEND;
	search.address = memory->address;
	search.port = memory->port;
	search.cluster = memory->cluster;
	search.list = WEFT_SERVICE_LIST(word);
	search.backend = memory->backend;
	/* An LRU element is reused while it is read: the backend says whether it is the one. */
	if (memory->generation != WEFT_SERVICE_GENERATION(word) ||
	    !backend_is(search.backend, &search.address, search.port)) {
		bpf_loop(slices < WEFT_CLUSTERS_PER_SERVICE_MAX ? slices
								: WEFT_CLUSTERS_PER_SERVICE_MAX,
			 search_slice, &search, 0);
		if (!search.found)
			return WEFT_NO_BACKEND;
		memory->backend = search.backend;
		memory->generation = WEFT_SERVICE_GENERATION(word);
	}
	backend = backend_at(search.backend);
	if (!backend || !WEFT_LIVENESS_WEIGHT(cluster_liveness(backend->cluster)) ||
	    !WEFT_LIVENESS_WEIGHT(node_liveness(backend->node)))
		return WEFT_NO_BACKEND;
	memory->expires = now + seconds * WEFT_NANOSECONDS_PER_SECOND;
	return search.backend;
}

WEFT_SEPARATE int affinity_remember(const struct weft_affinity_key *client, weft_service_word word,
				    __u32 index, __u32 seconds)
{
	const struct weft_backend *backend = backend_at(index);
	struct weft_affinity memory = {};
	struct weft_affinity_key key;

	if (!client || !backend)
		return 0;
	key = *client;
	memory.address = backend->address;
	memory.port = backend->port;
	memory.cluster = backend->cluster;
	memory.backend = index;
	memory.generation = WEFT_SERVICE_GENERATION(word);
	memory.expires = bpf_ktime_get_coarse_ns() + seconds * WEFT_NANOSECONDS_PER_SECOND;
	/* Without room the client is not remembered. */
	return bpf_map_update_elem(&weft_affinity, &key, &memory, BPF_ANY);
}

/*
 * The backend for a client of a service: the one it had, else a new one. Returns its index, or
 * WEFT_NO_BACKEND: refuse. `client` keys the affinity and is never chosen: an endpoint's address, or
 * what stands for a namespace whose addresses aren't known.
 */
WEFT_SEPARATE int service_backend(weft_service_slot slot, const struct weft_address *client,
				  __u32 seed)
{
	weft_service_word word = service_word(slot);
	const struct weft_list *list = list_header(WEFT_SERVICE_LIST(word));
	struct weft_affinity_key key = { .slot = slot };
	int index;

	if (!list || !client)
		return WEFT_NO_BACKEND;
	if (!list->affinity_seconds)
		return select_backend(WEFT_SERVICE_LIST(word), list->slices, client, seed);
	key.client = *client;
	index = affinity_recall(&key, word, list->slices, list->affinity_seconds);
	if (index >= 0)
		return index;
	index = select_backend(WEFT_SERVICE_LIST(word), list->slices, client, seed);
	if (index >= 0)
		affinity_remember(&key, word, index, list->affinity_seconds);
	return index;
}
