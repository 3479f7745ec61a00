/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp rpki`: the caches that are asked, and how each stands; with a prefix what the tables say of it, and
 * which payloads make them say so.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/control/commands/bgp_rpki_view.h"
#include "daemon/control/commands/cmd_bgp.h"
#include "daemon/control/text/bgp_text.h"
#include "routing/rpki/rtr_client.h"

#define COVERING_MAX 64u

/* --- caches --- */

static const struct out_column cache_columns[] = {
	{ "table", "Table", OUT_TEXT },      { "cache", "Cache", OUT_TEXT },
	{ "state", "State", OUT_TEXT },      { "version", "V", OUT_U64 },
	{ "session", "Session", OUT_U64 },   { "serial", "Serial", OUT_U64 },
	{ "payloads", "Payloads", OUT_U64 }, { "updated", "Updated", OUT_TEXT },
	{ "failures", "Failures", OUT_U64 }, { "reason", "Last failure", OUT_TEXT },
};
static const struct out_table cache_table = { "caches", cache_columns, ARRAY_LEN(cache_columns), NULL };

static void cache_row(struct command_call *c, const struct control_bgp_rpki_table *t, size_t i)
{
	char addr[IP4_TEXT_MAX], name[IP4_TEXT_MAX + 8], age[16];
	struct rtr_view v;

	rtr_client_look(t->cache[i].client, &v);
	snprintf(name, sizeof(name), "%s:%u", ip4_format(t->cache[i].remote.addr, addr), t->cache[i].remote.port);
	output_row(&c->output, (struct out_value[]){
				       OUT_T(t->name),
				       OUT_T(name),
				       OUT_T(rtr_state_names[v.state]),
				       OUT_U(v.version),
				       v.has_data ? OUT_U(v.session) : OUT_ABSENT,
				       v.has_data ? OUT_U(v.serial) : OUT_ABSENT,
				       OUT_U(v.n_payloads),
				       OUT_T(v.has_data ? bgp_text_age(cmd_bgp_now() - v.updated, age) : "never"),
				       OUT_U(v.n_failures),
				       v.last[0] != '\0' ? OUT_T(v.last) : OUT_ABSENT,
			       });
}

static int show_caches(struct command_call *c, const struct control_bgp_rpki *r)
{
	bool is_text = !args_has(&c->args, "json");

	for (size_t i = 0; is_text && i < r->n; i++) {
		const struct control_bgp_rpki_table *t = &r->table[i];

		command_printf(c, "Table %s: %u payloads, %zu of them the config's\n", t->name, roa_count(t->roas),
			       t->n_own);
		if (roa_n_no_room(t->roas) > 0)
			command_printf(c, "  %llu payloads found no room\n",
				       (unsigned long long)roa_n_no_room(t->roas));
	}
	if (is_text)
		command_printf(c, "\n");
	cmd_table_start(c, &cache_table);
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->table[i].n_caches; k++)
			cache_row(c, &r->table[i], k);
	return cmd_table_done(c);
}

/* --- a prefix --- */

/* Who has it: "config", and addresses of caches. */
static const char *who_has(const struct control_bgp_rpki_table *t, uint8_t caches, char *buf, size_t len)
{
	struct text text = text_of(buf, len);
	char addr[IP4_TEXT_MAX];

	if ((caches & 1) != 0)
		text_add(&text, "config");
	for (size_t i = 0; i < t->n_caches; i++)
		if ((caches >> t->cache[i].number & 1) != 0)
			text_add(&text, "%s%s", text.len > 0 ? " " : "", ip4_format(t->cache[i].remote.addr, addr));
	return buf;
}

static json_t *payload_json(const struct control_bgp_rpki_table *t, const struct roa_view *v)
{
	char prefix[IP4_TEXT_MAX], who[200];

	return json_pack("{s:s, s:i, s:I, s:s}", "prefix", ip4_prefix_format(v->roa.prefix, prefix), "maxLength",
			 v->roa.max_len, "asn", (json_int_t)v->roa.as, "from", who_has(t, v->caches, who, sizeof(who)));
}

static json_t *table_json(const struct control_bgp_rpki_table *t, struct ip4_prefix prefix, const uint32_t *as)
{
	struct roa_view v[COVERING_MAX];
	uint32_t n = roa_covering(t->roas, prefix, v, COVERING_MAX);
	json_t *list = json_array(), *j = json_pack("{s:s, s:I}", "table", t->name, "covering", (json_int_t)n);

	for (uint32_t i = 0; i < n && i < COVERING_MAX; i++)
		json_array_append_new(list, payload_json(t, &v[i]));
	json_object_set_new(j, "payloads", list);
	if (as != NULL)
		json_object_set_new(j, "state", json_string(roa_state_names[roa_check(t->roas, prefix, *as)]));
	return j;
}

static void table_text(struct command_call *c, const struct control_bgp_rpki_table *t, struct ip4_prefix prefix,
		       const uint32_t *as)
{
	struct roa_view v[COVERING_MAX];
	uint32_t n = roa_covering(t->roas, prefix, v, COVERING_MAX);
	char text[IP4_TEXT_MAX], who[200];

	if (as != NULL)
		command_printf(c, "%s: %s from AS %u is %s\n", t->name, ip4_prefix_format(prefix, text), *as,
			       roa_state_names[roa_check(t->roas, prefix, *as)]);
	else
		command_printf(c, "%s: %u payloads cover %s\n", t->name, n, ip4_prefix_format(prefix, text));
	for (uint32_t i = 0; i < n && i < COVERING_MAX; i++)
		command_printf(c, "    %s max %u AS %u (%s)\n", ip4_prefix_format(v[i].roa.prefix, text),
			       v[i].roa.max_len, v[i].roa.as, who_has(t, v[i].caches, who, sizeof(who)));
	if (n > COVERING_MAX)
		command_printf(c, "    ... and %u more\n", n - COVERING_MAX);
}

static int show_prefix(struct command_call *c, const struct control_bgp_rpki *r, struct ip4_prefix prefix,
		       const uint32_t *as)
{
	json_t *all = args_has(&c->args, "json") ? json_array() : NULL;

	for (size_t i = 0; i < r->n; i++) {
		if (all != NULL)
			json_array_append_new(all, table_json(&r->table[i], prefix, as));
		else
			table_text(c, &r->table[i], prefix, as);
	}
	return all != NULL ? cmd_bgp_json(c, all) : EXIT_OK;
}

static bool read_words(struct command_call *c, struct ip4_prefix *prefix, uint32_t *as)
{
	const char *text = c->args.n_words > 2 ? c->args.word[2] : "0";
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (!cmd_bgp_read_prefix(c->args.word[1], prefix)) {
		command_error(c, "bgp: \"%.40s\" is no prefix and no address\n", c->args.word[1]);
		return false;
	}
	prefix->addr &= ip4_mask(prefix->len);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > UINT32_MAX) {
		command_error(c, "bgp: \"%.40s\" is no number of an AS\n", text);
		return false;
	}
	*as = (uint32_t)n;
	return true;
}

int cmd_bgp_rpki(struct command_call *c)
{
	const struct control_bgp_rpki *r = cmd_bgp_of(c)->rpki;
	struct ip4_prefix prefix;
	uint32_t as = 0;

	if (r->n == 0) {
		command_error(c, "bgp: the config has no block `rpki`\n");
		return EXIT_FAILED;
	}
	if (c->args.n_words == 1)
		return show_caches(c, r);
	if (!read_words(c, &prefix, &as))
		return EXIT_USAGE;
	return show_prefix(c, r, prefix, c->args.n_words == 3 ? &as : NULL);
}
