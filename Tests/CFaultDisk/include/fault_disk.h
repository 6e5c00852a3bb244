/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system layer under SQLite that writes down what SQLite asks of the disk, and refuses when
 * told to. It is the default VFS from fault_disk_begin() on, for files in one folder; every other
 * path goes straight to the system's. What a power cut would leave behind is worked out from the
 * trace: an operation's number is its place there.
 *
 * One connection at a time; the caller orders its calls with that connection's.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	FAULT_CREATE,	/* a name appears; durable with the file's first sync, as SQLite's VFS does it */
	FAULT_WRITE,	/* bytes at offset */
	FAULT_TRUNCATE, /* to offset bytes */
	FAULT_SYNC,
	FAULT_DELETE,	/* durable at once if durable is set, with every name before it */
};

struct fault_operation {
	enum fault_kind kind;
	bool durable;
	char name[64];	/* within the folder */
	int64_t offset;
	int length;
	uint8_t *bytes;
};

enum fault_refusal {
	FAULT_NO_SPACE, /* writes that would grow a file */
	FAULT_IO_ERROR, /* every operation that changes something */
};

/* Forgets the trace and starts another, of the files in folder. 0 or an SQLite error code. */
int fault_disk_begin(const char *folder);

/* Connections opened from now on move their log into the database each time it holds so many pages:
 * SQLite's own 1,000 make a long story. 0 for SQLite's own. */
int fault_disk_log_pages(int pages);

/* Stops tracing and refusing, and frees the trace. */
void fault_disk_end(void);

size_t fault_disk_count(void);

/* Valid until fault_disk_begin() or fault_disk_end(). */
const struct fault_operation *fault_disk_at(size_t number);

/* Operations from...from + count - 1 of those to come since fault_disk_begin() are refused; a
 * refused write leaves half its bytes. The refused are counted, too, in fault_disk_attempts(). */
void fault_disk_refuse(enum fault_refusal refusal, size_t from, size_t count);
size_t fault_disk_attempts(void);

/* The same for reads, which have numbers of their own. */
void fault_disk_refuse_reads(size_t from, size_t count);
size_t fault_disk_reads(void);
