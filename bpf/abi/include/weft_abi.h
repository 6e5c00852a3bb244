/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and the agent share: layouts of map keys and values, their bounds, and
 * the names of states and drop reasons. Every structure is naturally aligned with explicit padding
 * that is zero (hash maps compare every byte), and uses words instead of arrays, which Swift would
 * import as tuples. Numbers are in host byte order where not said otherwise.
 */
#pragma once

#include <linux/types.h>

#include "weft_drop.h"

#define WEFT_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(type) == (size), #type " must have " #size " bytes")

enum {
	WEFT_CLUSTERS_MAX = 4096,		/* slots of clusters[], indexed by cluster ID */
	WEFT_NODES_MAX = 65536,			/* slots of nodes[], indexed by the agent's node index */
	WEFT_CLUSTERS_PER_SERVICE_MAX = 32,	/* slices in one list */
	WEFT_BACKEND_SCAN_MAX = 1024,		/* backends looked at after the random draws */
	WEFT_BACKEND_DRAWS = 4,
	WEFT_NODE_LOCAL = 0,			/* index of this node in nodes[] */
	WEFT_NODE_UNKNOWN = WEFT_NODES_MAX,	/* no node: its liveness isn't looked at */
};

/* 16 bytes in network byte order as four words, IPv4 as ::ffff:a.b.c.d. */
struct weft_address {
	__be32 word0;
	__be32 word1;
	__be32 word2;
	__be32 word3;
};
WEFT_ASSERT_SIZE(struct weft_address, 16);

/* ---- liveness: one aligned 8-byte word per cluster and node, one store flips it ---- */

enum weft_state {
	WEFT_STATE_UNKNOWN = 0,
	WEFT_STATE_UP = 1,
	WEFT_STATE_SUSPECT = 2,
	WEFT_STATE_UNREACHABLE = 3,	/* flows made before this word's generation are reset */
	WEFT_STATE_PROBATION = 4,
	WEFT_STATE_DRAINING = 5,
};

/*
 * weft_clusters[], weft_nodes[]: bits 0-7 enum weft_state, 8-15 weight (0 takes no new flow),
 * 16-31 policy generation, 32-63 generation. Live for a new flow means weight > 0.
 *
 * The policy generation is read in clusters[] only: when policies of this node's endpoints or
 * identities of that cluster change, it changes after the maps did, and open flows with that
 * cluster (for flows inside the node: the own one) have their verdict taken again at their next packet.
 */
typedef __u64 weft_liveness;
#define WEFT_LIVENESS_STATE(word)	((__u8)(word))
#define WEFT_LIVENESS_WEIGHT(word)	((__u8)((word) >> 8))
#define WEFT_LIVENESS_POLICY(word)	((__u16)((word) >> 16))
#define WEFT_LIVENESS_GENERATION(word)	((__u32)((word) >> 32))

/* ---- services: frontend -> slot -> {list, generation} -> cluster slices -> backends ---- */

/* Key of weft_frontends. */
struct weft_frontend_key {
	struct weft_address address;
	__be16 port;
	__u8 protocol;	/* IPPROTO_* */
	__u8 pad;
};
WEFT_ASSERT_SIZE(struct weft_frontend_key, 20);

/* Value of weft_frontends: slot in weft_services, an array of words {list: bits 0-31 index of a
 * struct weft_list in weft_lists, generation: bits 32-63}. The word 0 is an empty service: list 0 is
 * never used, so a slot without backends refuses. */
typedef __u32 weft_service_slot;
typedef __u64 weft_service_word;
#define WEFT_SERVICE_LIST(word)		((__u32)(word))
#define WEFT_SERVICE_GENERATION(word)	((__u32)((word) >> 32))

/* Element of weft_lists: a header, followed by `slices` elements of struct weft_slice. Immutable
 * while published. */
struct weft_list {
	__u32 slices;			/* 0..WEFT_CLUSTERS_PER_SERVICE_MAX */
	__u32 affinity_seconds;		/* 0: no session affinity */
	__u32 pad0;
	__u32 pad1;
};
WEFT_ASSERT_SIZE(struct weft_list, 16);

/* Element of weft_lists: the backends of one cluster at one tier. Sorted by tier. */
struct weft_slice {
	__u16 cluster;
	__u8 tier;		/* lower is preferred */
	__u8 weight;		/* relative within the tier, times the cluster's weight */
	__u32 first;		/* index into weft_backends */
	__u32 count;
	__u32 pad;
};
WEFT_ASSERT_SIZE(struct weft_slice, 16);

/* Element of weft_backends. Immutable while a published list points to it. */
struct weft_backend {
	struct weft_address address;
	__be16 port;
	__u16 cluster;
	__u32 node;		/* index into weft_nodes */
};
WEFT_ASSERT_SIZE(struct weft_backend, 24);

/* Key of weft_affinity (LRU): a client of a service. Socket hooks, which run before a source address
 * is chosen, put the network namespace cookie into words 2 and 3 with words 0 and 1 zero. */
struct weft_affinity_key {
	struct weft_address client;
	weft_service_slot slot;
};
WEFT_ASSERT_SIZE(struct weft_affinity_key, 20);

/* Value of weft_affinity. The index holds only while the service word's generation does; after a
 * change the same address and port is looked for in the new list. */
struct weft_affinity {
	struct weft_address address;
	__be16 port;
	__u16 cluster;
	__u32 backend;		/* index into weft_backends */
	__u32 generation;	/* of the service word */
	__u32 pad;
	__u64 expires;		/* nanoseconds of CLOCK_MONOTONIC */
};
WEFT_ASSERT_SIZE(struct weft_affinity, 40);

/* ---- sockets ---- */

/* Value of weft_sockets (socket storage): what a connected socket asked for and what it got. */
struct weft_socket {
	struct weft_address frontend;
	struct weft_address backend;
	__be16 frontend_port;
	__be16 backend_port;
	weft_service_slot slot;
};
WEFT_ASSERT_SIZE(struct weft_socket, 40);

/* Key of weft_udp_peers (LRU): a backend that an unconnected UDP socket sent to. Value: the
 * frontend it meant. */
struct weft_udp_peer_key {
	__u64 cookie;
	struct weft_address address;
	__be16 port;
	__u16 pad0;
	__u32 pad1;
};
WEFT_ASSERT_SIZE(struct weft_udp_peer_key, 32);

struct weft_udp_peer {
	struct weft_address address;
	__be16 port;
	__u16 pad;
	weft_service_slot slot;
};
WEFT_ASSERT_SIZE(struct weft_udp_peer, 24);

/* ---- endpoints and nodes ---- */

enum weft_endpoint_flag {
	WEFT_ENDPOINT_LOCAL = 1 << 0,	/* ifindex and MAC addresses are set */
	WEFT_ENDPOINT_ISOLATED = 1 << 1,	/* its programs are not in place yet: drop */
};

/* Policy sets with a fixed meaning. A set that the datapath has no table for denies. */
enum {
	WEFT_POLICY_ALLOW_ALL = 0,
};

/* Value of weft_endpoints (hash, key struct weft_address): every workload address of the mesh. */
struct weft_endpoint {
	__u32 identity;
	__u32 node;		/* index into weft_nodes; WEFT_NODE_LOCAL for own endpoints */
	__u32 policy_set;	/* WEFT_POLICY_ALLOW_ALL, or a compiled set */
	__u32 ifindex;		/* host side of the veth pair */
	__u32 mac_low;		/* bytes 0-3 of the workload's MAC, in memory order */
	__u16 mac_high;		/* bytes 4-5 */
	__u16 flags;		/* enum weft_endpoint_flag */
};
WEFT_ASSERT_SIZE(struct weft_endpoint, 24);

enum weft_source_check {
	/* Outer source is a known node of the identity's cluster, inner source no other cluster's. */
	WEFT_SOURCE_CHECK_NODE = 0,
	WEFT_SOURCE_CHECK_PREFIXES = 1,	/* inner source lies in the identity's cluster's prefixes */
	WEFT_SOURCE_CHECK_OFF = 2,
};

/* Element of weft_tunnels, indexed like weft_nodes: where a node is reached. */
struct weft_tunnel {
	struct weft_address address;	/* outer destination */
	__u16 cluster;
	__u16 mtu;			/* of the inner packet; 0: the node's own */
	__u32 pad;
};
WEFT_ASSERT_SIZE(struct weft_tunnel, 24);

/* Value of weft_outer_sources (hash, key struct weft_address): whose outer source this is. */
struct weft_outer_source {
	__u32 node;
	__u16 cluster;
	__u16 pad;
};
WEFT_ASSERT_SIZE(struct weft_outer_source, 8);

/* Key of weft_prefixes (longest prefix match): pod CIDRs of every cluster. */
struct weft_prefix_key {
	__u32 length;		/* bits, 0-128 */
	struct weft_address address;
};
WEFT_ASSERT_SIZE(struct weft_prefix_key, 20);

/* Value of weft_prefixes; element of weft_cluster_settings, indexed by cluster ID. */
struct weft_cluster_settings {
	__u16 cluster;
	__u8 source_check;	/* enum weft_source_check */
	__u8 pad;
};
WEFT_ASSERT_SIZE(struct weft_cluster_settings, 4);

/* ---- connections ---- */

enum weft_connection_flag {
	WEFT_CONNECTION_REVERSED = 1 << 0,	/* the opener is `b` of the key */
	WEFT_CONNECTION_REPLIED = 1 << 1,	/* a packet came back */
	WEFT_CONNECTION_OPENER_FIN = 1 << 2,	/* both also after a RST */
	WEFT_CONNECTION_REPLIER_FIN = 1 << 3,
	WEFT_CONNECTION_RESET = 1 << 4,		/* the datapath reset it: its other end is dead */
	WEFT_CONNECTION_TRANSLATED = 1 << 5,	/* replies get the frontend as their source */
	WEFT_CONNECTION_FORWARD = 1 << 6,	/* only maps opener and frontend to a backend */
	WEFT_CONNECTION_FROM_OVERLAY = 1 << 7,	/* the opener is remote */
	WEFT_CONNECTION_CLOSED_REPORTED = 1 << 8,
	WEFT_CONNECTION_BEGAN_WITH_SYN = 1 << 9,
	WEFT_CONNECTION_OPENING_FAILED = 1 << 10,	/* counted among its backend's openings */
};

/* Key of weft_connections (LRU): `a` is the lower (address, port) in memory order. */
struct weft_connection_key {
	struct weft_address a;
	struct weft_address b;
	__be16 a_port;		/* ICMP: identifier in both */
	__be16 b_port;
	__u8 protocol;
	__u8 scope;		/* 0 the connection, 1 a WEFT_CONNECTION_FORWARD entry */
	__u16 pad;
};
WEFT_ASSERT_SIZE(struct weft_connection_key, 40);

enum weft_verdict {
	WEFT_VERDICT_ALLOW = 0,
	WEFT_VERDICT_DENY = 1,
};

struct weft_connection {
	__u64 created;			/* nanoseconds of CLOCK_MONOTONIC, to the tick */
	__u64 seen;			/* last packet */
	__u64 opener_packets;
	__u64 opener_bytes;		/* without the Ethernet header */
	__u64 replier_packets;
	__u64 replier_bytes;
	struct weft_address outer;	/* where the remote side's packets are sent; zero: both local */
	struct weft_address frontend;	/* TRANSLATED: what the opener asked for; FORWARD: the backend */
	__be16 frontend_port;
	__u16 cluster;			/* of the remote side, own cluster when both are here */
	__u32 node;			/* index of the remote side's node; WEFT_NODE_UNKNOWN */
	__u32 cluster_generation;	/* of weft_clusters[cluster] when the flow was made */
	__u32 node_generation;
	__u32 opener_identity;
	__u32 replier_identity;
	__u32 policy_set;		/* of the local side, of the replier when both are: the verdict's */
	__u32 identity_generation;	/* policy generation of weft_clusters[cluster] before the verdict */
	__u32 flags;			/* enum weft_connection_flag */
	__u32 opener_ifindex;		/* host side of its veth pair; 0: remote */
	__u32 replier_ifindex;
	__u16 mtu;			/* of a packet to the remote side, bytes without Ethernet header */
	__u8 verdict;			/* enum weft_verdict */
	__u8 pad;
};
WEFT_ASSERT_SIZE(struct weft_connection, 128);

/* ---- evidence against backends ---- */

/* Key of weft_evidence (LRU): a backend as connections name it. */
struct weft_evidence_key {
	struct weft_address address;
	__be16 port;
	__u8 protocol;	/* IPPROTO_TCP or IPPROTO_UDP */
	__u8 pad;
};
WEFT_ASSERT_SIZE(struct weft_evidence_key, 20);

/* Openings of this node's endpoints to a backend since its first failure. Times are of the last
 * one, nanoseconds of CLOCK_MONOTONIC to the tick, 0 for none; counts wrap. */
struct weft_evidence {
	__u64 answered_at;
	__u64 silent_at;
	__u64 refused_at;
	__u64 unreachable_at;
	__u32 answered;		/* by anything but a RST */
	__u32 openings;		/* connections that failed at least once */
	__u32 silent;		/* SYNs sent again without an answer */
	__u32 refused;		/* RST in answer to a SYN */
	__u32 unreachable;	/* ICMP errors in answer to a SYN; UDP: port unreachable only */
	__u32 node;		/* of the last failure: index into weft_nodes */
	__u32 ifindex;		/* host side of the veth pair of its opener */
	__u16 cluster;
	__u16 pad;
};
WEFT_ASSERT_SIZE(struct weft_evidence, 64);

/* ---- probes of other nodes, answered in the agent's name while its lease lasts ---- */

enum {
	WEFT_LEASE_MILLISECONDS = 10000,	/* a lease's length after its last renewal */
	WEFT_PROBES_PER_SECOND_MAX = 1000,	/* answered on one CPU */
};

/* Elements of weft_responder. */
enum weft_responder_word {
	WEFT_RESPONDER_RENEWED,		/* when the lease was, nanoseconds of CLOCK_MONOTONIC; 0: none */
	WEFT_RESPONDER_INSTANCE,	/* of the agent */
	WEFT_RESPONDER_WORDS,
};

/* First byte of a datagram to the health port, which heartbeats (1) and gossip (2) share, and "wft". */
enum weft_probe_kind {
	WEFT_PROBE_QUESTION = 0x03776674,
	WEFT_PROBE_ANSWER = 0x04776674,
};

/* The whole of a UDP datagram; question and answer are equally long, so that nothing is amplified. */
struct weft_probe {
	__be32 kind;		/* enum weft_probe_kind */
	__be32 age;		/* milliseconds since the lease was renewed; question: not looked at */
	__be64 nonce;		/* the prober's */
	__be64 instance;	/* the agent's; question: not looked at */
};
WEFT_ASSERT_SIZE(struct weft_probe, 24);

/* ---- heartbeats inside the overlay ---- */

enum {
	WEFT_BEAT_PROTOCOL = 0x88b5,	/* of the frame: IEEE 802's first for local experiments */
	WEFT_BEAT_BYTES_MAX = 1024,
};

/* Beginning of a record of the ring buffer weft_beats; WEFT_BEAT_BYTES_MAX bytes follow. */
struct weft_beat {
	struct weft_address outer;	/* who sent it, as the outer header says */
	__u32 length;			/* of what counts of the bytes, 1..WEFT_BEAT_BYTES_MAX */
	__u32 pad;
};
WEFT_ASSERT_SIZE(struct weft_beat, 24);

/* ---- counters and events ---- */

/* Element of weft_counters (per CPU), indexed by enum weft_drop_reason, then from
 * WEFT_COUNTER_FIRST by enum weft_counter. */
struct weft_count {
	__u64 packets;
	__u64 bytes;
};
WEFT_ASSERT_SIZE(struct weft_count, 16);

enum {
	WEFT_COUNTER_FIRST = 128,
	WEFT_COUNTERS_MAX = 192,
};

enum weft_counter {
	WEFT_COUNTER_CONNECTIONS_OPENED = WEFT_COUNTER_FIRST,
	WEFT_COUNTER_SOCKETS_TRANSLATED,
	WEFT_COUNTER_PACKETS_TRANSLATED,	/* new flows translated by from-endpoint */
	WEFT_COUNTER_LAST_RESORT,		/* chosen although no cluster of the service is live */
	WEFT_COUNTER_CONNECTIONS_RESET,		/* RST or port unreachable for a dead cluster or node */
	WEFT_COUNTER_TOO_BIG_ANSWERED,
	WEFT_COUNTER_MSS_CLAMPED,
	WEFT_COUNTER_EVENTS_LOST,		/* the ring was full, or a reason's events too many a second */
	WEFT_COUNTER_CONNECTION_INSERT_FAILED,	/* forwarded on the fresh verdict */
	/* The next two count packets whose fate was decided anew; those of established connections are
	 * counted in their entry only, which saves a map operation a packet. */
	WEFT_COUNTER_ENCAPSULATED,
	WEFT_COUNTER_DELIVERED,
	WEFT_COUNTER_TO_HOST,			/* every packet left to the host's stack */
	/* Openings of endpoints here, in the order of enum evidence_failure. */
	WEFT_COUNTER_OPENINGS_SILENT,		/* SYNs sent again without an answer */
	WEFT_COUNTER_OPENINGS_REFUSED,
	WEFT_COUNTER_OPENINGS_UNREACHABLE,
	WEFT_COUNTER_PROBES_ANSWERED,		/* in the agent's name */
	WEFT_COUNTER_END,
};
_Static_assert(WEFT_DROP_END <= WEFT_COUNTER_FIRST, "drop reasons reach into the counters");
_Static_assert(WEFT_COUNTER_END <= WEFT_COUNTERS_MAX, "more counters than slots");

enum weft_event_type {
	WEFT_EVENT_OPENED = 1,
	WEFT_EVENT_CLOSED = 2,
	WEFT_EVENT_DENIED = 3,
	WEFT_EVENT_DROPPED = 4,
	WEFT_EVENT_RESET = 5,
};

/* Record of the ring buffer weft_events. */
struct weft_event {
	__u64 time;			/* nanoseconds of CLOCK_MONOTONIC */
	__u64 packets;			/* CLOSED: both directions */
	__u64 bytes;
	struct weft_address source;
	struct weft_address destination;
	struct weft_address frontend;	/* zero without translation here */
	__be16 source_port;
	__be16 destination_port;
	__be16 frontend_port;
	__u8 protocol;
	__u8 type;			/* enum weft_event_type */
	__u32 source_identity;
	__u32 destination_identity;
	__u16 reason;			/* enum weft_drop_reason */
	__u16 cluster;			/* of the remote side */
	__u32 ifindex;			/* where the packet came in */
};
WEFT_ASSERT_SIZE(struct weft_event, 96);

/* ---- load-time constants: the object's weft_config in .rodata ---- */

struct weft_config {
	struct weft_address outer_source;	/* own address on the underlay */
	__u16 cluster;
	__u16 underlay_mtu;
	__u32 overlay_ifindex;			/* the VXLAN device */
	__u32 initial_identity;			/* of a local endpoint without labels yet */
	__u32 flow_events;			/* 0 off, 1 on */
	__u64 tcp_idle_nanoseconds;
	__u64 tcp_opening_nanoseconds;
	__u64 other_idle_nanoseconds;
	__be16 health_port;			/* UDP; 0 answers no probes */
	__u16 pad0;
	__u32 pad1;
};
WEFT_ASSERT_SIZE(struct weft_config, 64);

#ifdef __bpf__
/* No map names these: keeps them in the object's type information, which a test compares with Swift's
 * layout. */
static const struct weft_list *const weft_list_type __attribute__((used));
static const struct weft_event *const weft_event_type __attribute__((used));
static const struct weft_probe *const weft_probe_type __attribute__((used));
static const struct weft_beat *const weft_beat_type __attribute__((used));
#endif

/* ---- the embedded object ---- */

/* The compiled BPF object, 8-byte aligned, for the life of the process. */
const void *weft_object_bytes(void);
unsigned long weft_object_size(void);
