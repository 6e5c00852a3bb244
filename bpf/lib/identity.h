/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Identity in the packet: the VXLAN network identifier carries the low 24 bits, the group policy
 * field 0x8000 and the high 8. The marker is always set: the kernel doesn't transmit a group policy
 * of zero, and one that is not set sends what was left in the buffer. Between them stand marks, which
 * only nodes can set: endpoints don't see this header.
 */
#pragma once

#include "config.h"

#define WEFT_IDENTITY_MARKER 0x8000u
#define WEFT_OVERLAY_DENIED 0x4000u	/* a reset in a policy's name, not in its source's */
#define WEFT_OVERLAY_QUIET 0x2000u	/* with DENIED: for the node, not for its endpoint */
#define WEFT_OVERLAY_MARKS (WEFT_OVERLAY_DENIED | WEFT_OVERLAY_QUIET)
#define WEFT_IDENTITY_CLUSTER(identity) ((identity) >> 20)

/* struct vxlan_metadata of the kernel. */
struct group_policy {
	__u32 value;
};

static __always_inline void identity_encode(__u32 identity, __u32 marks, __u32 *network,
					    struct group_policy *policy)
{
	*network = identity & 0xffffff;
	policy->value = WEFT_IDENTITY_MARKER | marks | identity >> 24;
}

/* False when the marker is missing: the packet is not ours. */
static __always_inline bool identity_decode(__u32 network, const struct group_policy *policy,
					    __u32 *identity)
{
	*identity = (network & 0xffffff) | policy->value << 24;
	return policy->value & WEFT_IDENTITY_MARKER;
}
