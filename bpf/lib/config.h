/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What every program includes: kernel types, helpers, shared layouts, load-time constants. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <weft_abi.h>

/*
 * A function that the verifier checks once, by itself, instead of anew on every path that calls it.
 * It knows nothing of its arguments: pointers may be NULL, and must not lead to pointers. Before
 * Linux 6.2 what they point to is no map's key or value, either: it is copied, or found again.
 */
#define WEFT_SEPARATE __attribute__((noinline))

/* Set by the loader before loading; the verifier then treats every field as a constant. */
const volatile struct weft_config weft_config SEC(".rodata");

#define WEFT_NANOSECONDS_PER_SECOND 1000000000ULL

/* From the kernel's private headers. */
enum {
	WEFT_PACKET_HOST = 0,	/* PACKET_HOST of skb->pkt_type */
	WEFT_PACKET_BROADCAST = 1,
	WEFT_PACKET_MULTICAST = 2,
	WEFT_EPERM = 1,
	WEFT_ECONNREFUSED = 111,
};
