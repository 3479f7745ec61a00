/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs one scenario on our own TCP. It begins with script_start, or one of the beginnings of
 * host_script.h; what it leaves open is aborted here.
 */
#include <stdio.h>

#include "host.h"
#include "host_script.h"

#define SHOWN 16u

static struct script script;

void rfc_host_run(const struct rfc_host_row *row)
{
	row->run(&script);
	assert_true(script.now > 0);
	if (script.c != NULL)
		tcp_abort(script.h.tcp, script.c);
	script_end(&script);
}

void rfc_host_print(void)
{
	for (uint32_t i = script.n > SHOWN ? script.n - SHOWN : 0; i < script.n; i++) {
		const struct seen *o = &script.seen[i];

		printf("#   %8.3f s  %s%s%s%s seq %u ack %u len %u window %u\n",
		       (double)(o->at % (1000 * NS_PER_S)) / 1e9, o->flags & TCP_SYN ? "SYN " : "",
		       o->flags & TCP_FIN ? "FIN " : "", o->flags & TCP_RST ? "RST " : "",
		       o->flags & TCP_ACK ? "ACK" : "", o->seq, o->ack, o->len, o->window);
	}
}
