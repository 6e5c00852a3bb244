/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * from-overlay: tc ingress of the VXLAN device. What another node sent is checked against who it
 * says it is, judged once per connection, and delivered into the endpoint's namespace.
 */
#include "lib/beat.h"
#include "lib/deliver.h"
#include "lib/forward.h"
#include "lib/fragment.h"
#include "lib/icmp.h"
#include "lib/judge.h"

/* Whether the sender may claim its identity; finds the node. Returns 0 or a drop reason. */
WEFT_SEPARATE int check_origin(struct packet *packet, struct origin *origin)
{
	const struct weft_outer_source *source;
	const struct weft_endpoint *endpoint;
	struct weft_address outer;
	__u32 cluster, owner;
	__u8 check;

	if (!packet || !origin)
		return WEFT_DROP_UNKNOWN_NODE;
	cluster = WEFT_IDENTITY_CLUSTER(origin->identity);
	check = cluster_source_check(cluster);
	owner = prefix_cluster(&packet->source);
	outer = origin->outer;
	source = bpf_map_lookup_elem(&weft_outer_sources, &outer);
	if (check == WEFT_SOURCE_CHECK_NODE) {
		if (!source)
			return WEFT_DROP_UNKNOWN_NODE;
		if (source->cluster != cluster)
			return WEFT_DROP_FOREIGN_IDENTITY;
		/* It could speak into another cluster's connections. */
		if (owner && owner != cluster)
			return WEFT_DROP_FOREIGN_SOURCE;
	} else if (check == WEFT_SOURCE_CHECK_PREFIXES && owner != cluster) {
		return WEFT_DROP_FOREIGN_SOURCE;
	}
	if (source && source->cluster == cluster) {
		origin->node = source->node;
		return 0;
	}
	/* A node behind NAT is known by its endpoints only. */
	endpoint = endpoint_find(&packet->source);
	origin->node = endpoint ? endpoint->node : WEFT_NODE_UNKNOWN;
	return 0;
}

/* The first packet of a flow that a remote endpoint opened. Returns 0 or a drop reason. */
WEFT_SEPARATE int open_flow_from_overlay(struct __sk_buff *skb, struct packet *packet,
					 struct flow *flow, const struct origin *origin)
{
	struct weft_connection *entry = connection_scratch(WEFT_SCOPE_CONNECTION);
	const struct weft_endpoint *endpoint;
	int reason;

	if (!packet || !flow || !origin || !entry)
		return WEFT_DROP_NOT_LOCAL;
	endpoint = endpoint_find_local(&packet->destination);
	if (!endpoint)
		return WEFT_DROP_NOT_LOCAL;
	entry->flags = WEFT_CONNECTION_FROM_OVERLAY;
	entry->created = entry->seen = bpf_ktime_get_coarse_ns();
	entry->replier_ifindex = endpoint->ifindex;
	entry->opener_identity = origin->identity;
	/* Answers go where the packet came from, if the node's address isn't known. */
	if (connection_set_remote(entry, origin->node, WEFT_IDENTITY_CLUSTER(origin->identity)))
		entry->outer = origin->outer;
	reason = connection_judge(entry, packet, true);
	if (!reason)
		connection_insert(skb, packet, flow);
	return reason;
}

/* Checks a packet against what is remembered of its connection's origin and verdict, and both anew
 * if it is something else or the connection is denied. Returns 0 or a drop reason. */
static __always_inline int check_flow(struct packet *packet, struct weft_connection *entry,
				      bool from_opener, struct origin *origin)
{
	__u32 identity = from_opener ? entry->opener_identity : entry->replier_identity;
	int reason = 0;

	if (identity != origin->identity || !address_equal(&entry->outer, &origin->outer) ||
	    entry->verdict != WEFT_VERDICT_ALLOW ||
	    entry->identity_generation != WEFT_LIVENESS_POLICY(cluster_liveness(entry->cluster))) {
		reason = check_origin(packet, origin);
		if (reason)
			return reason;
		if (from_opener)
			entry->opener_identity = origin->identity;
		reason = connection_judge(entry, packet, from_opener);
	}
	return reason;
}

/* ---- what follows returns the packet's fate ---- */

static __always_inline int flow_from_overlay(struct __sk_buff *skb, struct packet *packet,
					     struct origin *origin)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	const struct weft_endpoint *endpoint;
	struct weft_connection *entry;
	bool from_opener = true;
	struct flow flow;
	int reason;

	flow_key(&flow, &packet->source, packet->source_port, &packet->destination,
		 packet->destination_port, packet->protocol, WEFT_SCOPE_CONNECTION);
	entry = connection_find(&flow, packet, now);
	if (entry && connection_flags(entry) & WEFT_CONNECTION_HOST) {
		/* No node may speak for who is outside the mesh. */
		if (!endpoint_find(&packet->source))
			return -WEFT_DROP_FOREIGN_SOURCE;
		entry = 0;
	}
	if (entry) {
		from_opener = flow_is_from_opener(&flow, entry);
		reason = check_flow(packet, entry, from_opener, origin);
	} else {
		reason = check_origin(packet, origin);
		if (!reason)
			reason = open_flow_from_overlay(skb, packet, &flow, origin);
	}
	if (reason)
		return -reason;

	endpoint = endpoint_find_local(&packet->destination);
	if (!endpoint)
		return -WEFT_DROP_NOT_LOCAL;
	if (entry) {
		connection_account(skb, packet, entry, from_opener, now);
		if (!from_opener && connection_flags(entry) & WEFT_CONNECTION_TRANSLATED)
			reason = apply_translation(skb, packet, entry, false);
		if (reason)
			return -reason;
	} else {
		count(WEFT_COUNTER_DELIVERED, packet->length);
	}
	return deliver(skb, packet, endpoint);
}

/*
 * Word of a denial, which the node of a backend marks, so that an opening which is not allowed there
 * isn't taken for one that nobody answers. It is about a connection that is known here, with that
 * node. Returns TC_ACT_OK if the endpoint is to hear it as well.
 */
WEFT_SEPARATE int denial_from_overlay(struct packet *packet, struct origin *origin)
{
	struct weft_connection *entry;
	struct flow flow;
	int reason;

	if (!packet || !origin)
		return -WEFT_DROP_STRAY_DENIAL;
	reason = check_origin(packet, origin);
	if (reason)
		return -reason;
	flow_key(&flow, &packet->source, packet->source_port, &packet->destination,
		 packet->destination_port, packet->protocol, WEFT_SCOPE_CONNECTION);
	entry = connection_find(&flow, packet, bpf_ktime_get_coarse_ns());
	if (!entry || !(packet->tcp_flags & WEFT_TCP_RST) || entry->node != origin->node ||
	    connection_flags(entry) & WEFT_CONNECTION_HOST)
		return -WEFT_DROP_STRAY_DENIAL;
	if (!flow_is_from_opener(&flow, entry))
		evidence_of_denial(packet, entry);
	return origin->marks & WEFT_OVERLAY_QUIET ? TC_ACT_SHOT : TC_ACT_OK;
}

WEFT_SEPARATE int error_from_overlay(struct __sk_buff *skb, struct packet *packet,
				     struct origin *origin)
{
	struct weft_connection *path = connection_scratch(WEFT_SCOPE_CONNECTION);
	const struct weft_endpoint *endpoint;
	struct weft_connection *about;
	struct quoted quoted = {};
	int reason;

	if (!packet || !origin || !path)
		return -WEFT_DROP_MALFORMED;
	reason = check_origin(packet, origin);
	if (reason)
		return -reason;
	endpoint = endpoint_find_local(&packet->destination);
	if (!endpoint)
		return -WEFT_DROP_NOT_LOCAL;
	about = error_connection(skb, packet, &quoted);
	path->flags = WEFT_CONNECTION_FROM_OVERLAY;
	path->opener_identity = origin->identity;
	path->cluster = WEFT_IDENTITY_CLUSTER(origin->identity);
	if (!about)
		reason = connection_judge(path, packet, true);
	else if (about->verdict != WEFT_VERDICT_ALLOW)
		reason = WEFT_DROP_POLICY_DENIED;
	if (reason)
		return -reason;
	/* Its own node may speak for a backend. */
	if (about && about->node == origin->node)
		evidence_of_error(skb, packet, &quoted, about);
	if (about)
		reason = restore_error(skb, packet, &quoted, about);
	return reason ? -reason : deliver(skb, packet, endpoint);
}

static __always_inline int from_overlay(struct __sk_buff *skb, struct packet *packet)
{
	struct origin origin = { .node = WEFT_NODE_UNKNOWN };
	int reason = parse(skb, packet);

	if (reason == WEFT_DROP_UNKNOWN_PROTOCOL && skb->protocol == bpf_htons(WEFT_BEAT_PROTOCOL))
		return take_beat(skb);
	if (reason && reason != WEFT_DROP_FRAGMENT)
		return -reason;
	reason = decapsulate(skb, &origin);
	if (reason)
		return -reason;
	packet->source_identity = origin.identity;
	if (packet->fragment)
		reason = check_origin(packet, &origin) ?: follow_fragment(skb, packet);
	if (reason)
		return -reason;
	if (origin.marks) {
		int fate = denial_from_overlay(packet, &origin);

		if (fate != TC_ACT_OK)
			return fate;
	}
	if (packet->is_error)
		return error_from_overlay(skb, packet, &origin);
	return flow_from_overlay(skb, packet, &origin);
}

SEC("tc")
int weft_from_overlay(struct __sk_buff *skb)
{
	struct packet packet = {};

	return conclude(skb, &packet, from_overlay(skb, &packet), WEFT_ANSWER_TO_OVERLAY);
}
