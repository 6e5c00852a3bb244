/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cluster first, then backend: the lowest tier with a live cluster, a weighted choice among its
 * live clusters, four random backends of its slice and then a scan, the next cluster; refuse at
 * last.
 *
 * A service's last cluster is never taken away: if no cluster is live, those that are not
 * unreachable are tried, then any; nodes that drain are tried with them.
 */
#pragma once

#include "counter.h"
#include "liveness.h"
#include "service.h"

enum selection_rank {
	WEFT_RANK_LIVE = 0,
	WEFT_RANK_REACHABLE = 1,	/* last resort: suspect, draining, unknown, … */
	WEFT_RANK_ANY = 2,		/* last resort of the last resort */
	WEFT_RANK_END = 3,
	WEFT_NO_BACKEND = -1,
	WEFT_ATTEMPTS_MAX = WEFT_RANK_END * (WEFT_CLUSTERS_PER_SERVICE_MAX + 1),
};

struct selection {
	struct weft_address client;	/* never its own backend */
	__u32 list;
	__u32 slices;
	__u32 random;		/* state of the generator, never zero */
	__u32 rank;
	__u32 tried;		/* bit per slice */
	__u32 chosen;		/* slice of this attempt; WEFT_CLUSTERS_PER_SERVICE_MAX: none */
	__u32 tier;
	__u32 total;		/* of the weights so far */
	__u32 first;
	__u32 count;
	__u32 start;
	__u32 backend;		/* the result, valid if found */
	__u32 found;
};

/* A number below `bound`. xorshift32, so that a caller may ask for the same choice again. */
static __always_inline __u32 selection_random(struct selection *selection, __u32 bound)
{
	__u32 x = selection->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	selection->random = x;
	return (__u64)x * bound >> 32;
}

/* The weight of a slice at the selection's rank; zero excludes it. */
static __always_inline __u32 slice_weight(const struct selection *selection,
					  const struct weft_slice *slice)
{
	weft_liveness word = cluster_liveness(slice->cluster);

	if (!slice->count)
		return 0;
	if (selection->rank == WEFT_RANK_LIVE)
		return slice->weight * WEFT_LIVENESS_WEIGHT(word);
	if (selection->rank == WEFT_RANK_REACHABLE &&
	    WEFT_LIVENESS_STATE(word) == WEFT_STATE_UNREACHABLE)
		return 0;
	return slice->weight;
}

/* Loop body: a weighted choice in one pass (each slice replaces the choice with its share). */
static long consider_slice(__u32 index, struct selection *selection)
{
	const struct weft_slice *slice = list_slice(selection->list, index);
	__u32 weight;

	if (!slice)
		return 1;
	if (selection->total && slice->tier != selection->tier)
		return 1;
	if (selection->tried & 1u << (index & 31))
		return 0;
	weight = slice_weight(selection, slice);
	if (!weight)
		return 0;
	selection->tier = slice->tier;
	selection->total += weight;
	if (selection_random(selection, selection->total) < weight) {
		selection->chosen = index;
		selection->first = slice->first;
		selection->count = slice->count;
	}
	return 0;
}

/* A node that leaves in order serves what nobody else does. */
static __always_inline bool node_serves(weft_liveness word, __u32 rank)
{
	return WEFT_LIVENESS_WEIGHT(word) ||
	       (rank != WEFT_RANK_LIVE && WEFT_LIVENESS_STATE(word) == WEFT_STATE_DRAINING);
}

/* Loop body: random draws first, then a scan from a random start. */
static long consider_backend(__u32 index, struct selection *selection)
{
	__u32 offset = index < WEFT_BACKEND_DRAWS
			       ? selection_random(selection, selection->count)
			       : selection->start + (index - WEFT_BACKEND_DRAWS);
	const struct weft_backend *backend;

	if (offset >= selection->count)
		offset -= selection->count;
	backend = backend_at(selection->first + offset);
	if (!backend || !node_serves(node_liveness(backend->node), selection->rank) ||
	    address_equal(&backend->address, &selection->client))
		return 0;
	selection->backend = selection->first + offset;
	selection->found = 1;
	return 1;
}

/* Loop body: one cluster, or the next rank when this one has none left. */
static long attempt_cluster(__u32 index __attribute__((unused)), struct selection *selection)
{
	__u32 scan;

	selection->chosen = WEFT_CLUSTERS_PER_SERVICE_MAX;
	selection->total = 0;
	bpf_loop(selection->slices, consider_slice, selection, 0);
	if (selection->chosen >= WEFT_CLUSTERS_PER_SERVICE_MAX) {
		selection->tried = 0;
		selection->rank++;
		return selection->rank >= WEFT_RANK_END;
	}
	scan = selection->count < WEFT_BACKEND_SCAN_MAX ? selection->count : WEFT_BACKEND_SCAN_MAX;
	selection->start = selection_random(selection, selection->count);
	bpf_loop(WEFT_BACKEND_DRAWS + scan, consider_backend, selection, 0);
	selection->tried |= 1u << (selection->chosen & 31);
	return selection->found != 0;	/* the verifier wants 0 or 1 */
}

/*
 * Chooses a backend of a list for a client, which would never hear an answer from itself. The same
 * `seed` makes the same choice while the list and what lives stay the same. Returns its index, or
 * WEFT_NO_BACKEND.
 */
WEFT_SEPARATE int select_backend(__u32 list, __u32 slices, const struct weft_address *client,
				 __u32 seed)
{
	struct selection selection = {
		.list = list,
		.slices = slices < WEFT_CLUSTERS_PER_SERVICE_MAX ? slices
								 : WEFT_CLUSTERS_PER_SERVICE_MAX,
		.random = seed ? seed : 1,
	};

	if (!client)
		return WEFT_NO_BACKEND;
	selection.client = *client;
	bpf_loop(WEFT_ATTEMPTS_MAX, attempt_cluster, &selection, 0);
	if (!selection.found)
		return WEFT_NO_BACKEND;
	if (selection.rank != WEFT_RANK_LIVE)
		count(WEFT_COUNTER_LAST_RESORT, 0);
	return selection.backend;
}
