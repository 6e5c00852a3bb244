/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * to-endpoint: tc egress of the host side of each endpoint's veth pair. What the host's stack sends
 * to an endpoint, in its own name or for somebody outside the mesh, is judged once per connection;
 * answers to what the endpoint opened pass by their entry. What from-endpoint and from-overlay
 * deliver goes into the endpoint's namespace and isn't seen here.
 *
 * Nothing is rewritten: who needs another address got it from the host.
 */
#include "lib/deliver.h"
#include "lib/fragment.h"
#include "lib/icmp.h"
#include "lib/judge.h"
#include "lib/neighbour.h"
#include "lib/outside.h"

/* Whether a packet was made on this node, not forwarded by it. */
static __always_inline bool is_of_host(const struct __sk_buff *skb)
{
	return !skb->ingress_ifindex;
}

/*
 * Finds out who sends. An endpoint's packet comes from its own interface: what claims a pod's address
 * otherwise lies, for the mesh's addresses come by the overlay only. A source of this node behind
 * another interface is somebody whom the host masquerades: of the world, as far as can be told.
 * Returns 0 or a drop reason.
 */
WEFT_SEPARATE int find_sender(struct __sk_buff *skb, struct packet *packet)
{
	const struct weft_endpoint *endpoint;

	if (!packet)
		return WEFT_DROP_FOREIGN_SOURCE;
	if (is_of_host(skb)) {
		packet->source_identity = identity_of_host();
		return 0;
	}
	endpoint = endpoint_find_local(&packet->source);
	if (endpoint && endpoint->ifindex == skb->ingress_ifindex) {
		packet->source_identity = endpoint->identity;
		return 0;
	}
	packet->source_identity = identity_beyond(&packet->source);
	if (packet->source_identity == WEFT_IDENTITY_WORLD && prefix_cluster(&packet->source))
		return WEFT_DROP_FOREIGN_SOURCE;
	return 0;
}

/* Whether it is what an endpoint asks or answers a neighbour on the bridge of another plugin:
 * from-endpoint has looked at it there, and no router has touched its hop limit since. */
static __always_inline bool is_bridged_resolution(const struct __sk_buff *skb,
						  const struct packet *packet)
{
	const struct weft_endpoint *sender;

	if (!packet->ipv6 || !is_neighbour_resolution(packet))
		return false;
	sender = endpoint_find_local(&packet->source);
	return sender && sender->ifindex == skb->ingress_ifindex;
}

/* Whether the destination is the endpoint behind this interface, and may be sent to: before it has a
 * row, nobody could say what its policy is. Returns 0 or a drop reason. */
static __always_inline int check_receiver(struct __sk_buff *skb, const struct packet *packet)
{
	const struct weft_endpoint *endpoint = owner_find(skb, &packet->destination);

	if (!endpoint)
		return WEFT_DROP_NOT_LOCAL;
	return endpoint->flags & WEFT_ENDPOINT_ISOLATED ? WEFT_DROP_ISOLATED : 0;
}

/* ---- what follows returns the packet's fate ---- */

/* The first packet of a flow that comes through the host's stack. Without room for its entry it goes
 * on by its fresh verdict. */
WEFT_SEPARATE int open_flow_to_endpoint(struct __sk_buff *skb, struct packet *packet,
					struct flow *flow)
{
	struct weft_connection *entry = connection_scratch(WEFT_SCOPE_CONNECTION);
	int reason;

	if (!packet || !flow || !entry)
		return -WEFT_DROP_CONNECTION_TABLE_FULL;
	reason = find_sender(skb, packet);
	if (reason)
		return -reason;
	connection_set_outside(entry);
	entry->created = entry->seen = bpf_ktime_get_coarse_ns();
	entry->replier_ifindex = skb->ifindex;
	entry->opener_identity = packet->source_identity;
	reason = connection_judge(entry, packet, true);
	if (reason)
		return -reason;
	connection_insert(skb, packet, flow);
	count(WEFT_COUNTER_DELIVERED, packet->length);
	return TC_ACT_OK;
}

/* Checks an entry anew whose policies may have changed, or that is denied, or one that was made
 * elsewhere: its next answer goes to where this packet came from. Returns 0 or a drop reason. */
WEFT_SEPARATE int renew_flow_to_endpoint(struct __sk_buff *skb, struct packet *packet,
					 struct weft_connection *entry, bool from_opener)
{
	int reason;

	if (!packet || !entry)
		return WEFT_DROP_FOREIGN_SOURCE;
	reason = find_sender(skb, packet);
	if (reason)
		return reason;
	if (from_opener)
		entry->opener_identity = packet->source_identity;
	__sync_fetch_and_or(&entry->flags, WEFT_CONNECTION_HOST);
	return connection_judge(entry, packet, from_opener);
}

static __always_inline int flow_to_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct weft_connection *entry;
	struct flow flow;
	bool from_opener;
	int reason;

	flow_key(&flow, &packet->source, packet->source_port, &packet->destination,
		 packet->destination_port, packet->protocol, WEFT_SCOPE_CONNECTION);
	entry = connection_find(&flow, packet, now);
	if (!entry)
		return open_flow_to_endpoint(skb, packet, &flow);

	from_opener = flow_is_from_opener(&flow, entry);
	reason = 0;
	if (!(connection_flags(entry) & WEFT_CONNECTION_HOST) ||
	    entry->verdict != WEFT_VERDICT_ALLOW ||
	    entry->identity_generation != WEFT_LIVENESS_POLICY(cluster_liveness(entry->cluster)))
		reason = renew_flow_to_endpoint(skb, packet, entry, from_opener);
	if (reason)
		return -reason;
	packet->source_identity = from_opener ? entry->opener_identity : entry->replier_identity;
	connection_account(skb, packet, entry, from_opener, now);
	return TC_ACT_OK;
}

/* An ICMP error passes with the flow that it is about, and is judged like a flow otherwise. About
 * what the overlay carries only the host itself may speak. */
WEFT_SEPARATE int error_to_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	struct weft_connection *path = connection_scratch(WEFT_SCOPE_CONNECTION);
	struct weft_connection *about;
	struct quoted quoted = {};
	int reason;

	if (!packet || !path)
		return -WEFT_DROP_MALFORMED;
	reason = find_sender(skb, packet);
	if (reason)
		return -reason;
	connection_set_outside(path);
	path->opener_identity = packet->source_identity;
	about = error_connection(skb, packet, &quoted);
	if (!about || (!is_of_host(skb) && !(connection_flags(about) & WEFT_CONNECTION_HOST)))
		reason = connection_judge(path, packet, true);
	else if (about->verdict != WEFT_VERDICT_ALLOW)
		reason = WEFT_DROP_POLICY_DENIED;
	return reason ? -reason : TC_ACT_OK;
}

static __always_inline int to_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	int reason;

	/* ARP, and whatever else stays on the link. */
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6))
		return TC_ACT_OK;
	reason = parse(skb, packet);
	if (reason && reason != WEFT_DROP_FRAGMENT)
		return -reason;
	/* The node's own neighbour discovery and multicast name no endpoint whose policy could be asked.
	 * What others send to a group is dropped: no endpoint has that address. */
	if (is_of_host(skb) && (address_is_multicast(&packet->destination) ||
				(packet->ipv6 && (is_link_scope(packet) ||
						  is_neighbour_discovery(packet)))))
		return TC_ACT_OK;
	if (is_bridged_resolution(skb, packet))
		return TC_ACT_OK;
	reason = check_receiver(skb, packet);
	if (!reason && packet->fragment)
		reason = find_sender(skb, packet) ?: follow_fragment(skb, packet);
	if (reason)
		return -reason;
	return packet->is_error ? error_to_endpoint(skb, packet) : flow_to_endpoint(skb, packet);
}

SEC("tc")
int weft_to_endpoint(struct __sk_buff *skb)
{
	struct packet packet = {};

	return conclude(skb, &packet, to_endpoint(skb, &packet), WEFT_ANSWER_TO_HOST);
}
