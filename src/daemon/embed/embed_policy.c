/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A policy of the public header, read.
 *
 * What its structs say is put into words of the language, behind the text that came with them, so both
 * are checked by the same code, mean the same, and may speak of one another. Since it
 * is put into words, a struct's strings hold nothing but what names and addresses consist of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/embed/embed_priv.h"

/* A text that grows; NULL: there was no memory. */
struct writer {
	FILE *to;
	char *text;
	size_t len;
};

struct reading {
	struct writer w;
	const char *wrong; /* the first string that is none */
};

/* An element of an array of the caller's, who may know a shorter struct. */
static const void *element(const void *first, size_t size, uint32_t i)
{
	return (const char *)first + size * i;
}

#define COPY_OF(out, from) memcpy(&(out), from, (from)->size < sizeof(out) ? (from)->size : sizeof(out))

static const char *checked(struct reading *r, const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./, ";

	if (s != NULL && s[0] != '\0' && s[strspn(s, allowed)] == '\0')
		return s;
	if (r->wrong == NULL)
		r->wrong = s != NULL ? s : "";
	return "";
}

static void write_interfaces(struct reading *r, const struct yg_gateway_policy *p)
{
	for (uint32_t i = 0; i < p->n_interfaces; i++) {
		struct yg_gateway_interface c = { .size = 0 };
		const struct yg_gateway_interface *from = element(p->interface, p->interface->size, i);

		COPY_OF(c, from);
		fprintf(r->w.to, "interface \"%s\" { ", checked(r, c.name));
		if (c.address != NULL)
			fprintf(r->w.to, "address %s; ", checked(r, c.address));
		fprintf(r->w.to, "zone %u; }\n", c.zone);
	}
}

static void write_routes(struct reading *r, const struct yg_gateway_policy *p)
{
	for (uint32_t i = 0; i < p->n_routes; i++) {
		struct yg_gateway_route c = { .size = 0 };
		const struct yg_gateway_route *from = element(p->route, p->route->size, i);

		COPY_OF(c, from);
		fprintf(r->w.to, "route %s", checked(r, c.to));
		if (c.via != NULL)
			fprintf(r->w.to, " via %s", checked(r, c.via));
		if (c.device != NULL)
			fprintf(r->w.to, " dev \"%s\"", checked(r, c.device));
		fprintf(r->w.to, ";\n");
	}
}

static uint32_t flags_of(const struct yg_gateway_policy *p)
{
	uint32_t flags = 0;

	for (uint32_t i = 0; i < p->n_interfaces; i++) {
		const struct yg_gateway_interface *c = element(p->interface, p->interface->size, i);

		flags |= c->flags;
	}
	return flags;
}

/* A line for each interface with the flag. */
static void write_flagged(struct reading *r, const struct yg_gateway_policy *p, uint32_t flag, const char *key,
			  const char *rest)
{
	for (uint32_t i = 0; i < p->n_interfaces; i++) {
		const struct yg_gateway_interface *c = element(p->interface, p->interface->size, i);

		if (c->flags & flag)
			fprintf(r->w.to, "%s \"%s\" %s\n", key, checked(r, c->name), rest);
	}
}

static void write_forwards(struct reading *r, const struct yg_gateway_policy *p)
{
	for (uint32_t i = 0; i < p->n_forwards; i++) {
		struct yg_gateway_forward c = { .size = 0 };
		const struct yg_gateway_forward *from = element(p->forward, p->forward->size, i);

		COPY_OF(c, from);
		fprintf(r->w.to, "iifname \"%s\" %s dport %u dnat to %s:%u\n", checked(r, c.interface),
			checked(r, c.protocol), c.port, checked(r, c.to), c.to_port);
	}
}

static void write_tables(struct reading *r, const struct yg_gateway_policy *p)
{
	uint32_t flags = flags_of(p);
	FILE *to = r->w.to;

	if (flags == 0 && p->n_forwards == 0)
		return;
	fprintf(to, "table ip yg_policy {\n");
	if (p->n_forwards > 0) {
		fprintf(to, "chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n");
		write_forwards(r, p);
		fprintf(to, "}\n");
	}
	if (flags & YG_INTERFACE_MASQUERADE) {
		fprintf(to, "chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n");
		write_flagged(r, p, YG_INTERFACE_MASQUERADE, "oifname", "masquerade");
		fprintf(to, "}\n");
	}
	for (int i = 0; i < 2 && (flags & YG_INTERFACE_CLOSED); i++) {
		fprintf(to, "chain %s { type filter hook %s priority filter; policy accept;\n",
			i == 0 ? "input" : "forward", i == 0 ? "input" : "forward");
		fprintf(to, "ct state established,related accept\nct status dnat accept\n");
		write_flagged(r, p, YG_INTERFACE_CLOSED, "iifname", "ct state new,invalid drop");
		fprintf(to, "}\n");
	}
	fprintf(to, "}\n");
}

/* The whole policy in words; NULL and a reason. */
static char *words_of(const struct yg_gateway_policy *p, size_t *len, char *why, size_t why_len)
{
	struct reading r = { .wrong = NULL };

	r.w.to = open_memstream(&r.w.text, &r.w.len);
	if (r.w.to == NULL)
		return NULL;
	if (p->text != NULL)
		fprintf(r.w.to, "%s\n", p->text);
	write_interfaces(&r, p);
	write_routes(&r, p);
	write_tables(&r, p);
	bool whole = !ferror(r.w.to);

	if (fclose(r.w.to) != 0 || !whole || r.wrong != NULL) {
		if (r.wrong != NULL)
			snprintf(why, why_len, "\"%s\" is no name and no address", r.wrong);
		free(r.w.text);
		return NULL;
	}
	*len = r.w.len;
	return r.w.text;
}

/* What it says to a part that is not there. */
static const char *not_for(const struct config *c, uint32_t parts)
{
	static const struct ct_timeouts usual;
	bool tracks = c->ct_max_per_source != 0 || c->ct_new_per_source_s != 0 || c->ct_unknown_pos.line != 0 ||
		      c->ct_limits.n_connections != 0 || memcmp(&c->timeout, &usual, sizeof(usual)) != 0;

	if (c->n_workers > 1)
		return "workers: an embedded gateway is one";
	if (tracks && !(parts & YG_GATEWAY_CONNTRACK))
		return "conntrack: this gateway has no connection tracking";
	if (c->nat.n_pools > 0 && !(parts & YG_GATEWAY_NAT))
		return "pool: this gateway has no NAT";
	for (size_t t = 0; t < c->rules.n_tables; t++) {
		if (!(parts & YG_GATEWAY_RULES))
			return "table: this gateway has no rules";
		for (size_t i = 0; i < c->rules.table[t].n_chains; i++)
			if (c->rules.table[t].chain[i].type == CHAIN_NAT && !(parts & YG_GATEWAY_NAT))
				return "chain of type nat: this gateway has no NAT";
	}
	return NULL;
}

static void say_errors(const struct config_errors *errors, char *why, size_t why_len)
{
	char *text = errors != NULL ? config_errors_text(errors) : NULL;

	snprintf(why, why_len, "%s", text != NULL && text[0] != '\0' ? text : "no memory");
	free(text);
}

static struct snapshot *build(const struct config *c, uint32_t parts, const struct snapshot *prev, char *why,
			      size_t why_len)
{
	struct config_errors *errors = NULL;
	const char *refused = not_for(c, parts);
	struct snapshot *s = refused == NULL ? snapshot_build(c, prev, &errors) : NULL;

	if (refused != NULL)
		snprintf(why, why_len, "%s", refused);
	else if (s == NULL)
		say_errors(errors, why, why_len);
	config_errors_free(errors);
	return s;
}

struct snapshot *embed_snapshot(const struct yg_gateway_policy *policy, uint32_t parts, const struct snapshot *prev,
				struct gateway_limits *limits, char *why, size_t why_len)
{
	struct yg_gateway_policy p = { .size = 0 };
	struct config_errors *errors = NULL;
	struct snapshot *s = NULL;
	size_t len = 0;

	COPY_OF(p, policy);
	snprintf(why, why_len, "no memory");
	char *text = words_of(&p, &len, why, why_len);

	if (text == NULL)
		return NULL;
	struct config *c = config_read_text("policy", text, len, &errors);

	if (c == NULL) {
		say_errors(errors, why, why_len);
	} else {
		*limits = snapshot_limits(c);
		s = build(c, parts, prev, why, why_len);
	}
	if (s != NULL && why_len > 0)
		why[0] = '\0';
	config_errors_free(errors);
	config_free(c);
	free(text);
	return s;
}
