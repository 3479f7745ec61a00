/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Two devices that look like one: a TAP for the way in (tap.c, an inlet) and a
 * packet socket for the way out (af_packet.c, a sender). The tc program at the
 * device's ingress joins them; daemon/fastpath attaches it when the TAP is there, and
 * takes it away before the TAP goes.
 *
 * The TAP is named after the device (yg-wan0), lives as long as its descriptor,
 * and so ends with the process, however that ends. What finds its queue full is
 * dropped by the kernel and counted there; we look at that number after a burst.
 *
 * Next: src/core/gateway.c (gateway_input)
 */
#include "daemon/device/tc_tap.h"

#include <errno.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/device/af_packet.h"
#include "daemon/device/netlink.h"
#include "daemon/device/tap.h"
#include "stack/packet/stamp.h"

struct tc_tap {
	struct device dev;
	struct device *tap, *out;
	uint32_t tap_ifindex;
	struct tc_tap *first;      /* of the device's handles */
	_Atomic uint64_t n_missed; /* in the first: of all queues, as the kernel last said */
	uint32_t n_since_idle;     /* frames since the TAP was last seen empty */
};

static struct tc_tap *of_device(struct device *d)
{
	return container_of(d, struct tc_tap, dev);
}

static void read_missed(struct tc_tap *t)
{
	uint64_t n = netlink_tx_dropped(t->tap_ifindex), seen = atomic_load(&t->first->n_missed);

	/* Whoever says it first counts it. */
	while (n > seen)
		if (atomic_compare_exchange_weak(&t->first->n_missed, &seen, n)) {
			t->dev.n_rx_missed += n - seen;
			return;
		}
}

static uint32_t tc_tap_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct tc_tap *t = of_device(d);

	t->tap->pool = d->pool;
	t->tap->ledger = d->ledger;
	uint32_t n = t->tap->ops->rx(t->tap, b, max);
	d->n_rx_packets += t->tap->n_rx_packets;
	d->n_rx_bytes += t->tap->n_rx_bytes;
	t->tap->n_rx_packets = t->tap->n_rx_bytes = 0;
	for (uint32_t i = b->n - n; i < b->n; i++)
		stamp_take(d, b->p[i]);
	if (n > 0) {
		t->n_since_idle += n;
		return n;
	}
	/* It can only have lost frames if it was full, and then we took many without seeing it empty. */
	if (t->n_since_idle >= TC_TAP_FRAMES / 2)
		read_missed(t);
	t->n_since_idle = 0;
	return 0;
}

static void tc_tap_tx(struct device *d, struct batch *b)
{
	struct tc_tap *t = of_device(d);

	t->out->pool = d->pool;
	t->out->ledger = d->ledger;
	t->out->ops->tx(t->out, b);
	d->n_tx_packets += t->out->n_tx_packets;
	d->n_tx_bytes += t->out->n_tx_bytes;
	t->out->n_tx_packets = t->out->n_tx_bytes = 0;
}

static int tc_tap_poll_fd(struct device *d)
{
	struct tc_tap *t = of_device(d);

	return t->tap->ops->poll_fd(t->tap);
}

static void tc_tap_set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	struct tc_tap *t = of_device(d);

	t->out->ops->set_groups(t->out, mac, n);
}

static void tc_tap_close(struct device *d)
{
	struct tc_tap *t = of_device(d);

	if (t->out)
		t->out->ops->close(t->out);
	if (t->tap)
		t->tap->ops->close(t->tap);
	free(t);
}

static const struct device_ops tc_tap_ops = {
	.driver = "tc",
	.rx = tc_tap_rx,
	.tx = tc_tap_tx,
	.poll_fd = tc_tap_poll_fd,
	.set_groups = tc_tap_set_groups,
	.close = tc_tap_close,
};

/* What is known of the device that we send by is true of us. */
static void take_link(struct tc_tap *t)
{
	t->dev.mac = t->out->mac;
	t->dev.mtu = t->out->mtu;
	t->dev.caps = t->out->caps;
	t->dev.up = t->out->up;
}

static void name_tap(const char *ifname, char *name, size_t len)
{
	if (strlen(ifname) + strlen("yg-") < len)
		snprintf(name, len, "yg-%.12s", ifname);
	else
		snprintf(name, len, "yg-%u", if_nametoindex(ifname));
}

int tc_tap_open(const char *ifname, enum tap_queues queues, struct device **out, char *err, size_t err_len)
{
	struct tc_tap *t = calloc(1, sizeof(*t));
	char name[DEVICE_NAME_MAX];

	if (!t) {
		snprintf(err, err_len, "device %s: no memory", ifname);
		return -ENOMEM;
	}
	t->dev.ops = &tc_tap_ops;
	t->first = t;
	/* First the device, by which a wrong name or a second gateway is refused. */
	int r = af_packet_open_sender(ifname, &t->out, err, err_len);
	if (r == 0) {
		snprintf(t->dev.name, sizeof(t->dev.name), "%s", ifname);
		name_tap(ifname, name, sizeof(name));
		r = tap_open_inlet(name, TC_TAP_FRAMES, queues, &t->tap, err, err_len);
	}
	if (r < 0) {
		tc_tap_close(&t->dev);
		return r;
	}
	t->tap_ifindex = if_nametoindex(name);
	take_link(t);
	*out = &t->dev;
	return 0;
}

int tc_tap_open_more(struct device *first, struct device **out, char *err, size_t err_len)
{
	struct tc_tap *t = calloc(1, sizeof(*t));

	if (!t) {
		snprintf(err, err_len, "device %s: no memory", first->name);
		return -ENOMEM;
	}
	t->dev.ops = &tc_tap_ops;
	t->first = of_device(first);
	t->tap_ifindex = t->first->tap_ifindex;
	snprintf(t->dev.name, sizeof(t->dev.name), "%s", first->name);
	int r = af_packet_open_sender(first->name, &t->out, err, err_len);
	if (r == 0)
		r = tap_open_inlet_queue(t->first->tap, &t->tap, err, err_len);
	if (r < 0) {
		tc_tap_close(&t->dev);
		return r;
	}
	take_link(t);
	*out = &t->dev;
	return 0;
}

int tc_tap_rebind(struct device *d, char *err, size_t err_len)
{
	struct tc_tap *t = of_device(d);
	int r = af_packet_rebind(t->out, err, err_len);

	if (r == 0)
		take_link(t);
	return r;
}

bool tc_tap_look(struct device *d)
{
	struct ifreq r = { .ifr_ifindex = (int)of_device(d)->tap_ifindex };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Only the kernel's own word that there is none counts. */
	bool there = s < 0 || ioctl(s, SIOCGIFNAME, &r) == 0 || errno != ENODEV;

	if (s >= 0 && there && ioctl(s, SIOCGIFFLAGS, &r) == 0 && !(r.ifr_flags & IFF_UP)) {
		r.ifr_flags |= IFF_UP;
		(void)ioctl(s, SIOCSIFFLAGS, &r);
	}
	if (s >= 0)
		close(s);
	return there;
}

uint32_t tc_tap_up_ifindex(struct device *d)
{
	return of_device(d)->tap_ifindex;
}
