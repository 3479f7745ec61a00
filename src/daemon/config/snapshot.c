/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From a config to a snapshot. Routes are in snapshot_routes.c, the sources that rules
 * give in snapshot_sources.c.
 *
 * Interfaces and pools get their numbers here: those that the snapshot before
 * knew by name keep theirs, new ones take the lowest that is free, so that
 * everything in the core that remembers a number still means the same thing
 * after a reload.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_bgp.h"
#include "daemon/config/config_policy.h"
#include "daemon/config/snapshot.h"
#include "daemon/config/snapshot_routes.h"
#include "daemon/config/snapshot_sources.h"

struct build {
	const struct config *cfg;
	const struct snapshot *prev;
	struct snapshot *snap;
	struct config_errors **errors;
};

static const struct text_pos nowhere;

static bool name_taken_before(const struct snapshot *prev, uint32_t i)
{
	return prev != NULL && prev->core.ip.interface[i].name[0] != 0;
}

static uint32_t interface_number(const struct build *b, const char *name)
{
	uint32_t unused = 0;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (name_taken_before(b->prev, i) && strcmp(b->prev->core.ip.interface[i].name, name) == 0)
			return i;
	}
	/* Numbers of interfaces that just left are given out again only when all others are in use. */
	for (uint32_t i = IP_INTERFACES_MAX - 1; i >= 1; i--) {
		if (b->snap->core.ip.interface[i].name[0] == 0 && !name_taken_before(b->prev, i))
			unused = i;
	}
	return unused;
}

static bool build_interfaces(struct build *b)
{
	for (size_t k = 0; k < b->cfg->n_interfaces; k++) {
		const struct config_interface *c = &b->cfg->interface[k];
		uint32_t i = interface_number(b, c->ip.name);

		if (i == 0) {
			config_error_add(b->errors, b->cfg, &c->pos,
					 "too many interfaces: at most %u, counting those that a reload took away",
					 IP_INTERFACES_MAX - 1);
			return false;
		}
		b->snap->core.ip.interface[i] = c->ip;
		b->snap->core.ip.interface[i].zone = c->zone;
		b->snap->core.ct.zone[i] = c->zone;
		b->snap->take_over[i] = c->take_over;
		b->snap->driver[i] = c->driver;
	}
	return true;
}

/* Pools by name where they were before. */
static bool build_pools(struct build *b)
{
	struct nat_config *nat = &b->snap->core.nat;
	const struct nat_config *old = b->prev != NULL ? &b->prev->core.nat : NULL;

	for (uint32_t k = 0; k < b->cfg->nat.n_pools; k++) {
		const struct nat_pool_config *c = &b->cfg->nat.pool[k];
		uint32_t place = NAT_POOLS_MAX;

		for (uint32_t i = 0; old != NULL && i < old->n_pools; i++) {
			if (strcmp(old->pool[i].name, c->name) == 0)
				place = i;
		}
		for (uint32_t i = 0; i < NAT_POOLS_MAX && place == NAT_POOLS_MAX; i++) {
			bool was = old != NULL && i < old->n_pools && old->pool[i].name[0] != 0;

			if (nat->pool[i].name[0] == 0 && !was)
				place = i;
		}
		if (place == NAT_POOLS_MAX) {
			config_error_add(b->errors, b->cfg, &nowhere, "too many pools: at most %u", NAT_POOLS_MAX);
			return false;
		}
		nat->pool[place] = *c;
		nat->n_pools = max_u32(nat->n_pools, place + 1);
	}
	return true;
}

static bool names_it(const struct rule_match *m, const char *name)
{
	for (size_t i = 0; i < m->n_names && name[0] != 0; i++) {
		size_t len = strcspn(m->name[i].name, "*");

		if (m->name[i].wildcard ? strncmp(m->name[i].name, name, len) == 0 : strcmp(m->name[i].name, name) == 0)
			return true;
	}
	return false;
}

/* A rule for what goes back to the link that it came from (a hairpin) does not make that link outside. */
static bool is_from(const struct build *b, const struct rule *r, uint32_t ifindex)
{
	const struct ip_interface_config *c = &b->snap->core.ip.interface[ifindex];

	for (size_t i = 0; i < r->n_stmts; i++) {
		const struct rule_match *m = &r->stmt[i].match;

		if (r->stmt[i].kind != STMT_MATCH || m->op != RULE_OP_EQ)
			continue;
		if (m->key == KEY_META_IIFNAME && names_it(m, c->name))
			return true;
		for (size_t k = 0; m->key == KEY_IP_SADDR && k < m->n_ranges; k++)
			for (uint32_t a = 0; a < c->n_addresses; a++) {
				uint32_t mask = ip4_mask(c->address[a].prefix_len);
				uint32_t net = c->address[a].addr & mask;

				if (m->range[k].lo <= (net | ~mask) && m->range[k].hi >= net)
					return true;
			}
	}
	return false;
}

/* The interfaces that a rule asks for as output. */
static uint64_t outputs_of(const struct build *b, const struct rule *r)
{
	uint64_t outputs = 0;

	for (size_t i = 0; i < r->n_stmts; i++) {
		const struct rule_match *m = &r->stmt[i].match;

		if (r->stmt[i].kind != STMT_MATCH || m->key != KEY_META_OIFNAME || m->op != RULE_OP_EQ)
			continue;
		for (uint32_t k = 1; k < IP_INTERFACES_MAX; k++)
			if (names_it(m, b->snap->core.ip.interface[k].name) && !is_from(b, r, k))
				outputs |= UINT64_C(1) << k;
	}
	return outputs;
}

/* Outside is where a chain of source NAT says that something goes out. */
static void find_outside(struct build *b)
{
	for (size_t t = 0; t < b->cfg->rules.n_tables; t++) {
		const struct rule_table *table = &b->cfg->rules.table[t];

		for (size_t c = 0; c < table->n_chains; c++) {
			const struct rule_chain *chain = &table->chain[c];

			if (chain->type != CHAIN_NAT || chain->hook != HOOK_POSTROUTING)
				continue;
			for (size_t r = 0; r < chain->n_rules; r++)
				b->snap->core.outside |= outputs_of(b, &chain->rule[r]);
		}
	}
}

static bool build_rules(struct build *b)
{
	struct rules_error err[16];
	size_t n = 0;

	find_outside(b);
	b->snap->core.rules = rules_compile(&b->cfg->rules, &b->snap->core.nat, err, ARRAY_LEN(err), &n);
	for (size_t i = 0; i < n && i < ARRAY_LEN(err); i++)
		config_error_add(b->errors, b->cfg, &err[i].pos, "%s", err[i].text);
	return b->snap->core.rules != NULL;
}

static void copy_values(struct build *b)
{
	struct snapshot *s = b->snap;
	const struct config *c = b->cfg;

	s->core.generation = b->prev != NULL ? b->prev->core.generation + 1 : 1;
	s->core.ip.icmp_rate_per_s = c->icmp_rate_per_s;
	s->core.ip.icmp_rate_per_dest_s = c->icmp_rate_per_dest_s;
	s->core.ip.icmp_rate_path_mtu_s = c->icmp_rate_path_mtu_s;
	s->tcp = c->host.tcp;
	s->core.tcp = &s->tcp;
	s->core.ct.timeout = c->timeout;
	s->core.ct.max_per_source = c->ct_max_per_source;
	s->core.ct.new_per_source_s = c->ct_new_per_source_s;
	s->core.ct.pick_up = c->ct_unknown_tcp == CONFIG_UNKNOWN_PICK_UP;
	s->core.ct.drop_unknown = c->ct_unknown_tcp == CONFIG_UNKNOWN_DROP;
	s->offload_max = c->offload_max;
	s->offload_off = c->offload_off;
	s->n_log_records = c->n_log_records;
	s->n_kernel_tables = c->n_kernel_tables;
	memcpy(s->kernel_table, c->kernel_table, sizeof(s->kernel_table));
	s->core.nat.log = c->nat.log;
	s->core.nat.log_no_destinations = c->nat.log_no_destinations;
	s->n_workers = max_u32(c->n_workers, 1);
	s->text = malloc(c->text_len + 1);
	if (s->text != NULL) {
		memcpy(s->text, c->text, c->text_len);
		s->text[c->text_len] = 0;
		s->text_len = c->text_len;
	}
}

static bool copy_bgp(struct build *b)
{
	b->snap->policy = config_policy_hold(b->cfg->policy);
	if (b->cfg->bgp != NULL)
		b->snap->bgp = config_bgp_copy(b->cfg->bgp);
	return (b->snap->bgp != NULL) == (b->cfg->bgp != NULL);
}

static bool copy_file_names(struct build *b)
{
	const struct config *cfg = b->cfg;

	b->snap->file = calloc(cfg->sources.n + 1, sizeof(*b->snap->file));
	for (size_t i = 0; b->snap->file != NULL && i < cfg->sources.n; i++) {
		b->snap->file[i] = strdup(cfg->sources.at[i].name);
		if (b->snap->file[i] == NULL)
			return false;
		b->snap->n_files++;
	}
	return b->snap->file != NULL;
}

struct snapshot *snapshot_build(const struct config *cfg, const struct snapshot *prev, struct config_errors **errors)
{
	struct build b = { .cfg = cfg, .prev = prev, .errors = errors };

	b.snap = calloc(1, sizeof(*b.snap));
	if (b.snap == NULL)
		return NULL;
	copy_values(&b);
	bool ok = b.snap->text != NULL && copy_file_names(&b) && copy_bgp(&b) && build_interfaces(&b) &&
		  build_pools(&b) && snapshot_build_sources(b.snap, cfg) && build_rules(&b) &&
		  snapshot_build_routes(b.snap, cfg, prev, errors);

	if (ok)
		return b.snap;
	if (config_n_errors(*errors) == 0)
		config_error_add(errors, cfg, &nowhere, "out of memory");
	snapshot_destroy(b.snap);
	return NULL;
}

/* Each has a port. */
#define UDP_SOCKETS_MAX 65536u

struct gateway_limits snapshot_limits(const struct config *cfg)
{
	struct gateway_limits l = {
		.packets = cfg->packets,
		.ip = cfg->ip_limits,
		.conntrack = cfg->ct_limits,
		.sockets = cfg->host.limits,
	};

	l.sockets.udp.n_sockets = min_u32(l.sockets.n_sockets, UDP_SOCKETS_MAX);
	return l;
}

void snapshot_destroy(struct snapshot *s)
{
	if (s == NULL)
		return;
	if (s->core.ip.fib != NULL)
		rib_fib_release(s->core.rib, 0);
	for (uint32_t i = 0; i < s->core.ip.n_zones; i++)
		rib_fib_release(s->core.rib, s->core.ip.zone[i].number);
	rib_change_free(s->core.routes);
	rib_release(s->core.rib);
	free(s->core.address);
	if (s->core.rules != NULL)
		ruleset_destroy(s->core.rules);
	free(s->nat_source);
	config_bgp_free(s->bgp);
	config_policy_free(s->policy);
	for (uint32_t i = 0; i < s->n_files; i++)
		free(s->file[i]);
	free(s->file);
	free(s->text);
	free(s);
}
