/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * send-beat: attached to nothing. The agent runs it on a frame (BPF_PROG_TEST_RUN), and it sends a
 * copy out of the VXLAN device with the tunnel metadata that the node's other packets have: what
 * keeps these from arriving keeps beats.
 */
#include "lib/beat.h"

/* skb->cb[0..3] is the peer's underlay address. Returns 0, or below zero if the kernel refused. */
SEC("tc")
int weft_send_beat(struct __sk_buff *skb)
{
	struct weft_address peer = {
		.word0 = skb->cb[0],
		.word1 = skb->cb[1],
		.word2 = skb->cb[2],
		.word3 = skb->cb[3],
	};
	long error = encapsulate(skb, &peer, beat_identity(weft_config.cluster), 0);

	return error ?: bpf_clone_redirect(skb, weft_config.overlay_ifindex, 0);
}
