/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rows with typed columns, printed as aligned text, as lines of a known tool's
 * form, or as JSON: all from one definition of the row.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_OUTPUT_H
#define YG_DAEMON_CONTROL_TEXT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/ip4.h"
#include "stack/wire/ether.h"

#define OUTPUT_COLUMNS_MAX 32
#define OUTPUT_LINE_MAX 1024

enum output_type {
	OUT_TEXT,
	OUT_U64,
	OUT_I64,
	OUT_TENTHS,  /* u64 tenths: 123 is 12.3 */
	OUT_SECONDS, /* u64 nanoseconds: 12.345678, a number in JSON */
	OUT_IP4,
	OUT_ADDR, /* of either family; "-" and null for none */
	OUT_PREFIX,
	OUT_MAC,
	OUT_YES_NO, /* true and false in JSON */
	OUT_OBJECT, /* JSON alone: an object in the object */
};

struct out_object;

/* A value; which field counts is said by its column. */
struct out_value {
	bool absent; /* not there: "-" in text, left out in JSON */
	union {
		const char *text; /* lives until the call returns */
		uint64_t u64;
		int64_t i64;
		uint32_t ip4;
		struct ip_addr addr;
		struct ip4_prefix prefix;
		struct ether_addr mac;
		bool yes;
		const struct out_object *object;
	};
};

#define OUT_ABSENT ((struct out_value){ .absent = true })
#define OUT_T(v) ((struct out_value){ .text = (v) })
#define OUT_U(v) ((struct out_value){ .u64 = (v) })
#define OUT_I(v) ((struct out_value){ .i64 = (v) })
#define OUT_A(v) ((struct out_value){ .ip4 = (v) })
#define OUT_IP(v) ((struct out_value){ .addr = (v) })
#define OUT_P(v) ((struct out_value){ .prefix = (v) })
#define OUT_M(v) ((struct out_value){ .mac = (v) })
#define OUT_Y(v) ((struct out_value){ .yes = (v) })
#define OUT_O(v) ((struct out_value){ .object = (v) })

struct out_column {
	const char *key;   /* in JSON */
	const char *title; /* head of the column in text; NULL: JSON only */
	enum output_type type;
};

struct out_object {
	const struct out_column *column;
	size_t n;
	const struct out_value *value;
};

/* Writes a row as one line of text without newline, in a form of its own. */
typedef void out_line_fn(const struct out_value *row, char *buf, size_t len);

struct out_table {
	const char *key; /* in JSON when the document has more than this table */
	const struct out_column *column;
	size_t n_columns;
	out_line_fn *line; /* NULL: aligned columns under titles */
};

enum output_format { OUTPUT_TEXT, OUTPUT_JSON };

/* How a document with one table, or with several and single values, looks as JSON: [ rows ], or { key: ... }. */
enum output_shape { OUTPUT_LIST, OUTPUT_OBJECT };

/* Takes what was written; called with pieces of any size. */
typedef void output_write_fn(void *ctx, const char *text, size_t len);

struct output {
	enum output_format format;
	enum output_shape shape;
	output_write_fn *write;
	void *ctx;
	const struct out_table *table;
	size_t n_rows;    /* of the table so far */
	size_t n_members; /* of the document so far */
	/* Cells of an aligned table, kept until its end, since the widest sets the width. */
	char **cell;
	size_t n_cells, cap_cells;
	bool no_memory;
};

void output_begin(struct output *o, enum output_format format, enum output_shape shape, output_write_fn *write,
		  void *ctx);
void output_table_begin(struct output *o, const struct out_table *t);
/* row has as many values as the table has columns. */
void output_row(struct output *o, const struct out_value *row);
void output_table_end(struct output *o);
/* One value of an object; in text `title: value`, nothing when title is NULL. */
void output_value(struct output *o, const struct out_column *c, struct out_value v);
/* Ends the document and frees what was kept; also safe in the middle. */
void output_end(struct output *o);
/* Gives back memory without writing anything. */
void output_abandon(struct output *o);

/* The row as one JSON object, to be freed by the caller; NULL without memory. */
char *output_row_json(const struct out_column *column, size_t n, const struct out_value *row);

#endif
