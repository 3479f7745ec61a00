/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The end of a syntax tree, and who is called what in it. It is built by the
 * parser of the config language and read by the compiler; every array and string belongs to the struct that
 * points to it, so that a tree given up half-way is freed by the same walk.
 */
#include "gateway/rules/ast.h"

#include <stdlib.h>
#include <string.h>

static void stmt_free(struct rule_stmt *s)
{
	free(s->match.range);
	free(s->match.name);
	free(s->vmap);
	if (s->map != NULL)
		free(s->map->own.entry);
	free(s->map);
}

static void rule_free(struct rule *r)
{
	for (size_t i = 0; i < r->n_stmts; i++)
		stmt_free(&r->stmt[i]);
	free(r->stmt);
	free(r->comment);
	free(r->text);
}

void rule_set_clear(struct rule_set *set)
{
	free(set->range);
	free(set->ifname);
	*set = (struct rule_set){ 0 };
}

void rule_map_clear(struct rule_map *map)
{
	free(map->entry);
	*map = (struct rule_map){ 0 };
}

static void table_free(struct rule_table *t)
{
	for (size_t i = 0; i < t->n_chains; i++) {
		for (size_t k = 0; k < t->chain[i].n_rules; k++)
			rule_free(&t->chain[i].rule[k]);
		free(t->chain[i].rule);
	}
	for (size_t i = 0; i < t->n_sets; i++)
		rule_set_clear(&t->set[i]);
	for (size_t i = 0; i < t->n_maps; i++)
		rule_map_clear(&t->map[i]);
	free(t->map);
	free(t->chain);
	free(t->set);
	name_index_clear(&t->chain_names);
	name_index_clear(&t->set_names);
	name_index_clear(&t->map_names);
}

static struct name_list chain_list(const struct rule_table *t)
{
	return (struct name_list){ t->n_chains > 0 ? t->chain->name : NULL, sizeof(*t->chain), t->n_chains };
}

static struct name_list set_list(const struct rule_table *t)
{
	return (struct name_list){ t->n_sets > 0 ? t->set->name : NULL, sizeof(*t->set), t->n_sets };
}

static struct name_list map_list(const struct rule_table *t)
{
	return (struct name_list){ t->n_maps > 0 ? t->map->name : NULL, sizeof(*t->map), t->n_maps };
}

bool rules_index_names(struct rule_table *t)
{
	struct name_list chains = chain_list(t), sets = set_list(t), maps = map_list(t);

	return name_index_add(&t->chain_names, &chains) && name_index_add(&t->set_names, &sets) &&
	       name_index_add(&t->map_names, &maps);
}

uint32_t rules_find_chain(const struct rule_table *t, const char *name)
{
	struct name_list l = chain_list(t);

	return name_index_find(&t->chain_names, &l, name, strlen(name));
}

uint32_t rules_find_set(const struct rule_table *t, const char *name)
{
	struct name_list l = set_list(t);

	return name_index_find(&t->set_names, &l, name, strlen(name));
}

uint32_t rules_find_map(const struct rule_table *t, const char *name)
{
	struct name_list l = map_list(t);

	return name_index_find(&t->map_names, &l, name, strlen(name));
}

void rule_stmt_clear(struct rule_stmt *stmt)
{
	stmt_free(stmt);
	*stmt = (struct rule_stmt){ 0 };
}

void rule_clear(struct rule *rule)
{
	rule_free(rule);
	*rule = (struct rule){ 0 };
}

void rule_table_clear(struct rule_table *table)
{
	table_free(table);
	*table = (struct rule_table){ 0 };
}

void rule_ast_free(struct rule_ast *ast)
{
	for (size_t i = 0; i < ast->n_tables; i++)
		table_free(&ast->table[i]);
	free(ast->table);
	*ast = (struct rule_ast){ 0 };
}
