/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What NAT did, for the log slot (base/log_record.h): sessions, endpoint-independent
 * mappings, and blocks of ports, each from begin to end.
 *
 * A session is a connection that NAT translates, or holds something for. It is told
 * when it is confirmed and when it ends, with all that passed counted by then, also
 * what the kernel forwarded. A mapping has no destination in its record, so a pool of
 * endpoint-independent mappings that logs mappings alone tells what RFC 6888 REQ-12
 * wants known, and nothing of whom its subscribers talk with. A block is what several
 * workers divide the ports of an address by (stack/ports/port_blocks.h): the record says
 * which of them uses it, and nothing of who is behind it.
 *
 * What is told follows from the config alone, and not from who reads it, so a replay
 * of a recording tells the same. What began while its kind was not asked for is told
 * at its end all the same, with the time when it began; that of a block is not known
 * then.
 *
 * Each kind costs a branch when it is not asked for: NAT's own by n->log.any, a
 * session's in conntrack, whose slot is empty then.
 */
#include <stdio.h>

#include "gateway/nat/nat_priv.h"

struct nat_block_begun {
	uint64_t at_ns[N_PORT_PROTOS][PORT_BLOCKS_PER_MAP]; /* by the core's clock; 0: not known */
};

int nat_log_init(struct nat_log *l, uint32_t n_addresses)
{
	return pool_init(&l->block_begun, n_addresses, sizeof(struct nat_block_begun),
			 _Alignof(struct nat_block_begun));
}

void nat_log_fini(struct nat_log *l)
{
	pool_fini(&l->block_begun);
}

static uint64_t whole_us(uint64_t ns)
{
	return ns - ns % NS_PER_US;
}

/* Of a kind, at this time; begun_ns by the core's clock. To the microsecond, as a connection's beginning is known: so
 * what ends names the time of its own first record. */
static struct log_record record_of(const struct nat *n, enum log_kind kind, uint64_t begun_ns)
{
	uint64_t now = whole_us(n->env->now), utc = now + n->env->wall_offset_ns;
	bool is_end = kind == LOG_SESSION_END || kind == LOG_MAPPING_END || kind == LOG_BLOCK_END;

	return (struct log_record){ .kind = kind,
				    .time_ns = utc,
				    .begin_ns = is_end ? utc - (now - whole_us(begun_ns)) : 0 };
}

static void put_name(struct log_record *r, const char *name)
{
	(void)snprintf(r->pool, sizeof(r->pool), "%.31s", name);
}

/* Where it comes from, by name; what is logged of it. */
static uint8_t origin_of(const struct nat *n, enum nat_origin origin, uint32_t id, struct log_record *r)
{
	if (origin == NAT_ORIGIN_POOL) {
		put_name(r, n->log.pool[id].name);
		return n->log.pool[id].what;
	}
	if (origin == NAT_ORIGIN_MASQUERADE)
		put_name(r, ip_stack_config(n->stack)->interface[id].name);
	return n->log.what;
}

/* Sessions. */

enum session_side { SESSION_NONE, SESSION_SOURCE, SESSION_DESTINATION };

/* Whose side was translated, and by what: of two things that it holds the one for its source has the name, and either
 * may ask for the record. */
static enum session_side session_origin(const struct nat *n, uint32_t index, struct log_record *r, uint8_t *what)
{
	const struct conn *c = conntrack_conn(n->ct, index);
	enum session_side side = SESSION_DESTINATION;
	uint32_t ref[2], n_refs = nat_holds_of(n, index, ref);

	*what = 0;
	for (uint32_t i = 0; i < n_refs; i++) {
		*what |= origin_of(n, nat_ref_origin(ref[i]), nat_ref_id(ref[i]), r);
		if (nat_ref_kind(ref[i]) != NAT_HOLD_MAPPING_IN)
			side = SESSION_SOURCE;
	}
	if (n_refs > 0)
		return side;
	*what = n->log.what;
	return c->status & CT_SNAT ? SESSION_SOURCE : c->status & CT_DNAT ? SESSION_DESTINATION : SESSION_NONE;
}

/* Leaves out whom the inside talks with. What an ICMP message has in a port's place says nothing about that. */
static void hide_peer(struct log_record *r, enum session_side side)
{
	const struct ip_addr none = { 0 };
	bool has_ports = r->orig.proto != IPPROTO_NR_ICMP;

	if (side == SESSION_SOURCE) {
		r->orig.dst = r->reply.src = none;
		if (has_ports)
			r->orig.dport = r->reply.sport = 0;
		return;
	}
	r->orig.src = r->reply.dst = none;
	if (has_ports)
		r->orig.sport = r->reply.dport = 0;
}

static void log_session(const struct nat *n, uint32_t index, struct log_record *r)
{
	const struct conn *c = conntrack_conn(n->ct, index);
	uint8_t what;
	enum session_side side = session_origin(n, index, r, &what);

	if (side == SESSION_NONE || (what & NAT_LOG_SESSIONS) == 0 || n->env->log.fn == NULL)
		return;
	r->orig = tuple_to_ip(&c->half[CT_ORIGINAL].tuple);
	r->reply = tuple_to_ip(&c->half[CT_REPLY].tuple);
	if (n->cfg.log_no_destinations)
		hide_peer(r, side);
	env_log(n->env, r);
}

static void session_began(void *ctx, uint32_t index)
{
	const struct nat *n = ctx;
	struct log_record r = record_of(n, LOG_SESSION_BEGIN, 0);

	log_session(n, index, &r);
}

static void session_ended(void *ctx, uint32_t index, enum ct_end_reason reason)
{
	const struct nat *n = ctx;
	const struct conn *c = conntrack_conn(n->ct, index);
	struct log_record r = record_of(n, LOG_SESSION_END, n->env->now - conntrack_age_ns(n->ct, index));

	r.reason = (uint8_t)reason;
	for (int d = 0; d < N_CT_DIRS; d++) {
		r.packets[d] = c->half[d].packets;
		r.bytes[d] = c->half[d].bytes;
	}
	log_session(n, index, &r);
}

/* Mappings. */

void nat_log_mapping(const struct nat *n, const struct nat_eim *m, enum log_kind kind)
{
	struct log_record r = record_of(n, kind, m->begun_ns);

	if ((origin_of(n, NAT_ORIGIN_POOL, m->pool, &r) & NAT_LOG_MAPPINGS) == 0 || n->env->log.fn == NULL)
		return;
	r.orig = (struct ip_tuple){
		.src = ip_addr_v4(m->in_addr), .sport = m->in_port, .zone = m->in_zone, .proto = m->proto
	};
	r.reply = (struct ip_tuple){ .dst = ip_addr_v4(m->out_addr),
				     .dport = m->out_port,
				     .zone = ports_zone(n->ports, m->address),
				     .proto = m->proto };
	env_log(n->env, &r);
}

/* Blocks. */

static bool interface_has(const struct ip_interface_config *c, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < c->n_addresses && addr->family == IP_FAMILY_V4; i++)
		if (c->address[i].addr == addr->v4)
			return true;
	return false;
}

/* The pool that has the address, or the interface; what is logged of it. */
static uint8_t origin_of_address(const struct nat *n, const struct ip_addr *addr, struct log_record *r)
{
	const struct ip_config *ip = ip_stack_config(n->stack);

	for (uint32_t i = 0; i < n->cfg.n_pools && addr->family == IP_FAMILY_V4; i++)
		if (n->cfg.pool[i].name[0] != '\0' && nat_pool_has(&n->cfg.pool[i], addr->v4))
			return origin_of(n, NAT_ORIGIN_POOL, i, r);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (interface_has(&ip->interface[i], addr))
			return origin_of(n, NAT_ORIGIN_MASQUERADE, i, r);
	return origin_of(n, NAT_ORIGIN_RULE, 0, r);
}

/* The IP protocol; of a call of PPTP, its GRE. */
static uint8_t ip_proto_of(enum port_proto proto)
{
	static const uint8_t number[N_PORT_PROTOS] = {
		[PORT_PROTO_TCP] = IPPROTO_NR_TCP,   [PORT_PROTO_UDP] = IPPROTO_NR_UDP,
		[PORT_PROTO_ICMP] = IPPROTO_NR_ICMP, [PORT_PROTO_SCTP] = IPPROTO_NR_SCTP,
		[PORT_PROTO_DCCP] = IPPROTO_NR_DCCP, [PORT_PROTO_UDPLITE] = IPPROTO_NR_UDPLITE,
		[PORT_PROTO_CALL] = IPPROTO_NR_GRE,
	};

	return number[proto];
}

/* Slot of the ports. */
static void block_told(void *ctx, uint32_t address, enum port_proto proto, uint32_t block, enum ports_block_event what)
{
	struct nat *n = ctx;
	struct nat_block_begun *rows = pool_at(&n->log.block_begun, 0);
	uint64_t *begun = &rows[address].at_ns[proto][block];
	struct log_record r = record_of(n, what == PORTS_BLOCK_BEGINS ? LOG_BLOCK_BEGIN : LOG_BLOCK_END, *begun);
	bool is_logged = (origin_of_address(n, ports_addr(n->ports, address), &r) & NAT_LOG_BLOCKS) != 0;

	if (*begun == 0)
		r.begin_ns = 0;
	*begun = what == PORTS_BLOCK_BEGINS ? n->env->now : 0;
	if (!is_logged || n->env->log.fn == NULL)
		return;
	r.reply = (struct ip_tuple){ .dst = *ports_addr(n->ports, address),
				     .dport = (uint16_t)(block * PORT_BLOCK_PORTS),
				     .zone = ports_zone(n->ports, address) };
	r.orig.proto = r.reply.proto = ip_proto_of(proto);
	r.n_ports = PORT_BLOCK_PORTS;
	env_log(n->env, &r);
}

/* The config. */

bool nat_logs_any(const struct nat *n)
{
	return n->log.any != 0;
}

void nat_log_configure(struct nat *n)
{
	struct nat_log *l = &n->log;

	l->what = l->any = n->cfg.log;
	for (uint32_t i = 0; i < NAT_POOLS_MAX; i++) {
		const struct nat_pool_config *c = &n->cfg.pool[i];

		if (i < n->cfg.n_pools && c->name[0] != '\0') {
			memcpy(l->pool[i].name, c->name, sizeof(l->pool[i].name));
			l->pool[i].what = c->log_own ? c->log : n->cfg.log;
		}
		l->any |= l->pool[i].what;
	}
	/* Once they were asked for all are noted, so that no end is told with another one's beginning. */
	if (l->any & NAT_LOG_BLOCKS)
		ports_set_block_told(n->ports, block_told, n);
	struct ct_log slot = { 0 };
	if (l->any & NAT_LOG_SESSIONS)
		slot = (struct ct_log){ .began = session_began, .ended = session_ended, .ctx = n };
	conntrack_set_log(n->ct, &slot);
}
