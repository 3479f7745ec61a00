/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The DCCP tracker (RFC 4340 section 4.3, RFC 5597). States are Linux's:
 *
 *   REQUEST    a DCCP-Request               CLOSEREQ   the server asks for the end
 *   RESPOND    a DCCP-Response              CLOSING    a DCCP-Close
 *   PARTOPEN   the client's first answer    TIMEWAIT   a DCCP-Reset
 *   OPEN       the server's first packet behind it
 *
 * The machine is one table: role, type of packet, state. The client is who sent
 * the DCCP-Request, as a rule in the ORIGINAL direction; a server behind a
 * translator may send a DCCP-Listen first (RFC 5596), and then the client is at
 * the other end. A hole in the table means: invalid, and the state stays.
 *
 * Sequence numbers are not looked at, as in Linux.
 *
 * Next: src/gateway/conntrack/hooks.c
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "stack/wire/dccp.h"

static const char *const state_names[N_CT_DCCP_STATES] = {
	[CT_DCCP_NONE] = "NONE",         [CT_DCCP_REQUEST] = "REQUEST",   [CT_DCCP_RESPOND] = "RESPOND",
	[CT_DCCP_PARTOPEN] = "PARTOPEN", [CT_DCCP_OPEN] = "OPEN",         [CT_DCCP_CLOSEREQ] = "CLOSEREQ",
	[CT_DCCP_CLOSING] = "CLOSING",   [CT_DCCP_TIMEWAIT] = "TIMEWAIT",
};

enum role { CLIENT_ROLE, SERVER_ROLE, N_ROLES };

/* conn.tcp_last: where the client is. */
enum { CLIENT_IS_ORIGINAL, CLIENT_IS_REPLY };

/* Short names for the table. */
#define RQ CT_DCCP_REQUEST
#define RS CT_DCCP_RESPOND
#define PO CT_DCCP_PARTOPEN
#define OP CT_DCCP_OPEN
#define CR CT_DCCP_CLOSEREQ
#define CG CT_DCCP_CLOSING
#define TW CT_DCCP_TIMEWAIT
#define REOPEN N_CT_DCCP_STATES

static const uint8_t next_state[N_ROLES][N_DCCP_TYPES][N_CT_DCCP_STATES] = {
    /* clang-format off */
    [CLIENT_ROLE] = {
	/* A repetition may come late; behind the end it is a new connection. */
	[DCCP_REQUEST] = {[RQ] = RQ, [RS] = RS, [PO] = PO, [OP] = OP, [TW] = REOPEN},
	[DCCP_ACK] = {[RS] = PO, [PO] = PO, [OP] = OP, [CR] = CR, [CG] = CG},
	[DCCP_DATAACK] = {[RS] = PO, [PO] = PO, [OP] = OP, [CR] = CR, [CG] = CG},
	[DCCP_DATA] = {[PO] = PO, [OP] = OP, [CR] = CR, [CG] = CG},
	[DCCP_CLOSE] = {[RS] = CG, [PO] = CG, [OP] = CG, [CR] = CG, [CG] = CG},
	[DCCP_RESET] = {[RQ] = TW, [RS] = TW, [PO] = TW, [OP] = TW, [CR] = TW, [CG] = TW, [TW] = TW},
	[DCCP_SYNC] = {[RQ] = RQ, [RS] = RS, [PO] = PO, [OP] = OP, [CR] = CR, [CG] = CG, [TW] = TW},
	[DCCP_SYNCACK] = {[RS] = RS, [PO] = PO, [OP] = OP, [CR] = CR, [CG] = CG, [TW] = TW},
    },
    [SERVER_ROLE] = {
	[DCCP_LISTEN] = {[RQ] = RQ, [RS] = RS},
	[DCCP_RESPONSE] = {[RQ] = RS, [RS] = RS, [PO] = PO, [OP] = OP},
	[DCCP_ACK] = {[PO] = OP, [OP] = OP, [CR] = CR, [CG] = CG},
	[DCCP_DATAACK] = {[PO] = OP, [OP] = OP, [CR] = CR, [CG] = CG},
	[DCCP_DATA] = {[PO] = OP, [OP] = OP, [CR] = CR, [CG] = CG},
	[DCCP_CLOSEREQ] = {[PO] = CR, [OP] = CR, [CR] = CR, [CG] = CG},
	[DCCP_CLOSE] = {[PO] = CG, [OP] = CG, [CR] = CG, [CG] = CG},
	[DCCP_RESET] = {[RQ] = TW, [RS] = TW, [PO] = TW, [OP] = TW, [CR] = TW, [CG] = TW, [TW] = TW},
	[DCCP_SYNC] = {[RS] = RS, [PO] = OP, [OP] = OP, [CR] = CR, [CG] = CG, [TW] = TW},
	[DCCP_SYNCACK] = {[RQ] = RQ, [RS] = RS, [PO] = OP, [OP] = OP, [CR] = CR, [CG] = CG, [TW] = TW},
    },
    /* clang-format on */
};

#undef RQ
#undef RS
#undef PO
#undef OP
#undef CR
#undef CG
#undef TW

static uint32_t timeout(const struct ct_timeouts *t, const struct conn *c)
{
	static const uint8_t field_of_state[N_CT_DCCP_STATES] = {
		[CT_DCCP_NONE] = offsetof(struct ct_timeouts, dccp_timewait),
		[CT_DCCP_REQUEST] = offsetof(struct ct_timeouts, dccp_request),
		[CT_DCCP_RESPOND] = offsetof(struct ct_timeouts, dccp_respond),
		[CT_DCCP_PARTOPEN] = offsetof(struct ct_timeouts, dccp_partopen),
		[CT_DCCP_OPEN] = offsetof(struct ct_timeouts, dccp_open),
		[CT_DCCP_CLOSEREQ] = offsetof(struct ct_timeouts, dccp_closereq),
		[CT_DCCP_CLOSING] = offsetof(struct ct_timeouts, dccp_closing),
		[CT_DCCP_TIMEWAIT] = offsetof(struct ct_timeouts, dccp_timewait),
	};

	return ct_timeout_at(t, field_of_state[c->tcp_state]);
}

/* Taken up in the middle when the config says so: what goes both ways, as if it were open. */
static bool is_middle(uint8_t type)
{
	return type == DCCP_DATA || type == DCCP_ACK || type == DCCP_DATAACK;
}

static bool can_begin(const struct conntrack *ct, const struct packet *p)
{
	return p->l4.type == DCCP_REQUEST || p->l4.type == DCCP_LISTEN ||
	       (ct->cfg.pick_up != 0 && is_middle(p->l4.type));
}

static uint32_t begin(struct conntrack *ct, uint32_t index, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);

	c->tcp_state = is_middle(p->l4.type) ? CT_DCCP_PARTOPEN : CT_DCCP_REQUEST;
	c->tcp_last = p->l4.type == DCCP_LISTEN ? CLIENT_IS_REPLY : CLIENT_IS_ORIGINAL;
	if (is_middle(p->l4.type))
		c->status |= CT_PICKED_UP;
	return timeout(&ct->cfg.timeout, c);
}

static bool changes_state(const struct packet *p)
{
	return !is_middle(p->l4.type) && p->l4.type != DCCP_SYNC && p->l4.type != DCCP_SYNCACK;
}

static ct_judgement packet(struct conntrack *ct, uint32_t index, enum ct_dir dir, const struct packet *p)
{
	struct conn *c = ct_conn(ct, index);
	enum role role = (dir == CT_REPLY) == (c->tcp_last == CLIENT_IS_REPLY) ? CLIENT_ROLE : SERVER_ROLE;
	uint8_t before = c->tcp_state, next = next_state[role][p->l4.type][before];
	ct_judgement j = CT_JUDGE_ACCEPT;

	/* Behind the end whoever was the server may be the next client. */
	if (p->l4.type == DCCP_REQUEST && before == CT_DCCP_TIMEWAIT && dir == CT_ORIGINAL)
		next = REOPEN;
	if (next == CT_DCCP_NONE)
		return CT_JUDGE_INVALID;
	if (next == REOPEN) {
		if ((c->status & CT_CONFIRMED) && dir == CT_ORIGINAL)
			return CT_JUDGE_REOPEN;
		next = CT_DCCP_REQUEST;
	}
	c->tcp_state = next;
	if (dir == CT_REPLY)
		c->status |= CT_SEEN_REPLY;
	if (next == CT_DCCP_OPEN && (c->status & (CT_SEEN_REPLY | CT_ASSURED)) == CT_SEEN_REPLY)
		j |= CT_JUDGE_ASSURE;
	if (next != before)
		j |= CT_JUDGE_CHANGED;
	if (next != CT_DCCP_TIMEWAIT || before != CT_DCCP_TIMEWAIT)
		j |= CT_JUDGE_REFRESH;
	return j;
}

static enum ct_end_reason end_reason(const struct conn *c)
{
	return c->tcp_state == CT_DCCP_TIMEWAIT ? CT_END_CLOSED : CT_END_TIMEOUT;
}

const struct ct_protocol ct_dccp = {
	.can_begin = can_begin,
	.begin = begin,
	.changes_state = changes_state,
	.packet = packet,
	.timeout = timeout,
	.end_reason = end_reason,
	.state_names = state_names,
	.n_states = N_CT_DCCP_STATES,
};
