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
/* What ICMP errors quote of TCP at least is 8 bytes; this is a header with all options, and some. */
#define TCP_QUOTED_MAX 64u

struct tcp_rare {
	uint32_t mark;            /* of what it sends (SO_MARK) */
	uint32_t ifindex;         /* it hears and sends by this interface alone (SO_BINDTODEVICE); 0: any */
	uint64_t max_pacing_rate; /* bytes a second; TCP_UNPACED, or 0: no limit */
	uint32_t saved_syn;       /* number, POOL_NONE */
	uint8_t save_syn;         /* TCP_SAVE_SYN */
	uint8_t urgent;           /* with has_urgent: a byte that the window kept out (tcp_urgent.c) */
	bool has_urgent;
	uint16_t mss_low; /* the path takes no more (tcp_mtu.c); 0: it does */
	uint64_t mss_low_at;
	bool recv_error; /* IP_RECVERR */
	bool has_error;  /* that nobody has read: */
	struct datagram_error error;
	uint8_t quoted[TCP_QUOTED_MAX]; /* of our segment, error.payload_len bytes */
	uint16_t md5;                   /* number of its first key (tcp_md5.h), 0: none */
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
