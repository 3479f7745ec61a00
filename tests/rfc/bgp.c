/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A row on BGP: its message is built, put on trial, and what came of it held against what was wanted.
 */
#include "bgp.h"

#include "check/cmocka.h"

static uint8_t bytes[BGP_FIXTURE_MAX];
static struct trial trial;

void rfc_bgp_run(const struct rfc_bgp_row *row)
{
	char got[512];
	struct text text = text_of(got, sizeof(got));

	if (row->run != NULL) {
		row->run();
		return;
	}
	trial_run(&trial, row->session, row->phase, bytes, bgp_fixture_build(bytes, row->form, row->type, row->text));
	trial_format(&text, &trial);
	if (!trial_is_wanted(&trial, row->want, row->out != NULL ? row->out : "-"))
		fail_msg("wanted %s, sent on %s; came: %s", row->want, row->out != NULL ? row->out : "-", got);
}

void rfc_bgp_bytes(const uint8_t *got, size_t len, const char *hex)
{
	static uint8_t want[BGP_FIXTURE_MAX];

	assert_int_equal(len, bgp_fixture_hex(want, sizeof(want), hex));
	for (size_t i = 0; i < len; i++)
		if (got[i] != want[i])
			fail_msg("byte %zu is %02x, not %02x", i, got[i], want[i]);
}

void rfc_bgp_told(enum trial_session from, const char *attrs, const struct bgp_out *to, const char *hex)
{
	static uint8_t out[BGP_EMITTED_MAX];
	size_t len;

	trial_run(&trial, from, BGP_ESTABLISHED, bytes, bgp_fixture_update(bytes, "", attrs, P));
	assert_int_equal(trial.result, TRIAL_NEW);
	assert_int_equal(bgp_set_emit(to, (struct bgp_nlri){ trial.set, trial.set_len }, out, sizeof(out), &len),
			 BGP_SENT);
	rfc_bgp_bytes(out, len, hex);
}
