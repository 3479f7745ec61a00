/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The requirements of an RFC on our own TCP as a table, one executable scenario a row: one
 * host, and a peer that is the scenario's own hand (stack/transport/tcp_script.h), in virtual
 * time.
 */
#ifndef YG_TESTS_RFC_HOST_H
#define YG_TESTS_RFC_HOST_H

#include <stddef.h>

struct script;

/* One testable requirement. Either run is set, or why, or later. */
struct rfc_host_row {
	const char *requirement; /* "MUST-1" */
	const char *demand;      /* one short sentence, in our words */
	void (*run)(struct script *s);
	const char *why;   /* not NULL: not applicable, and why; or a known difference on purpose */
	const char *later; /* not NULL: not there yet, and what it waits for */
};

struct rfc_host_table {
	const char *rfc; /* "RFC 9293" */
	const struct rfc_host_row *rows;
	size_t n_rows;
};

/* One a file; listed in rfc.c. */
extern const struct rfc_host_table rfc9293_table, rfc9293_data_table, rfc7323_table, rfc5961_table, rfc6056_table,
	rfc6528_table, rfc6191_table, rfc5927_table, rfc2018_table, rfc2883_table, rfc6298_table, rfc8985_table,
	rfc9937_table, rfc5682_table, rfc6582_table, rfc9438_table, rfc9406_table;

/* The scenario, its end and the law of conservation. */
void rfc_host_run(const struct rfc_host_row *row);
/* The last segments that the host of the scenario sent. */
void rfc_host_print(void);

#endif
