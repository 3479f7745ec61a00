/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One route at a time, in the config's own words, for whoever changes routes while a
 * gateway runs. It is read, not checked against others, and costs no more than its
 * words: twenty thousand a second are some percent of a processor.
 */
#ifndef YG_DAEMON_CONFIG_ROUTE_TEXT_H
#define YG_DAEMON_CONFIG_ROUTE_TEXT_H

#include "daemon/config/config.h"

struct route_text;

/* What messages call the text. NULL without memory. */
struct route_text *route_text_create(const char *name);
void route_text_destroy(struct route_text *t);

/* text: what stands in a config behind the word `route`, in line number `line` of what it comes from. The route, and
 * behind it its other paths (config_route.goes_on), until the next call; *n: how many. NULL: see route_text_errors. */
const struct config_route *route_text_read(struct route_text *t, const char *text, uint32_t line, size_t *n);
/* "PREFIX [metric N] [zone N]": what a route is known by besides its source. False: see route_text_errors. */
bool route_text_name(struct route_text *t, const char *text, uint32_t line, struct rib_route *out);
/* What was wrong with the last one, until the next call. */
const struct config_errors *route_text_errors(const struct route_text *t);

#endif
