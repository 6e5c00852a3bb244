/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flow events: one ring buffer for what is new, closed, denied, dropped or reset. */
#pragma once

#include "counter.h"
#include "parse.h"

/* Written by every program, read by the agent. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} weft_events SEC(".maps");

enum {
	WEFT_EVENTS_PER_SECOND_MAX = 256,	/* of one drop reason on one CPU */
	WEFT_EVENT_BUDGET_AUDITED = WEFT_DROP_NONE,	/* no drop needs it */
};

struct event_budget {
	__u64 second;
	__u64 events;
};

/* Indexed by enum weft_drop_reason, and by WEFT_EVENT_BUDGET_AUDITED. Written by the programs: a flood
 * of drops must not crowd the other events out of the ring. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct event_budget);
	__uint(max_entries, WEFT_COUNTER_FIRST);
} weft_event_budget SEC(".maps");

/* Whether one more event of a drop reason fits into this second. */
static __always_inline bool event_is_affordable(__u32 reason, __u64 now)
{
	struct event_budget *budget = bpf_map_lookup_elem(&weft_event_budget, &reason);
	__u64 second = now / WEFT_NANOSECONDS_PER_SECOND;

	if (!budget)
		return false;
	if (budget->second != second) {
		budget->second = second;
		budget->events = 0;
	}
	return budget->events++ < WEFT_EVENTS_PER_SECOND_MAX;
}

static __always_inline struct weft_event *event_reserve(__u8 type)
{
	struct weft_event *event = bpf_ringbuf_reserve(&weft_events, sizeof(*event), 0);

	if (!event) {
		count(WEFT_COUNTER_EVENTS_LOST, 0);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->type = type;
	return event;
}

/* Readers poll; only a ring that is half full wakes them. */
static __always_inline void event_submit(struct weft_event *event)
{
	__u64 waiting = bpf_ringbuf_query(&weft_events, BPF_RB_AVAIL_DATA);
	__u64 size = bpf_ringbuf_query(&weft_events, BPF_RB_RING_SIZE);

	bpf_ringbuf_submit(event, waiting > size / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* The agent resolves an identity on demand, so that it hears at once of one that it doesn't know. */
static __always_inline void event_submit_reason(struct weft_event *event, __u32 reason)
{
	if (reason == WEFT_DROP_UNKNOWN_IDENTITY)
		bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	else
		event_submit(event);
}

static __always_inline void event_describe_packet(struct weft_event *event,
						  const struct packet *packet)
{
	event->source = packet->source;
	event->destination = packet->destination;
	event->source_port = packet->source_port;
	event->destination_port = packet->destination_port;
	if (packet->translated) {
		event->frontend = packet->frontend;
		event->frontend_port = packet->frontend_port;
	}
	event->protocol = packet->protocol;
	event->source_identity = packet->source_identity;
	event->destination_identity = packet->destination_identity;
}

static __always_inline void event_describe(struct __sk_buff *skb, struct weft_event *event,
					   const struct packet *packet)
{
	event_describe_packet(event, packet);
	event->ifindex = skb->ifindex;
}
