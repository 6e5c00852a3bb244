/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_disk.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's file object, with the system's behind it. */
struct fault_file {
	sqlite3_file base;
	char name[64];
	sqlite3_file *real;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *system;
	char folder[512];
	struct fault_operation *trace;
	size_t count, room;
	size_t attempts, from, to;
	size_t reads, reads_from, reads_to;
	enum fault_refusal refusal;
	int log_pages;
} disk;

/* The rest of the path if it lies in the traced folder, else NULL. */
static const char *traced(const char *path)
{
	size_t length = strlen(disk.folder);

	if (!path || !length || strncmp(path, disk.folder, length) || path[length] != '/')
		return NULL;
	return path + length + 1;
}

/* Counts an operation; true if it is to be refused. */
static bool refused(bool grows)
{
	size_t number = disk.attempts++;

	if (number < disk.from || number >= disk.to)
		return false;
	return disk.refusal == FAULT_IO_ERROR || grows;
}

static int record(enum fault_kind kind, const char *name, int64_t offset, const void *bytes,
		  int length, bool durable)
{
	struct fault_operation *operation;

	if (disk.count == disk.room) {
		size_t room = disk.room ? 2 * disk.room : 1024;
		void *grown = realloc(disk.trace, room * sizeof(*disk.trace));

		if (!grown)
			return SQLITE_NOMEM;
		disk.trace = grown;
		disk.room = room;
	}
	operation = &disk.trace[disk.count];
	*operation = (struct fault_operation){
		.kind = kind, .durable = durable, .offset = offset, .length = length};
	strncpy(operation->name, name, sizeof(operation->name) - 1);
	if (length) {
		operation->bytes = malloc(length);
		if (!operation->bytes)
			return SQLITE_NOMEM;
		memcpy(operation->bytes, bytes, length);
	}
	disk.count++;
	return SQLITE_OK;
}

static struct fault_file *fault_file(sqlite3_file *file)
{
	return (struct fault_file *)file;
}

static sqlite3_file *real(sqlite3_file *file)
{
	return fault_file(file)->real;
}

static int file_close(sqlite3_file *file)
{
	return real(file)->pMethods->xClose(real(file));
}

static int file_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
	size_t number = disk.reads++;

	if (number >= disk.reads_from && number < disk.reads_to)
		return SQLITE_IOERR_READ;
	return real(file)->pMethods->xRead(real(file), bytes, length, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
	sqlite3_int64 size = 0;
	int result = real(file)->pMethods->xFileSize(real(file), &size);
	bool refuse = refused(offset + length > size);

	if (result)
		return result;
	if (refuse)
		length /= 2;
	result = real(file)->pMethods->xWrite(real(file), bytes, length, offset);
	if (!result)
		result = record(FAULT_WRITE, fault_file(file)->name, offset, bytes, length, false);
	if (!result && refuse)
		return disk.refusal == FAULT_NO_SPACE ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	return result;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	int result;

	if (refused(false))
		return SQLITE_IOERR_TRUNCATE;
	result = real(file)->pMethods->xTruncate(real(file), size);
	return result ? result : record(FAULT_TRUNCATE, fault_file(file)->name, size, NULL, 0, false);
}

/* The system's own sync is left out: the trace says what it would have saved. */
static int file_sync(sqlite3_file *file, int flags)
{
	(void)flags;
	if (refused(false))
		return SQLITE_IOERR_FSYNC;
	return record(FAULT_SYNC, fault_file(file)->name, 0, NULL, 0, true);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real(file)->pMethods->xFileSize(real(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xLock(real(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xUnlock(real(file), level);
}

static int file_check_reserved_lock(sqlite3_file *file, int *held)
{
	return real(file)->pMethods->xCheckReservedLock(real(file), held);
}

/* Size hints would allocate behind the trace's back. */
static int file_control(sqlite3_file *file, int operation, void *argument)
{
	if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_NOTFOUND;
	return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
	return real(file)->pMethods->xSectorSize(real(file));
}

static int file_characteristics(sqlite3_file *file)
{
	return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

/* Version 1: no shared memory and no mapping, both of which would be writes that nobody sees. */
static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_reserved_lock,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
};

static int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
	struct fault_file *opened = fault_file(file);
	const char *name = traced(path);
	int result, exists = 0;

	(void)vfs;
	if (!name)
		return disk.system->xOpen(disk.system, path, file, flags, out);
	file->pMethods = NULL;
	result = disk.system->xAccess(disk.system, path, SQLITE_ACCESS_EXISTS, &exists);
	if (result)
		return result;
	if (!exists && refused(true))
		return disk.refusal == FAULT_NO_SPACE ? SQLITE_FULL : SQLITE_CANTOPEN;
	opened->real = (sqlite3_file *)(opened + 1);
	result = disk.system->xOpen(disk.system, path, opened->real, flags, out);
	if (result)
		return result;
	strncpy(opened->name, name, sizeof(opened->name) - 1);
	opened->name[sizeof(opened->name) - 1] = 0;
	file->pMethods = &methods;
	return exists ? SQLITE_OK : record(FAULT_CREATE, name, 0, NULL, 0, false);
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int durable)
{
	const char *name = traced(path);
	int result;

	(void)vfs;
	if (name && refused(false))
		return SQLITE_IOERR_DELETE;
	result = disk.system->xDelete(disk.system, path, 0);
	if (result || !name)
		return result;
	return record(FAULT_DELETE, name, 0, NULL, 0, durable);
}

int fault_disk_begin(const char *folder)
{
	fault_disk_end();
	if (strlen(folder) >= sizeof(disk.folder))
		return SQLITE_TOOBIG;
	strcpy(disk.folder, folder);
	if (disk.system)
		return SQLITE_OK;
	disk.system = sqlite3_vfs_find(NULL);
	if (!disk.system)
		return SQLITE_NOTFOUND;
	disk.vfs = *disk.system;
	disk.vfs.zName = "weft-fault-disk";
	disk.vfs.szOsFile = sizeof(struct fault_file) + disk.system->szOsFile;
	disk.vfs.xOpen = disk_open;
	disk.vfs.xDelete = disk_delete;
	return sqlite3_vfs_register(&disk.vfs, 1);
}

static int connected(sqlite3 *database, const char **message, const void *api)
{
	(void)message;
	(void)api;
	return disk.log_pages ? sqlite3_wal_autocheckpoint(database, disk.log_pages) : SQLITE_OK;
}

int fault_disk_log_pages(int pages)
{
	disk.log_pages = pages;
	return sqlite3_auto_extension((void (*)(void))connected);
}

void fault_disk_end(void)
{
	for (size_t i = 0; i < disk.count; i++)
		free(disk.trace[i].bytes);
	free(disk.trace);
	disk.trace = NULL;
	disk.folder[0] = 0;
	disk.count = disk.room = disk.attempts = disk.from = disk.to = 0;
	disk.reads = disk.reads_from = disk.reads_to = 0;
}

size_t fault_disk_count(void) { return disk.count; }
size_t fault_disk_attempts(void) { return disk.attempts; }
size_t fault_disk_reads(void) { return disk.reads; }

const struct fault_operation *fault_disk_at(size_t number)
{
	return &disk.trace[number];
}

void fault_disk_refuse(enum fault_refusal refusal, size_t from, size_t count)
{
	disk.refusal = refusal;
	disk.from = from;
	disk.to = from + count;
}

void fault_disk_refuse_reads(size_t from, size_t count)
{
	disk.reads_from = from;
	disk.reads_to = from + count;
}
