/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The session of a trial begins as a real one does: both OPENs are written, read, and agreed on. Its table has one
 * route. What else a message announces or withdraws fares as the route does: dispositions are of messages.
 *
 * Next: src/tools/bgp/trial_want.c
 */
#include "tools/bgp/trial.h"

#include <string.h>

#include "base/printable.h"
#include "base/util.h"

#define LOCAL_AS 65000
#define LOCAL_ADDR IP4(10, 9, 0, 1)
#define HOLD_S 90

static const struct {
	const char *name;
	uint32_t as, addr;
	bool as4;
} sessions[] = {
	[TRIAL_E4] = { "e4", 65001, IP4(10, 9, 0, 11), true },
	[TRIAL_E2] = { "e2", 65003, IP4(10, 9, 0, 13), false },
	[TRIAL_I4] = { "i4", LOCAL_AS, IP4(10, 9, 0, 12), true },
};
_Static_assert(ARRAY_LEN(sessions) == N_TRIAL_SESSIONS, "a row each");

static const char *const phase_names[] = {
	[BGP_OPEN_SENT] = "sent", [BGP_OPEN_CONFIRM] = "confirm", [BGP_ESTABLISHED] = "up"
};

static const struct ip4_prefix route = { IP4(203, 0, 113, 0), 24 };

bool trial_session_named(const char *name, enum trial_session *out)
{
	for (uint32_t i = 0; i < ARRAY_LEN(sessions); i++)
		if (strcmp(sessions[i].name, name) == 0) {
			*out = (enum trial_session)i;
			return true;
		}
	return false;
}

bool trial_phase_named(const char *name, enum bgp_phase *out)
{
	for (uint32_t i = 0; i < ARRAY_LEN(phase_names); i++)
		if (strcmp(phase_names[i], name) == 0) {
			*out = (enum bgp_phase)i;
			return true;
		}
	return false;
}

static struct bgp_open open_of(uint32_t as, uint32_t id, bool as4)
{
	struct bgp_open o = { .as = as, .id = id, .hold_s = HOLD_S };

	o.can = (struct bgp_capabilities){ .any_mp = true, .ipv4 = true, .refresh = true, .role = BGP_ROLE_NONE };
	o.can.as4 = as4 ? as : 0;
	return o;
}

static void begin(struct trial *t, enum trial_session session)
{
	const struct bgp_open ours = open_of(LOCAL_AS, LOCAL_ADDR, true),
			      theirs = open_of(sessions[session].as, sessions[session].addr, sessions[session].as4);
	uint8_t bytes[BGP_OPEN_LEN_MAX];
	struct bgp_open read;

	*t = (struct trial){ .result = TRIAL_UNFINISHED };
	t->wire = (struct bgp_wire){ .local_as = LOCAL_AS,
				     .peer_as = sessions[session].as,
				     .local_id = LOCAL_ADDR,
				     .local_addr = LOCAL_ADDR,
				     .role = BGP_ROLE_NONE };
	(void)bgp_open_parse(&t->wire, bytes, bgp_open_emit(bytes, &theirs), &read, &t->message.error);
	bgp_open_agree(&ours, &read, &t->wire);
}

static bool has_route(struct bgp_nlri list)
{
	struct ip4_prefix p;

	while (bgp_nlri_next(&list, &p))
		if (p.addr == route.addr && p.len == route.len)
			return true;
	return false;
}

static void send_on(struct trial *t, uint32_t next_hop)
{
	const struct bgp_out to = { .kind = BGP_EXTERNAL, .as4 = true, .local_as = LOCAL_AS, .next_hop = LOCAL_ADDR };

	t->set_len = bgp_set_write(t->set, &t->message.update.attrs, next_hop);
	t->sent = bgp_set_emit(&to, (struct bgp_nlri){ t->set, t->set_len }, t->sent_attrs, sizeof(t->sent_attrs),
			       &t->sent_len);
}

static void apply(struct trial *t)
{
	const struct bgp_update *u = &t->message.update;
	const struct bgp_attrs *a = &u->attrs;
	bool leaves = has_route(u->withdrawn) || has_route(a->unreach.nlri);
	bool by_nlri = has_route(u->nlri), by_mp = has_route(a->reach.nlri);

	t->is_end_of_rib = u->is_end_of_rib;
	if (t->disposition == BGP_WITHDRAW) {
		t->result = leaves || by_nlri || by_mp ? TRIAL_GONE : TRIAL_OLD;
		return;
	}
	if (by_nlri || by_mp) {
		t->result = u->is_loop ? TRIAL_LOOP : TRIAL_NEW;
		send_on(t, by_nlri ? a->next_hop : a->reach.next_hop);
		return;
	}
	t->result = leaves ? TRIAL_GONE : TRIAL_OLD;
}

void trial_run(struct trial *t, enum trial_session session, enum bgp_phase phase, const uint8_t *p, size_t len)
{
	enum bgp_frame frame;
	size_t message_len = 0;

	begin(t, session);
	for (; len > 0 && (frame = bgp_frame(p, len, &message_len, &t->message.error)) != BGP_FRAME_MORE;
	     p += message_len, len -= message_len) {
		t->disposition = BGP_RESET;
		if (frame == BGP_FRAME_WHOLE)
			t->disposition = bgp_message_parse(&t->wire, phase, p, message_len, &t->message);
		if (t->disposition == BGP_RESET) {
			t->result = TRIAL_RESET;
			return;
		}
		if (t->message.type == BGP_UPDATE)
			apply(t);
		else
			t->result = TRIAL_ACCEPTED;
	}
}

static void format_notification(struct text *to, const struct bgp_notification *n)
{
	char words[BGP_SHUTDOWN_TEXT_MAX + 1];

	text_add(to, "%s", n->is_hard ? "hard: " : "");
	bgp_code_format(to, n->code, n->subcode);
	if (n->text_len == 0)
		return;
	memcpy(words, n->text, n->text_len);
	words[n->text_len] = '\0';
	text_add(to, ": %s", printable_string(words, PRINTABLE_WORD));
}

void trial_format(struct text *to, const struct trial *t)
{
	static const char *const names[] = { [TRIAL_UNFINISHED] = "unfinished",
					     [TRIAL_ACCEPTED] = "accepted",
					     [TRIAL_OLD] = "ignore",
					     [TRIAL_NEW] = "ok",
					     [TRIAL_LOOP] = "loop",
					     [TRIAL_GONE] = "withdraw",
					     [TRIAL_RESET] = "reset" };
	const struct bgp_error *e = &t->message.error;

	text_add(to, "%s", t->is_end_of_rib ? "eor" : names[t->result]);
	if (e->why == NULL)
		return;
	text_add(to, ": ");
	if (t->result == TRIAL_RESET && e->code == BGP_NO_NOTIFICATION) {
		text_add(to, "%s, ", e->why);
		format_notification(to, &t->message.notification);
		return;
	}
	if (e->attr != 0)
		text_add(to, "%s: ", bgp_attr_name(e->attr));
	text_add(to, "%s (", e->why);
	bgp_code_format(to, e->code, e->subcode);
	text_add(to, ")");
}
