/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon/run/run_bgp_rpki.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/control/commands/bgp_rpki_view.h"

#define OWN \
	0u /* the number of the config's own payloads among a table's caches; a client's is one more than its place */

struct cache {
	struct table *table;
	struct config_bgp_cache config;
	struct rtr_client *client; /* NULL: free */
	bool is_leaving;           /* until what it said is out of the table */
};

struct table {
	struct run_bgp_rpki *of;
	char name[CONFIG_NAME_MAX]; /* "": free */
	struct roa_table *roas;
	uint64_t version; /* of roas, that the user has been told */
	uint32_t refresh_s, retry_s, expire_s;
	size_t n_own;
	struct roa *own;
	size_t n_wanted; /* of the config */
	struct config_bgp_cache wanted[CONFIG_BGP_CACHES_MAX];
	struct cache cache[CONFIG_BGP_CACHES_MAX];
};

struct run_bgp_rpki {
	struct stream_carrier *carrier;
	struct siphash_key key;
	struct run_bgp_rpki_user user;
	struct table table[CONFIG_BGP_RPKI_MAX];
	struct control_bgp_rpki view;
};

struct run_bgp_rpki *run_bgp_rpki_create(struct stream_carrier *carrier, const struct siphash_key *key,
					 const struct run_bgp_rpki_user *user)
{
	struct run_bgp_rpki *r = calloc(1, sizeof(*r));

	if (r != NULL)
		*r = (struct run_bgp_rpki){ .carrier = carrier, .key = *key, .user = *user };
	return r;
}

static void end_client(struct cache *c)
{
	rtr_client_destroy(c->client);
	explicit_bzero(&c->config.key, sizeof(c->config.key));
	*c = (struct cache){ .table = c->table };
}

static void end_table(struct table *t)
{
	for (size_t i = 0; i < CONFIG_BGP_CACHES_MAX; i++)
		end_client(&t->cache[i]);
	roa_table_destroy(t->roas);
	free(t->own);
	explicit_bzero(t->wanted, sizeof(t->wanted));
	*t = (struct table){ 0 };
}

void run_bgp_rpki_destroy(struct run_bgp_rpki *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++)
		end_table(&r->table[i]);
	free(r);
}

/* --- the config's own payloads --- */

static bool has_roa(const struct roa *list, size_t n, const struct roa *x)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].prefix.addr == x->prefix.addr && list[i].prefix.len == x->prefix.len &&
		    list[i].max_len == x->max_len && list[i].as == x->as)
			return true;
	return false;
}

static bool set_own(struct table *t, const struct config_bgp_rpki *config)
{
	struct roa *own = malloc(config->n_roas * sizeof(*own) + 1);
	bool good = own != NULL;

	if (own == NULL)
		return false;
	for (size_t i = 0; i < t->n_own; i++)
		if (!has_roa(config->roa, config->n_roas, &t->own[i]))
			(void)roa_remove(t->roas, OWN, &t->own[i]);
	for (size_t i = 0; i < config->n_roas; i++)
		if (!has_roa(t->own, t->n_own, &config->roa[i]))
			good &= roa_add(t->roas, OWN, &config->roa[i]) == 0;
	if (config->n_roas > 0)
		memcpy(own, config->roa, config->n_roas * sizeof(*own));
	free(t->own);
	t->own = own;
	t->n_own = config->n_roas;
	return good;
}

/* --- caches --- */

static void on_event(void *user, enum rtr_event event, const struct rtr_view *v)
{
	const struct cache *c = user;
	const struct run_bgp_rpki_user *to = &c->table->of->user;

	if (!c->is_leaving)
		to->event(to->user, c->table->name, event, v, c->config.remote);
}

static bool same_cache(const struct config_bgp_cache *a, const struct config_bgp_cache *b)
{
	return a->remote.addr == b->remote.addr && a->remote.port == b->remote.port && a->local.addr == b->local.addr &&
	       a->key.len == b->key.len && memcmp(a->key.bytes, b->key.bytes, a->key.len) == 0;
}

static bool wants(const struct table *t, const struct config_bgp_cache *c)
{
	for (size_t i = 0; i < t->n_wanted; i++)
		if (same_cache(&t->wanted[i], c))
			return true;
	return false;
}

static bool has_cache(const struct table *t, const struct config_bgp_cache *c)
{
	for (size_t i = 0; i < CONFIG_BGP_CACHES_MAX; i++)
		if (t->cache[i].client != NULL && !t->cache[i].is_leaving && same_cache(&t->cache[i].config, c))
			return true;
	return false;
}

static void start_client(struct table *t, const struct config_bgp_cache *config)
{
	struct cache *c = t->cache;
	struct rtr_client_config how = { .carrier = t->of->carrier,
					 .local = config->local,
					 .remote = config->remote,
					 .key = config->key,
					 .roas = t->roas,
					 .refresh_s = t->refresh_s,
					 .retry_s = t->retry_s,
					 .expire_s = t->expire_s,
					 .event = on_event };

	while (c < t->cache + CONFIG_BGP_CACHES_MAX && c->client != NULL)
		c++;
	/* Those that leave have all places: again when one is gone. */
	if (c == t->cache + CONFIG_BGP_CACHES_MAX)
		return;
	how.user = c;
	how.cache = (uint32_t)(c - t->cache) + 1;
	*c = (struct cache){ .table = t, .config = *config, .client = rtr_client_create(&how) };
	explicit_bzero(&how.key, sizeof(how.key));
}

static void start_clients(struct table *t)
{
	for (size_t i = 0; i < t->n_wanted; i++)
		if (!has_cache(t, &t->wanted[i]))
			start_client(t, &t->wanted[i]);
}

static void set_caches(struct table *t, const struct config_bgp_rpki *config)
{
	bool same_times =
		t->refresh_s == config->refresh_s && t->retry_s == config->retry_s && t->expire_s == config->expire_s;

	t->refresh_s = config->refresh_s;
	t->retry_s = config->retry_s;
	t->expire_s = config->expire_s;
	t->n_wanted = config->n_caches;
	memcpy(t->wanted, config->cache, sizeof(t->wanted));
	for (size_t i = 0; i < CONFIG_BGP_CACHES_MAX; i++) {
		struct cache *c = &t->cache[i];

		if (c->client == NULL || c->is_leaving || (same_times && wants(t, &c->config)))
			continue;
		c->is_leaving = true;
		rtr_client_remove(c->client);
	}
	start_clients(t);
}

/* --- tables --- */

static struct table *table_named(struct run_bgp_rpki *r, const char *name)
{
	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++)
		if (strcmp(r->table[i].name, name) == 0)
			return &r->table[i];
	return NULL;
}

static bool set_table(struct run_bgp_rpki *r, const struct config_bgp_rpki *config)
{
	struct table *t = table_named(r, config->name);

	if (t == NULL) {
		/* The config has no more than there are places. */
		t = table_named(r, "");
		t->of = r;
		t->roas = roa_table_create(0, &r->key);
		if (t->roas == NULL)
			return false;
		memcpy(t->name, config->name, sizeof(t->name));
		for (size_t i = 0; i < CONFIG_BGP_CACHES_MAX; i++)
			t->cache[i].table = t;
	}
	set_caches(t, config);
	return set_own(t, config);
}

static bool has_table(const struct config_bgp *config, const char *name)
{
	for (size_t i = 0; i < config->n_rpkis; i++)
		if (strcmp(config->rpki[i].name, name) == 0)
			return true;
	return false;
}

static void note_view(struct run_bgp_rpki *r)
{
	r->view.n = 0;
	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++) {
		const struct table *t = &r->table[i];
		struct control_bgp_rpki_table *v = &r->view.table[r->view.n];

		if (t->name[0] == '\0')
			continue;
		r->view.n++;
		*v = (struct control_bgp_rpki_table){ .name = t->name, .roas = t->roas, .n_own = t->n_own };
		for (size_t k = 0; k < CONFIG_BGP_CACHES_MAX; k++) {
			if (t->cache[k].client == NULL || t->cache[k].is_leaving)
				continue;
			v->cache[v->n_caches].client = t->cache[k].client;
			v->cache[v->n_caches].number = (uint32_t)k + 1;
			v->cache[v->n_caches++].remote = t->cache[k].config.remote;
		}
	}
}

bool run_bgp_rpki_set(struct run_bgp_rpki *r, const struct config_bgp *config)
{
	bool good = true;

	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++)
		if (r->table[i].name[0] != '\0' && !has_table(config, r->table[i].name))
			end_table(&r->table[i]);
	for (size_t i = 0; i < config->n_rpkis; i++)
		good &= set_table(r, &config->rpki[i]);
	note_view(r);
	return good;
}

/* --- work --- */

/* True: there is more. */
static bool work_table(struct table *t, uint64_t now, bool *gone)
{
	bool more = false;

	for (size_t i = 0; i < CONFIG_BGP_CACHES_MAX; i++) {
		struct cache *c = &t->cache[i];

		if (c->client == NULL)
			continue;
		more |= rtr_client_work(c->client, now);
		if (!c->is_leaving || !rtr_client_is_gone(c->client))
			continue;
		end_client(c);
		start_clients(t);
		*gone = more = true;
	}
	if (roa_version(t->roas) != t->version && !more) {
		t->version = roa_version(t->roas);
		t->of->user.changed(t->of->user.user);
	}
	return more;
}

bool run_bgp_rpki_work(struct run_bgp_rpki *r, uint64_t now)
{
	bool more = false, gone = false;

	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++)
		if (r->table[i].name[0] != '\0')
			more |= work_table(&r->table[i], now, &gone);
	if (gone)
		note_view(r);
	return more;
}

uint64_t run_bgp_rpki_next_deadline(const struct run_bgp_rpki *r)
{
	uint64_t next = TIME_NEVER;

	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++) {
		const struct table *t = &r->table[i];

		for (size_t k = 0; k < CONFIG_BGP_CACHES_MAX; k++)
			if (t->cache[k].client != NULL)
				next = min_u64(next, rtr_client_next_deadline(t->cache[k].client));
		if (t->name[0] != '\0' && roa_version(t->roas) != t->version)
			next = 0;
	}
	return next;
}

const struct roa_table *run_bgp_rpki_find(const struct run_bgp_rpki *r, const char *name)
{
	for (size_t i = 0; i < CONFIG_BGP_RPKI_MAX; i++)
		if (name[0] != '\0' && strcmp(r->table[i].name, name) == 0)
			return r->table[i].roas;
	return NULL;
}

const struct control_bgp_rpki *run_bgp_rpki_view(const struct run_bgp_rpki *r)
{
	return &r->view;
}
