/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages of BGP. Input: a byte of what the session is (bits of enum session), one of the kind of message, one of how
 * long an UPDATE's prefixes are (0: its lengths are in the body), then the body.
 *
 * Checks that an UPDATE is judged as by the slow reference (bgp_reference.h), and what comes of it: the same
 * attributes, the same path. That what is written is read again as it was meant: attributes as they are told an
 * internal neighbour, with two octets too, and an external one; prefixes over several messages; OPEN, NOTIFICATION,
 * ROUTE-REFRESH. That a message of which a part has come is waited for, and nothing is read beyond it.
 */
#include "stack/wire/bgp_message.h"

#include "bgp_reference.h"

enum session { INTERNAL = 1, AS4 = 2, MP = 4, ANY_FIRST = 8, AS_SETS = 16, ENHANCED = 32 };

#define OUR_AS 65000
#define PEER_AS 65001
#define OUR_ADDR 0x0a090001

static struct bgp_wire wire_of(uint8_t bits)
{
	return (struct bgp_wire){ .local_as = OUR_AS,
				  .peer_as = (bits & INTERNAL) != 0 ? OUR_AS : PEER_AS,
				  .local_id = OUR_ADDR,
				  .local_addr = OUR_ADDR,
				  .any_first_as = (bits & ANY_FIRST) != 0,
				  .takes_as_sets = (bits & AS_SETS) != 0,
				  .role = BGP_ROLE_NONE,
				  .as4 = (bits & AS4) != 0,
				  .mp_ipv4 = (bits & MP) != 0,
				  .enhanced_refresh = (bits & ENHANCED) != 0 };
}

/* --- attributes --- */

static const struct bgp_attr *attr_of(struct bgp_nlri set, uint8_t type, struct bgp_attr *at)
{
	while (bgp_set_next(&set, at))
		if (at->type == type)
			return at;
	return NULL;
}

/* Paths that mean the same: sequences may be parted in other places. */
static bool is_same_path(const struct bgp_attr *a, const struct bgp_attr *b)
{
	static uint8_t x[BGP_PATH_MAX], y[BGP_PATH_MAX];
	size_t n = bgp_path_widen(x, (struct bgp_path){ a->value, a->len, BGP_AS4 });
	size_t m = bgp_path_widen(y, (struct bgp_path){ b->value, b->len, BGP_AS4 });

	return n == m && memcmp(x, y, n) == 0;
}

/* What b lacks or has more of is LOCAL_PREF at most. */
static void check_same_set(struct bgp_nlri a, struct bgp_nlri b)
{
	struct bgp_attr x, y;
	bool has_x = bgp_set_next(&a, &x), has_y = bgp_set_next(&b, &y);

	while (has_x || has_y) {
		if (has_y && y.type == BGP_LOCAL_PREF && (!has_x || x.type != BGP_LOCAL_PREF)) {
			has_y = bgp_set_next(&b, &y);
			continue;
		}
		FUZZ_CHECK(has_x && has_y && x.type == y.type && x.flags == y.flags);
		if (x.type == BGP_AS_PATH)
			FUZZ_CHECK(is_same_path(&x, &y));
		else
			FUZZ_CHECK(x.len == y.len && memcmp(x.value, y.value, x.len) == 0);
		has_x = bgp_set_next(&a, &x);
		has_y = bgp_set_next(&b, &y);
	}
}

/* As that neighbour gets it, and what it makes of it. Returns false when it is not sent. */
static bool pass_on(struct bgp_nlri set, const struct bgp_out *to, const struct bgp_wire *there, uint8_t *again,
		    size_t *again_len)
{
	static const struct ip4_prefix some = { IP4(198, 51, 100, 0), 24 };
	static uint8_t attrs[BGP_EMITTED_MAX], p[BGP_MESSAGE_MAX];
	static struct bgp_update u;
	struct bgp_update_job job = { .attrs = attrs, .nlri = &some, .n_nlri = 1 };
	struct bgp_error e;
	enum bgp_sent sent = bgp_set_emit(to, set, attrs, sizeof(attrs), &job.attrs_len);

	if (sent != BGP_SENT)
		return false;
	size_t len = bgp_update_emit(p, &job), whole;

	FUZZ_CHECK(len > 0 && len <= BGP_MESSAGE_MAX && job.n_nlri == 0 && bgp_update_emit(p, &job) == 0);
	FUZZ_CHECK(bgp_frame(p, len, &whole, &e) == BGP_FRAME_WHOLE && whole == len);
	FUZZ_CHECK(bgp_update_parse(there, p, len, &u, &e) == BGP_ACCEPT);
	*again_len = bgp_set_write(again, &u.attrs, u.attrs.next_hop);
	return true;
}

static void check_passed_on(struct bgp_nlri set)
{
	static uint8_t again[BGP_SET_MAX], twice[BGP_SET_MAX];
	struct bgp_wire there = wire_of(INTERNAL | AS4 | AS_SETS);
	struct bgp_out to = { .kind = BGP_INTERNAL, .as4 = true, .local_as = OUR_AS, .local_pref = 77 };
	size_t len, twice_len;
	struct bgp_attr at;

	if (pass_on(set, &to, &there, again, &len)) {
		check_same_set(set, (struct bgp_nlri){ again, len });
		FUZZ_CHECK(attr_of((struct bgp_nlri){ again, len }, BGP_LOCAL_PREF, &at) != NULL);
		if (pass_on((struct bgp_nlri){ again, len }, &to, &there, twice, &twice_len))
			FUZZ_CHECK(len == twice_len && memcmp(again, twice, len) == 0);
	}
	to.as4 = there.as4 = false;
	if (pass_on(set, &to, &there, again, &len))
		check_same_set(set, (struct bgp_nlri){ again, len });
	there = (struct bgp_wire){ .local_as = 65101, .peer_as = OUR_AS, .takes_as_sets = true, .as4 = true };
	to = (struct bgp_out){ .kind = BGP_EXTERNAL, .as4 = true, .local_as = OUR_AS, .next_hop = OUR_ADDR };
	if (pass_on(set, &to, &there, again, &len)) {
		FUZZ_CHECK(attr_of((struct bgp_nlri){ again, len }, BGP_LOCAL_PREF, &at) == NULL);
		FUZZ_CHECK(attr_of((struct bgp_nlri){ again, len }, BGP_MED, &at) == NULL);
		FUZZ_CHECK(attr_of((struct bgp_nlri){ again, len }, BGP_NEXT_HOP, &at) != NULL &&
			   ref_number(at.value, 4) == OUR_ADDR);
	}
}

static void check_against(const struct ref *r, struct bgp_nlri set)
{
	struct bgp_attr at;
	uint32_t n = 0, i = 0;

	while (bgp_set_next(&set, &at)) {
		const struct ref_attr *a = ref_first(r, at.type);

		if (at.type == BGP_NEXT_HOP) /* that of MP_REACH_NLRI perhaps */
			continue;
		n++;
		FUZZ_CHECK(a != NULL && (a->flags & 0xc0) == (at.flags & 0xc0u));
		/* Partial: ours on unknown ones, and else only where it may be (RFC 4271 4.3). */
		FUZZ_CHECK((at.flags & 0x20u) == (ref_flags(at.type) < 0       ? 0x20
						  : ref_flags(at.type) == 0xc0 ? a->flags & 0x20
									       : 0));
		if (at.type == BGP_AS_PATH) {
			for (size_t k = 0; k < at.len; k += 2 + 4 * (size_t)at.value[k + 1])
				for (uint32_t j = 0; j < at.value[k + 1]; j++, i++)
					FUZZ_CHECK(i < r->n_path && r->path[i].kind == at.value[k] &&
						   r->path[i].as == ref_number(at.value + k + 2 + 4 * j, 4));
			FUZZ_CHECK(i == r->n_path);
		} else if (at.type != BGP_AGGREGATOR && at.type != BGP_LARGE_COMMUNITIES) {
			FUZZ_CHECK(a->len == at.len && memcmp(a->value, at.value, at.len) == 0);
		}
	}
	/* And nothing was lost. */
	for (i = 0; i < r->n; i++) {
		const struct ref_attr *a = &r->attr[i];
		bool unknown = ref_flags(a->type) < 0;

		if (ref_is_first(r, a) && a->type != 3 && a->type != 14 && a->type != 15 && a->type != 17 &&
		    a->type != 18 && (unknown ? (a->flags & 0xc0) == 0xc0 && a->type != 0 : ref_is_good(r, a)))
			n--;
	}
	FUZZ_CHECK(n == 0);
}

/* --- prefixes --- */

#define PREFIXES 1500 /* of four bytes each more than a message holds */

static void check_prefixes(struct bgp_nlri list)
{
	static struct ip4_prefix all[PREFIXES];
	static uint8_t p[BGP_MESSAGE_MAX];
	static struct bgp_update u;
	const struct bgp_wire w = wire_of(INTERNAL | AS4);
	uint32_t n = 0, n_seen = 0;
	struct ip4_prefix prefix;
	struct bgp_error e;

	/* Several times, so that one message does not hold them. */
	for (struct bgp_nlri rest = list; n < ARRAY_LEN(all) && list.len > 0;) {
		if (!bgp_nlri_next(&rest, &all[n])) {
			rest = list;
			continue;
		}
		FUZZ_CHECK(all[n].len <= 32 && (all[n].addr & ~ip4_mask(all[n].len)) == 0);
		n++;
	}
	struct bgp_update_job job = { .withdrawn = all, .n_withdrawn = n };
	for (size_t len; (len = bgp_update_emit(p, &job)) > 0;) {
		FUZZ_CHECK(len <= BGP_MESSAGE_MAX && bgp_update_parse(&w, p, len, &u, &e) == BGP_ACCEPT);
		for (struct bgp_nlri rest = u.withdrawn; bgp_nlri_next(&rest, &prefix); n_seen++)
			FUZZ_CHECK(prefix.addr == all[n_seen].addr && prefix.len == all[n_seen].len);
	}
	FUZZ_CHECK(n_seen == n);
	FUZZ_CHECK(bgp_update_parse(&w, p, bgp_end_of_rib_emit(p), &u, &e) == BGP_ACCEPT && u.is_end_of_rib);
}

/* --- messages --- */

static void check_update(const struct bgp_wire *w, const uint8_t *p, size_t len)
{
	static struct ref r;
	static struct bgp_update u;
	static uint8_t set[BGP_SET_MAX];
	static char shown[1024];
	struct bgp_error e;
	enum bgp_disposition d = bgp_update_parse(w, p, len, &u, &e), slow = ref_judge(&r, w, p, (uint32_t)len);
	struct bgp_attr at;

	FUZZ_CHECK(d >= slow);
	/* Nor is a neighbour punished for what the RFCs let pass. */
	FUZZ_CHECK(d == slow && (d == BGP_ACCEPT) == (e.why == NULL));
	if (d == BGP_RESET) {
		FUZZ_CHECK(e.code == BGP_UPDATE_ERROR && e.data_len <= len);
		return;
	}
	check_prefixes(u.nlri.len > 0 ? u.nlri : u.withdrawn);
	if (d == BGP_WITHDRAW || (u.nlri.len == 0 && u.attrs.reach.nlri.len == 0))
		return;
	size_t set_len = bgp_set_write(set, &u.attrs, u.nlri.len > 0 ? u.attrs.next_hop : u.attrs.reach.next_hop);

	FUZZ_CHECK(set_len <= sizeof(set));
	for (struct bgp_nlri rest = { set, set_len }; bgp_set_next(&rest, &at);) {
		struct text t = text_of(shown, sizeof(shown));

		bgp_attr_format(&t, &at);
	}
	check_against(&r, (struct bgp_nlri){ set, set_len });
	check_passed_on((struct bgp_nlri){ set, set_len });
}

static void check_open(const struct bgp_wire *w, const uint8_t *p, size_t len)
{
	uint8_t out[BGP_OPEN_LEN_MAX];
	struct bgp_open o, again;
	struct bgp_error e;
	size_t whole;

	if (bgp_open_parse(w, p, len, &o, &e) != BGP_ACCEPT) {
		FUZZ_CHECK(e.code == BGP_OPEN_ERROR && e.why != NULL);
		return;
	}
	FUZZ_CHECK(o.as != 0 && o.id != 0 && o.hold_s != 1 && o.hold_s != 2);
	size_t n = bgp_open_emit(out, &o);
	FUZZ_CHECK(n <= sizeof(out) && bgp_frame(out, n, &whole, &e) == BGP_FRAME_WHOLE && whole == n);
	FUZZ_CHECK(bgp_open_parse(w, out, n, &again, &e) == BGP_ACCEPT);
	o.can.any_mp = o.can.ipv4; /* other families are not ours to write */
	FUZZ_CHECK(o.as == again.as && o.id == again.id && o.hold_s == again.hold_s);
	FUZZ_CHECK(o.can.any_mp == again.can.any_mp && o.can.ipv4 == again.can.ipv4 &&
		   o.can.refresh == again.can.refresh && o.can.enhanced_refresh == again.can.enhanced_refresh &&
		   o.can.role == again.can.role && o.can.as4 == again.can.as4);
	const struct bgp_restart *x = &o.can.restart, *y = &again.can.restart;
	FUZZ_CHECK(x->is_there == y->is_there && x->restarting == y->restarting && x->notification == y->notification &&
		   x->time_s == y->time_s && x->ipv4 == y->ipv4 && x->ipv4_kept == y->ipv4_kept);
}

static void check_notification(const uint8_t *p, size_t len)
{
	static uint8_t out[BGP_MESSAGE_MAX];
	char shown[256];
	struct text t = text_of(shown, sizeof(shown));
	struct bgp_notification n;

	bgp_notification_parse(p, len, &n);
	bgp_code_format(&t, n.code, n.subcode);
	FUZZ_CHECK(n.data + n.data_len == p + len);
	FUZZ_CHECK(n.text_len == 0 || n.text + n.text_len <= p + len);
	if (n.text_len > 0 && !n.is_hard) {
		const struct bgp_cease c = { (enum bgp_cease_subcode)n.subcode, false, (const char *)n.text,
					     n.text_len };
		struct bgp_notification again;

		bgp_notification_parse(out, bgp_cease_emit(out, &c), &again);
		FUZZ_CHECK(again.text_len == n.text_len && memcmp(again.text, n.text, n.text_len) == 0);
	}
}

static void check_refresh(const struct bgp_wire *w, const uint8_t *p, size_t len)
{
	uint8_t out[BGP_REFRESH_LEN];
	struct bgp_refresh r, again;
	struct bgp_error e;

	if (bgp_refresh_parse(w, p, len, &r, &e) == BGP_ACCEPT) {
		FUZZ_CHECK(bgp_refresh_emit(out, &r) == len &&
			   bgp_refresh_parse(w, out, len, &again, &e) == BGP_ACCEPT);
		FUZZ_CHECK(r.afi == again.afi && r.kind == again.kind && r.safi == again.safi);
	}
}

/* As the stream has it: a byte less is no message yet. */
static bool is_framed(const uint8_t *p, size_t len)
{
	struct bgp_error e;
	size_t whole;

	switch (bgp_frame(p, len, &whole, &e)) {
	case BGP_FRAME_BAD:
		FUZZ_CHECK(e.code == BGP_HEADER_ERROR && e.why != NULL);
		return false;
	case BGP_FRAME_MORE:
		FUZZ_CHECK(false);
		return false;
	case BGP_FRAME_WHOLE:
		break;
	}
	uint8_t *part = fuzz_copy(p, len - 1);

	FUZZ_CHECK(whole == len && bgp_frame(part, len - 1, &whole, &e) == BGP_FRAME_MORE);
	free(part);
	return true;
}

static void check_phases(const struct bgp_wire *w, const uint8_t *p, size_t len)
{
	static struct bgp_message m;

	for (enum bgp_phase phase = BGP_OPEN_SENT; phase <= BGP_ESTABLISHED; phase++)
		if (bgp_message_parse(w, phase, p, len, &m) == BGP_RESET)
			FUZZ_CHECK(m.error.why != NULL && (m.error.code != 0) == (m.type != BGP_NOTIFICATION));
}

#define HEAD_LEN 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_LEN || size - HEAD_LEN > BGP_MESSAGE_MAX - BGP_HEADER_LEN - 4)
		return 0;
	const struct bgp_wire w = wire_of(data[0]);
	const uint8_t *body = data + HEAD_LEN;
	size_t body_len = size - HEAD_LEN, nlri_len = data[2];
	bool is_mended = data[1] == BGP_UPDATE && nlri_len > 0 && nlri_len - 1 <= body_len;
	size_t len = BGP_HEADER_LEN + body_len + (is_mended ? 4 : 0);
	uint8_t *p = calloc(1, len);

	FUZZ_CHECK(p != NULL);
	(void)bgp_header_emit(p, (enum bgp_type)data[1], len);
	if (body_len > 0)
		memcpy(p + len - body_len, body, body_len);
	if (is_mended)
		fuzz_put16(p + BGP_HEADER_LEN + 2, (uint16_t)(body_len - (nlri_len - 1)));
	if (is_framed(p, len)) {
		check_phases(&w, p, len);
		switch ((enum bgp_type)data[1]) {
		case BGP_OPEN:
			check_open(&w, p, len);
			break;
		case BGP_UPDATE:
			check_update(&w, p, len);
			break;
		case BGP_NOTIFICATION:
			check_notification(p, len);
			break;
		case BGP_ROUTE_REFRESH:
			check_refresh(&w, p, len);
			break;
		case BGP_KEEPALIVE:
			FUZZ_CHECK(bgp_keepalive_emit(p) == len);
			break;
		}
	}
	free(p);
	return 0;
}
