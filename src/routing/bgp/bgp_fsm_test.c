/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of states and events, a second time: by the letter of the next state, and what holds for all of it.
 */
#include "routing/bgp/bgp_fsm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* Next state: I C A S F E, small: the connection is closed with a NOTIFICATION first; '-': no meaning. Columns: START,
 * START_PASSIVE, STOP, CONNECT_RETRY, HOLD, KEEPALIVE_TIMER, DELAY_OPEN, SEND_HOLD, TCP_OPEN, TCP_OPEN_DELAYED,
 * TCP_FAILS, TCP_LOST, OPEN, BAD_MESSAGE, COLLISION, NOTIFICATION, KEEPALIVE, UPDATE. */
static const char *const rows[N_BGP_STATES] = {
	[BGP_STATE_IDLE] = "CA----------------",         [BGP_STATE_CONNECT] = "--iA--S-SCA-FiiI--",
	[BGP_STATE_ACTIVE] = "--iC--S-SAAIFiiI--",       [BGP_STATE_OPEN_SENT] = "--i-i--i--AIFiiI--",
	[BGP_STATE_OPEN_CONFIRM] = "--i-iF-i--II-iiIE-", [BGP_STATE_ESTABLISHED] = "--i-iE-i--II-iiIEE",
};

static const char letters[N_BGP_STATES] = { 'I', 'C', 'A', 'S', 'F', 'E' };

/* Would catch: a cell that was changed by mistake; an end without a closed connection, or the other way round; an OPEN
 * that is sent where the TCP connection does not stand; a hole that is not one. */
static void test_table(void **state)
{
	for (int s = 0; s < N_BGP_STATES; s++)
		for (int e = 0; e < N_BGP_FSM_EVENTS; e++) {
			struct bgp_fsm_step step = bgp_fsm((enum bgp_state)s, (enum bgp_fsm_event)e);
			bool ends = (step.actions & BGP_ACT_END) != 0, tells = (step.actions & BGP_ACT_NOTIFY) != 0;
			char c = letters[step.next];

			if (!step.is_valid) {
				assert_true(step.next == s && step.actions == 0);
				c = '-';
			} else if (tells) {
				c = 'i';
			}
			if (c != rows[s][e])
				printf("%s, event %d: %c, not %c\n", bgp_state_names[s], e, c, rows[s][e]);
			assert_int_equal(c, rows[s][e]);
			assert_true(ends == (step.is_valid && step.next == BGP_STATE_IDLE) && (!tells || ends));
			assert_true((step.actions & BGP_ACT_UP) == 0 ||
				    (s == BGP_STATE_OPEN_CONFIRM && step.next == BGP_STATE_ESTABLISHED));
			assert_int_equal((step.actions & BGP_ACT_SEND_OPEN) != 0,
					 s < BGP_STATE_OPEN_SENT && step.next >= BGP_STATE_OPEN_SENT);
			assert_int_equal((step.actions & BGP_ACT_AGREE) != 0, step.is_valid && e == BGP_EV_OPEN);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
