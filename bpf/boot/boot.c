/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only process of a virtual machine: loads the programs of /weft.bpf.o into its kernel, each alone
 * and then all together, with each setting that changes which code is reached. See scripts/verify-kernel.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "weft_abi.h"

static char verifier_log[1 << 24];
static char library_log[1 << 14];

static int keep_warnings(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t length = strlen(library_log);

	if (level == LIBBPF_DEBUG)
		return 0;
	return vsnprintf(library_log + length, sizeof(library_log) - length, format, arguments);
}

/* Sets what the agent sets before it loads the object. */
static void configure(struct bpf_object *object, int denied_answer)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		size_t size;
		const void *initial = bpf_map__initial_value(map, &size);
		struct weft_config config;

		if (!strstr(bpf_map__name(map), "rodata") || size != sizeof(config))
			continue;
		memcpy(&config, initial, sizeof(config));
		config.cluster = 1;
		config.underlay_mtu = 1500;
		config.overlay_ifindex = 42;
		config.flow_events = 1;
		config.tcp_idle_nanoseconds = 3600000000000ull;
		config.tcp_opening_nanoseconds = 60000000000ull;
		config.other_idle_nanoseconds = 60000000000ull;
		config.health_port = 1;
		config.denied_answer = denied_answer;
		bpf_map__set_initial_value(map, &config, sizeof(config));
	}
}

/* Loads the program of this name alone, or all if there is none. Returns 0, or what the kernel said. */
static int load(const char *name, int denied_answer)
{
	struct bpf_object *object = bpf_object__open("/weft.bpf.o");
	struct bpf_program *program;
	const char *summary;
	int error;

	if (!object)
		return -errno;
	library_log[0] = verifier_log[0] = 0;
	configure(object, denied_answer);
	bpf_object__for_each_program(program, object) {
		bool is_meant = !name || !strcmp(bpf_program__name(program), name);

		bpf_program__set_autoload(program, is_meant);
		if (!name || !is_meant)
			continue;
		bpf_program__set_log_buf(program, verifier_log, sizeof(verifier_log));
		bpf_program__set_log_level(program, 4);
	}
	error = bpf_object__load(object);
	summary = strstr(verifier_log, "processed ");
	printf("%-24s denied_answer %d: %s", name ?: "all together", denied_answer,
	       error ? strerror(-error) : "accepted");
	if (!error && summary)
		printf(", %.*s", (int)strcspn(summary, "("), summary);
	printf("\n");
	if (error) {
		size_t length = strlen(verifier_log);

		printf("%s\n%s\n", verifier_log + (length > 2000 ? length - 2000 : 0), library_log);
	}
	bpf_object__close(object);
	return error;
}

int main(void)
{
	struct utsname system;
	int failures = 0;

	if (getpid() != 1) {
		fprintf(stderr, "only as the first process of a virtual machine\n");
		return 2;
	}
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	uname(&system);
	printf("kernel %s\n", system.release);
	libbpf_set_print(keep_warnings);
	for (int answer = WEFT_DENIED_DROP; answer <= WEFT_DENIED_REJECT; answer++) {
		struct bpf_object *object = bpf_object__open("/weft.bpf.o");
		struct bpf_program *program;

		if (!object) {
			failures++;
			break;
		}
		bpf_object__for_each_program(program, object)
			failures += load(bpf_program__name(program), answer) != 0;
		failures += load(NULL, answer) != 0;
		bpf_object__close(object);
	}
	printf("%d failures\n", failures);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
