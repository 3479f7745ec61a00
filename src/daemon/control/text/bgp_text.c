/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's neighbours in words. Codes have the names of the RFCs, reasons those that the
 * session gave; the texts of a shutdown (RFC 9003) are a stranger's and go through
 * base/printable.h.
 */
#include "daemon/control/text/bgp_text.h"

#include <inttypes.h>
#include <string.h>

#include "base/printable.h"

/* --- what a session was ended by --- */

static void add_words(struct text *t, const struct bgp_down *d)
{
	char words[BGP_SHUTDOWN_TEXT_MAX + 1];

	if (d->text_len == 0)
		return;
	memcpy(words, d->text, d->text_len);
	printable(words, d->text_len, PRINTABLE_WORD);
	text_add(t, ": \"%.*s\"", d->text_len, words);
}

void bgp_text_down(struct text *t, const struct bgp_down *d)
{
	const char *why = d->why;

	text_add(t, "%s: ", d->side < N_BGP_SIDES ? bgp_side_names[d->side] : "?");
	if (d->code != 0) {
		bgp_code_format(t, d->code, d->subcode);
		if (d->is_hard)
			text_add(t, ", hard reset");
		if (why != NULL)
			text_add(t, " (%s)", why);
		add_words(t, d);
		return;
	}
	if (why != NULL)
		text_add(t, "%s", why);
	if (d->side == BGP_SIDE_TRANSPORT && (d->error != 0 || why == NULL))
		text_add(t, "%s%s", why != NULL ? ": " : "",
			 d->error != 0 ? strerror(d->error) : "the peer closed the connection");
	else if (why == NULL)
		text_add(t, "no reason was given");
}

/* --- what was agreed --- */

static const char *const roles[] = { "provider", "rs", "rs-client", "customer", "peer" };

static const char *role_name(uint8_t role)
{
	return role < sizeof(roles) / sizeof(roles[0]) ? roles[role] : "none";
}

static void add_restart(struct text *t, const struct bgp_restart *r)
{
	if (!r->is_there)
		return;
	text_add(t, ", graceful restart %u s%s%s%s", r->time_s, r->restarting ? " R" : "", r->notification ? " N" : "",
		 r->ipv4_kept ? " F" : "");
}

void bgp_text_capabilities(struct text *t, const struct bgp_open *o)
{
	const struct bgp_capabilities *can = &o->can;

	text_add(t, "hold %u s", o->hold_s);
	if (can->ipv4)
		text_add(t, ", ipv4 unicast");
	if (can->as4 != 0)
		text_add(t, ", as4");
	if (can->refresh)
		text_add(t, ", refresh");
	if (can->enhanced_refresh)
		text_add(t, ", enhanced refresh");
	if (can->role != BGP_ROLE_NONE)
		text_add(t, ", role %s", role_name(can->role));
	add_restart(t, &can->restart);
}

void bgp_text_agreed(struct text *t, const struct bgp_neighbor_view *v)
{
	if (v->hold_s != 0)
		text_add(t, "hold %u s, keepalive %u s", v->hold_s, v->keepalive_s);
	else
		text_add(t, "no hold timer");
	text_add(t, ", AS numbers of %s octets", v->wire.as4 ? "four" : "two");
	if (v->theirs.can.refresh && v->ours.can.refresh)
		text_add(t, ", %srefresh", v->wire.enhanced_refresh ? "enhanced " : "");
	if (v->theirs.can.role != BGP_ROLE_NONE)
		text_add(t, ", the peer's role %s", role_name(v->theirs.can.role));
	if (v->ours.can.restart.is_there)
		add_restart(t, &v->theirs.can.restart);
}

/* --- how it stands --- */

void bgp_text_state(struct text *t, const struct bgp_neighbor_view *v)
{
	text_add(t, "%s", v->state < N_BGP_STATES ? bgp_state_names[v->state] : "?");
	if (v->state == BGP_STATE_IDLE && v->idle != BGP_IDLE_NOT && v->idle < N_BGP_IDLES)
		text_add(t, " (%s)", bgp_idle_names[v->idle]);
}

bool bgp_text_digests(struct text *t, const struct bgp_neighbor_view *v)
{
	if (!v->digests.is_known || v->digests.n_wrong == 0)
		return false;
	text_add(t, "TCP MD5: %" PRIu64 " segments with a wrong or missing digest", v->digests.n_wrong);
	return true;
}

const char *bgp_text_age(uint64_t ns, char buf[16])
{
	uint64_t s = ns / NS_PER_S, d = s / 86400;
	struct text t = text_of(buf, 16);

	if (d == 0)
		text_add(&t, "%02u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	else if (d < 7)
		text_add(&t, "%ud%02uh%02um", (unsigned)d, (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60));
	else
		text_add(&t, "%uw%ud%02uh", (unsigned)(d / 7), (unsigned)(d % 7), (unsigned)(s / 3600 % 24));
	return buf;
}
