/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "weft_abi.h"

static const _Alignas(8) unsigned char object[] = {
#embed "weft.bpf.o"
};

const void *weft_object_bytes(void)
{
	return object;
}

unsigned long weft_object_size(void)
{
	return sizeof(object);
}

static const char *const labels[] = {
#define LABEL(name, label, sentence) label,
	WEFT_DROP_REASONS(LABEL)
#undef LABEL
};

static const char *const sentences[] = {
#define SENTENCE(name, label, sentence) sentence,
	WEFT_DROP_REASONS(SENTENCE)
#undef SENTENCE
};

const char *weft_drop_label(unsigned int reason)
{
	return reason < WEFT_DROP_END ? labels[reason] : 0;
}

const char *weft_drop_sentence(unsigned int reason)
{
	return reason < WEFT_DROP_END ? sentences[reason] : 0;
}
