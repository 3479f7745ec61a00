/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A link without a wire: what is sent goes to the owner's output function.
 *
 * The stack below speaks Ethernet. Where the embedder's packets have no Ethernet header,
 * one is put before what comes, and left out of what goes; and for the neighbours
 * that the stack asks for, whoever they are, the link answers itself.
 */
#include "lib/lib_link.h"

#include <string.h>

#include <yangguan/stack.h>

#include "stack/wire/arp.h"
#include "stack/wire/partial.h"

static const struct ether_addr link_us = { { 2, 0, 0, 0, 0, 1 } }, link_them = { { 2, 0, 0, 0, 0, 2 } };

/* "Who has that address?" "I." */
static void answer_arp(struct lib_link *l, const struct packet *p)
{
	struct arp_view v;

	if (p->len < ETHER_HEADER_LEN + ARP_LEN || !arp_parse(p->buf + p->off + ETHER_HEADER_LEN, ARP_LEN, &v) ||
	    v.op != ARP_REQUEST || v.spa == v.tpa || v.spa == 0)
		return;
	struct packet *q = packet_alloc(l->dev.pool, ETHER_MIN_FRAME);
	struct ether_view eth = { .dst = l->dev.mac, .src = link_them, .type = ETHERTYPE_ARP };
	struct arp_view reply = { .op = ARP_REPLY, .sha = link_them, .tha = v.sha, .spa = v.tpa, .tpa = v.spa };

	if (q == NULL)
		return;
	memset(packet_frame(q), 0, ETHER_MIN_FRAME);
	ether_emit(packet_frame(q), &eth);
	arp_emit(packet_frame(q) + ETHER_HEADER_LEN, &reply);
	l->dev.ledger->n_received++;
	lib_link_wait(l, q);
}

static bool is_for_the_link(const struct packet *p)
{
	struct ether_view eth;

	return ether_parse(p->buf + p->off, p->len, &eth) && eth.type == ETHERTYPE_ARP;
}

static void link_tx(struct device *d, struct batch *b)
{
	struct lib_link *l = container_of(d, struct lib_link, dev);
	struct packet *out[BATCH_MAX];
	uint32_t n = 0;
	int taken = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (l->has_ethernet || !is_for_the_link(p)) {
			out[n++] = p;
			continue;
		}
		answer_arp(l, p);
		d->ledger->n_handed++;
		packet_free(d->pool, p);
	}
	b->n = 0;
	if (n > 0)
		taken = l->output(l, out, n);
	for (uint32_t i = taken < 0 ? 0 : (uint32_t)taken; i < n; i++)
		packet_drop(d->pool, d->ledger, out[i], DROP_TX_REFUSED);
}

static const struct device_ops link_ops = { .driver = "lib", .tx = link_tx };

void lib_link_init(struct lib_link *l, const char *name, uint32_t flags, uint32_t mtu, const uint8_t mac[6])
{
	l->has_ethernet = (flags & YG_ETHERNET) != 0;
	l->asks_partial = (flags & YG_CHECKSUM_UNTOLD) != 0;
	l->dev = (struct device){ .ops = &link_ops, .mac = link_us, .mtu = mtu != 0 ? mtu : 1500, .up = true };
	strncpy(l->dev.name, name, sizeof(l->dev.name) - 1);
	if (l->has_ethernet)
		memcpy(&l->dev.mac, mac, sizeof(l->dev.mac));
	if (flags & YG_OFFLOAD_CHECKSUM)
		l->dev.caps |= DEVICE_CAP_CSUM;
	if (flags & YG_OFFLOAD_SEGMENTS)
		l->dev.caps |= DEVICE_CAP_TSO;
	if (flags & YG_OFFLOAD_DATAGRAMS)
		l->dev.caps |= DEVICE_CAP_USO;
}

struct packet *lib_link_dress(const struct lib_link *l, struct packet *p)
{
	struct ether_view eth = { .dst = l->dev.mac, .src = link_them, .type = ETHERTYPE_IPV4 };

	if (!l->has_ethernet)
		ether_emit(packet_frame(p), &eth);
	if (l->asks_partial && !p->offload.csum_valid && p->offload.gso_type == GSO_NONE)
		p->offload.csum_partial =
			partial_find(packet_frame(p), p->len, &p->offload.csum_start, &p->offload.csum_offset);
	return p;
}

void lib_link_wait(struct lib_link *l, struct packet *p)
{
	struct lib_waiting *w = l->waiting;

	p->next = NULL;
	p->in_ifindex = l->ifindex;
	*(w->first == NULL ? &w->first : &w->last->next) = p;
	w->last = p;
}

static struct packet *take_first(struct lib_waiting *w)
{
	struct packet *p = w->first;

	w->first = p->next;
	p->next = NULL;
	return p;
}

void lib_waiting_take(struct lib_waiting *w, struct batch *b)
{
	uint32_t ifindex = w->first->in_ifindex;

	while (w->first != NULL && w->first->in_ifindex == ifindex && b->n < BATCH_MAX)
		batch_add(b, take_first(w));
}

void lib_waiting_free(struct lib_waiting *w, struct packet_pool *pool)
{
	while (w->first != NULL)
		packet_free(pool, take_first(w));
}

struct yg_offload lib_offload_of(const struct lib_link *l, const struct packet *p)
{
	const struct offload *o = &p->offload;
	uint32_t start = o->csum_partial ? o->csum_start - lib_link_header(l) : 0;

	return (struct yg_offload){ .checksum_partial = o->csum_partial,
				    .checksum_valid = o->csum_valid,
				    .is_large = o->gso_type == GSO_UDP4 ? 2 : o->gso_type != GSO_NONE,
				    .checksum_start = (uint16_t)start,
				    .checksum_offset = o->csum_offset,
				    .segment_size = o->gso_size };
}

void lib_offload_set(const struct lib_link *l, struct packet *p, const struct yg_offload *in)
{
	static const uint8_t kinds[] = { GSO_NONE, GSO_TCP4, GSO_UDP4 };

	p->offload = (struct offload){ .csum_partial = in->checksum_partial != 0,
				       .csum_valid = in->checksum_valid != 0,
				       .gso_type = in->is_large < ARRAY_LEN(kinds) ? kinds[in->is_large] : GSO_NONE,
				       .csum_start = (uint16_t)(in->checksum_start + lib_link_header(l)),
				       .csum_offset = in->checksum_offset,
				       .gso_size = in->segment_size };
}
