/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack for programs, of the gateway's language: one interface, static routes, and how many sockets there can be.
 * What only a gateway has is refused by name, so that nobody believes his rules to be in force.
 */
#include "tools/exec/exec.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip4.h"
#include "daemon/config/config.h"

static struct sockaddr_in name_of(uint32_t addr)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };
}

static void refuse(struct config_errors **errors, const struct config *c, const struct text_pos *pos, const char *what)
{
	config_error_add(errors, c, pos,
			 "programs have no %s: `yangguan exec` takes an interface, routes, and `host { sockets N; }`",
			 what);
}

static void refuse_gateways(struct config_errors **errors, const struct config *c)
{
	static const struct text_pos nowhere;

	if (c->rules.n_tables > 0)
		refuse(errors, c, &nowhere, "tables of rules");
	for (uint32_t i = 0; i < NAT_POOLS_MAX; i++)
		if (c->nat.pool[i].name[0] != '\0') {
			refuse(errors, c, &nowhere, "pools");
			break;
		}
	if (c->n_kernel_tables > 0)
		refuse(errors, c, &c->kernel_table[0].pos, "routes of the kernel's");
	if (c->n_workers > 1)
		refuse(errors, c, &nowhere, "workers");
	if (memcmp(&c->host.tcp, &tcp_default_config, sizeof(tcp_default_config)) != 0)
		refuse(errors, c, &c->host.pos, "such words of the host");
	if (c->n_interfaces > 1)
		refuse(errors, c, &c->interface[1].pos, "second interface");
}

static void take_interface(struct config_errors **errors, const struct config *c, struct service_config *out)
{
	const struct config_interface *i = &c->interface[0];
	char text[IP4_TEXT_MAX], address[IP4_TEXT_MAX + 4];

	if (c->n_interfaces == 0 || i->ip.n_addresses == 0) {
		config_error_add(errors, c, c->n_interfaces == 0 ? NULL : &i->pos,
				 "there is no interface with an address");
		return;
	}
	if (i->driver == DRIVER_TAP)
		out->host.tap = strdup(i->ip.name);
	else if (i->driver == DRIVER_AUTO || i->driver == DRIVER_AF_PACKET)
		out->host.af_packet = strdup(i->ip.name);
	else
		config_error_add(errors, c, &i->pos, "the driver of a stack for programs is `tap` or `af_packet`");
	snprintf(address, sizeof(address), "%s/%u", ip4_format(i->ip.address[0].addr, text),
		 i->ip.address[0].prefix_len);
	out->host.address = strdup(address);
	out->host.mtu = i->ip.mtu;
	out->host.n_sockets = c->host.limits.n_sockets;
	for (uint32_t n = 1; n < i->ip.n_addresses && out->n_addresses < SERVICE_EXTRA_MAX; n++) {
		out->address[out->n_addresses].addr = name_of(i->ip.address[n].addr);
		out->address[out->n_addresses++].prefix_len = i->ip.address[n].prefix_len;
	}
}

static void take_routes(struct config_errors **errors, const struct config *c, struct service_config *out)
{
	for (size_t i = 0; i < c->n_routes; i++) {
		const struct rib_route *r = &c->route[i].route;

		if (r->zone != 0 || r->nexthop.kind != FIB_UNICAST || r->recursive || c->route[i].goes_on ||
		    r->n_paths > 1 ||
		    (c->route[i].device[0] != '\0' && c->n_interfaces > 0 &&
		     strcmp(c->route[i].device, c->interface[0].ip.name) != 0)) {
			config_error_add(errors, c, &c->route[i].pos,
					 "a route of a stack for programs has one gateway, on its interface");
			continue;
		}
		if (out->n_routes == SERVICE_EXTRA_MAX) {
			config_error_add(errors, c, &c->route[i].pos, "a stack for programs has %u routes at most",
					 SERVICE_EXTRA_MAX);
			return;
		}
		struct service_route *o = &out->route[out->n_routes++];

		o->to = name_of(r->prefix.addr.v4);
		o->prefix_len = r->prefix.len;
		if (r->nexthop.gateway.v4 != 0)
			o->gateway = name_of(r->nexthop.gateway.v4);
	}
}

/* By which two programs agree that they mean the same stack. */
static void write_text(struct service_config *out)
{
	const char *device = out->host.tap != NULL ? out->host.tap : out->host.af_packet;
	char to[IP4_TEXT_MAX], via[IP4_TEXT_MAX];
	size_t n = (size_t)snprintf(out->text, sizeof(out->text), "%s %s, address %s, mtu %u, sockets %u",
				    out->host.tap != NULL ? "tap" : "af_packet", device, out->host.address,
				    out->host.mtu, out->host.n_sockets);

	for (unsigned int i = 0; i < out->n_addresses && n < sizeof(out->text); i++)
		n += (size_t)snprintf(out->text + n, sizeof(out->text) - n, ", %s/%u",
				      ip4_format(ntohl(out->address[i].addr.sin_addr.s_addr), to),
				      out->address[i].prefix_len);
	for (unsigned int i = 0; i < out->n_routes && n < sizeof(out->text); i++)
		n += (size_t)snprintf(out->text + n, sizeof(out->text) - n, ", route %s/%u via %s",
				      ip4_format(ntohl(out->route[i].to.sin_addr.s_addr), to), out->route[i].prefix_len,
				      ip4_format(ntohl(out->route[i].gateway.sin_addr.s_addr), via));
	snprintf(out->name, sizeof(out->name), "yangguan-exec/%s", device);
}

bool exec_config_read(const char *path, struct service_config *out)
{
	struct config_errors *errors = NULL;
	struct config *c = config_read_file(path, &errors);

	*out = (struct service_config){ .host.size = sizeof(out->host) };
	if (c != NULL) {
		refuse_gateways(&errors, c);
		take_interface(&errors, c, out);
		take_routes(&errors, c, out);
	}
	bool is_good = c != NULL && config_n_errors(errors) == 0;

	config_errors_print(errors, stderr);
	config_errors_free(errors);
	config_free(c);
	if (is_good)
		write_text(out);
	else
		exec_config_free(out);
	return is_good;
}

/* Texts of the library's config are constant for the library alone. */
static void free_text(const char *text)
{
	free((char *)(uintptr_t)text);
}

void exec_config_free(struct service_config *c)
{
	free_text(c->host.tap);
	free_text(c->host.af_packet);
	free_text(c->host.address);
	c->host.tap = c->host.af_packet = c->host.address = NULL;
}
