/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The life of a program: arrays that grow while texts are taken in, and are only read afterwards.
 *
 * Next: src/routing/policy/policy_parse.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/policy/policy_priv.h"

void *policy_grow(void **at, uint32_t *n, uint32_t *cap, size_t size)
{
	if (*n == *cap) {
		uint32_t bigger = *cap == 0 ? 16 : *cap * 2;
		void *moved = bigger > *cap ? realloc(*at, bigger * size) : NULL;

		if (moved == NULL)
			return NULL;
		*at = moved;
		*cap = bigger;
	}
	void *item = (uint8_t *)*at + (size_t)(*n)++ * size;

	memset(item, 0, size);
	return item;
}

int policy_create(struct policy **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : -ENOMEM;
}

void policy_destroy(struct policy *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->prefixes.n; i++)
		policy_prefixes_fini(&p->prefixes.at[i]);
	for (uint32_t i = 0; i < p->tuples.n; i++)
		policy_tuples_fini(&p->tuples.at[i]);
	for (uint32_t i = 0; i < p->string.n; i++)
		free(p->string.at[i]);
	for (uint32_t i = 0; i < p->table.n; i++)
		free(p->table.at[i]);
	name_index_clear(&p->names);
	free(p->node.at);
	free(p->name.at);
	free(p->function.at);
	free(p->filter.at);
	free(p->prefixes.at);
	free(p->tuples.at);
	free(p->mask.at);
	free(p->string.at);
	free(p->table.at);
	free(p->place.at);
	free(p);
}

const struct policy_name *policy_lookup(const struct policy *p, const char *name, size_t len)
{
	const struct name_list l = { p->name.n > 0 ? p->name.at[0].name : NULL, sizeof(struct policy_name), p->name.n };
	uint32_t i = p->name.n > 0 ? name_index_find(&p->names, &l, name, len) : NAME_INDEX_NONE;

	return i != NAME_INDEX_NONE ? &p->name.at[i] : NULL;
}

uint32_t policy_find(const struct policy *p, const char *name)
{
	const struct policy_name *found = policy_lookup(p, name, strlen(name));

	return found != NULL && found->kind == NAME_FILTER ? found->number : POLICY_NONE;
}

uint32_t policy_n_filters(const struct policy *p)
{
	return p->filter.n;
}

const char *policy_filter_name(const struct policy *p, uint32_t filter)
{
	return p->name.at[p->filter.at[filter].name].name;
}

uint32_t policy_n_tables(const struct policy *p)
{
	return p->table.n;
}

const char *policy_table_name(const struct policy *p, uint32_t table)
{
	return p->table.at[table];
}
