/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Evidence against backends: how openings of this node's endpoints fared. Who is reached through the
 * host's stack is none. A backend has an entry once an opening failed there; answers are counted only
 * beside one, so that a healthy backend costs a lookup an opening and nothing a packet.
 */
#pragma once

#include "counter.h"
#include "parse.h"

/* Written by the programs; the agent deletes what has become old. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct weft_evidence_key);
	__type(value, struct weft_evidence);
	__uint(max_entries, 16384);
} weft_evidence SEC(".maps");

enum evidence_failure {
	WEFT_FAILURE_SILENT,		/* a SYN is sent again, and nothing came back yet */
	WEFT_FAILURE_REFUSED,		/* a RST in answer to a SYN */
	WEFT_FAILURE_UNREACHABLE,	/* an ICMP error in answer to a first packet */
};

static const struct weft_evidence no_evidence;

/* Notes a failure of an opening. Without room for it the failure is only counted. */
WEFT_SEPARATE int evidence_note(const struct weft_evidence_key *backend,
				struct weft_connection *entry, __u32 failure)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct weft_evidence_key key;
	struct weft_evidence *evidence;

	if (!backend || !entry)
		return 0;
	key = *backend;
	count(WEFT_COUNTER_OPENINGS_SILENT + failure, 0);
	evidence = bpf_map_lookup_elem(&weft_evidence, &key);
	if (!evidence) {
		bpf_map_update_elem(&weft_evidence, &key, &no_evidence, BPF_NOEXIST);
		evidence = bpf_map_lookup_elem(&weft_evidence, &key);
	}
	if (!evidence)
		return 0;
	if (!(__sync_fetch_and_or(&entry->flags, WEFT_CONNECTION_OPENING_FAILED) &
	      WEFT_CONNECTION_OPENING_FAILED))
		__sync_fetch_and_add(&evidence->openings, 1);
	evidence->node = entry->node;
	evidence->cluster = entry->cluster;
	evidence->ifindex = entry->opener_ifindex;
	switch (failure) {
	case WEFT_FAILURE_SILENT:
		evidence->silent_at = now;
		__sync_fetch_and_add(&evidence->silent, 1);
		break;
	case WEFT_FAILURE_REFUSED:
		evidence->refused_at = now;
		__sync_fetch_and_add(&evidence->refused, 1);
		break;
	default:
		evidence->unreachable_at = now;
		__sync_fetch_and_add(&evidence->unreachable, 1);
	}
	return 0;
}

/* An opener here repeats its SYN to a backend that hasn't answered. */
WEFT_SEPARATE int evidence_of_silence(const struct packet *packet, struct weft_connection *entry)
{
	struct weft_evidence_key backend = {};

	if (!packet || !entry || !entry->opener_ifindex ||
	    entry->flags & (WEFT_CONNECTION_HOST | WEFT_CONNECTION_DENIED_AFAR))
		return 0;
	backend.address = packet->destination;
	backend.port = packet->destination_port;
	backend.protocol = packet->protocol;
	return evidence_note(&backend, entry, WEFT_FAILURE_SILENT);
}

/* A backend's first packet to an opener here. */
WEFT_SEPARATE int evidence_of_answer(const struct packet *packet, struct weft_connection *entry)
{
	struct weft_evidence_key backend = {};
	struct weft_evidence *evidence;

	if (!packet || !entry || !entry->opener_ifindex || entry->flags & WEFT_CONNECTION_HOST)
		return 0;
	backend.address = packet->source;
	backend.port = packet->source_port;
	backend.protocol = packet->protocol;
	if (packet->tcp_flags & WEFT_TCP_RST) {
		/* Who forgot a connection resets it, too: that says nothing of new ones. And a
		 * policy's reset is no backend's. */
		if ((entry->flags &
		     (WEFT_CONNECTION_BEGAN_WITH_SYN | WEFT_CONNECTION_DENIED_AFAR)) ==
		    WEFT_CONNECTION_BEGAN_WITH_SYN)
			evidence_note(&backend, entry, WEFT_FAILURE_REFUSED);
		return 0;
	}
	evidence = bpf_map_lookup_elem(&weft_evidence, &backend);
	if (!evidence)
		return 0;
	evidence->answered_at = bpf_ktime_get_coarse_ns();
	__sync_fetch_and_add(&evidence->answered, 1);
	return 0;
}

/*
 * A policy at the far end denies what an opener here asked for. That speaks for the node, and neither
 * for nor against the backend: the connection leaves no evidence from now on, and its silence until
 * now is taken back. The caller says whether the sender may speak for the backend's node.
 */
WEFT_SEPARATE int evidence_of_denial(const struct packet *packet, struct weft_connection *entry)
{
	const __u32 failed = WEFT_CONNECTION_OPENING_FAILED;
	struct weft_evidence_key backend = {};
	struct weft_evidence *evidence;
	__u32 before;

	if (!packet || !entry || !entry->opener_ifindex)
		return 0;
	count(WEFT_COUNTER_DENIALS_HEARD, packet->length);
	before = __sync_fetch_and_or(&entry->flags, WEFT_CONNECTION_DENIED_AFAR);
	backend.address = packet->source;
	backend.port = packet->source_port;
	backend.protocol = packet->protocol;
	evidence = bpf_map_lookup_elem(&weft_evidence, &backend);
	if (!evidence)
		return 0;
	evidence->denied_at = bpf_ktime_get_coarse_ns();
	if ((before & (failed | WEFT_CONNECTION_REPLIED | WEFT_CONNECTION_DENIED_AFAR)) != failed)
		return 0;
	/* Every packet of it but the first was a SYN sent again. */
	__sync_fetch_and_add(&evidence->retracted, entry->opener_packets - 1);
	__sync_fetch_and_add(&evidence->retracted_openings, 1);
	return 0;
}
