/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files, as they lie in web/, in the program's read-only data. */
#ifndef MESH_PAGE_H
#define MESH_PAGE_H

struct mesh_page_file {
	/* Of a URL, `/page.js`. */
	const char *path;
	const char *type;
	const unsigned char *bytes;
	unsigned long size;
};

/* The file at `index`, for the life of the process; NULL past the last. */
const struct mesh_page_file *mesh_page_file(unsigned long index);

#endif
