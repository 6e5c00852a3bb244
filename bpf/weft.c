/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one object: every program and map of the datapath. */
#include "socket.c"
#include "endpoint.c"
#include "overlay.c"
#include "host.c"
#include "underlay.c"
#include "beat.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
