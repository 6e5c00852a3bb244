/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the policies of an endpoint say of a flow: its set names a version, the version and the peer
 * a list of intervals, the list a verdict. Whatever is missing or makes no sense denies.
 */
#pragma once

#include "address.h"
#include "outside.h"

/* Indexed by set. Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, weft_policy_word);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_policy_sets SEC(".maps");

/* Written by the agent before a word names the version. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct weft_policy_peer_key);
	__type(value, weft_policy_list);
	__uint(max_entries, 262144);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} weft_policy_peers SEC(".maps");

/* Lists of intervals. Written by the agent, through a memory mapping. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, weft_policy_interval);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_MMAPABLE);
} weft_policy_intervals SEC(".maps");

/* Written by the agent before a word names the generation. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct weft_policy_block_key);
	__type(value, __u32);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} weft_policy_blocks SEC(".maps");

/* Written by the agent after a peer's lists. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct weft_policy_known_key);
	__type(value, __u32);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} weft_policy_known SEC(".maps");

enum {
	WEFT_POLICY_SEARCH_STEPS = 15,	/* halve WEFT_POLICY_INTERVALS_MAX down to one */
	WEFT_POLICY_LOOKUPS_MAX = 3,	/* of an element that is another's when it is read */
	WEFT_POLICY_BLOCK_BITS = 160,	/* generation and address */
};

/* Outcomes of a look-up that are no list's index. */
#define WEFT_POLICY_NO_LIST 0u
#define WEFT_POLICY_GARBLED 0xffffffffu

/* A question to a policy set, and its answer. No pointers, as it goes to a separate function. */
struct policy_question {
	/* The caller fills in identity and direction; policy_decide() the version, 0 for none, and what
	 * block the peer's address lies in. */
	struct weft_policy_peer_key key;
	/* The caller fills in the address, which is looked up whoever the peer is. */
	struct weft_policy_block_key peer;
	struct weft_policy_known_key known;
	__u32 set;
	__u32 traffic;			/* WEFT_POLICY_TRAFFIC */
	__s32 rule;			/* of the interval that decided; 0: none did */
	__u32 pad;
};
WEFT_ASSERT_SIZE(struct policy_question, 64);

/* Room for a question, which the stack has not; and its answer, until a denied packet has been told
 * of. Written by the programs: a packet is handled to its end before the CPU takes the next. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct policy_question);
	__uint(max_entries, 1);
} weft_policy_scratch SEC(".maps");

static __always_inline struct policy_question *policy_scratch(void)
{
	__u32 index = 0;

	return bpf_map_lookup_elem(&weft_policy_scratch, &index);
}

static __always_inline __u64 policy_word(__u32 set)
{
	/* Read once, so that version and blocks belong together. */
	volatile weft_policy_word *word = bpf_map_lookup_elem(&weft_policy_sets, &set);

	return word ? *word : 0;
}

/* The block of an address, 0 if it lies in none of the generation. */
static __always_inline __u32 policy_block(struct weft_policy_block_key *key, __u32 generation)
{
	const __u32 *block;

	if (!generation)
		return 0;
	key->length = WEFT_POLICY_BLOCK_BITS;
	key->generation = generation;
	block = bpf_map_lookup_elem(&weft_policy_blocks, key);
	return block ? *block : 0;
}

/* The list that an element leads to; an element that was reused meanwhile is looked up again. */
static __always_inline __u32 policy_list(const struct weft_policy_peer_key *key)
{
	for (int i = 0; i < WEFT_POLICY_LOOKUPS_MAX; i++) {
		volatile weft_policy_list *element = bpf_map_lookup_elem(&weft_policy_peers, key);
		weft_policy_list value;

		if (!element)
			return WEFT_POLICY_NO_LIST;
		value = *element;
		if (value >> 32 == weft_policy_tag(key, WEFT_POLICY_LIST(value)))
			return WEFT_POLICY_LIST(value);
	}
	return WEFT_POLICY_GARBLED;
}

static __always_inline weft_policy_interval policy_interval_at(__u32 index)
{
	weft_policy_interval *interval = bpf_map_lookup_elem(&weft_policy_intervals, &index);

	/* Outside of the map: denied, by no rule. */
	return interval ? *interval : (weft_policy_interval)WEFT_POLICY_DENY << 24;
}

/* The interval of a list that covers the traffic. */
static __always_inline weft_policy_interval policy_search(__u32 list, __u32 traffic)
{
	weft_policy_interval count = policy_interval_at(list);
	__u32 low = list + 1;
	__u32 length = count;

	if (!count || count > WEFT_POLICY_INTERVALS_MAX)
		return (weft_policy_interval)WEFT_POLICY_DENY << 24;
	for (int i = 0; i < WEFT_POLICY_SEARCH_STEPS && length > 1; i++) {
		__u32 half = length / 2;

		if (WEFT_POLICY_INTERVAL_START(policy_interval_at(low + half)) <= traffic)
			low += half;
		length -= half;
	}
	return policy_interval_at(low);
}

/* Takes a set's verdict on the question in scratch. Returns 0, which allows, or a drop reason. */
WEFT_SEPARATE int policy_decide(void)
{
	struct policy_question *question = policy_scratch();
	weft_policy_interval interval;
	weft_policy_word word;
	__u32 list;

	if (!question)
		return WEFT_DROP_POLICY_DENIED;
	question->rule = 0;
	word = policy_word(question->set);
	question->key.version = WEFT_POLICY_VERSION(word);
	if (question->key.version == WEFT_POLICY_VERSION_ALLOW)
		return 0;
	if (question->key.version == WEFT_POLICY_VERSION_NONE)
		return WEFT_DROP_POLICY_DENIED;
	/* An endpoint's own node always reaches it: one list will do for all of its addresses. */
	question->key.block = question->key.direction == WEFT_INGRESS &&
				      question->key.identity == identity_of_host()
				      ? 0
				      : policy_block(&question->peer, WEFT_POLICY_BLOCKS(word));
	question->known.identity = question->key.identity;
	question->known.block = question->key.block;

	list = policy_list(&question->key);
	if (list == WEFT_POLICY_NO_LIST) {
		question->key.identity = WEFT_POLICY_ANYONE;
		question->key.block = 0;
		list = policy_list(&question->key);
	}
	if (list == WEFT_POLICY_NO_LIST || list == WEFT_POLICY_GARBLED)
		return WEFT_DROP_POLICY_DENIED;
	interval = policy_search(list, question->traffic);
	question->rule = WEFT_POLICY_INTERVAL_RULE(interval);
	switch (WEFT_POLICY_INTERVAL_VERDICT(interval)) {
	case WEFT_POLICY_ALLOW:
		return 0;
	case WEFT_POLICY_DENY_UNKNOWN:
		return bpf_map_lookup_elem(&weft_policy_known, &question->known)
			       ? WEFT_DROP_POLICY_DENIED
			       : WEFT_DROP_UNKNOWN_IDENTITY;
	default:
		return WEFT_DROP_POLICY_DENIED;
	}
}
