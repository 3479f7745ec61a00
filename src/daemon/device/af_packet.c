/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_PACKET: a ring that the kernel fills, and plain sends. Sockets and rings are
 * made in af_packet_open.c.
 *
 * Receive. The kernel copies each frame into the next slot of a TPACKET_V2 ring
 * and marks it TP_STATUS_USER. rx makes the slot a packet's external buffer; when the packet is
 * freed or moved to a buffer of its own (packet_copy_on_hold), the slot goes back. Slots
 * are filled in order, so the kernel stops at one that is still in use: whoever
 * keeps a packet longer than its batch owns it. A slot holds any frame that a
 * kernel makes, 64 KB included, so slots are few for their memory: 960 in 64 MB.
 * 120 of them lost 95,000 packets of one bulk stream whose sender had no large
 * segments (1,000 slots are 3 ms of 60-byte packets at the rate that this way
 * carries). The memory is the kernel's: no limit on locked memory applies, and
 * an ordinary user in a user namespace gets it too. TPACKET_V3 would pack small
 * frames closely, but hands a block over only when it is full or after 1 ms.
 *
 * Layout of a slot: struct tpacket2_hdr, sockaddr_ll, room, the 10-byte vnet
 * header, the frame; PACKET_RESERVE puts the IP header on a cache line of its
 * own, with room for a VLAN tag in front of the frame.
 *
 * Send. The vnet header goes directly in front of the frame, and sendmmsg takes
 * the batch: 1.2 microseconds a frame of 60 bytes over veth, where a send of its
 * own takes 1.6. A frame that the kernel refuses is dropped by name and the rest
 * goes on.
 *
 * A device that goes down leaves one error on the socket (ENETDOWN), which would
 * wake every poll until somebody fetches it; and a send fetches it by failing,
 * even when the device is up again by then. So rx fetches it now and then when
 * the ring is empty, and tx tries such a frame once more.
 *
 * Always: in_use[i] is 1 exactly while a packet holds slot i.
 *
 * Next: src/core/gateway.c (gateway_input), which the worker enters with the batch
 * (src/daemon/run/worker.c)
 */
#include "daemon/device/af_packet_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define VLAN_ID_MASK 0x0fff
#define EMPTY_ROUNDS 8 /* rounds without a frame between two looks at the socket's error */

static uint8_t *slot_at(const struct af_packet *s, uint32_t i)
{
	return s->ring + (size_t)(i / SLOTS_PER_BLOCK) * BLOCK_BYTES + (size_t)(i % SLOTS_PER_BLOCK) * SLOT_BYTES;
}

/* --- receive --- */

static void slot_release(void *ctx, uint64_t cookie)
{
	struct af_packet *s = ctx;
	struct tpacket2_hdr *h = (void *)slot_at(s, (uint32_t)cookie);

	s->in_use[cookie] = 0;
	/* Our last reads and writes of the slot come before the kernel's. */
	__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

/* The kernel takes a frame's VLAN tag out and names it beside the frame; put it
 * back unless it only gives a priority, so that the frame is what was on the wire. There is room: the vnet
 * header, read by now, and the reserve stand in front. */
static void put_vlan_tag(struct packet *p, const struct tpacket2_hdr *h)
{
	uint16_t tpid = (h->tp_status & TP_STATUS_VLAN_TPID_VALID) ? h->tp_vlan_tpid : ETHERTYPE_VLAN;
	uint8_t *old = packet_frame(p);

	p->off -= VLAN_TAG_LEN;
	p->len += VLAN_TAG_LEN;
	uint8_t *f = packet_frame(p);
	memmove(f, old, 2 * sizeof(struct ether_addr));
	f[12] = (uint8_t)(tpid >> 8);
	f[13] = (uint8_t)tpid;
	f[14] = (uint8_t)(h->tp_vlan_tci >> 8);
	f[15] = (uint8_t)h->tp_vlan_tci;
	/* Nothing above carries tagged frames, so their unfinished work is moot. */
	memset(&p->offload, 0, sizeof(p->offload));
}

static void drop_slot(struct af_packet *s, uint32_t i, enum drop_reason reason)
{
	s->dev.ledger->n_dropped[reason]++;
	slot_release(s, i);
}

/* Slot i holds a frame: a packet in b, or a named drop. */
static void take_slot(struct af_packet *s, uint32_t i, uint32_t status, struct batch *b)
{
	uint8_t *slot = slot_at(s, i);
	const struct tpacket2_hdr *h = (const void *)slot;
	struct virtio_net_hdr vnet;
	struct offload offload;

	s->dev.ledger->n_received++;
	s->dev.n_rx_packets++;
	s->dev.n_rx_bytes += h->tp_len;
	if (h->tp_len > h->tp_snaplen) {
		drop_slot(s, i, DROP_FRAME_CUT);
		return;
	}
	if (h->tp_snaplen < ETHER_HEADER_LEN) {
		drop_slot(s, i, DROP_FRAME_SHORT);
		return;
	}
	memcpy(&vnet, slot + h->tp_mac - VNET_HEADER_LEN, sizeof(vnet));
	if (!vnet_to_offload(&vnet, slot + h->tp_mac, h->tp_snaplen, &offload)) {
		drop_slot(s, i, DROP_OFFLOAD_BAD);
		return;
	}
	struct packet *p =
		packet_set_external(s->dev.pool, slot + TPACKET2_HDRLEN, SLOT_BYTES - TPACKET2_HDRLEN,
				    h->tp_mac - (uint32_t)TPACKET2_HDRLEN, h->tp_snaplen, slot_release, s, i);
	if (!p) {
		drop_slot(s, i, DROP_NO_BUFFER);
		return;
	}
	s->in_use[i] = 1;
	p->offload = offload;
	if ((status & TP_STATUS_VLAN_VALID) && (h->tp_vlan_tci & VLAN_ID_MASK) != 0)
		put_vlan_tag(p, h);
	batch_add(b, p);
}

/* Reading the statistics clears them in the kernel. */
static void read_missed(struct af_packet *s)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	if (getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
		s->dev.n_rx_missed += st.tp_drops;
}

/* The ring is empty, or stands at a slot that is still in use. */
static void rx_idle(struct af_packet *s)
{
	/* The kernel marks the next frame after a loss; but after the last
	 * burst no frame may come. It can only have lost frames if the ring was
	 * full, and then we took a ring's worth without seeing it empty. */
	if (s->n_since_idle >= s->n_slots / 2 || s->in_use[s->head])
		read_missed(s);
	s->n_since_idle = 0;
	if (s->n_idle++ % EMPTY_ROUNDS == 0) {
		int error;
		socklen_t len = sizeof(error);
		(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	}
}

uint32_t af_packet_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct af_packet *s = af_packet_of(d);
	uint32_t n_before = b->n;
	bool losing = false;

	if (s->ring == NULL)
		return 0;
	for (uint32_t n = 0; n < max && b->n < BATCH_MAX; n++) {
		uint32_t i = s->head;
		struct tpacket2_hdr *h = (void *)slot_at(s, i);
		uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER) || s->in_use[i]) {
			rx_idle(s);
			break;
		}
		s->head = i + 1 == s->n_slots ? 0 : i + 1;
		/* Slots lie too far apart for the hardware to guess. */
		const uint8_t *ahead = slot_at(s, s->head);
		prefetch_read(ahead);
		prefetch_read(ahead + 64);
		prefetch_read(ahead + 128);
		s->n_since_idle++;
		losing |= (status & TP_STATUS_LOSING) != 0;
		take_slot(s, i, status, b);
	}
	if (losing)
		read_missed(s);
	return b->n - n_before;
}

/* --- send --- */

static void prepare_send(struct af_packet *s, uint32_t i, struct packet *p)
{
	struct msghdr *m = &s->msg[i].msg_hdr;
	uint8_t *frame = packet_frame(p);

	vnet_of_offload(&p->offload, &s->vnet[i]);
	m->msg_iov = s->iov[i];
	if (p->off >= VNET_HEADER_LEN) {
		memcpy(frame - VNET_HEADER_LEN, &s->vnet[i], VNET_HEADER_LEN);
		s->iov[i][0] = (struct iovec){ frame - VNET_HEADER_LEN, p->len + VNET_HEADER_LEN };
		m->msg_iovlen = 1;
	} else {
		s->iov[i][0] = (struct iovec){ &s->vnet[i], VNET_HEADER_LEN };
		s->iov[i][1] = (struct iovec){ frame, p->len };
		m->msg_iovlen = 2;
	}
}

static enum drop_reason send_error(int error)
{
	switch (error) {
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return DROP_TX_DOWN;
	case EMSGSIZE:
	case EINVAL:
		return DROP_TX_TOO_BIG;
	default: /* ENOBUFS, EAGAIN, ENOMEM: no room in a queue */
		return DROP_TX_REFUSED;
	}
}

void af_packet_tx(struct device *d, struct batch *b)
{
	struct af_packet *s = af_packet_of(d);
	bool retried = false;
	uint32_t n_done = 0;

	for (uint32_t i = 0; i < b->n; i++)
		prepare_send(s, i, b->p[i]);
	while (n_done < b->n) {
		int n = sendmmsg(s->fd, s->msg + n_done, b->n - n_done, MSG_DONTWAIT);
		if (n > 0) {
			for (int i = 0; i < n; i++, n_done++) {
				d->ledger->n_handed++;
				d->n_tx_packets++;
				d->n_tx_bytes += b->p[n_done]->len;
				packet_free(d->pool, b->p[n_done]);
			}
			continue;
		}
		if (errno == EINTR)
			continue;
		/* It may be an old error of a device that is back by now. */
		if (errno == ENETDOWN && !retried) {
			retried = true;
			continue;
		}
		packet_drop(d->pool, d->ledger, b->p[n_done++], send_error(errno));
	}
	b->n = 0;
}
