/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp neighbors`: a neighbour as birdc's `show protocols all` has it, in JSON as
 * FRR's `show bgp neighbors json`.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/control/commands/cmd_bgp.h"
#include "daemon/control/text/bgp_text.h"

static const char *const type_names[N_BGP_TYPES] = {
	[BGP_OPEN] = "opens",
	[BGP_UPDATE] = "updates",
	[BGP_NOTIFICATION] = "notifications",
	[BGP_KEEPALIVE] = "keepalives",
	[BGP_ROUTE_REFRESH] = "route refreshes",
};
static const char *const type_keys[N_BGP_TYPES] = {
	[BGP_OPEN] = "opens",
	[BGP_UPDATE] = "updates",
	[BGP_NOTIFICATION] = "notifications",
	[BGP_KEEPALIVE] = "keepalives",
	[BGP_ROUTE_REFRESH] = "routeRefresh",
};

/* --- text --- */

YG_PRINTF(3, 4)
static void line(struct command_call *c, const char *what, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	command_printf(c, "  %-19s%s\n", what, text);
}

static void put_timer(struct command_call *c, const char *what, uint64_t at, uint32_t of_s)
{
	uint64_t now = cmd_bgp_now();

	if (at != TIME_NEVER)
		line(c, what, "%.3f/%u", at > now ? (double)(at - now) / (double)NS_PER_S : 0.0, of_s);
}

static void put_session(struct command_call *c, const struct bgp_neighbor_view *v)
{
	char text[256], a[IP4_TEXT_MAX], b[IP4_TEXT_MAX];
	struct text t;

	if (v->remote.port != 0)
		line(c, "Connection:", "%s:%u %s %s:%u", ip4_format(v->local.addr, a), v->local.port,
		     v->is_accepted ? "<-" : "->", ip4_format(v->remote.addr, b), v->remote.port);
	if (v->state < BGP_STATE_OPEN_CONFIRM)
		return;
	line(c, "Neighbor ID:", "%s", ip4_format(v->theirs.id, a));
	t = text_of(text, sizeof(text));
	bgp_text_capabilities(&t, &v->ours);
	line(c, "We can:", "%s", text);
	t = text_of(text, sizeof(text));
	bgp_text_capabilities(&t, &v->theirs);
	line(c, "The peer can:", "%s", text);
	t = text_of(text, sizeof(text));
	bgp_text_agreed(&t, v);
	line(c, "Session:", "%s, %s", bgp_kind_of(&v->wire) == BGP_EXTERNAL ? "external" : "internal", text);
	put_timer(c, "Hold timer:", v->hold_at, v->hold_s);
	put_timer(c, "Keepalive timer:", v->keepalive_at, v->keepalive_s);
}

static void put_counts(struct command_call *c, const struct bgp_neighbor_view *v)
{
	const struct bgp_counters *n = &v->count;

	for (uint32_t i = BGP_OPEN; i < N_BGP_TYPES; i++)
		if (n->messages[BGP_IN][i] + n->messages[BGP_OUT][i] > 0)
			line(c, i == BGP_OPEN ? "Messages:" : "", "%" PRIu64 " %s in, %" PRIu64 " out",
			     n->messages[BGP_IN][i], type_names[i], n->messages[BGP_OUT][i]);
	if (n->dispositions[BGP_DISCARD] + n->dispositions[BGP_WITHDRAW] + n->dispositions[BGP_RESET] > 0)
		line(c, "Malformed updates:",
		     "%" PRIu64 " without an attribute, %" PRIu64 " treated as withdrawn, %" PRIu64 " resets",
		     n->dispositions[BGP_DISCARD], n->dispositions[BGP_WITHDRAW], n->dispositions[BGP_RESET]);
	line(c, "Sessions:", "%u established; %u connections begun, %u taken, %u refused, %u lost to a collision",
	     n->n_up, n->n_connects, n->n_accepts, n->n_refused, n->n_collisions);
}

static void put_routes(struct command_call *c, const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	const char *none = cmd_bgp_no_policy(b, v);

	line(c, "Routes:", "%u announced%s%s%s%s%s", v->n_prefixes, v->is_stale ? ", some stale" : "",
	     none != NULL ? ", " : "", none != NULL ? none : "", v->eor_in ? ", End-of-RIB came" : "",
	     v->eor_out ? ", End-of-RIB is out" : "");
	if (v->config->max_prefixes != 0)
		line(c, "Prefix limit:", "%u%s", v->config->max_prefixes,
		     v->is_over_warning ? ", near it or beyond" : "");
}

static void put_last(struct command_call *c, const struct bgp_neighbor_view *v)
{
	char text[400], age[16];
	struct text t = text_of(text, sizeof(text));

	if (v->last.at == 0)
		return;
	bgp_text_down(&t, &v->last);
	line(c, v->last.was_up ? "Last down:" : "Last error:", "%s (%s ago)", text,
	     bgp_text_age(cmd_bgp_now() - v->last.at, age));
}

static void put_text(struct command_call *c, const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	const struct config_bgp_neighbor *config = cmd_bgp_config(b, v);
	char text[160], addr[IP4_TEXT_MAX], age[16];
	struct text t = text_of(text, sizeof(text));

	if (v->is_range)
		text_add(&t, "range, %u there", v->n_dynamic);
	else
		bgp_text_state(&t, v);
	command_printf(c, "%-10s BGP        %s %s%s\n", v->config->name, text,
		       v->since != 0 && !v->is_range ? "for " : "",
		       v->since != 0 && !v->is_range ? bgp_text_age(cmd_bgp_now() - v->since, age) : "");
	if (config != NULL && config->description[0] != '\0')
		line(c, "Description:", "%s", config->description);
	line(c, "Neighbor address:", "%s", cmd_bgp_address(v, addr));
	line(c, "Neighbor AS:", "%u%s", v->config->peer_as, v->config->peer_as == b->config->as ? " (internal)" : "");
	if (v->config->key.len > 0)
		line(c, "Password:", "yes, TCP MD5");
	if (v->config->ttl_security)
		line(c, "TTL security:", "%u hops", v->config->hops);
	if (v->is_range)
		return;
	put_session(c, v);
	t = text_of(text, sizeof(text));
	if (bgp_text_digests(&t, v))
		line(c, "Digests:", "%s", text);
	put_routes(c, b, v);
	put_counts(c, v);
	put_last(c, v);
}

/* --- JSON --- */

static const char *both(bool ours, bool theirs)
{
	return ours && theirs ? "advertisedAndReceived" : ours ? "advertised" : theirs ? "received" : NULL;
}

static json_t *capabilities_json(const struct bgp_neighbor_view *v)
{
	const struct bgp_capabilities *o = &v->ours.can, *t = &v->theirs.can;
	const char *as4 = both(o->as4 != 0, t->as4 != 0), *refresh = both(o->refresh, t->refresh),
		   *enhanced = both(o->enhanced_refresh, t->enhanced_refresh),
		   *restart = both(o->restart.is_there, t->restart.is_there);

	return json_pack("{s:s*, s:s*, s:s*, s:s*}", "4byteAs", as4, "routeRefresh", refresh, "enhancedRouteRefresh",
			 enhanced, "gracefulRestart", restart);
}

static json_t *messages_json(const struct bgp_neighbor_view *v)
{
	json_t *j = json_object();
	uint64_t sum[N_BGP_DIRECTIONS] = { 0 };
	char key[32];

	for (uint32_t i = BGP_OPEN; i < N_BGP_TYPES; i++) {
		for (uint32_t d = 0; d < N_BGP_DIRECTIONS; d++) {
			snprintf(key, sizeof(key), "%s%s", type_keys[i], d == BGP_IN ? "Recv" : "Sent");
			json_object_set_new(j, key, json_integer((json_int_t)v->count.messages[d][i]));
			sum[d] += v->count.messages[d][i];
		}
	}
	json_object_set_new(j, "totalSent", json_integer((json_int_t)sum[BGP_OUT]));
	json_object_set_new(j, "totalRecv", json_integer((json_int_t)sum[BGP_IN]));
	return j;
}

static void connection_json(json_t *j, const struct bgp_neighbor_view *v)
{
	char addr[IP4_TEXT_MAX];

	if (v->remote.port == 0)
		return;
	json_object_set_new(j, "hostLocal", json_string(ip4_format(v->local.addr, addr)));
	json_object_set_new(j, "portLocal", json_integer(v->local.port));
	json_object_set_new(j, "hostForeign", json_string(ip4_format(v->remote.addr, addr)));
	json_object_set_new(j, "portForeign", json_integer(v->remote.port));
}

static void last_json(json_t *j, const struct bgp_neighbor_view *v)
{
	char text[400];
	struct text t = text_of(text, sizeof(text));

	if (v->last.at != 0) {
		bgp_text_down(&t, &v->last);
		json_object_set_new(j, "lastResetDueTo", json_string(text));
		json_object_set_new(j, "lastResetTimerMsecs",
				    json_integer((json_int_t)((cmd_bgp_now() - v->last.at) / NS_PER_MS)));
		if (v->last.code != 0)
			json_object_set_new(j, "lastErrorCodeSubcode",
					    json_sprintf("%02X%02X", v->last.code, v->last.subcode));
	}
	if (v->digests.is_known)
		json_object_set_new(j, "md5Failures", json_integer((json_int_t)v->digests.n_wrong));
}

static json_t *neighbor_json(const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	const struct config_bgp_neighbor *config = cmd_bgp_config(b, v);
	const char *none = cmd_bgp_no_policy(b, v);
	bool up = v->state == BGP_STATE_ESTABLISHED, met = v->state >= BGP_STATE_OPEN_CONFIRM;
	char a[IP4_TEXT_MAX], id[IP4_TEXT_MAX], age[16], state[64];
	struct text t = text_of(state, sizeof(state));
	json_t *j =
		json_pack("{s:s, s:I, s:I, s:b, s:i, s:s, s:s, s:s}", "name", v->config->name, "remoteAs",
			  (json_int_t)v->config->peer_as, "localAs", (json_int_t)b->config->as,
			  v->config->peer_as == b->config->as ? "nbrInternalLink" : "nbrExternalLink", 1, "bgpVersion",
			  4, "remoteRouterId", ip4_format(met ? v->theirs.id : 0, id), "localRouterId",
			  ip4_format(b->config->router_id, a), "bgpState", bgp_state_names[v->state]);

	bgp_text_state(&t, v);
	json_object_set_new(j, "bgpStateIs", json_string(state));
	if (config != NULL && config->description[0] != '\0')
		json_object_set_new(j, "nbrDesc", json_string(config->description));
	if (up) {
		uint64_t ns = cmd_bgp_now() - v->since;

		json_object_set_new(j, "bgpTimerUpMsec", json_integer((json_int_t)(ns / NS_PER_MS)));
		json_object_set_new(j, "bgpTimerUpString", json_string(bgp_text_age(ns, age)));
	}
	if (met) {
		json_object_set_new(j, "bgpTimerHoldTimeMsecs", json_integer(v->hold_s * 1000));
		json_object_set_new(j, "bgpTimerKeepAliveIntervalMsecs", json_integer(v->keepalive_s * 1000));
		json_object_set_new(j, "neighborCapabilities", capabilities_json(v));
	}
	json_object_set_new(j, "messageStats", messages_json(v));
	json_object_set_new(j, "addressFamilyInfo",
			    json_pack("{s:{s:I, s:s*}}", "ipv4Unicast", "acceptedPrefixCounter",
				      (json_int_t)v->n_prefixes, "policy", none));
	json_object_set_new(j, "connectionsEstablished", json_integer(v->count.n_up));
	json_object_set_new(j, "connectionsDropped", json_integer((json_int_t)(v->count.n_up - up)));
	connection_json(j, v);
	last_json(j, v);
	return j;
}

int cmd_bgp_neighbors(struct command_call *c)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	bool json = args_has(&c->args, "json"), one = c->args.n_words > 1;
	json_t *all = json ? json_object() : NULL;
	struct bgp_neighbor_view v;
	char addr[IP4_TEXT_MAX];

	if (one && !cmd_bgp_find(c, c->args.word[1], &v)) {
		json_decref(all);
		return EXIT_FAILED;
	}
	for (uint32_t i = one ? v.number : bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
	     i = one ? BGP_NEIGHBOR_NONE : bgp_speaker_next(b->speaker, i + 1)) {
		if (!bgp_speaker_look(b->speaker, i, &v))
			continue;
		if (!json)
			put_text(c, b, &v);
		else if (!v.is_range)
			json_object_set_new(all, cmd_bgp_address(&v, addr), neighbor_json(b, &v));
	}
	return json ? cmd_bgp_json(c, all) : EXIT_OK;
}
