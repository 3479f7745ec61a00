/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which kinds of messages have a place in which phase is a table (RFC 4271 section 8.2.2, RFC 6608); what one says is
 * its parser's business. OPEN has a place once: a second one is an error of the state machine, not of the message.
 */
#include "stack/wire/bgp_message.h"

#include "base/util.h"

#define KIND(type) (1u << (type))

static const struct {
	uint8_t kinds;
	enum bgp_fsm_subcode subcode;
} phases[] = {
	[BGP_OPEN_SENT] = { KIND(BGP_OPEN), BGP_FSM_IN_OPEN_SENT },
	[BGP_OPEN_CONFIRM] = { KIND(BGP_KEEPALIVE), BGP_FSM_IN_OPEN_CONFIRM },
	[BGP_ESTABLISHED] = { KIND(BGP_KEEPALIVE) | KIND(BGP_UPDATE) | KIND(BGP_ROUTE_REFRESH),
			      BGP_FSM_IN_ESTABLISHED },
};

#define TYPE_AT (BGP_HEADER_LEN - 1)

enum bgp_disposition bgp_message_parse(const struct bgp_wire *w, enum bgp_phase phase, const uint8_t *p, size_t len,
				       struct bgp_message *m)
{
	m->type = (enum bgp_type)p[TYPE_AT];
	m->error = (struct bgp_error){ 0 };
	if (m->type != BGP_NOTIFICATION && (phases[phase].kinds & KIND(m->type)) == 0) {
		m->error = (struct bgp_error){ BGP_FSM_ERROR, (uint8_t)phases[phase].subcode, .data = p + TYPE_AT,
					       .data_len = 1, .why = "a message that has no place here" };
		return BGP_RESET;
	}
	switch (m->type) {
	case BGP_OPEN:
		return bgp_open_parse(w, p, len, &m->open, &m->error);
	case BGP_UPDATE:
		return bgp_update_parse(w, p, len, &m->update, &m->error);
	case BGP_NOTIFICATION:
		bgp_notification_parse(p, len, &m->notification);
		m->error.why = "the peer ended the session";
		return BGP_RESET;
	case BGP_KEEPALIVE:
		break;
	case BGP_ROUTE_REFRESH:
		return bgp_refresh_parse(w, p, len, &m->refresh, &m->error);
	}
	return BGP_ACCEPT;
}
