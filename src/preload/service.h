/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The stack service: a process that has the stack of a family of unmodified programs.
 */
#ifndef YG_PRELOAD_SERVICE_H
#define YG_PRELOAD_SERVICE_H

#include <stddef.h>
#include <sys/socket.h>

#include <yangguan/linux.h>

#define SERVICE_EXTRA_MAX 64

struct service_route {
	struct sockaddr_in to, gateway; /* gateway.sin_family 0: on the link itself */
	unsigned int prefix_len;
};

struct service_config {
	struct yg_host_config host; /* device, first address, default gateway */
	unsigned int n_addresses, n_routes;
	struct {
		struct sockaddr_in addr;
		unsigned int prefix_len;
	} address[SERVICE_EXTRA_MAX]; /* more of them */
	struct service_route route[SERVICE_EXTRA_MAX];
	int loopback_is_kernel;
	/* The same text: the same stack. Whoever wants another one at the device is refused. */
	char text[512];
	/* Name of an abstract socket(7, unix), by which programs of one device find their stack. */
	char name[96];
};

/* Joins the service of that name, or starts it: a process of its own that ends when the last program of its family
 * has, and what they left to be sent was. Returns a descriptor, the broker, or -1: it has said why on stderr. */
int service_join(const struct service_config *config);

#endif
