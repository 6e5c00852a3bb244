/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath in a kernel that refuses: no tunnel metadata, no rewritten addresses, and a
 * connection table that runs full because it is no LRU.
 */
#include "../lib/config.h"

#define BPF_MAP_TYPE_LRU_HASH BPF_MAP_TYPE_HASH
#define bpf_skb_set_tunnel_key(skb, key, size, flags) ((void)(key), (void)(flags), -WEFT_EPERM)
#define bpf_l3_csum_replace(skb, offset, from, to, size) ((void)(offset), (void)(to), -WEFT_EPERM)

#include "../weft.c"
