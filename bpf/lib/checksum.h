/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum (RFC 1071) of packets that the datapath makes itself. */
#pragma once

#include "parse.h"

/* Covers the transport's payload together with the addresses. IPv4's pseudo header is shorter, but
 * sums up to the same: the 0xffff of a mapped address is zero in one's complement. */
struct pseudo_header {
	struct weft_address source;
	struct weft_address destination;
	__be32 length;
	__be32 protocol;
};

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Adds `size` bytes, a multiple of 4. */
static __always_inline __u32 checksum_add(__u32 sum, void *bytes, __u32 size)
{
	return bpf_csum_diff(0, 0, bytes, size, sum);
}
