/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Black holes of the path MTU (RFC 4821, RFC 2923 section 2.1): a router drops what is too
 * large, and what it says of that (tcp_error.c) never arrives. Small segments get through,
 * large ones do not, and the connection hangs.
 *
 * So after R1 timeouts in a row (retries1; RFC 1122 section 4.2.3.5) for a segment, what
 * is sent becomes smaller: an MSS of 1,024, then half of it at each further timeout, no less than
 * 48, as Linux does with tcp_mtu_probing=1. A segment that is small already is not lost
 * for its size.
 *
 * From there it is searched upwards (RFC 4821 section 7): now and then what would be the next two or three segments
 * leaves as one, of all that the path should take first, then of what lies in the middle between what it
 * has taken and what it has not, until there is little between them. A probe is bytes of the
 * stream like any others, so one that is acknowledged is the proof, and they are sent from then on in segments of
 * that size; what is lost of one, and nothing else with it, is sent again in segments of the old size, and is
 * no sign of congestion: the window stays. It leaves when nothing is missing, and with enough behind it
 * that its loss is seen at once. What was not taken is tried again ten minutes later (RFC 1191 section 6.3).
 */
#include "stack/transport/tcp_md5.h"
#include "stack/transport/tcp_rare.h"

#define BASE_MSS 1024u
#define RAISE_NS (600 * NS_PER_S)
/* Less between what is taken and what is not is not looked at. */
#define WORTH_BYTES 16u
/* Segments that leave behind a probe, by whose arrival its loss is known. */
#define BEHIND 3u

static uint32_t known_mss(const struct tcp_conn *c)
{
	return c->path_mtu - IPV4_HEADER_LEN - TCP_HEADER_LEN;
}

static bool is_probing(const struct tcp_rare *r)
{
	return r->probe_from != r->probe_to;
}

void tcp_mtu_timeout(struct tcp *t, struct tcp_conn *c)
{
	/* Whose fault it was is not known. */
	if (is_probing(tcp_rare_at(t, c->rare)))
		tcp_rare_get(t, &c->rare)->probe_failed = true;
	if (!t->cfg.mtu_probing || c->n_rtx < t->cfg.retries1 || c->flight->queue.n_sent == 0)
		return;
	uint32_t low = tcp_rare_at(t, c->rare)->mss_low, known = known_mss(c);
	uint32_t next = low == 0 && known > BASE_MSS ? BASE_MSS : (low == 0 ? known : low) / 2;

	next = max_u32(next, TCP_MSS_MIN);
	if (min_u32(tcp_queue_at(t, c, 0)->len, c->mss) <= next)
		return;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);

	r->mss_low = (uint16_t)next;
	r->mss_high = (uint16_t)(low != 0 ? low : known - 1);
	r->mss_low_at = t->env->now;
	t->counts[TCP_COUNT_BLACK_HOLES]++;
	tcp_set_mss(t, c);
}

/* The MSS to be tried next, 0: none. */
static uint32_t next_size(const struct tcp_rare *r, uint32_t known, uint64_t now)
{
	bool is_known = r->mss_high != 0 && r->mss_high < known && now - r->mss_low_at < RAISE_NS;
	uint32_t high = is_known ? r->mss_high : known;

	if (high < r->mss_low + WORTH_BYTES)
		return 0;
	return is_known ? (r->mss_low + high) / 2 : known;
}

/* Nothing is missing, nothing is special about what comes next, and there is enough of it. */
static bool may_probe(const struct tcp *t, const struct tcp_conn *c, uint32_t len)
{
	uint32_t all = len + BEHIND * c->mss;

	return c->state == TCP_ESTABLISHED && c->ca_state == TCP_CA_OPEN && c->n_rtx == 0 && c->flight->lost == 0 &&
	       c->flight->sacked == 0 && c->flight->snd_up == c->snd_una && c->inbox.islands == POOL_NONE &&
	       c->dsack.left == c->dsack.right && tcp_rare_dont_fragment(t, c->rare) &&
	       tcp_md5_room(t, c->rare, c->node.raddr) == 0 && c->write_seq - c->snd_nxt >= all &&
	       !seq_after(c->snd_nxt + all, c->snd_una + c->snd_wnd) && tcp_inflight(c) + all <= c->cwnd;
}

/* How many of the next segments are len bytes, behind a cut if need be; 0: it cannot be. */
static uint32_t gather(struct tcp *t, struct tcp_conn *c, uint32_t len)
{
	uint32_t n = 0;

	while (len > 0) {
		uint32_t i = c->flight->queue.n_sent + n;
		const struct tcp_segment *s = i < c->flight->queue.n ? tcp_queue_at(t, c, i) : NULL;

		if (s == NULL || s->len == 0 || (s->flags & SEGMENT_FIN) || (s->len < len && s->ends_record))
			return 0;
		if (s->len > len && !tcp_queue_split(t, c, i, len))
			return 0;
		len -= tcp_queue_at(t, c, i)->len;
		n++;
	}
	return n;
}

uint32_t tcp_mtu_probe(struct tcp *t, struct tcp_conn *c)
{
	const struct tcp_rare *is = tcp_rare_at(t, c->rare);

	if (is->mss_low == 0 || is_probing(is) || !t->cfg.mtu_probing)
		return 0;
	uint32_t size = min_u32(next_size(is, known_mss(c), t->env->now), c->mss_peer),
		 len = size - (c->ts_ok ? 12u : 0u);

	if (size <= is->mss_low || !may_probe(t, c, len))
		return 0;
	uint32_t from = c->snd_nxt, n = gather(t, c, len);

	if (n == 0 || !tcp_transmit_together(t, c, n, len))
		return 0;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);

	r->probe_from = from;
	r->probe_to = from + len;
	r->probe_mss = (uint16_t)size;
	r->probe_failed = false;
	return len;
}

void tcp_mtu_ack(struct tcp *t, struct tcp_conn *c)
{
	if (!is_probing(tcp_rare_at(t, c->rare)))
		return;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);

	/* Something else is lost as well: what arrives of it may have been sent again. */
	r->probe_failed |= c->ca_state >= TCP_CA_CWR;
	if (seq_before(c->snd_una, r->probe_to))
		return;
	r->probe_from = r->probe_to;
	if (r->probe_failed)
		return;
	r->mss_low = r->probe_mss >= min_u32(known_mss(c), c->mss_peer) ? 0 : r->probe_mss;
	r->mss_low_at = t->env->now;
	tcp_set_mss(t, c);
}

bool tcp_mtu_probe_lost(struct tcp *t, struct tcp_conn *c)
{
	const struct tcp_rare *is = tcp_rare_at(t, c->rare);

	if (!is_probing(is))
		return false;
	for (uint32_t i = 0; i < c->flight->queue.n_sent; i++) {
		const struct tcp_segment *s = tcp_queue_at(t, c, i);

		if ((s->flags & SEGMENT_LOST) &&
		    (seq_before(s->seq, is->probe_from) || !seq_before(s->seq, is->probe_to)))
			return false;
	}
	if (is->probe_failed)
		return true;
	struct tcp_rare *r = tcp_rare_get(t, &c->rare);

	r->probe_failed = true;
	r->mss_high = r->probe_mss;
	r->mss_low_at = t->env->now;
	return true;
}
