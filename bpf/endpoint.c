/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * from-endpoint: tc ingress of the host side of each endpoint's veth pair. What an endpoint sends
 * is checked, translated if the socket hooks did not see it, judged once per connection, and
 * delivered to an endpoint here, sent into the overlay, or left to the host, which is the way out of
 * the mesh.
 *
 * A packet of an established connection to another node costs three map operations: its entry, its
 * cluster's word, its node's word.
 */
#include "lib/deliver.h"
#include "lib/forward.h"
#include "lib/fragment.h"
#include "lib/icmp.h"
#include "lib/judge.h"
#include "lib/neighbour.h"
#include "lib/outside.h"

/* Checks the sender and fills in its identity. Returns 0 or a drop reason. */
static __always_inline int check_sender(struct __sk_buff *skb, struct packet *packet)
{
	const struct weft_endpoint *sender = owner_find(skb, &packet->source);

	if (!sender)
		return WEFT_DROP_INVALID_SOURCE;
	packet->source_identity = sender->identity;
	return sender->flags & WEFT_ENDPOINT_ISOLATED ? WEFT_DROP_ISOLATED : 0;
}

/* ---- destinations ---- */

/* Whether the address and port are a service's, with another transport protocol. */
WEFT_SEPARATE bool is_service_otherwise(const struct packet *packet)
{
	__be16 port;

	if (!packet || (!packet->has_ports && packet->protocol != IPPROTO_SCTP))
		return false;
	port = packet->destination_port;
	/* One that serves the packet's own protocol, TCP or UDP, was translated before. */
	return service_find(&packet->destination, port, IPPROTO_TCP) ||
	       service_find(&packet->destination, port, IPPROTO_UDP) ||
	       service_find(&packet->destination, port, IPPROTO_SCTP);
}

/* Finds out where the packet goes. Returns 0 or a drop reason. */
static __always_inline int resolve(struct __sk_buff *skb, const struct packet *packet,
				   struct weft_connection *entry)
{
	const struct weft_endpoint *peer = endpoint_find(&packet->destination);
	const struct weft_tunnel *tunnel;
	__u32 node;

	entry->opener_ifindex = skb->ifindex;
	if (!peer) {
		if (packet->translated || prefix_cluster(&packet->destination))
			return WEFT_DROP_NO_ENDPOINT;
		if (is_service_otherwise(packet))
			return WEFT_DROP_UNSUPPORTED_TRANSPORT;
		connection_set_outside(entry);
		entry->replier_identity = identity_of_destination(skb, packet);
		return 0;
	}
	entry->replier_identity = peer->identity;
	if (peer->flags & WEFT_ENDPOINT_LOCAL) {
		entry->replier_ifindex = peer->ifindex;
		entry->cluster = weft_config.cluster;
		entry->node = WEFT_NODE_LOCAL;
		return 0;
	}
	node = peer->node;
	tunnel = tunnel_at(node);
	return connection_set_remote(entry, node, tunnel ? tunnel->cluster : 0);
}

/* Returns the packet's fate. */
static __always_inline int deliver_here(struct __sk_buff *skb, struct packet *packet)
{
	const struct weft_endpoint *endpoint = endpoint_find_local(&packet->destination);

	if (!endpoint)
		return -WEFT_DROP_NO_ENDPOINT;
	return deliver(skb, packet, endpoint);
}

/* Whether the packet is too long for the path; notes what would fit. */
static __always_inline bool is_too_big(struct __sk_buff *skb, struct packet *packet,
				       const struct weft_connection *entry)
{
	packet->path_mtu = entry->mtu;
	return packet_exceeds(skb, packet, entry->mtu);
}

/* ---- flows; what follows returns the packet's fate ---- */

/* A packet of a connection whose other end is dead: its sender will be told. */
WEFT_SEPARATE int reset_flow(struct __sk_buff *skb, struct packet *packet,
			     struct weft_connection *entry, bool from_opener)
{
	struct weft_event *event;

	if (!packet || !entry)
		return -WEFT_DROP_PEER_DEAD;
	entry->seen = bpf_ktime_get_coarse_ns();
	count(WEFT_COUNTER_CONNECTIONS_RESET, packet->length);
	if (packet->translated) {
		struct flow forward;

		/* The next packet to the service finds another backend. */
		forward_key(&forward, packet);
		bpf_map_delete_elem(&weft_connections, &forward.key);
	}
	if (__sync_fetch_and_or(&entry->flags, WEFT_CONNECTION_RESET) & WEFT_CONNECTION_RESET)
		return -WEFT_DROP_PEER_DEAD;
	event = event_reserve(WEFT_EVENT_RESET);
	if (event) {
		event_describe(skb, event, packet);
		event->reason = WEFT_DROP_PEER_DEAD;
		event->destination_identity = from_opener ? entry->replier_identity
							  : entry->opener_identity;
		event->cluster = entry->cluster;
		event_submit(event);
	}
	return -WEFT_DROP_PEER_DEAD;
}

/* Whether a packet without an entry belongs to a connection, now forgotten, with what is dead: a
 * new entry would look as if made after the death, and the connection would hang. */
static __always_inline bool is_forgotten(const struct packet *packet,
					 const struct weft_connection *entry)
{
	if (packet->protocol != IPPROTO_TCP || packet_opens_tcp(packet) || entry->replier_ifindex)
		return false;
	return WEFT_LIVENESS_STATE(cluster_liveness(entry->cluster)) == WEFT_STATE_UNREACHABLE ||
	       WEFT_LIVENESS_STATE(node_liveness(entry->node)) == WEFT_STATE_UNREACHABLE;
}

/*
 * The first packet of a flow: destination, verdict, an entry. Without room for the entry the packet
 * goes on by its fresh verdict, unless the flow is translated. A denied flow leaves no entry, for
 * who looks for open ports would fill the table with them.
 */
WEFT_SEPARATE int open_flow(struct __sk_buff *skb, struct packet *packet, struct flow *flow)
{
	struct weft_connection *entry = connection_scratch(WEFT_SCOPE_CONNECTION);
	int reason;

	if (!packet || !flow || !entry)
		return -WEFT_DROP_CONNECTION_TABLE_FULL;
	entry->created = entry->seen = bpf_ktime_get_coarse_ns();
	reason = resolve(skb, packet, entry);
	if (reason)
		return -reason;
	reason = connection_judge(entry, packet, true);
	if (reason)
		return -reason;
	if (entry->flags & WEFT_CONNECTION_HOST) {
		connection_insert(skb, packet, flow);
		return leave_to_host(skb);
	}
	if (is_forgotten(packet, entry))
		return reset_flow(skb, packet, entry, true);
	if (!entry->replier_ifindex && is_too_big(skb, packet, entry))
		return -WEFT_DROP_TOO_BIG;
	if (packet->translated) {
		entry->flags |= WEFT_CONNECTION_TRANSLATED;
		entry->frontend = packet->frontend;
		entry->frontend_port = packet->frontend_port;
		if (!insert_forward(packet, entry) || !connection_insert(skb, packet, flow))
			return -WEFT_DROP_CONNECTION_TABLE_FULL;
		count(WEFT_COUNTER_PACKETS_TRANSLATED, packet->length);
		reason = apply_translation(skb, packet, entry, true);
		if (reason)
			return -reason;
	} else {
		connection_insert(skb, packet, flow);
	}
	if (entry->replier_ifindex) {
		count(WEFT_COUNTER_DELIVERED, packet->length);
		return deliver_here(skb, packet);
	}
	count(WEFT_COUNTER_ENCAPSULATED, packet->length);
	return send_to_overlay(skb, packet, entry, entry->opener_identity);
}

/* A packet without a connection: source check and translation, then its flow is opened. */
static __always_inline int start_flow(struct __sk_buff *skb, struct packet *packet,
				      struct flow *flow)
{
	int reason = check_sender(skb, packet);

	if (!reason && packet->has_ports && !packet->translated)
		reason = choose_backend(packet, flow);
	return reason ? -reason : open_flow(skb, packet, flow);
}

/* Whether a flow that was left to the host has become one to a service of the mesh since. TCP's end
 * where they are; of UDP every datagram may go elsewhere, and a sender may never change its port. */
WEFT_SEPARATE bool is_overtaken(const struct packet *packet, bool from_opener)
{
	return packet && from_opener && packet->protocol == IPPROTO_UDP &&
	       service_find(&packet->destination, packet->destination_port, packet->protocol);
}

/* Checks an entry anew whose sender or policies may have changed, or that is denied: each packet of
 * it is told with what denies it now. Returns 0 or a drop reason. */
WEFT_SEPARATE int renew_flow(struct __sk_buff *skb, struct packet *packet,
			     struct weft_connection *entry, bool from_opener)
{
	int reason;

	if (!packet || !entry)
		return WEFT_DROP_INVALID_SOURCE;
	reason = check_sender(skb, packet);
	if (reason)
		return reason;
	if (from_opener)
		entry->opener_ifindex = skb->ifindex;
	else
		entry->replier_ifindex = skb->ifindex;
	return connection_judge(entry, packet, from_opener);
}

static __always_inline int flow_from_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct weft_connection *entry;
	weft_liveness cluster, node;
	struct flow flow;
	bool from_opener;
	__u32 identity;
	int reason = 0;

	connection_key(&flow, packet);
	entry = connection_find(&flow, packet, now);
	if (!entry && packet->has_ports)
		entry = follow_forward(packet, &flow, now);
	if (!entry)
		return start_flow(skb, packet, &flow);

	from_opener = flow_is_from_opener(&flow, entry);
	cluster = cluster_liveness(entry->cluster);
	if ((from_opener ? entry->opener_ifindex : entry->replier_ifindex) != skb->ifindex ||
	    entry->identity_generation != WEFT_LIVENESS_POLICY(cluster) ||
	    entry->verdict != WEFT_VERDICT_ALLOW)
		reason = renew_flow(skb, packet, entry, from_opener);
	if (reason)
		return -reason;
	identity = from_opener ? entry->opener_identity : entry->replier_identity;
	packet->source_identity = identity;

	if (connection_flags(entry) & WEFT_CONNECTION_HOST && !packet->translated) {
		if (is_overtaken(packet, from_opener)) {
			bpf_map_delete_elem(&weft_connections, &flow.key);
			return start_flow(skb, packet, &flow);
		}
		connection_account(skb, packet, entry, from_opener, now);
		return leave_to_host(skb);
	}
	if (from_opener ? entry->replier_ifindex : entry->opener_ifindex) {
		connection_account(skb, packet, entry, from_opener, now);
		if (needs_translation(packet, entry))
			reason = apply_translation(skb, packet, entry, from_opener);
		return reason ? -reason : deliver_here(skb, packet);
	}

	node = node_liveness(entry->node);
	if (liveness_is_death(cluster, entry->cluster_generation) ||
	    liveness_is_death(node, entry->node_generation)) {
		/* A repeated SYN finds another backend, if it is this program that chooses: else its
		 * sender has to ask again. Another SYN with the same ports is no concern of the dead. */
		if (!packet_opens_tcp(packet) ||
		    (!packet->translated && packet_sequence(skb, packet) == entry->opening))
			return reset_flow(skb, packet, entry, from_opener);
		if (packet->translated)
			packet_untranslate(packet);
		return start_flow(skb, packet, &flow);
	}
	if (entry->node_generation != WEFT_LIVENESS_GENERATION(node))
		connection_refresh_remote(entry, node);
	if (is_too_big(skb, packet, entry))
		return -WEFT_DROP_TOO_BIG;
	connection_account(skb, packet, entry, from_opener, now);
	if (needs_translation(packet, entry))
		reason = apply_translation(skb, packet, entry, from_opener);
	return reason ? -reason : send_to_overlay(skb, packet, entry, identity);
}

/* An ICMP error has no connection of its own: it goes by the verdict of the one it is about. */
WEFT_SEPARATE int error_from_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	struct weft_connection *path = connection_scratch(WEFT_SCOPE_CONNECTION);
	struct weft_connection *about;
	struct quoted quoted = {};
	int reason;

	if (!packet || !path)
		return -WEFT_DROP_MALFORMED;
	reason = check_sender(skb, packet);
	if (reason)
		return -reason;
	reason = resolve(skb, packet, path);
	if (reason)
		return -reason;
	about = error_connection(skb, packet, &quoted);
	if (!about)
		reason = connection_judge(path, packet, true);
	else if (about->verdict != WEFT_VERDICT_ALLOW)
		reason = WEFT_DROP_POLICY_DENIED;
	if (reason)
		return -reason;
	if (about && address_equal(&packet->source, &quoted.destination))
		evidence_of_error(skb, packet, &quoted, about);
	if (about)
		reason = restore_error(skb, packet, &quoted, about);
	if (reason)
		return -reason;
	if (path->flags & WEFT_CONNECTION_HOST)
		return leave_to_host(skb);
	if (path->replier_ifindex)
		return deliver_here(skb, packet);
	if (is_too_big(skb, packet, path))
		return -WEFT_DROP_TOO_BIG;
	return send_to_overlay(skb, packet, path, packet->source_identity);
}

/* Completes a fragment. On the link nobody asks for ports. Returns 0 or a drop reason. */
WEFT_SEPARATE int fragment_from_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	int reason;

	if (!packet)
		return WEFT_DROP_FRAGMENT;
	if (packet->ipv6 && is_link_scope(packet))
		return 0;
	reason = check_sender(skb, packet);
	return reason ? reason : follow_fragment(skb, packet);
}

static __always_inline int from_endpoint(struct __sk_buff *skb, struct packet *packet)
{
	int reason;

	if (skb->mark == WEFT_MARK_ANSWER) {
		skb->mark = 0;
		return leave_to_host(skb);
	}
	if (skb->protocol == bpf_htons(ETH_P_ARP))
		return arp_from_endpoint(skb, packet);
	reason = parse(skb, packet);
	if (packet->fragment && (!reason || reason == WEFT_DROP_FRAGMENT))
		reason = fragment_from_endpoint(skb, packet);
	if (reason)
		return -reason;
	/* What only looks like neighbour discovery and would leave the link is judged. */
	if (packet->ipv6 &&
	    (is_link_scope(packet) ||
	     (is_neighbour_discovery(packet) &&
	      (!is_forwarded(skb, packet) || is_across_bridge(skb, packet)))))
		return link_from_endpoint(skb, packet);
	if (packet->is_error)
		return error_from_endpoint(skb, packet);
	return flow_from_endpoint(skb, packet);
}

SEC("tc")
int weft_from_endpoint(struct __sk_buff *skb)
{
	struct packet packet = {};

	return conclude(skb, &packet, from_endpoint(skb, &packet), WEFT_ANSWER_TO_ENDPOINT);
}
