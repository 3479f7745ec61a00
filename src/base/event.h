/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What happened, for whoever listens: a plain value that the core hands to a
 * slot, without text and without allocation. `src/daemon/control` turns it into a
 * line or a JSON object. A listener that cannot keep up loses events, and the
 * number lost is itself an event.
 */
#ifndef YG_BASE_EVENT_H
#define YG_BASE_EVENT_H

#include <stdint.h>

#include "base/addr.h"

enum event_kind {
	EVENT_READY,            /* the gateway forwards from now on */
	EVENT_DEVICE_UP,        /* ifindex */
	EVENT_DEVICE_DOWN,      /* ifindex */
	EVENT_NEIGH_LEARNT,     /* ifindex, addr, mac */
	EVENT_NEIGH_FAILED,     /* ifindex, addr */
	EVENT_CONN_NEW,         /* conn */
	EVENT_CONN_UPDATE,      /* conn: a new state */
	EVENT_CONN_END,         /* conn, reason, packets, bytes, duration */
	EVENT_RELOADED,         /* count: generation of the config */
	EVENT_RELOAD_REFUSED,   /* detail */
	EVENT_NAT_EXHAUSTED,    /* addr: of the pool, text: its name; rate-limited */
	EVENT_ADDRESS_CONFLICT, /* ifindex, addr, mac: somebody else has our address (RFC 5227) */
	EVENT_BGP_UP,           /* addr, text: the neighbour and its name; detail: what was agreed */
	EVENT_BGP_DOWN,         /* ... detail: who ended the session, and why */
	EVENT_BGP_FAILED,       /* ... detail: why there is none; again only when the reason is another */
	EVENT_BGP_WARNING,      /* ... count: its prefixes, near the most that it may announce */
	EVENT_BGP_LIMIT,        /* ... count: its prefixes, more than that */
	EVENT_BGP_SYNCED,       /* ... count: its prefixes at its End-of-RIB */
	EVENT_RPKI_UPDATED,     /* addr, text: a cache of the RPKI, and the table that it fills; count: its payloads */
	EVENT_RPKI_DOWN,        /* ... detail: why it cannot be asked; again only when the reason is another */
	EVENT_RPKI_EXPIRED,     /* ... what it had said does not count any more */
	EVENT_LOST,             /* count: events that found the queue full */
	EVENT_STOPPED,          /* the gateway ends; the last event of all */
	N_EVENT_KINDS
};

#define EVENT_BIT(kind) (UINT32_C(1) << (kind))

struct yg_event {
	enum event_kind kind;
	uint64_t time_ns; /* the core's clock */
	uint32_t ifindex; /* index of the gateway's interface, 0 if none */
	struct ip_addr addr;
	uint64_t count;
	uint8_t mac[6];
	uint8_t proto;   /* connections: IP protocol */
	uint8_t state;   /* connections: conn.tcp_state */
	uint16_t status; /* connections: CT_* status bits */
	uint16_t reason; /* EVENT_CONN_END: enum ct_end_reason */
	struct ip_tuple orig, reply;
	uint64_t packets[2], bytes[2]; /* EVENT_CONN_END: of the ORIGINAL and the REPLY direction */
	uint64_t duration_ns;          /* EVENT_CONN_END: since its first packet */
	char text[32];
	const char *detail; /* EVENT_RELOAD_REFUSED: why; EVENT_BGP_*, EVENT_RPKI_DOWN; the sender's, and good until the
			       slot returns */
};

typedef void event_fn(void *ctx, const struct yg_event *e);

#endif
