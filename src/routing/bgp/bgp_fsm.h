/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The state machine of one connection as a table (RFC 4271 section 8.2.2): a state and an event in, the next state and
 * what is to be done out. It knows no neighbour, stream or clock.
 */
#ifndef YG_ROUTING_BGP_BGP_FSM_H
#define YG_ROUTING_BGP_BGP_FSM_H

#include "routing/bgp/bgp_neighbor.h"

/* In brackets: the number in RFC 4271 section 8.1. */
enum bgp_fsm_event {
	BGP_EV_START,            /* [1, 3, 6] a session is wanted, and we connect */
	BGP_EV_START_PASSIVE,    /* [4, 5, 7] ... the peer does */
	BGP_EV_STOP,             /* [2, 8] no more; the NOTIFICATION is given */
	BGP_EV_CONNECT_RETRY,    /* [9] ConnectRetryTimer */
	BGP_EV_HOLD,             /* [10] HoldTimer */
	BGP_EV_KEEPALIVE_TIMER,  /* [11] KeepaliveTimer */
	BGP_EV_DELAY_OPEN,       /* [12] DelayOpenTimer */
	BGP_EV_SEND_HOLD,        /* SendHoldTimer (RFC 9687) */
	BGP_EV_TCP_OPEN,         /* [16, 17] the connection stands */
	BGP_EV_TCP_OPEN_DELAYED, /* ... and OPEN is to wait for the DelayOpenTimer */
	BGP_EV_TCP_FAILS,        /* [18] one that we have begun */
	BGP_EV_TCP_LOST,         /* [18] one that the peer has begun */
	BGP_EV_OPEN,             /* [19, 20] a good one has come */
	BGP_EV_BAD_MESSAGE,      /* [21, 22, 28] or one that has no place here; the NOTIFICATION is given */
	BGP_EV_COLLISION,        /* [23] another connection stays */
	BGP_EV_NOTIFICATION,     /* [24, 25] has come */
	BGP_EV_KEEPALIVE,        /* [26] has come */
	BGP_EV_UPDATE,           /* [27] a good one has come; ROUTE-REFRESH too */
	N_BGP_FSM_EVENTS
};

/* To be done in this order. */
enum bgp_fsm_action {
	BGP_ACT_STOP_RETRY = 1 << 0,
	BGP_ACT_STOP_DELAY = 1 << 1,
	BGP_ACT_CONNECT = 1 << 2,     /* begin to, with a ConnectRetryTimer */
	BGP_ACT_DROP = 1 << 3,        /* ... the one that was begun */
	BGP_ACT_RETRY_LATER = 1 << 4, /* start the ConnectRetryTimer */
	BGP_ACT_START_DELAY = 1 << 5, /* start the DelayOpenTimer */
	BGP_ACT_SEND_OPEN = 1 << 6,
	BGP_ACT_HOLD_LARGE = 1 << 7,     /* start the HoldTimer: 4 minutes */
	BGP_ACT_AGREE = 1 << 8,          /* on times and capabilities: from both OPENs */
	BGP_ACT_SEND_KEEPALIVE = 1 << 9, /* and restart the KeepaliveTimer */
	BGP_ACT_HOLD = 1 << 10,          /* restart the HoldTimer, as agreed */
	BGP_ACT_UP = 1 << 11,            /* it is established */
	BGP_ACT_USE = 1 << 12,           /* what the message says */
	BGP_ACT_NOTIFY = 1 << 13,        /* send the NOTIFICATION */
	BGP_ACT_END = 1 << 14,           /* all timers stop, the connection is closed, the routes go */
};

struct bgp_fsm_step {
	bool is_valid; /* false: nothing is done, the state is kept */
	uint8_t next;  /* enum bgp_state */
	uint16_t actions;
};

struct bgp_fsm_step bgp_fsm(enum bgp_state state, enum bgp_fsm_event event);

/* Of two connections to one neighbour, both with its OPEN: true when the one that we have begun stays (RFC 4271 section
 * 6.8, RFC 6286 section 2.3). */
bool bgp_collision_ours_stays(uint32_t local_id, uint32_t local_as, uint32_t peer_id, uint32_t peer_as);

#endif
