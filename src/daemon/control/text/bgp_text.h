/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A BGP neighbour in words: how it stands, why it is not up, what was agreed. For events and commands; whatever
 * comes from the peer is made fit for a terminal here.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_BGP_TEXT_H
#define YG_DAEMON_CONTROL_TEXT_BGP_TEXT_H

#include "base/text.h"
#include "routing/bgp/bgp_neighbor.h"

/* "peer: 6/2 Cease, Administrative Shutdown: going home", "transport: Connection refused", "local: ...". */
void bgp_text_down(struct text *t, const struct bgp_down *d);
/* "hold 9 s, keepalive 3 s, as4, refresh, enhanced refresh, graceful restart 120 s": what both sides can. */
void bgp_text_agreed(struct text *t, const struct bgp_neighbor_view *v);
/* What one side said in its OPEN. */
void bgp_text_capabilities(struct text *t, const struct bgp_open *o);
/* "Established", "Idle (back-off)". */
void bgp_text_state(struct text *t, const struct bgp_neighbor_view *v);
/* Passwords that do not fit: "TCP MD5: 3 segments with a wrong or missing digest"; false: none is known of. */
bool bgp_text_digests(struct text *t, const struct bgp_neighbor_view *v);
/* As FRR has it: "00:01:23", "2d03h04m", "3w2d01h". buf: at least 16 bytes. */
const char *bgp_text_age(uint64_t ns, char buf[16]);

#endif
