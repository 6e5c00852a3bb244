/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a flow's verdict is taken. */
#pragma once

#include "config.h"

enum weft_direction {
	WEFT_EGRESS = 0,
	WEFT_INGRESS = 1,
};

/*
 * The verdict on a flow of an endpoint with a policy set, with a peer.
 *
 * The caller reads the policy generation of the peer's cluster *before* it reads the set and the
 * identity, and keeps all three with the verdict: what changes in between is seen as a change.
 * A set without compiled tables denies: an endpoint fails closed, never open.
 */
static __always_inline __u8 policy_verdict(__u32 policy_set,
					   enum weft_direction direction __attribute__((unused)),
					   __u32 peer_identity __attribute__((unused)),
					   __u8 protocol __attribute__((unused)),
					   __be16 port __attribute__((unused)))
{
	return policy_set == WEFT_POLICY_ALLOW_ALL ? WEFT_VERDICT_ALLOW : WEFT_VERDICT_DENY;
}
