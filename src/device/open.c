/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of drivers. `auto` tries the choices of its list from the best down
 * and says why each better one was passed over; today the list has one entry,
 * and the fast paths stand in the note as not built in.
 */
#include "device/open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device/af_packet.h"
#include "device/tap.h"

struct driver {
	const char *name;
	int (*open)(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		    size_t err_len);
	int (*rebind)(struct device *d, char *err, size_t err_len); /* NULL: nothing to do */
};

static int open_af_packet(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
			  size_t err_len)
{
	return af_packet_open(ifname, opt->ring_mb, out, err, err_len);
}

static int open_tap(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		    size_t err_len)
{
	return tap_open(ifname, &opt->mac, out, err, err_len);
}

static int open_pcap(const char *ifname, const struct device_open_options *opt, struct device **out, char *err,
		     size_t err_len)
{
	return pcap_device_open(ifname, &opt->pcap, out, err, err_len);
}

static const struct driver drivers[] = {
	{ "af_packet", open_af_packet, af_packet_rebind },
	{ "tap", open_tap, NULL },
	{ "pcap", open_pcap, NULL },
};

const char *const device_drivers[] = { "auto", "af_packet", "tap", "pcap", NULL };

#define AUTO_CHOICE "af_packet"
#define AUTO_WHY " (auto; xdp and tc are not built in yet)"

static const struct driver *driver_named(const char *name)
{
	for (uint32_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i].name, name) == 0)
			return &drivers[i];
	return NULL;
}

int device_open(const char *driver, const char *ifname, const struct device_open_options *opt, struct device **out,
		char *note, size_t note_len, char *err, size_t err_len)
{
	static const struct device_open_options defaults;
	bool is_auto = strcmp(driver, "auto") == 0;
	const struct driver *drv = driver_named(is_auto ? AUTO_CHOICE : driver);

	if (!drv) {
		bool planned = strcmp(driver, "xdp") == 0 || strcmp(driver, "tc") == 0;
		snprintf(err, err_len, "device %s: driver %s is %s; use one of auto, af_packet, tap, pcap", ifname,
			 driver, planned ? "not built in yet" : "unknown");
		return -EINVAL;
	}
	int r = drv->open(ifname, opt ? opt : &defaults, out, err, err_len);
	if (r == 0 && note)
		snprintf(note, note_len, "device %s: driver %s%s", ifname, drv->name, is_auto ? AUTO_WHY : "");
	return r;
}

int device_rebind(struct device *d, char *err, size_t err_len)
{
	const struct driver *drv = driver_named(d->ops->driver);

	return drv && drv->rebind ? drv->rebind(d, err, err_len) : 0;
}
