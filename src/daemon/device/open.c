/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of drivers. xdp and tc take nothing in before daemon/fastpath has
 * attached the program, so which of them can be had, and what the config's `auto`
 * becomes, is found out there (daemon/run/drivers.c).
 */
#include "daemon/device/open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/device/af_packet.h"
#include "daemon/device/tap.h"
#include "daemon/device/tc_tap.h"

struct driver {
	const char *name;
	int (*open)(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		    size_t err_len);
	int (*rebind)(struct device *d, char *err, size_t err_len); /* NULL: nothing to do */
};

static int open_af_packet(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
			  size_t err_len)
{
	uint32_t n = max_u32(opt->n_handles, 1);
	uint32_t ring_mb = n == 1 ? opt->ring_mb : (opt->ring_mb ? opt->ring_mb : AF_PACKET_RING_MB) / n;

	ring_mb = n == 1 ? ring_mb : max_u32(ring_mb, AF_PACKET_RING_MB_MIN);
	if (opt->first)
		return af_packet_open_more(opt->first, ring_mb, out, err, err_len);
	return af_packet_open(ifname, ring_mb, out, err, err_len);
}

static int open_tap(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		    size_t err_len)
{
	if (opt->first)
		return tap_open_more(opt->first, out, err, err_len);
	return tap_open(ifname, &opt->mac, out, err, err_len);
}

static int open_pcap(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		     size_t err_len)
{
	return pcap_device_open(ifname, &opt->pcap, out, err, err_len);
}

static int open_xdp(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		    size_t err_len)
{
	/* With fewer queues than handles the others only send. */
	if (opt->first && opt->xdp.first_queue >= af_xdp_count_queues(ifname))
		return af_packet_open_sender(ifname, out, err, err_len);
	if (opt->xdp.umem)
		return af_xdp_open(ifname, &opt->xdp, out, err, err_len);
	snprintf(err, err_len, "device %s: the driver xdp needs the program of `yangguan run`", ifname);
	return -EINVAL;
}

static int open_tc(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		   size_t err_len)
{
	if (opt->first)
		return tc_tap_open_more(opt->first, out, err, err_len);
	return tc_tap_open(ifname, opt->n_handles > 1 ? TAP_MANY_QUEUES : TAP_ONE_QUEUE, out, err, err_len);
}

static const struct driver drivers[] = {
	{ "xdp", open_xdp, af_xdp_rebind },
	{ "tc", open_tc, tc_tap_rebind },
	{ "af_packet", open_af_packet, af_packet_rebind },
	{ "tap", open_tap, NULL },
	{ "pcap", open_pcap, NULL },
};

static const struct driver *driver_named(const char *name)
{
	for (uint32_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

int device_open(const char *driver, const char *ifname, const struct device_open_options *opt, struct device **out,
		char *err, size_t err_len)
{
	static const struct device_open_options defaults;
	const struct driver *drv = driver_named(driver);

	if (!drv) {
		snprintf(err, err_len, "device %s: driver %s is unknown", ifname, driver);
		return -EINVAL;
	}
	return drv->open(ifname, opt ? opt : &defaults, out, err, err_len);
}

int device_rebind(struct device *d, char *err, size_t err_len)
{
	const struct driver *drv = driver_named(d->ops->driver);

	return drv && drv->rebind ? drv->rebind(d, err, err_len) : 0;
}
