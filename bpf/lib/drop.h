/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The only way to drop a packet: with a reason, counted and told. */
#pragma once

#include "event.h"
#include "policy.h"

static __always_inline void event_describe_policy(struct weft_event *event,
						  const struct policy_question *question)
{
	if (!question)
		return;
	event->policy_version = question->key.version;
	event->policy_rule = question->rule;
	event->policy_direction = question->key.direction;
}

WEFT_SEPARATE int drop(struct __sk_buff *skb, struct packet *packet, __u32 reason)
{
	struct weft_event *event;

	if (!packet)
		return TC_ACT_SHOT;
	count(reason, skb->len);
	if (reason == WEFT_DROP_PEER_DEAD)	/* told once, as the connection's reset */
		return TC_ACT_SHOT;
	if (!event_is_affordable(reason, bpf_ktime_get_coarse_ns())) {
		count(WEFT_COUNTER_EVENTS_LOST, 0);
		return TC_ACT_SHOT;
	}
	event = event_reserve(reason == WEFT_DROP_POLICY_DENIED ? WEFT_EVENT_DENIED
								: WEFT_EVENT_DROPPED);
	if (event) {
		event_describe(skb, event, packet);
		event->reason = reason;
		event->packets = 1;
		event->bytes = skb->len;
		if (packet->is_judged)
			event_describe_policy(event, policy_scratch());
		event_submit_reason(event, reason);
	}
	return TC_ACT_SHOT;
}
