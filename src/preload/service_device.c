/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers of interfaces. A program has them of the kernel (if_nametoindex); the stack has one interface, number 1, and
 * YG_IFINDEX_LOOPBACK for what stays in it. So they are put right in what has one: memberships, IP_MULTICAST_IF and
 * IP_PKTINFO.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include <yangguan/socket.h>

#include "preload/service_priv.h"

#define OF_STACK 1
#define NO_SUCH (INT32_MAX - 1)

static const char *device_of(const struct service *v)
{
	const struct yg_host_config *c = &v->config->host;

	return c->tap != NULL ? c->tap : c->tun != NULL ? c->tun : c->af_packet != NULL ? c->af_packet : c->xdp;
}

void devices_learn(struct service *v)
{
	const char *name = device_of(v);

	v->lo_ifindex = (int)if_nametoindex("lo");
	v->ifindex = name != NULL ? (int)if_nametoindex(name) : 0;
}

static int to_stack(const struct service *v, int ifindex)
{
	if (ifindex == 0)
		return 0;
	return ifindex == v->lo_ifindex ? YG_IFINDEX_LOOPBACK : ifindex == v->ifindex ? OF_STACK : NO_SUCH;
}

void devices_of_option(const struct service *v, int level, int name, void *value, size_t len)
{
	struct ip_mreqn m;

	if (level != IPPROTO_IP || len < sizeof(m) ||
	    (name != IP_ADD_MEMBERSHIP && name != IP_DROP_MEMBERSHIP && name != IP_MULTICAST_IF))
		return;
	memcpy(&m, value, sizeof(m));
	m.imr_ifindex = to_stack(v, m.imr_ifindex);
	memcpy(value, &m, sizeof(m));
}

void devices_of_control(const struct service *v, void *control, size_t len, enum devices_way way)
{
	struct msghdr m = { .msg_control = control, .msg_controllen = len };

	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
		struct in_pktinfo i;

		if (h->cmsg_level != IPPROTO_IP || h->cmsg_type != IP_PKTINFO || h->cmsg_len < CMSG_LEN(sizeof(i)))
			continue;
		memcpy(&i, CMSG_DATA(h), sizeof(i));
		if (way == DEVICES_TO_STACK)
			i.ipi_ifindex = to_stack(v, i.ipi_ifindex);
		else
			i.ipi_ifindex = i.ipi_ifindex == OF_STACK ? v->ifindex : v->lo_ifindex;
		memcpy(CMSG_DATA(h), &i, sizeof(i));
	}
}
