/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_page.h"

/* The package is built as C17; every compiler that builds Swift 6 has #embed. */
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char html[] = {
#embed "web/page.html"
};

static const unsigned char style[] = {
#embed "web/page.css"
};

static const unsigned char page[] = {
#embed "web/page.js"
};

static const unsigned char picture[] = {
#embed "web/picture.js"
};

static const unsigned char words[] = {
#embed "web/words.js"
};

static const unsigned char icon[] = {
#embed "web/icon.svg"
};

#define FILE(path, type, bytes) { path, type, bytes, sizeof(bytes) }

static const struct mesh_page_file files[] = {
	FILE("/", "text/html; charset=utf-8", html),
	FILE("/page.css", "text/css; charset=utf-8", style),
	FILE("/page.js", "text/javascript; charset=utf-8", page),
	FILE("/picture.js", "text/javascript; charset=utf-8", picture),
	FILE("/words.js", "text/javascript; charset=utf-8", words),
	FILE("/icon.svg", "image/svg+xml", icon),
};

const struct mesh_page_file *mesh_page_file(unsigned long index)
{
	return index < sizeof(files) / sizeof(files[0]) ? &files[index] : 0;
}
