/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What few connections and listeners have: it stands beside them in a pool of its own, so
 * that the others do not carry it. Whoever has none is as tcp_rare_none says.
 */
#ifndef YG_STACK_TRANSPORT_TCP_RARE_H
#define YG_STACK_TRANSPORT_TCP_RARE_H

#include "stack/transport/datagram.h"
#include "stack/transport/tcp_priv.h"

#define TCP_UNPACED UINT64_MAX

struct tcp_rare {
	uint32_t mark;            /* of what it sends (SO_MARK) */
	uint32_t ifindex;         /* it hears and sends by this interface alone (SO_BINDTODEVICE); 0: any */
	uint64_t max_pacing_rate; /* bytes a second; TCP_UNPACED, or 0: no limit */
	uint32_t saved_syn;       /* number, POOL_NONE */
	uint8_t save_syn;         /* TCP_SAVE_SYN */
	uint8_t urgent;           /* with has_urgent: a byte that the window kept out (tcp_urgent.c) */
	bool has_urgent;
	/* tcp_mtu.c: */
	uint16_t mss_low;              /* what the path is known to take, 0: all that it should */
	uint16_t mss_high;             /* it has swallowed that, 0: nothing yet */
	uint64_t mss_low_at;           /* when either was found */
	uint32_t probe_from, probe_to; /* numbers of what has left as one large segment; equal: nothing */
	uint16_t probe_mss;
	bool probe_failed;             /* its outcome is settled, and its bytes are sent again */
	uint8_t pmtu;                  /* enum datagram_pmtu */
	bool recv_error;               /* IP_RECVERR */
	uint16_t md5;                  /* number of its first key (tcp_md5.h), 0: none */
	struct datagram_errors errors; /* with recv_error: what ended attempts to open it */
};

extern const struct tcp_rare tcp_rare_none;

/* of: a connection's or a listener's number. Never NULL; to be read. */
static inline const struct tcp_rare *tcp_rare_at(const struct tcp *t, uint32_t of)
{
	return of == POOL_NONE ? &tcp_rare_none : (const struct tcp_rare *)pool_at(&t->rares, of);
}

/* What came by that interface is for it. */
static inline bool tcp_rare_hears(const struct tcp *t, uint32_t of, uint32_t ifindex)
{
	uint32_t by = tcp_rare_at(t, of)->ifindex;

	return by == 0 || by == ifindex;
}

/* As Linux: segments that may be cut on the way, and who hears of what the path takes. */
static inline bool tcp_rare_dont_fragment(const struct tcp *t, uint32_t of)
{
	uint8_t pmtu = tcp_rare_at(t, of)->pmtu;

	return pmtu == DATAGRAM_PMTU_WANT || pmtu == DATAGRAM_PMTU_DO;
}

static inline bool tcp_rare_takes_path_mtu(const struct tcp *t, uint32_t of)
{
	uint8_t pmtu = tcp_rare_at(t, of)->pmtu;

	return pmtu == DATAGRAM_PMTU_WANT || pmtu == DATAGRAM_PMTU_DO || pmtu == DATAGRAM_PMTU_PROBE;
}

/* To be written: made if it has none. There is one for whoever may have one. */
struct tcp_rare *tcp_rare_get(struct tcp *t, uint32_t *of);
void tcp_rare_release(struct tcp *t, uint32_t *of);
/* What a listener's connection with raddr begins with. False: no room. */
bool tcp_rare_inherit(struct tcp *t, const struct tcp_listener *l, uint32_t raddr, uint32_t *of);

#define TCP_SAVED_SYN_MAX (ETHER_HEADER_LEN + 60u + 60u)
struct tcp_saved_syn {
	uint8_t len;
	uint8_t bytes[TCP_SAVED_SYN_MAX];
};
/* Of p, as the listener wants it; POOL_NONE: it does not, or there is no room. */
uint32_t tcp_syn_save(struct tcp *t, const struct tcp_listener *l, struct packet *p);
void tcp_syn_forget(struct tcp *t, uint32_t *saved);

/* Bytes a second by which it sends; 0: as fast as the windows let it. */
static inline uint64_t tcp_pacing_rate(const struct tcp *t, const struct tcp_conn *c)
{
	if (c->rare == POOL_NONE)
		return c->pacing_rate;
	uint64_t max = tcp_rare_at(t, c->rare)->max_pacing_rate;

	if (max == TCP_UNPACED || max == 0)
		return c->pacing_rate;
	return c->pacing_rate != 0 ? min_u64(c->pacing_rate, max) : max;
}

#endif
