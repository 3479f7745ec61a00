/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One row definition, three forms. A table with a line function and every JSON
 * table are written row by row, so a listing of a million rows needs no memory;
 * an aligned table is kept until its end, since its widest cell sets the width
 * of a column. Such tables are short (reasons, interfaces, rules).
 */
#include "daemon/control/text/output.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "base/util.h"

/* Other characters than ASCII are escaped: some of them steer a terminal. */
#define JSON_FORM (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15))

static void put(struct output *o, const char *text)
{
	o->write(o->ctx, text, strlen(text));
}

void output_begin(struct output *o, enum output_format format, enum output_shape shape, output_write_fn *write,
		  void *ctx)
{
	*o = (struct output){ .format = format, .shape = shape, .write = write, .ctx = ctx };
	if (format == OUTPUT_JSON && shape == OUTPUT_OBJECT)
		put(o, "{");
}

static void output_value_text(enum output_type type, const struct out_value *v, char *buf, size_t len)
{
	char text[IP4_TEXT_MAX], ip[IP_TEXT_MAX];
	char mac[ETHER_TEXT_MAX];

	if (v->absent) {
		snprintf(buf, len, "-");
		return;
	}
	switch (type) {
	case OUT_TEXT:
		snprintf(buf, len, "%s", v->text);
		printable_string(buf, PRINTABLE_WORD);
		break;
	case OUT_U64:
		snprintf(buf, len, "%" PRIu64, v->u64);
		break;
	case OUT_I64:
		snprintf(buf, len, "%" PRId64, v->i64);
		break;
	case OUT_TENTHS:
		snprintf(buf, len, "%" PRIu64 ".%u", v->u64 / 10, (unsigned)(v->u64 % 10));
		break;
	case OUT_SECONDS:
		snprintf(buf, len, "%" PRIu64 ".%06u", v->u64 / NS_PER_S, (unsigned)(v->u64 % NS_PER_S / NS_PER_US));
		break;
	case OUT_ADDR:
		snprintf(buf, len, "%s", ip_addr_format(&v->addr, ip));
		break;
	case OUT_IP4:
		snprintf(buf, len, "%s", ip4_format(v->ip4, text));
		break;
	case OUT_PREFIX:
		snprintf(buf, len, "%s", ip4_prefix_format(v->prefix, text));
		break;
	case OUT_MAC:
		snprintf(buf, len, "%s", ether_format(&v->mac, mac));
		break;
	case OUT_YES_NO:
		snprintf(buf, len, "%s", v->yes ? "yes" : "no");
		break;
	case OUT_OBJECT:
		snprintf(buf, len, "-");
		break;
	}
}

/* JSON_FORM escapes every control character but DEL. */
static json_t *text_json(const char *text)
{
	char *copy = strdup(text);

	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if (*c == 0x7f)
			*c = '?';
	json_t *j = copy != NULL ? json_string(copy) : NULL;
	free(copy);
	return j;
}

static json_t *object_json(const struct out_column *column, size_t n, const struct out_value *row);

static json_t *value_json(enum output_type type, const struct out_value *v)
{
	char buf[64];
	uint64_t us;

	switch (type) {
	case OUT_TEXT:
		return text_json(v->text);
	case OUT_U64:
		return json_integer((json_int_t)v->u64);
	case OUT_I64:
		return json_integer((json_int_t)v->i64);
	case OUT_TENTHS:
		return json_real((double)v->u64 / 10);
	case OUT_SECONDS:
		us = v->u64 / NS_PER_US;
		return json_real((double)us / 1e6);
	case OUT_YES_NO:
		return json_boolean(v->yes);
	case OUT_OBJECT:
		return object_json(v->object->column, v->object->n, v->object->value);
	case OUT_ADDR:
		if (ip_addr_is_none(&v->addr))
			return json_null();
		break;
	case OUT_IP4:
	case OUT_PREFIX:
	case OUT_MAC:
		break;
	}
	output_value_text(type, v, buf, sizeof(buf));
	return json_string(buf);
}

static json_t *object_json(const struct out_column *column, size_t n, const struct out_value *row)
{
	json_t *object = json_object();

	for (size_t i = 0; object != NULL && i < n; i++) {
		if (row[i].absent)
			continue;
		/* Text that is not UTF-8 has no JSON form; it is left out. */
		json_object_set_new(object, column[i].key, value_json(column[i].type, &row[i]));
	}
	return object;
}

char *output_row_json(const struct out_column *column, size_t n, const struct out_value *row)
{
	json_t *object = object_json(column, n, row);
	if (object == NULL)
		return NULL;
	char *text = json_dumps(object, JSON_FORM | JSON_PRESERVE_ORDER);
	json_decref(object);
	return text;
}

static void put_key(struct output *o, const char *key)
{
	if (o->n_members++ > 0)
		put(o, ",");
	put(o, "\n\"");
	put(o, key);
	put(o, "\":");
}

void output_table_begin(struct output *o, const struct out_table *t)
{
	o->table = t;
	o->n_rows = 0;
	if (o->format == OUTPUT_JSON) {
		if (o->shape == OUTPUT_OBJECT)
			put_key(o, t->key);
		put(o, "[");
		return;
	}
	if (o->n_members++ > 0)
		put(o, "\n");
}

static void keep_cell(struct output *o, const char *text)
{
	if (o->n_cells == o->cap_cells) {
		size_t cap = o->cap_cells == 0 ? 256 : o->cap_cells * 2;
		char **cell = realloc(o->cell, cap * sizeof(*cell));
		if (cell == NULL) {
			o->no_memory = true;
			return;
		}
		o->cell = cell;
		o->cap_cells = cap;
	}
	char *copy = strdup(text);
	if (copy == NULL)
		o->no_memory = true;
	else
		o->cell[o->n_cells++] = copy;
}

static void row_json(struct output *o, const struct out_value *row)
{
	char *text = output_row_json(o->table->column, o->table->n_columns, row);
	if (text == NULL) {
		o->no_memory = true;
		return;
	}
	put(o, o->n_rows > 0 ? ",\n" : "\n");
	put(o, text);
	free(text);
	o->n_rows++;
}

void output_row(struct output *o, const struct out_value *row)
{
	const struct out_table *t = o->table;
	char buf[OUTPUT_LINE_MAX];

	if (o->format == OUTPUT_JSON) {
		row_json(o, row);
		return;
	}
	o->n_rows++;
	if (t->line != NULL) {
		t->line(row, buf, sizeof(buf) - 1);
		put(o, buf);
		put(o, "\n");
		return;
	}
	for (size_t i = 0; i < t->n_columns; i++) {
		if (t->column[i].title == NULL)
			continue;
		output_value_text(t->column[i].type, &row[i], buf, sizeof(buf));
		keep_cell(o, buf);
	}
}

static void drop_cells(struct output *o)
{
	for (size_t i = 0; i < o->n_cells; i++)
		free(o->cell[i]);
	free(o->cell);
	o->cell = NULL;
	o->n_cells = o->cap_cells = 0;
}

static bool right_aligned(enum output_type type)
{
	return type == OUT_U64 || type == OUT_I64 || type == OUT_TENTHS || type == OUT_SECONDS;
}

/* One line of an aligned table; the last column is not padded. */
static void put_cells(struct output *o, const char *const *cell, const struct out_column *const *column,
		      const size_t *width, size_t n)
{
	char buf[OUTPUT_LINE_MAX];

	for (size_t i = 0; i < n; i++) {
		bool right = right_aligned(column[i]->type);
		int pad = right ? (int)width[i] : i + 1 < n ? -(int)width[i] : 0;
		snprintf(buf, sizeof(buf), "%s%*s", i > 0 ? "  " : "", pad, cell[i]);
		put(o, buf);
	}
	put(o, "\n");
}

static void put_aligned(struct output *o)
{
	const struct out_table *t = o->table;
	const struct out_column *column[OUTPUT_COLUMNS_MAX] = { NULL };
	const char *title[OUTPUT_COLUMNS_MAX] = { NULL };
	size_t width[OUTPUT_COLUMNS_MAX] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < t->n_columns; i++) {
		if (t->column[i].title == NULL)
			continue;
		column[n] = &t->column[i];
		title[n] = t->column[i].title;
		width[n] = strlen(title[n]);
		n++;
	}
	for (size_t i = 0; i < o->n_cells; i++) {
		size_t len = strlen(o->cell[i]);
		if (len > width[i % n])
			width[i % n] = len;
	}
	/* One that has columns in JSON alone is written by whoever has it. */
	if (n == 0)
		return;
	put_cells(o, title, column, width, n);
	for (size_t i = 0; i + n <= o->n_cells; i += n)
		put_cells(o, (const char *const *)&o->cell[i], column, width, n);
}

void output_table_end(struct output *o)
{
	if (o->table == NULL)
		return;
	if (o->format == OUTPUT_JSON)
		put(o, o->n_rows > 0 ? "\n]" : "]");
	else if (o->table->line == NULL)
		put_aligned(o);
	drop_cells(o);
	o->table = NULL;
}

void output_value(struct output *o, const struct out_column *c, struct out_value v)
{
	char buf[OUTPUT_LINE_MAX];

	if (o->format == OUTPUT_JSON) {
		if (v.absent)
			return;
		json_t *j = value_json(c->type, &v);
		char *text = j != NULL ? json_dumps(j, JSON_FORM | JSON_ENCODE_ANY) : NULL;
		if (text != NULL) {
			put_key(o, c->key);
			put(o, text);
		} else {
			o->no_memory = true;
		}
		free(text);
		json_decref(j);
		return;
	}
	if (c->title == NULL)
		return;
	o->n_members++;
	output_value_text(c->type, &v, buf, sizeof(buf));
	put(o, c->title);
	put(o, ": ");
	put(o, buf);
	put(o, "\n");
}

void output_end(struct output *o)
{
	output_table_end(o);
	if (o->format == OUTPUT_JSON)
		put(o, o->shape == OUTPUT_OBJECT ? "\n}\n" : "\n");
	if (o->no_memory && o->format == OUTPUT_TEXT)
		put(o, "(no memory: rows are missing)\n");
}

void output_abandon(struct output *o)
{
	drop_cells(o);
	o->table = NULL;
}
