/* SPDX-License-Identifier: Apache-2.0 */
/* libbpf, and the few things that Swift cannot say: atomic stores to shared memory, variadic calls. */
#pragma once
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One aligned 8-byte store; what this thread stored before is visible to whoever reads it. */
static inline void shim_store_release(__u64 *word, __u64 value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* The same, only where the word is zero; says whether it was. */
static inline bool shim_exchange_zero(__u64 *word, __u64 value)
{
	__u64 zero = 0;

	return __atomic_compare_exchange_n(word, &zero, value, false, __ATOMIC_RELEASE,
					   __ATOMIC_RELAXED);
}

/* The same, only where the word is *held; else *held becomes what it is. */
static inline bool shim_exchange(__u64 *word, __u64 *held, __u64 value)
{
	return __atomic_compare_exchange_n(word, held, value, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

static inline __u64 shim_load_acquire(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Returns after every CPU has left the RCU read-side sections it was in; 0 or a negative errno. */
static inline int shim_membarrier_global(void)
{
	return syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
}

/* tcx attach types, Linux 6.6; older headers lack the names, and bpf_link_create passes numbers on. */
#define SHIM_TCX_INGRESS 46
#define SHIM_TCX_EGRESS 47

static inline int shim_tcx_link(int program, int ifindex, int type)
{
	return bpf_link_create(program, ifindex, (enum bpf_attach_type)type, 0);
}

/* Where a link of any kind says what it is attached to: tcx has no name in older headers, but its
 * interface index stands first, as xdp's does. */
static inline __u32 shim_link_ifindex(const struct bpf_link_info *info)
{
	return info->xdp.ifindex;
}

static inline __u64 shim_link_cgroup(const struct bpf_link_info *info)
{
	return info->cgroup.cgroup_id;
}

/* A printed message in memory that the caller frees; NULL when there is none. */
static inline char *shim_format(const char *format, va_list arguments)
{
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(0, 0, format, again);
	va_end(again);
	char *text = length < 0 ? 0 : (char *)malloc((size_t)length + 1);
	if (text)
		vsnprintf(text, (size_t)length + 1, format, arguments);
	return text;
}
