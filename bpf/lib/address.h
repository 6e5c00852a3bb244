/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One address type for IPv4 and IPv6: 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d. */
#pragma once

#include "config.h"

#define WEFT_MAPPED_PREFIX bpf_htonl(0xffff)

static __always_inline void address_from_ipv4(struct weft_address *address, __be32 ipv4)
{
	address->word0 = 0;
	address->word1 = 0;
	address->word2 = WEFT_MAPPED_PREFIX;
	address->word3 = ipv4;
}

static __always_inline bool address_is_ipv4(const struct weft_address *address)
{
	return !address->word0 && !address->word1 && address->word2 == WEFT_MAPPED_PREFIX;
}

static __always_inline bool address_is_zero(const struct weft_address *address)
{
	return !(address->word0 | address->word1 | address->word2 | address->word3);
}

static __always_inline bool address_equal(const struct weft_address *a,
					  const struct weft_address *b)
{
	return a->word3 == b->word3 && a->word2 == b->word2 && a->word1 == b->word1 &&
	       a->word0 == b->word0;
}

/* Below zero, zero or above, in the order of the bytes in memory. */
static __always_inline int address_compare(const struct weft_address *a,
					   const struct weft_address *b)
{
	if (a->word0 != b->word0)
		return bpf_ntohl(a->word0) < bpf_ntohl(b->word0) ? -1 : 1;
	if (a->word1 != b->word1)
		return bpf_ntohl(a->word1) < bpf_ntohl(b->word1) ? -1 : 1;
	if (a->word2 != b->word2)
		return bpf_ntohl(a->word2) < bpf_ntohl(b->word2) ? -1 : 1;
	if (a->word3 != b->word3)
		return bpf_ntohl(a->word3) < bpf_ntohl(b->word3) ? -1 : 1;
	return 0;
}

/* Addresses that no router forwards: fe80::/10, :: (which may only be a source). */
static __always_inline bool address_is_link_local(const struct weft_address *address)
{
	return (address->word0 & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* ff02::/16 */
static __always_inline bool address_is_link_multicast(const struct weft_address *address)
{
	return (address->word0 & bpf_htonl(0xffff0000)) == bpf_htonl(0xff020000);
}
