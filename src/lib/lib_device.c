/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The packets of a stack on an interface of its own: given to it, and by its link to the output slot.
 *
 * A packet that the slot has taken is the slot's until it is freed, and counts as held until then.
 */
#include "lib/lib_priv.h"

static int give_out(struct lib_link *l, struct packet *const *p, uint32_t n)
{
	struct lib_own *s = container_of(l, struct lib_own, link);
	struct yg_packet *out[BATCH_MAX];

	for (uint32_t i = 0; i < n; i++)
		out[i] = (struct yg_packet *)p[i];
	return s->output(s->stack.ctx, out, n);
}

void lib_device_init(struct lib_own *s, const struct yg_stack_config *config)
{
	s->link = (struct lib_link){ .output = give_out, .waiting = &s->stack.waiting, .ifindex = LIB_IFINDEX };
	lib_link_init(&s->link, "yg0", config->flags, config->mtu, config->mac);
	s->link.dev.pool = s->env.pool;
	s->link.dev.ledger = &s->env.ledger;
}

/* --- packets --- */

static uint32_t header_len(const struct yg_stack *s)
{
	return lib_link_header(s->link);
}

/* Of an IP packet, and an Ethernet header where there is one. */
static bool is_too_long(const struct yg_stack *s, size_t len)
{
	return len > (size_t)UINT16_MAX + ETHER_HEADER_LEN - header_len(s);
}

/* One that came, whether or not there was memory for it. */
static struct yg_packet *count_received(struct yg_stack *s, struct packet *p)
{
	s->env->ledger.n_received++;
	if (p == NULL)
		s->env->ledger.n_dropped[DROP_NO_BUFFER]++;
	return (struct yg_packet *)p;
}

struct yg_packet *yg_packet_alloc(struct yg_stack *s, size_t len)
{
	if (s->link == NULL || is_too_long(s, len))
		return NULL;
	struct packet *p = packet_alloc(s->env->pool, header_len(s) + (uint32_t)len);

	return count_received(s, p);
}

struct yg_packet *yg_packet_wrap(struct yg_stack *s, void *buffer, size_t size, size_t offset, size_t len,
				 void (*release)(void *ctx, uint64_t cookie), void *ctx, uint64_t cookie)
{
	if (s->link == NULL || size > UINT32_MAX || offset < YG_HEADROOM || offset > size || len > size - offset ||
	    is_too_long(s, len))
		return NULL;
	struct packet *p = packet_set_external(s->env->pool, buffer, (uint32_t)size, (uint32_t)offset - header_len(s),
					       header_len(s) + (uint32_t)len, release, ctx, cookie);

	return count_received(s, p);
}
_Static_assert(YG_HEADROOM >= ETHER_HEADER_LEN, "room for a header");

void yg_packet_free(struct yg_stack *s, struct yg_packet *packet)
{
	s->env->ledger.n_handed++;
	packet_free(s->env->pool, lib_packet(packet));
}

uint8_t *yg_packet_data(struct yg_packet *packet, const struct yg_stack *s)
{
	return packet_frame(lib_packet(packet)) + header_len(s);
}

size_t yg_packet_len(const struct yg_packet *packet, const struct yg_stack *s)
{
	return lib_packet(packet)->len - header_len(s);
}

void yg_packet_offload(const struct yg_packet *packet, const struct yg_stack *s, struct yg_offload *out)
{
	*out = lib_offload_of(s->link, lib_packet(packet));
}

void yg_packet_set_offload(struct yg_packet *packet, const struct yg_stack *s, const struct yg_offload *in)
{
	lib_offload_set(s->link, lib_packet(packet), in);
}
