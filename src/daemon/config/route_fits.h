/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whether a route of a command can stand beside a config: what check.c asks of the
 * config's own, answered by what is in force.
 */
#ifndef YG_DAEMON_CONFIG_ROUTE_FITS_H
#define YG_DAEMON_CONFIG_ROUTE_FITS_H

#include <stdbool.h>
#include <stddef.h>

#include "routing/rib/rib.h"
#include "stack/ip/stack.h"

/* Zone, interfaces and prefix: what must be so for as long as the route is there, whatever the links do. False and a
 * sentence. */
bool route_fits(const struct rib *rib, const struct ip_config *ip, const struct rib_route *route, char *err,
		size_t err_len);
/* The gateways too are neighbours, or recursive: what a new route must have. */
bool route_leads(const struct rib *rib, const struct ip_config *ip, const struct rib_route *route, char *err,
		 size_t err_len);

#endif
