/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What an embedded gateway says: events as they happen, and listings when it is asked.
 */
#include <string.h>

#include "daemon/control/text/event_text.h"
#include "daemon/embed/embed_priv.h"
#include "lib/lib_info.h"

static struct sockaddr_storage name_of(const struct ip_addr *addr, uint16_t port)
{
	if (addr->family != IP_FAMILY_V4)
		return (struct sockaddr_storage){ 0 };
	return lib_name_of(&(struct tcp_end){ *addr, port });
}

/* Both directions, and what a status and a state say. */
static struct yg_connection connection_of(const struct ip_tuple *orig, const struct ip_tuple *reply, uint16_t status,
					  uint8_t state)
{
	return (struct yg_connection){ .size = sizeof(struct yg_connection),
				       .protocol = orig->proto,
				       .is_answered = (status & CT_SEEN_REPLY) != 0,
				       .is_assured = (status & CT_ASSURED) != 0,
				       .state = ct_state_name(orig->proto, state),
				       .source = name_of(&orig->src, orig->sport),
				       .destination = name_of(&orig->dst, orig->dport),
				       .reply_source = name_of(&reply->src, reply->sport),
				       .reply_destination = name_of(&reply->dst, reply->dport),
				       .zone = orig->zone };
}

static bool is_of_a_connection(const struct yg_event *e)
{
	return e->kind == EVENT_CONN_NEW || e->kind == EVENT_CONN_UPDATE || e->kind == EVENT_CONN_END;
}

void embed_event(void *ctx, const struct yg_event *e)
{
	struct yg_gateway *gw = ctx;
	struct yg_connection c;
	struct yg_gateway_event out = { .size = sizeof(out),
					.kind = event_kind_names[e->kind],
					.now = e->time_ns,
					.interface = e->ifindex,
					.reason = e->text[0] != '\0' ? e->text : NULL };

	if (gw->event == NULL)
		return;
	if (e->addr.family != 0)
		out.address = name_of(&e->addr, 0);
	memcpy(out.mac, e->mac, sizeof(out.mac));
	if (is_of_a_connection(e)) {
		c = connection_of(&e->orig, &e->reply, e->status, e->state);
		c.packets = e->packets[CT_ORIGINAL];
		c.bytes = e->bytes[CT_ORIGINAL];
		c.reply_packets = e->packets[CT_REPLY];
		c.reply_bytes = e->bytes[CT_REPLY];
		out.connection = &c;
	}
	if (e->kind == EVENT_CONN_END && e->reason < N_CT_END_REASONS)
		out.reason = ct_end_reason_names[e->reason];
	gw->event(gw->ctx, &out);
}

void yg_gateway_connections(struct yg_gateway *gw, void (*fn)(void *ctx, const struct yg_connection *connection),
			    void *ctx)
{
	struct conntrack *ct = gateway_conntrack(gw->core);
	uint32_t cursor = 0, index;

	while (ct != NULL && conntrack_next(ct, &cursor, &index)) {
		const struct conn *conn = conntrack_conn(ct, index);
		struct ip_tuple orig = tuple_to_ip(&conn->half[CT_ORIGINAL].tuple);
		struct ip_tuple reply = tuple_to_ip(&conn->half[CT_REPLY].tuple);
		struct yg_connection c = connection_of(&orig, &reply, conn->status, conn->tcp_state);
		struct conn_counters n;

		conn_counters(ct, index, &n);
		c.packets = n.packets[CT_ORIGINAL];
		c.bytes = n.bytes[CT_ORIGINAL];
		c.reply_packets = n.packets[CT_REPLY];
		c.reply_bytes = n.bytes[CT_REPLY];
		c.timeout_s = conn_timeout_s(ct, index);
		c.mark = conntrack_ext(ct, index)->mark;
		fn(ctx, &c);
	}
}

void yg_gateway_rules(struct yg_gateway *gw, void (*fn)(void *ctx, const struct yg_rule *rule), void *ctx)
{
	struct rules *rules = gateway_rules(gw->core);
	struct rules_line line;
	uint32_t cursor = 0;

	while (rules != NULL && rules_next(rules, &cursor, &line)) {
		struct yg_rule out = { .size = sizeof(out),
				       .family = line.family,
				       .table = line.table,
				       .chain = line.chain,
				       .text = line.rule,
				       .packets = line.has_counter ? line.packets : 0,
				       .bytes = line.has_counter ? line.bytes : 0 };

		fn(ctx, &out);
	}
}

void yg_gateway_pools(struct yg_gateway *gw, void (*fn)(void *ctx, const struct yg_pool *pool), void *ctx)
{
	struct nat *nat = gateway_nat(gw->core);
	struct nat_pool_info i;
	uint32_t cursor = 0;

	while (nat != NULL && nat_pool_next(nat, &cursor, &i)) {
		struct yg_pool out = { .size = sizeof(out),
				       .name = i.name,
				       .n_addresses = i.n_addresses,
				       .n_ports = i.n_ports,
				       .n_used_tcp = i.n_used_tcp,
				       .n_used_udp = i.n_used_udp,
				       .n_used_icmp = i.n_used_icmp,
				       .n_used_other = i.n_used_other,
				       .n_refused = i.n_refused };

		fn(ctx, &out);
	}
}

void yg_gateway_drops(struct yg_gateway *gw,
		      void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint),
		      void *ctx)
{
	lib_drops_of(gateway_env(gw->core), fn, ctx);
}

void yg_gateway_law(struct yg_gateway *gw, struct yg_law *out)
{
	lib_law_of(gateway_env(gw->core), out);
}
