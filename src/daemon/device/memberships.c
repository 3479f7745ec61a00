/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memberships of a packet socket that hears nothing itself (protocol 0): the kernel
 * counts them for the device, whichever socket receives, and forgets them when
 * the socket is closed. So a list that changes is a new socket with all of it, opened
 * before the old one is closed: what stands in both is let in all along.
 */
#include "daemon/device/memberships.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int add(int fd, unsigned int ifindex, const struct ether_addr *mac)
{
	struct packet_mreq m = { .mr_ifindex = (int)ifindex,
				 .mr_type = PACKET_MR_MULTICAST,
				 .mr_alen = sizeof(mac->b) };

	memcpy(m.mr_address, mac->b, sizeof(mac->b));
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)) < 0 ? -errno : 0;
}

int memberships_set(struct memberships *g, const char *ifname, const struct ether_addr *mac, uint32_t n)
{
	unsigned int ifindex = n > 0 ? if_nametoindex(ifname) : 0;
	struct memberships old = *g;
	int rc = 0;

	*g = (struct memberships){ .is_open = false };
	if (n > 0) {
		g->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		g->is_open = g->fd >= 0;
		rc = g->is_open ? 0 : -errno;
	}
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = add(g->fd, ifindex, &mac[i]);
	memberships_close(&old);
	return rc;
}

void memberships_close(struct memberships *g)
{
	if (g->is_open)
		close(g->fd);
	g->is_open = false;
}
