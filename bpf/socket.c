/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup hooks: a service's address is translated once, when a socket connects, or for each message
 * of an unconnected UDP socket. The packets then go straight to the backend.
 */
#include "lib/affinity.h"
#include "lib/event.h"

/* Sockets connected to a service. Written by connect, freed with the socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__type(key, int);
	__type(value, struct weft_socket);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} weft_sockets SEC(".maps");

/* Backends that unconnected UDP sockets sent to. Written by sendmsg. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct weft_udp_peer_key);
	__type(value, struct weft_udp_peer);
	__uint(max_entries, 65536);
} weft_udp_peers SEC(".maps");

enum hook_result {
	WEFT_HOOK_REFUSE = 0,
	WEFT_HOOK_PROCEED = 1,
};

struct socket_address {
	struct weft_address address;
	__be16 port;
};

static __always_inline void socket_address_read(const struct bpf_sock_addr *ctx, bool ipv6,
						struct socket_address *at)
{
	if (ipv6) {
		at->address.word0 = ctx->user_ip6[0];
		at->address.word1 = ctx->user_ip6[1];
		at->address.word2 = ctx->user_ip6[2];
		at->address.word3 = ctx->user_ip6[3];
	} else {
		address_from_ipv4(&at->address, ctx->user_ip4);
	}
	at->port = ctx->user_port;
}

static __always_inline void socket_address_write(struct bpf_sock_addr *ctx, bool ipv6,
						 const struct weft_address *address, __be16 port)
{
	if (ipv6) {
		ctx->user_ip6[0] = address->word0;
		ctx->user_ip6[1] = address->word1;
		ctx->user_ip6[2] = address->word2;
		ctx->user_ip6[3] = address->word3;
	} else {
		ctx->user_ip4 = address->word3;
	}
	ctx->user_port = port;
}

static __always_inline bool socket_address_is(const struct socket_address *at,
					      const struct weft_address *address, __be16 port)
{
	return at->port == port && address_equal(&at->address, address);
}

/* The call fails with ECONNREFUSED. */
static __always_inline int refuse_socket(struct bpf_sock_addr *ctx, const struct socket_address *at)
{
	struct weft_event *event;

	count(WEFT_DROP_NO_BACKEND, 0);
	if (event_is_affordable(WEFT_DROP_NO_BACKEND, bpf_ktime_get_coarse_ns())) {
		event = event_reserve(WEFT_EVENT_DROPPED);
		if (event) {
			event->destination = event->frontend = at->address;
			event->destination_port = event->frontend_port = at->port;
			event->protocol = ctx->protocol;
			event->reason = WEFT_DROP_NO_BACKEND;
			event_submit(event);
		}
	} else {
		count(WEFT_COUNTER_EVENTS_LOST, 0);
	}
	bpf_set_retval(-WEFT_ECONNREFUSED);
	return WEFT_HOOK_REFUSE;
}

/* The backend for a socket's service; NULL if there is none that the socket can reach. */
static __always_inline const struct weft_backend *
socket_backend(struct bpf_sock_addr *ctx, bool ipv6, weft_service_slot slot, __u32 seed)
{
	__u64 namespace = bpf_get_netns_cookie(ctx);
	struct weft_address client = {
		.word2 = namespace >> 32,
		.word3 = namespace,
	};
	int index = service_backend(slot, &client, seed);
	const struct weft_backend *backend = index < 0 ? 0 : backend_at(index);

	return backend && (ipv6 || address_is_ipv4(&backend->address)) ? backend : 0;
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, bool ipv6)
{
	const struct weft_backend *backend;
	struct socket_address at;
	struct weft_socket *socket;
	weft_service_slot *slot;

	socket_address_read(ctx, ipv6, &at);
	slot = service_find(&at.address, at.port, ctx->protocol);
	if (!slot) {
		bpf_sk_storage_delete(&weft_sockets, ctx->sk);
		return WEFT_HOOK_PROCEED;
	}
	backend = socket_backend(ctx, ipv6, *slot, bpf_get_prandom_u32());
	if (!backend)
		return refuse_socket(ctx, &at);
	/* Without room for it the socket stays as it is: from-endpoint translates its packets. */
	socket = bpf_sk_storage_get(&weft_sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket)
		return WEFT_HOOK_PROCEED;
	socket->frontend = at.address;
	socket->frontend_port = at.port;
	socket->backend = backend->address;
	socket->backend_port = backend->port;
	socket->slot = *slot;
	socket_address_write(ctx, ipv6, &backend->address, backend->port);
	count(WEFT_COUNTER_SOCKETS_TRANSLATED, 0);
	return WEFT_HOOK_PROCEED;
}

/* What was said to be a backend of a service is addressed by its own name from now on. */
static __always_inline void forget_peer(struct bpf_sock_addr *ctx,
					const struct weft_udp_peer_key *key,
					const struct socket_address *at)
{
	struct weft_socket *socket = bpf_sk_storage_get(&weft_sockets, ctx->sk, 0, 0);

	if (socket && socket_address_is(at, &socket->backend, socket->backend_port))
		bpf_sk_storage_delete(&weft_sockets, ctx->sk);
	if (bpf_map_lookup_elem(&weft_udp_peers, key))
		bpf_map_delete_elem(&weft_udp_peers, key);
}

/* Called only for messages that name their destination. */
static __always_inline int on_sendmsg(struct bpf_sock_addr *ctx, bool ipv6)
{
	struct weft_udp_peer_key key = { .cookie = bpf_get_socket_cookie(ctx) };
	const struct weft_backend *backend;
	const struct weft_udp_peer *known;
	struct weft_udp_peer peer = {};
	struct socket_address at;
	weft_service_slot *slot;

	socket_address_read(ctx, ipv6, &at);
	slot = service_find(&at.address, at.port, ctx->protocol);
	if (!slot) {
		key.address = at.address;
		key.port = at.port;
		forget_peer(ctx, &key, &at);
		return WEFT_HOOK_PROCEED;
	}
	/* One backend for a socket while it lives: the seed is the socket's. */
	backend = socket_backend(ctx, ipv6, *slot,
				 ((__u32)key.cookie ^ *slot << 16 ^ *slot) * 2654435761u);
	if (!backend)
		return refuse_socket(ctx, &at);
	key.address = backend->address;
	key.port = backend->port;
	known = bpf_map_lookup_elem(&weft_udp_peers, &key);
	if (!known || !socket_address_is(&at, &known->address, known->port)) {
		peer.address = at.address;
		peer.port = at.port;
		peer.slot = *slot;
		/* Without room the answer could not be told from one of the backend itself. */
		if (bpf_map_update_elem(&weft_udp_peers, &key, &peer, BPF_ANY))
			return WEFT_HOOK_PROCEED;
		count(WEFT_COUNTER_SOCKETS_TRANSLATED, 0);
	}
	socket_address_write(ctx, ipv6, &backend->address, backend->port);
	return WEFT_HOOK_PROCEED;
}

/* The source of a message: the frontend, if it comes from the backend that stands for it. */
static __always_inline int on_recvmsg(struct bpf_sock_addr *ctx, bool ipv6)
{
	struct weft_udp_peer_key key = { .cookie = bpf_get_socket_cookie(ctx) };
	const struct weft_socket *socket = bpf_sk_storage_get(&weft_sockets, ctx->sk, 0, 0);
	const struct weft_udp_peer *peer;
	struct socket_address at;

	socket_address_read(ctx, ipv6, &at);
	if (socket && socket_address_is(&at, &socket->backend, socket->backend_port)) {
		socket_address_write(ctx, ipv6, &socket->frontend, socket->frontend_port);
		return WEFT_HOOK_PROCEED;
	}
	key.address = at.address;
	key.port = at.port;
	peer = bpf_map_lookup_elem(&weft_udp_peers, &key);
	if (peer)
		socket_address_write(ctx, ipv6, &peer->address, peer->port);
	return WEFT_HOOK_PROCEED;
}

static __always_inline int on_getpeername(struct bpf_sock_addr *ctx, bool ipv6)
{
	const struct weft_socket *socket = bpf_sk_storage_get(&weft_sockets, ctx->sk, 0, 0);
	struct socket_address at;

	socket_address_read(ctx, ipv6, &at);
	if (socket && socket_address_is(&at, &socket->backend, socket->backend_port))
		socket_address_write(ctx, ipv6, &socket->frontend, socket->frontend_port);
	return WEFT_HOOK_PROCEED;
}

#define WEFT_SOCKET_HOOK(hook)                                                                    \
	SEC("cgroup/" #hook "4") int weft_##hook##4(struct bpf_sock_addr *ctx)                    \
	{                                                                                         \
		return on_##hook(ctx, false);                                                     \
	}                                                                                         \
	SEC("cgroup/" #hook "6") int weft_##hook##6(struct bpf_sock_addr *ctx)                    \
	{                                                                                         \
		return on_##hook(ctx, true);                                                      \
	}

WEFT_SOCKET_HOOK(connect)
WEFT_SOCKET_HOOK(sendmsg)
WEFT_SOCKET_HOOK(recvmsg)
WEFT_SOCKET_HOOK(getpeername)
