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
 * cluster (for flows inside the node: the own one; for flows with what is outside the mesh: word 0)
 * have their verdict taken again at their next packet.
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
	WEFT_ENDPOINT_AUDIT = 1 << 2,	/* what its policies deny is told, and let through */
};

/* Value of weft_endpoints (hash, key struct weft_address): every workload address of the mesh. */
struct weft_endpoint {
	__u32 identity;
	__u32 node;		/* index into weft_nodes; WEFT_NODE_LOCAL for own endpoints */
	__u32 policy_set;	/* WEFT_POLICY_ALLOW_ALL, or an index into weft_policy_sets */
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

/* ---- policies: set -> version -> peer -> list of intervals ---- */

enum {
	WEFT_POLICY_ALLOW_ALL = 0,		/* the set that isn't looked up */
	WEFT_POLICY_INTERVALS_MAX = 16384,	/* in one list */
	WEFT_POLICY_TRAFFIC_END = 1 << 24,	/* see WEFT_POLICY_TRAFFIC */
};

/* The identity under which the list for everybody else stands, in block 0. */
#define WEFT_POLICY_ANYONE 0xffffffffu

/* What a flow carries: its protocol, and the port at its destination in host byte order, the type of
 * an ICMP request, or 0. */
#define WEFT_POLICY_TRAFFIC(protocol, port) ((__u32)(protocol) << 16 | (__u16)(port))

enum weft_direction {
	WEFT_EGRESS = 0,	/* as the connection's opener */
	WEFT_INGRESS = 1,	/* as its replier */
};

/* Element of weft_policy_sets: bits 0-31 the version in force, 32-63 the generation of the blocks
 * that its peers' addresses are looked up in; 0: in none. One store publishes a version. */
typedef __u64 weft_policy_word;
#define WEFT_POLICY_VERSION_NONE 0u		/* denies everything */
#define WEFT_POLICY_VERSION_ALLOW 0xffffffffu	/* has no lists: allows everything */
#define WEFT_POLICY_VERSION(word)	((__u32)(word))
#define WEFT_POLICY_BLOCKS(word)	((__u32)((word) >> 32))

/* Key of weft_policy_peers (hash). */
struct weft_policy_peer_key {
	__u32 version;
	__u32 identity;
	__u32 block;		/* of the peer's address; 0: in none */
	__u8 direction;		/* enum weft_direction */
	__u8 pad0;
	__u16 pad1;
};
WEFT_ASSERT_SIZE(struct weft_policy_peer_key, 16);

/* Value of weft_policy_peers: bits 0-31 index of the list in weft_policy_intervals, 32-63
 * weft_policy_tag. */
typedef __u64 weft_policy_list;
#define WEFT_POLICY_LIST(value)		((__u32)(value))

/* The kernel reuses an element of a hash at once. Who holds it may then read another key's value, or
 * half of it: by this word, made of the key and the list, it sees that. */
static inline __u32 weft_policy_tag(const struct weft_policy_peer_key *key, __u32 list)
{
	__u64 mix = ((__u64)key->version << 32 | key->identity) * 0x9e3779b97f4a7c15ULL;

	mix ^= mix >> 29;
	mix += (__u64)list << 32 | key->block;
	mix *= 0xbf58476d1ce4e5b9ULL;
	mix ^= mix >> 32;
	mix = (mix + key->direction) * 0x94d049bb133111ebULL;
	return mix >> 32;
}

enum weft_policy_verdict {
	WEFT_POLICY_ALLOW = 0,
	WEFT_POLICY_DENY = 1,
	WEFT_POLICY_DENY_UNKNOWN = 2,	/* allowed, perhaps, to peers that lists are yet to be made for */
};

/*
 * Element of weft_policy_intervals. A list is a word that counts its intervals, then these, sorted by
 * start; each reaches to the start of the next. Bits 0-23 start (WEFT_POLICY_TRAFFIC; the first has
 * 0), 24-31 enum weft_policy_verdict, 32-63 the rule, a signed number of the agent's. Immutable
 * while an element of weft_policy_peers leads to it. Index 0 is no list's.
 */
typedef __u64 weft_policy_interval;
#define WEFT_POLICY_INTERVAL_START(interval)	((__u32)(interval) & 0xffffff)
#define WEFT_POLICY_INTERVAL_VERDICT(interval)	((__u8)((interval) >> 24))
#define WEFT_POLICY_INTERVAL_RULE(interval)	((__s32)((interval) >> 32))

/* Key of weft_policy_blocks (longest prefix match); value: the number of the block, 1 at least. */
struct weft_policy_block_key {
	__u32 length;		/* bits, 32-160: those of the generation count */
	__u32 generation;
	struct weft_address address;
};
WEFT_ASSERT_SIZE(struct weft_policy_block_key, 24);

/* Key of weft_policy_known (hash): a peer that lists were made for, so that DENY_UNKNOWN is final.
 * Value: 1. */
struct weft_policy_known_key {
	__u32 identity;
	__u32 block;
};
WEFT_ASSERT_SIZE(struct weft_policy_known_key, 8);

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
	/* The remote side is outside the mesh, or answers go through the host's NAT: packets to it are
	 * left to the host's stack. Cluster 0, whose word's policy generation renews the verdict. */
	WEFT_CONNECTION_HOST = 1 << 11,
	WEFT_CONNECTION_DENIED_AFAR = 1 << 12,	/* by a policy at the replier's node, which said so */
};

/* Key of weft_connections (LRU): `a` is the lower (address, port) in memory order. */
struct weft_connection_key {
	struct weft_address a;
	struct weft_address b;
	__be16 a_port;		/* ICMP echo: identifier in both; else: type of the request at who asks */
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
	__u16 cluster;			/* of the remote side, own cluster when both are here; 0: outside */
	__u32 node;			/* index of the remote side's node; WEFT_NODE_UNKNOWN */
	__u32 cluster_generation;	/* of weft_clusters[cluster] when the flow was made */
	__u32 node_generation;
	__u32 opener_identity;
	__u32 replier_identity;
	__u32 policy_set;		/* of the local side, of the replier when both are: the verdict's */
	__u16 identity_generation;	/* policy generation of weft_clusters[cluster] before the verdict */
	__u8 verdict;			/* enum weft_verdict; stored together with what is before it */
	__u8 pad0;
	__u32 flags;			/* enum weft_connection_flag */
	__u32 opener_ifindex;		/* host side of its veth pair; 0: remote */
	__u32 replier_ifindex;
	__u16 mtu;			/* of a packet to the remote side, bytes without Ethernet header */
	__be16 opening;			/* BEGAN_WITH_SYN: lower half of the SYN's sequence number */
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
	__u64 denied_at;	/* a policy at its node said that it denies an opening */
	__u32 answered;		/* by anything but a RST */
	__u32 openings;		/* connections that failed at least once */
	__u32 silent;		/* SYNs sent again without an answer */
	__u32 refused;		/* RST in answer to a SYN */
	__u32 unreachable;	/* ICMP errors in answer to a SYN; UDP: port unreachable only */
	/* Of connections that turned out to be denied: such were counted above. */
	__u32 retracted_openings;
	__u32 retracted;	/* of `silent` */
	__u32 node;		/* of the last failure: index into weft_nodes */
	__u32 ifindex;		/* host side of the veth pair of its opener */
	__u16 cluster;
	__u16 pad;
};
WEFT_ASSERT_SIZE(struct weft_evidence, 80);

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
	WEFT_COUNTER_AUDITED,			/* verdicts of policies that were told and not enforced */
	WEFT_COUNTER_DENIALS_ANSWERED,
	WEFT_COUNTER_DENIALS_UNANSWERED,	/* more in a second than are answered */
	WEFT_COUNTER_DENIALS_SIGNALLED,		/* said to the opener's node, not to the opener */
	WEFT_COUNTER_DENIALS_HEARD,		/* other nodes' about openings of endpoints here */
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
	WEFT_EVENT_AUDITED = 6,	/* as DENIED, of what is let through all the same */
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
	/* What decided: DENIED, AUDITED, and DROPPED for WEFT_DROP_UNKNOWN_IDENTITY. */
	__u32 policy_version;		/* 0: the set has none */
	__s32 policy_rule;		/* of the interval */
	__u8 policy_direction;		/* enum weft_direction */
	__u8 pad0;
	__u16 pad1;
	__u32 pad2;
};
WEFT_ASSERT_SIZE(struct weft_event, 112);

/* ---- load-time constants: the object's weft_config in .rodata ---- */

/* What the sender of a packet hears that a policy denies. */
enum weft_denied_answer {
	WEFT_DENIED_DROP = 0,
	WEFT_DENIED_REJECT = 1,	/* TCP: RST; else ICMP "administratively prohibited" */
};

enum {
	WEFT_DENIALS_PER_SECOND_MAX = 1000,	/* answered on one CPU */
};

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
	__u32 denied_answer;			/* enum weft_denied_answer */
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
