/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `kernel table`: a routing table of the kernel's whose routes the gateway follows.
 */
#include "daemon/config/config_priv.h"

#include <linux/rtnetlink.h>

/* Behind what is configured here, before what routing protocols learn. */
#define DISTANCE_DEFAULT 10

static bool table_number(struct parser *p, uint32_t *out)
{
	static const struct {
		const char *word;
		uint32_t table;
	} names[] = { { "main", RT_TABLE_MAIN }, { "default", RT_TABLE_DEFAULT } };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		*out = names[i].table;
		if (config_accept_word(p, names[i].word))
			return true;
	}
	return config_number(p, 1, UINT32_MAX, "the number of a table of the kernel's", out);
}

static bool table_option(struct parser *p, struct config_kernel_table *t)
{
	static const char *const words[] = { "zone", "distance" };
	struct token at = *config_peek(p);
	uint32_t n;

	if (config_accept_word(p, "zone")) {
		config_once_here(p, &t->zone, &at);
		if (!config_number(p, 0, UINT16_MAX, "a zone", &n))
			return false;
		t->zone = (uint16_t)n;
	} else if (config_accept_word(p, "distance")) {
		config_once_here(p, &t->distance, &at);
		if (!config_number(p, 1, 254, "a distance", &n))
			return false;
		t->distance = (uint8_t)n;
	} else {
		return config_unknown(p, &at, "zone, distance or the end of the statement", words, ARRAY_LEN(words));
	}
	return true;
}

bool config_kernel(struct parser *p)
{
	struct config *c = config_of(p);
	struct token from = *config_peek(p);
	struct config_kernel_table t = { .distance = DISTANCE_DEFAULT };

	config_once_begin(p);
	if (!config_expect_word(p, "table") || !table_number(p, &t.table))
		return false;
	while (!config_at_end(p))
		if (!table_option(p, &t))
			return false;
	t.pos = config_span(p, &from);
	if (c->n_kernel_tables == CONFIG_KERNEL_TABLES_MAX) {
		config_err(p, &t.pos, "at most %d tables of the kernel's are followed", CONFIG_KERNEL_TABLES_MAX);
		return false;
	}
	c->kernel_table[c->n_kernel_tables++] = t;
	return config_end(p);
}

/* A route is known by its zone, prefix and metric: those of two tables could not be told apart in one zone. */
static void check_twice(struct parser *p, const struct config_kernel_table *t, const struct config_kernel_table *before)
{
	if (t->zone == before->zone)
		config_err(p, &t->pos, "zone %u has the routes of a table of the kernel's already, in line %u", t->zone,
			   before->pos.line);
	else if (t->table == before->table)
		config_err(p, &t->pos, "table %u is followed already, in line %u", t->table, before->pos.line);
}

void config_check_kernel(struct parser *p)
{
	const struct config *c = config_of(p);

	for (uint32_t i = 0; i < c->n_kernel_tables; i++) {
		const struct config_kernel_table *t = &c->kernel_table[i];

		if (!config_has_zone(c, t->zone))
			config_err(p, &t->pos, "no interface is in zone %u: nothing would be routed by this", t->zone);
		for (uint32_t k = 0; k < i; k++)
			check_twice(p, t, &c->kernel_table[k]);
	}
}
