/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The control socket's two languages, without any socket: so that both can be
 * tested byte by byte and fuzzed. A request is bounded before it is parsed (the
 * server never keeps more than PROTO_REQUEST_MAX bytes of one line), a frame by
 * PROTO_PAYLOAD_MAX.
 */
#include "daemon/control/commands/proto.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fill_words(json_t *array, struct proto_request *r, char *err, size_t err_len)
{
	size_t n = json_array_size(array);

	if (n == 0 || n > PROTO_WORDS_MAX) {
		snprintf(err, err_len, "the request has %zu words; 1 to %d are allowed", n, PROTO_WORDS_MAX);
		return -EINVAL;
	}
	r->word = calloc(n + 1, sizeof(*r->word));
	if (r->word == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_t *item = json_array_get(array, i);
		if (!json_is_string(item)) {
			snprintf(err, err_len, "word %zu of the request is not a string", i + 1);
			return -EINVAL;
		}
		r->word[i] = strdup(json_string_value(item));
		if (r->word[i] == NULL)
			return -ENOMEM;
		r->n_words++;
	}
	return 0;
}

int proto_request_parse(const char *line, size_t len, struct proto_request *r, char *err, size_t err_len)
{
	json_error_t e;

	*r = (struct proto_request){ 0 };
	json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	if (root == NULL) {
		snprintf(err, err_len, "the request is not JSON: %s (column %d)", e.text, e.column);
		return -EINVAL;
	}
	int rc;
	if (!json_is_array(root)) {
		snprintf(err, err_len, "the request is not a JSON array of strings");
		rc = -EINVAL;
	} else {
		rc = fill_words(root, r, err, err_len);
	}
	json_decref(root);
	if (rc != 0)
		proto_request_free(r);
	return rc;
}

void proto_request_free(struct proto_request *r)
{
	for (size_t i = 0; i < r->n_words; i++)
		free(r->word[i]);
	free(r->word);
	*r = (struct proto_request){ 0 };
}

char *proto_request_text(size_t n_words, const char *const *word)
{
	json_t *array = json_array();
	if (array == NULL)
		return NULL;
	for (size_t i = 0; i < n_words; i++) {
		json_t *s = json_string(word[i]);
		if (s == NULL || json_array_append_new(array, s) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	char *text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	if (text == NULL)
		return NULL;
	size_t len = strlen(text);
	char *line = realloc(text, len + 2);
	if (line == NULL) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

void proto_frame_header(uint8_t out[PROTO_FRAME_HEADER], enum proto_frame type, uint32_t len)
{
	out[0] = (uint8_t)type;
	out[1] = (uint8_t)(len >> 24);
	out[2] = (uint8_t)(len >> 16);
	out[3] = (uint8_t)(len >> 8);
	out[4] = (uint8_t)len;
}

void proto_reader_init(struct proto_reader *r)
{
	*r = (struct proto_reader){ 0 };
}

void proto_reader_fini(struct proto_reader *r)
{
	free(r->buf);
	*r = (struct proto_reader){ 0 };
}

int proto_reader_add(struct proto_reader *r, const void *data, size_t len)
{
	if (r->used > 0) {
		memmove(r->buf, r->buf + r->used, r->len - r->used);
		r->len -= r->used;
		r->used = 0;
	}
	if (r->len + len > r->cap) {
		size_t cap = r->cap == 0 ? 65536 : r->cap;
		while (cap < r->len + len)
			cap *= 2;
		uint8_t *buf = realloc(r->buf, cap);
		if (buf == NULL)
			return -ENOMEM;
		r->buf = buf;
		r->cap = cap;
	}
	if (len > 0)
		memcpy(r->buf + r->len, data, len);
	r->len += len;
	return 0;
}

int proto_reader_next(struct proto_reader *r, struct proto_view *out)
{
	size_t left = r->len - r->used;
	if (left < PROTO_FRAME_HEADER)
		return 0;

	const uint8_t *p = r->buf + r->used;
	uint32_t len = ((uint32_t)p[1] << 24) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 8) | p[4];
	bool known = p[0] == PROTO_OUT || p[0] == PROTO_ERR || p[0] == PROTO_FILE || p[0] == PROTO_EXIT;
	if (!known || len > PROTO_PAYLOAD_MAX || (p[0] == PROTO_EXIT && len != 1))
		return -EPROTO;
	if (left - PROTO_FRAME_HEADER < len)
		return 0;
	*out = (struct proto_view){ .type = p[0], .payload = p + PROTO_FRAME_HEADER, .len = len };
	r->used += PROTO_FRAME_HEADER + len;
	return 1;
}
