/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 4271 section 8.2.2, a row a state and an event. A hole is an event that has no meaning there: a timer that is not
 * running, a connection that is not there. Messages that have no place in a state are BGP_EV_BAD_MESSAGE, with the
 * subcode of RFC 6608, before they come here.
 *
 * Two things differ from the RFC's words:
 * - A connection that is refused, or does not stand when the ConnectRetryTimer expires, leads to Active, where the peer
 * may connect, until that expires again. By the RFC (section 8.2.2, Connect) it would be Idle in the one case (event
 * 18), where the peer's is refused: two speakers that start in step would refuse each other; and Connect in the other
 * (event 9).
 * - A connection of the peer is a state machine of its own from its first moment on (section 8.2.1), and begins in
 * Active; in OpenSent and behind it there is never a second connection within one.
 */
#include "routing/bgp/bgp_fsm.h"

#include "base/util.h"

#define STEP(state, acts) \
	{ \
		.is_valid = true, .next = BGP_STATE_##state, .actions = (acts) \
	}

#define OPENED (BGP_ACT_STOP_RETRY | BGP_ACT_STOP_DELAY | BGP_ACT_SEND_OPEN | BGP_ACT_HOLD_LARGE)
#define CONFIRMS (BGP_ACT_AGREE | BGP_ACT_SEND_KEEPALIVE | BGP_ACT_HOLD)
/* In Active, where the peer may connect. */
#define AGAIN STEP(ACTIVE, BGP_ACT_STOP_DELAY | BGP_ACT_DROP | BGP_ACT_RETRY_LATER)
#define CLOSES STEP(IDLE, BGP_ACT_END)
#define NOTIFIES STEP(IDLE, BGP_ACT_NOTIFY | BGP_ACT_END)

static const struct bgp_fsm_step table[N_BGP_STATES][N_BGP_FSM_EVENTS] = {
	[BGP_STATE_IDLE] = {
		[BGP_EV_START] = STEP(CONNECT, BGP_ACT_CONNECT),
		[BGP_EV_START_PASSIVE] = STEP(ACTIVE, 0),
	},
	[BGP_STATE_CONNECT] = {
		[BGP_EV_STOP] = NOTIFIES,
		[BGP_EV_CONNECT_RETRY] = AGAIN,
		[BGP_EV_TCP_OPEN] = STEP(OPEN_SENT, OPENED),
		[BGP_EV_TCP_OPEN_DELAYED] = STEP(CONNECT, BGP_ACT_STOP_RETRY | BGP_ACT_START_DELAY),
		[BGP_EV_TCP_FAILS] = AGAIN,
		[BGP_EV_DELAY_OPEN] = STEP(OPEN_SENT, OPENED),
		[BGP_EV_OPEN] = STEP(OPEN_CONFIRM, OPENED | CONFIRMS),
		[BGP_EV_BAD_MESSAGE] = NOTIFIES,
		[BGP_EV_COLLISION] = NOTIFIES,
		[BGP_EV_NOTIFICATION] = CLOSES,
	},
	[BGP_STATE_ACTIVE] = {
		[BGP_EV_STOP] = NOTIFIES,
		[BGP_EV_CONNECT_RETRY] = STEP(CONNECT, BGP_ACT_CONNECT),
		[BGP_EV_TCP_OPEN] = STEP(OPEN_SENT, OPENED),
		[BGP_EV_TCP_OPEN_DELAYED] = STEP(ACTIVE, BGP_ACT_STOP_RETRY | BGP_ACT_START_DELAY),
		[BGP_EV_TCP_FAILS] = AGAIN,
		[BGP_EV_TCP_LOST] = CLOSES,
		[BGP_EV_DELAY_OPEN] = STEP(OPEN_SENT, OPENED),
		[BGP_EV_OPEN] = STEP(OPEN_CONFIRM, OPENED | CONFIRMS),
		[BGP_EV_BAD_MESSAGE] = NOTIFIES,
		[BGP_EV_COLLISION] = NOTIFIES,
		[BGP_EV_NOTIFICATION] = CLOSES,
	},
	[BGP_STATE_OPEN_SENT] = {
		[BGP_EV_STOP] = NOTIFIES,
		[BGP_EV_HOLD] = NOTIFIES,
		[BGP_EV_SEND_HOLD] = NOTIFIES,
		[BGP_EV_TCP_FAILS] = AGAIN,
		[BGP_EV_TCP_LOST] = CLOSES,
		[BGP_EV_OPEN] = STEP(OPEN_CONFIRM, CONFIRMS),
		[BGP_EV_BAD_MESSAGE] = NOTIFIES,
		[BGP_EV_COLLISION] = NOTIFIES,
		[BGP_EV_NOTIFICATION] = CLOSES,
	},
	[BGP_STATE_OPEN_CONFIRM] = {
		[BGP_EV_STOP] = NOTIFIES,
		[BGP_EV_HOLD] = NOTIFIES,
		[BGP_EV_KEEPALIVE_TIMER] = STEP(OPEN_CONFIRM, BGP_ACT_SEND_KEEPALIVE),
		[BGP_EV_SEND_HOLD] = NOTIFIES,
		[BGP_EV_TCP_FAILS] = CLOSES,
		[BGP_EV_TCP_LOST] = CLOSES,
		[BGP_EV_BAD_MESSAGE] = NOTIFIES,
		[BGP_EV_COLLISION] = NOTIFIES,
		[BGP_EV_NOTIFICATION] = CLOSES,
		[BGP_EV_KEEPALIVE] = STEP(ESTABLISHED, BGP_ACT_HOLD | BGP_ACT_UP),
	},
	[BGP_STATE_ESTABLISHED] = {
		[BGP_EV_STOP] = NOTIFIES,
		[BGP_EV_HOLD] = NOTIFIES,
		[BGP_EV_KEEPALIVE_TIMER] = STEP(ESTABLISHED, BGP_ACT_SEND_KEEPALIVE),
		[BGP_EV_SEND_HOLD] = NOTIFIES,
		[BGP_EV_TCP_FAILS] = CLOSES,
		[BGP_EV_TCP_LOST] = CLOSES,
		[BGP_EV_BAD_MESSAGE] = NOTIFIES,
		[BGP_EV_COLLISION] = NOTIFIES,
		[BGP_EV_NOTIFICATION] = CLOSES,
		[BGP_EV_KEEPALIVE] = STEP(ESTABLISHED, BGP_ACT_HOLD),
		[BGP_EV_UPDATE] = STEP(ESTABLISHED, BGP_ACT_HOLD | BGP_ACT_USE),
	},
};

struct bgp_fsm_step bgp_fsm(enum bgp_state state, enum bgp_fsm_event event)
{
	struct bgp_fsm_step step = table[state][event];

	if (!step.is_valid)
		step.next = (uint8_t)state;
	return step;
}

/* Identifiers are numbers in host order. They are equal only in different ASes: the greater AS then. */
bool bgp_collision_ours_stays(uint32_t local_id, uint32_t local_as, uint32_t peer_id, uint32_t peer_as)
{
	return local_id != peer_id ? local_id > peer_id : local_as > peer_as;
}
