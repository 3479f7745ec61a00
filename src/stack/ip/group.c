/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Multicast groups that somebody here has joined (RFC 1112): which packets to a
 * group are to us. Groups belong to an interface, not to an address.
 *
 * A few groups are joined in all (a routing protocol's, on its interfaces), so they
 * stand in one short list that is looked through. What the list has of an interface
 * is what its device's filter must let in: the device is told the whole of it when
 * it changes, and again when the device came up, since a device that was gone and is
 * back has forgotten. Of several stacks that act as one, the first tells it. The stack
 * of a host without devices has it told to those of the workers (host.c). Others on
 * the link are told by IGMP (igmp.c). Of what stays here (IP_HERE) nobody is told.
 *
 * Next: src/stack/ip/local.c
 */
#include <errno.h>

#include "stack/ip/stack_priv.h"

#define ALL_HOSTS IP4(224, 0, 0, 1)

/* The low 23 bits behind 01-00-5e. */
struct ether_addr ip_group_address(uint32_t group)
{
	return (struct ether_addr){ { 0x01, 0x00, 0x5e, (uint8_t)(group >> 16 & 0x7f), (uint8_t)(group >> 8),
				      (uint8_t)group } };
}

static struct ip_group *find(struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	for (uint32_t i = 0; i < s->n_groups; i++)
		if (s->group[i].group == group && s->group[i].ifindex == ifindex)
			return &s->group[i];
	return NULL;
}

bool ip_group_is_joined(const struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	return group == ALL_HOSTS || find((struct ip_stack *)(uintptr_t)s, ifindex, group) != NULL;
}

void ip_groups_tell(struct ip_stack *s, uint32_t ifindex)
{
	struct device *d = s->interface[ifindex].dev;
	struct ether_addr mac[IP_GROUPS_MAX];
	uint32_t n = 0;

	if (d == NULL || d->ops->set_groups == NULL || s->share_number != 0)
		return;
	for (uint32_t i = 0; i < s->n_groups; i++)
		if (s->group[i].ifindex == ifindex)
			mac[n++] = ip_group_address(s->group[i].group);
	d->ops->set_groups(d, mac, n);
}

static void tell(struct ip_stack *s, uint32_t ifindex, uint32_t group, bool joined)
{
	if (s->carrier.group != NULL)
		s->carrier.group(s->carrier.ctx, ifindex, group, joined);
	else
		ip_groups_tell(s, ifindex);
}

int ip_group_join(struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	struct ip_group *g;

	if (!ip4_is_multicast(group) || ifindex == 0 || ifindex > IP_HERE)
		return -EINVAL;
	g = find(s, ifindex, group);
	if (g != NULL) {
		g->n_joined++;
		return 0;
	}
	if (s->n_groups == IP_GROUPS_MAX)
		return -ENOSPC;
	s->group[s->n_groups++] = (struct ip_group){ .group = group, .ifindex = ifindex, .n_joined = 1 };
	if (ifindex != IP_HERE) {
		tell(s, ifindex, group, true);
		igmp_joined(s, ifindex, group);
	}
	return 0;
}

void ip_group_leave(struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	struct ip_group *g = find(s, ifindex, group);

	if (g == NULL || --g->n_joined > 0)
		return;
	*g = s->group[--s->n_groups];
	if (ifindex == IP_HERE)
		return;
	tell(s, ifindex, group, false);
	igmp_left(s, ifindex, group);
}
