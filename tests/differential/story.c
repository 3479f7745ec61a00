/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stories, and how they are varied. Numbers in a row count from the SYN of
 * their side, so the first byte of data is 1.
 */
#include "story.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "stack/wire/l4.h"

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST
#define P TCP_PSH
#define ROWS_MAX 20

struct row {
	char from; /* '>' the inside host, '<' the outside one; 0: the end */
	uint8_t flags;
	int32_t seq, ack;
	uint16_t window, len;
	uint16_t sack; /* a block of 100 bytes that begins so far behind ack; 0: none */
};

struct story {
	const char *name;
	struct row row[ROWS_MAX];
};

#define OPEN \
	{ '>', S, 0, 0, 4000 }, { '<', S | A, 0, 1, 8000 }, \
	{ \
		'>', A, 1, 1, 4000 \
	}

/* clang-format off */
static const struct story stories[] = {
	{ "one question", { OPEN, { '>', P | A, 1, 1, 4000, 120 }, { '<', A, 1, 121, 8000 },
		{ '<', P | A, 1, 121, 8000, 600 }, { '>', A, 121, 601, 4000 }, { '<', F | A, 601, 121, 8000 },
		{ '>', F | A, 121, 602, 4000 }, { '<', A, 602, 122, 8000 } } },
	{ "the client closes first", { OPEN, { '>', P | A, 1, 1, 4000, 300 }, { '>', F | A, 301, 1, 4000 },
		{ '<', A, 1, 302, 8000 }, { '<', A, 1, 302, 8000, 1300 }, { '>', A, 302, 1301, 4000 },
		{ '<', A, 1301, 302, 8000, 1000 }, { '>', A, 302, 2301, 4000 }, { '<', F | A, 2301, 302, 8000 },
		{ '>', A, 302, 2302, 4000 } } },
	{ "both close at once", { OPEN, { '>', F | A, 1, 1, 4000 }, { '<', F | A, 1, 1, 8000 },
		{ '>', A, 2, 2, 4000 }, { '<', A, 2, 2, 8000 } } },
	{ "a stream down", { OPEN, { '<', A, 1, 1, 8000, 1300 }, { '<', A, 1301, 1, 8000, 1300 },
		{ '>', A, 1, 2601, 4000 }, { '<', A, 2601, 1, 8000, 1300 }, { '<', A, 3901, 1, 8000, 1300 },
		{ '>', A, 1, 5201, 4000 }, { '<', A, 5201, 1, 8000, 1300 }, { '<', A, 6501, 1, 8000, 1300 },
		{ '>', A, 1, 7801, 4000 }, { '<', A, 1, 1, 8000, 1300 }, { '>', A, 1, 1301, 4000 } } },
	{ "a hole", { OPEN, { '<', A, 1, 1, 8000, 1000 }, { '<', A, 2001, 1, 8000, 1000 },
		{ '>', A, 1, 1001, 4000, 0, 1000 }, { '>', A, 1, 1001, 4000, 0, 1000 }, { '<', A, 1001, 1, 8000, 1000 },
		{ '>', A, 1, 3001, 4000 }, { '<', F | A, 3001, 1, 8000 }, { '>', F | A, 1, 3002, 4000 },
		{ '<', A, 3002, 2, 8000 } } },
	{ "more than the window, and acknowledged", { OPEN, { '<', A, 1, 1, 8000, 1300 },
		{ '<', A, 1301, 1, 8000, 1300 }, { '<', A, 2601, 1, 8000, 1300 }, { '<', A, 3901, 1, 8000, 1300 },
		{ '<', A, 5201, 1, 8000, 1300 }, { '>', A, 1, 6501, 4000 }, { '<', A, 6501, 1, 8000, 1300 },
		{ '>', A, 1, 7801, 4000 } } },
	{ "beyond the window, a little and too much", { OPEN, { '<', A, 5000, 1, 8000, 500 }, { '>', A, 1, 1, 4000 },
		{ '<', A, 7500, 1, 8000, 500 }, { '<', A, 12000, 1, 8000, 500 }, { '>', A, 1, 5500, 4000 },
		{ '<', A, 8500, 1, 8000, 500 }, { '<', A, 9500, 1, 8000, 500 }, { '>', A, 1, 10000, 4000 },
		{ '>', A, 1, 12500, 4000 } } },
	{ "old data", { OPEN, { '<', A, 1, 1, 8000, 1300 }, { '>', A, 1, 1301, 40000 },
		{ '<', A, 1301, 1, 8000, 100 }, { '<', A, 20000, 1, 8000, 1300 }, { '>', A, 1, 21300, 40000 },
		{ '<', A, 50000, 1, 8000, 1300 }, { '>', A, 1, 51300, 40000 }, { '<', A, 1, 1, 8000, 1300 },
		{ '<', F | A, 1, 1, 8000, 10 }, { '>', A, 1, 51300, 40000 }, { '<', A, 51300, 1, 8000, 100 } } },
	{ "old acknowledgements", { OPEN, { '>', A, 1, 1, 4000, 1300 }, { '<', A, 1, 1301, 60000 },
		{ '>', A, 40000, 1, 4000, 1300 }, { '<', A, 1, 41300, 60000 }, { '>', A, 80000, 1, 4000, 1300 },
		{ '<', A, 1, 81300, 60000 }, { '<', A, 1, 1, 60000, 100 }, { '<', A, 1, 15301, 60000 },
		{ '<', A, 1, 15299, 60000 }, { '<', A, 1, 81301, 60000 }, { '>', A, 81300, 101, 4000, 10 } } },
	{ "a closed window", { OPEN, { '>', A, 1, 1, 4000, 800 }, { '<', A, 1, 801, 0 }, { '>', A, 801, 1, 4000, 1 },
		{ '<', A, 1, 801, 0 }, { '>', A, 800, 1, 4000 }, { '<', A, 1, 801, 0 }, { '<', A, 1, 801, 8000 },
		{ '>', A, 801, 1, 4000, 1300 }, { '<', A, 1, 2101, 8000 } } },
	{ "kept alive", { OPEN, { '>', A, 1, 1, 4000, 10 }, { '<', A, 1, 11, 8000 }, { '>', A, 10, 1, 4000 },
		{ '<', A, 1, 11, 8000 }, { '>', A, 10, 1, 4000, 1 }, { '<', A, 1, 11, 8000 }, { '<', A, 0, 11, 8000 },
		{ '>', A, 11, 1, 4000 } } },
	{ "asked again and again", { { '>', S, 0, 0, 4000 }, { '>', S, 0, 0, 4000 }, { '>', S, 0, 0, 4000 },
		{ '<', S | A, 0, 1, 8000 }, { '>', S, 0, 0, 4000 }, { '<', S | A, 0, 1, 8000 }, { '>', A, 1, 1, 4000 },
		{ '<', S | A, 0, 1, 8000 }, { '>', A, 1, 1, 4000 }, { '>', A, 1, 1, 4000, 10 } } },
	{ "data in the SYN", { { '>', S, 0, 0, 4000, 200 }, { '<', S | A, 0, 201, 8000, 300 },
		{ '>', A, 201, 301, 4000 }, { '<', A, 301, 201, 8000, 900 }, { '>', A, 201, 1201, 4000 } } },
	{ "data in the SYN, not taken", { { '>', S, 0, 0, 4000, 200 }, { '<', S | A, 0, 1, 8000 },
		{ '>', A, 1, 1, 4000, 200 }, { '<', A, 1, 201, 8000 } } },
	{ "an answer to another", { { '>', S, 0, 0, 4000 }, { '<', S | A, 0, 5000, 8000 },
		{ '<', S | A, 0, 1, 8000 }, { '>', A, 1, 1, 4000 }, { '>', A, 1, 1, 4000, 10 } } },
	{ "aborted", { OPEN, { '>', A, 1, 1, 4000, 500 }, { '<', A, 1, 501, 8000 }, { '>', R | A, 501, 1, 0 },
		{ '<', A, 1, 501, 8000, 10 }, { '>', R, 501, 0, 0 } } },
	{ "aborted by the server", { OPEN, { '>', A, 1, 1, 4000, 500 }, { '<', R | A, 1, 501, 0 },
		{ '>', A, 501, 1, 4000 } } },
	{ "refused", { { '>', S, 0, 0, 4000 }, { '<', R | A, 0, 1, 0 }, { '>', S, 0, 0, 4000 }, { '<', R | A, 0, 1, 0 } } },
	{ "pushed and urgent", { OPEN, { '>', A | P | TCP_URG, 1, 1, 4000, 30 }, { '<', A | P, 1, 31, 8000, 30 },
		{ '>', A, 31, 31, 4000 }, { '>', A | P | F, 31, 31, 4000, 30 }, { '<', A | P | F, 31, 62, 8000, 30 },
		{ '>', A, 62, 62, 4000 } } },
	{ "congestion marks", { { '>', S | TCP_ECE | TCP_CWR, 0, 0, 4000 }, { '<', S | A | TCP_ECE, 0, 1, 8000 },
		{ '>', A, 1, 1, 4000 }, { '>', A | TCP_CWR, 1, 1, 4000, 100 }, { '<', A | TCP_ECE, 1, 101, 8000 },
		{ '>', A, 101, 1, 4000, 100 }, { '<', A, 1, 201, 8000 } } },
	{ "a FIN before its data", { OPEN, { '<', F | A, 501, 1, 8000 }, { '>', A, 1, 1, 4000 },
		{ '<', A, 1, 1, 8000, 500 }, { '>', A, 1, 502, 4000 }, { '>', F | A, 1, 502, 4000 },
		{ '<', A, 502, 2, 8000 }, { '<', A, 502, 2, 8000 } } },
	{ "the FIN again", { OPEN, { '>', F | A, 1, 1, 4000 }, { '>', F | A, 1, 1, 4000 }, { '<', A, 1, 2, 8000 },
		{ '<', F | A, 1, 2, 8000 }, { '<', F | A, 1, 2, 8000 }, { '>', A, 2, 2, 4000 }, { '<', F | A, 1, 2, 8000 },
		{ '>', A, 2, 2, 4000 } } },
	{ "the window shrinks", { OPEN, { '<', A, 1, 1, 8000, 1300 }, { '>', A, 1, 1301, 2000 },
		{ '<', A, 1301, 1, 8000, 1300 }, { '>', A, 1, 2601, 700 }, { '<', A, 2601, 1, 8000, 1300 },
		{ '<', A, 3901, 1, 8000, 1300 }, { '>', A, 1, 5201, 4000 } } },
};
/* clang-format on */

enum change { AS_IT_IS, TWICE, LATER, AT_THE_END, LOST, N_CHANGES };
static const char *const change_names[N_CHANGES] = {
	[AS_IT_IS] = "as it is",           [TWICE] = "twice", [LATER] = "late",
	[AT_THE_END] = "again at the end", [LOST] = "lost",
};

static uint32_t n_rows(const struct story *s)
{
	uint32_t n = 0;

	while (n < ROWS_MAX && s->row[n].from != 0)
		n++;
	return n;
}

void story_start(struct story_run *r)
{
	*r = (struct story_run){ 0 };
}

void story_next(struct story_run *r)
{
	uint32_t n = n_rows(&stories[r->story]);

	r->at = 0;
	r->n++;
	if (r->change != AS_IT_IS && ++r->row < n)
		return;
	r->row = 0;
	if (++r->change == N_CHANGES) {
		r->change = AS_IT_IS;
		r->story++;
	}
}

bool story_begin(const struct story_run *r, struct script *s)
{
	static const uint32_t first[][N_SIDES] = { { 1000, 5000000 }, { 0xfffffff0, 0xffffff00 }, { 0x7ffffff0, 0 } };
	struct flow *f = &s->flow[0];

	if (r->story == ARRAY_LEN(stories))
		return false;
	memset(s, 0, sizeof(*s));
	s->n_flows = 1;
	*f = (struct flow){ .kind = FLOW_NATTED, .proto = IPPROTO_NR_TCP };
	f->addr[INSIDE] = LAN_NET + HOST_NUMBER(0);
	f->addr[OUTSIDE] = WAN_NET + HOST_NUMBER(0);
	f->port[INSIDE] = (uint16_t)(20000 + r->n % 20000);
	f->port[OUTSIDE] = 80;
	for (int i = 0; i < N_SIDES; i++) {
		f->peer[i].first = first[r->n % ARRAY_LEN(first)][i];
		f->peer[i].scale = r->n % 4 == 1 ? 2 : 0;
		f->peer[i].sack = r->n % 4 != 0;
	}
	return true;
}

static void set_options(struct step *st, const struct flow *f, const struct row *row)
{
	const struct peer *p = &f->peer[st->from];
	uint32_t left = st->ack + row->sack, right = left + 100;
	uint8_t *o = st->options;

	if (row->flags & S) {
		const uint8_t syn[] = { 2, 4, 5, 0xb4, 1, 3, 3, p->scale, 1, 1, 4, 2 };

		memcpy(o, syn, sizeof(syn));
		if (p->scale == 0)
			memset(o + 4, 1, 4);
		st->n_options = p->sack ? 12 : 8;
	} else if (row->sack != 0 && p->sack) {
		const uint8_t block[] = { 1,
					  1,
					  5,
					  10,
					  (uint8_t)(left >> 24),
					  (uint8_t)(left >> 16),
					  (uint8_t)(left >> 8),
					  (uint8_t)left,
					  (uint8_t)(right >> 24),
					  (uint8_t)(right >> 16),
					  (uint8_t)(right >> 8),
					  (uint8_t)right };

		memcpy(o, block, sizeof(block));
		st->n_options = sizeof(block);
	}
}

static const char *flags_text(uint8_t flags)
{
	static const char *const name[] = { [A] = "ACK",     [S] = "SYN", [S | A] = "SYN-ACK",
					    [F | A] = "FIN", [R] = "RST", [R | A] = "RST-ACK" };

	return name[flags & (S | A | F | R)];
}

/* Which row is the at-th one to be played; ROWS_MAX at the end. */
static uint32_t row_at(const struct story_run *r, uint32_t n, uint32_t at)
{
	switch ((enum change)r->change) {
	case TWICE:
		return at - (at > r->row);
	case LATER:
		return at == r->row && at + 1 < n ? at + 1 : at == r->row + 1 ? r->row : at;
	case AT_THE_END:
		return at == n ? r->row : at;
	case LOST:
		return at + (at >= r->row);
	default:
		return at;
	}
}

bool story_step(struct story_run *r, const struct script *s, struct step *out)
{
	const struct story *story = &stories[r->story];
	uint32_t n = n_rows(story), last = n + (r->change == TWICE || r->change == AT_THE_END) - (r->change == LOST);
	const struct flow *f = &s->flow[0];

	if (r->at >= last || f->retired)
		return false;
	uint32_t number = row_at(r, n, r->at++);
	const struct row *row = &story->row[number];
	enum side from = row->from == '>' ? INSIDE : OUTSIDE;

	*out = (struct step){ .from = from, .proto = IPPROTO_NR_TCP, .ttl = 64, .df = true };
	out->src = f->addr[from];
	out->dst = from == INSIDE ? f->addr[OUTSIDE] : WAN_ADDR;
	out->sport = f->port[from];
	out->dport = f->port[!from];
	out->to_mapping = from == OUTSIDE;
	out->seq = row->flags == R && row->seq == 0 ? 0 : f->peer[from].first + (uint32_t)row->seq;
	out->ack = row->flags & A ? f->peer[!from].first + (uint32_t)row->ack : 0;
	out->flags = row->flags;
	/* A window means what it says in every variation. */
	out->window = row->flags & S ? row->window : (uint16_t)(row->window >> f->peer[from].scale);
	out->payload_len = row->len;
	set_options(out, f, row);
	snprintf(out->text, sizeof(out->text), "TCP %s %s%s in \"%s\", row %u, %u %s",
		 from == INSIDE ? "inside" : "outside", flags_text(row->flags), row->len != 0 ? " data" : "",
		 story->name, number, r->row, change_names[r->change]);
	return true;
}
