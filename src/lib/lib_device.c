/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The device of a stack of the library: what is sent goes to the output slot.
 *
 * The stack below speaks Ethernet. Where the embedder's packets have no Ethernet header,
 * one is put before what comes, and left out of what goes; and for the neighbours
 * that the stack asks for, whoever they are, the device answers itself.
 *
 * A packet that the slot has taken is the slot's until it is freed, and counts as held until then.
 */
#include "lib/lib_priv.h"
#include "stack/wire/arp.h"

static const struct ether_addr link_us = { { 2, 0, 0, 0, 0, 1 } }, link_them = { { 2, 0, 0, 0, 0, 2 } };

/* "Who has that address?" "I." */
static void answer_arp(struct yg_stack *s, const struct packet *p)
{
	struct arp_view v;

	if (p->len < ETHER_HEADER_LEN + ARP_LEN || !arp_parse(p->buf + p->off + ETHER_HEADER_LEN, ARP_LEN, &v) ||
	    v.op != ARP_REQUEST || v.spa == v.tpa || v.spa == 0)
		return;
	struct packet *q = packet_alloc(s->env.pool, ETHER_MIN_FRAME);
	struct ether_view eth = { .dst = s->dev.mac, .src = link_them, .type = ETHERTYPE_ARP };
	struct arp_view reply = { .op = ARP_REPLY, .sha = link_them, .tha = v.sha, .spa = v.tpa, .tpa = v.spa };

	if (q == NULL)
		return;
	memset(packet_frame(q), 0, ETHER_MIN_FRAME);
	ether_emit(packet_frame(q), &eth);
	arp_emit(packet_frame(q) + ETHER_HEADER_LEN, &reply);
	s->env.ledger.n_received++;
	lib_wait_append(s, q);
}

static bool is_for_the_link(const struct packet *p)
{
	struct ether_view eth;

	return ether_parse(p->buf + p->off, p->len, &eth) && eth.type == ETHERTYPE_ARP;
}

static void lib_tx(struct device *d, struct batch *b)
{
	struct yg_stack *s = container_of(d, struct yg_stack, dev);
	struct yg_packet *out[BATCH_MAX];
	uint32_t n = 0;
	int taken = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (s->has_ethernet || !is_for_the_link(p)) {
			out[n++] = (struct yg_packet *)p;
			continue;
		}
		answer_arp(s, p);
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
	if (n > 0)
		taken = s->output(s->ctx, out, n);
	for (uint32_t i = taken < 0 ? 0 : (uint32_t)taken; i < n; i++)
		packet_drop(d->pool, d->ledger, lib_packet(out[i]), DROP_TX_REFUSED);
}

static const struct device_ops lib_ops = { .driver = "lib", .tx = lib_tx };

void lib_device_init(struct yg_stack *s, const struct yg_stack_config *config)
{
	s->has_ethernet = (config->flags & YG_ETHERNET) != 0;
	s->dev = (struct device){ .ops = &lib_ops,
				  .pool = s->env.pool,
				  .ledger = &s->env.ledger,
				  .name = "yg0",
				  .mac = link_us,
				  .mtu = config->mtu != 0 ? config->mtu : 1500,
				  .up = true };
	if (s->has_ethernet)
		memcpy(&s->dev.mac, config->mac, sizeof(s->dev.mac));
	if (config->flags & YG_OFFLOAD_CHECKSUM)
		s->dev.caps |= DEVICE_CAP_CSUM;
	if (config->flags & YG_OFFLOAD_SEGMENTS)
		s->dev.caps |= DEVICE_CAP_GSO;
}

void lib_wait_append(struct yg_stack *s, struct packet *p)
{
	p->next = NULL;
	*(s->first_waiting == NULL ? &s->first_waiting : &s->last_waiting->next) = p;
	s->last_waiting = p;
}

/* --- packets --- */

static uint32_t header_len(const struct yg_stack *s)
{
	return s->has_ethernet ? 0 : ETHER_HEADER_LEN;
}

struct yg_packet *yg_packet_alloc(struct yg_stack *s, size_t len)
{
	struct packet *p = len > UINT16_MAX ? NULL : packet_alloc(s->env.pool, header_len(s) + (uint32_t)len);

	if (p != NULL)
		s->env.ledger.n_received++;
	return (struct yg_packet *)p;
}

struct yg_packet *yg_packet_wrap(struct yg_stack *s, void *buffer, size_t size, size_t offset, size_t len,
				 void (*release)(void *ctx, uint64_t cookie), void *ctx, uint64_t cookie)
{
	if (size > UINT32_MAX || offset < YG_HEADROOM || offset > size || len > size - offset || len > UINT16_MAX)
		return NULL;
	struct packet *p = packet_set_external(s->env.pool, buffer, (uint32_t)size, (uint32_t)offset - header_len(s),
					       header_len(s) + (uint32_t)len, release, ctx, cookie);

	if (p != NULL)
		s->env.ledger.n_received++;
	return (struct yg_packet *)p;
}
_Static_assert(YG_HEADROOM >= ETHER_HEADER_LEN, "room for a header");

void yg_packet_free(struct yg_stack *s, struct yg_packet *packet)
{
	s->env.ledger.n_handed++;
	packet_free(s->env.pool, lib_packet(packet));
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
	const struct offload *o = &lib_packet(packet)->offload;

	*out = (struct yg_offload){ .checksum_partial = o->csum_partial,
				    .checksum_valid = o->csum_valid,
				    .is_large = o->gso_type == GSO_UDP4 ? 2 : o->gso_type != GSO_NONE,
				    .checksum_start = o->csum_partial ? (uint16_t)(o->csum_start - header_len(s)) : 0,
				    .checksum_offset = o->csum_offset,
				    .segment_size = o->gso_size };
}

void yg_packet_set_offload(struct yg_packet *packet, const struct yg_stack *s, const struct yg_offload *in)
{
	lib_packet(packet)->offload = (struct offload){ .csum_partial = in->checksum_partial != 0,
							.csum_valid = in->checksum_valid != 0,
							.gso_type = in->is_large == 2   ? GSO_UDP4
								    : in->is_large == 1 ? GSO_TCP4
											: GSO_NONE,
							.csum_start = (uint16_t)(in->checksum_start + header_len(s)),
							.csum_offset = in->checksum_offset,
							.gso_size = in->segment_size };
}
