/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scripts steer the system that they test by /proc/sys/net/ipv4; so those of the
 * namespace that the tool runs in are read before each call, and steer ours.
 */
#include <stdio.h>

#include "base/util.h"
#include "stack/transport/cc.h"
#include "stack/transport/tcp.h"
#include "drill.h"

/* Up to n numbers; returns how many there are. */
static int read_numbers(const char *name, unsigned long long *out, int n)
{
	char path[128];
	int got = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return 0;
	while (got < n && fscanf(f, "%llu", &out[got]) == 1)
		got++;
	fclose(f);
	return got;
}

static void follow_sizes(const char *name, uint32_t *first, uint32_t *max)
{
	unsigned long long v[3];

	if (read_numbers(name, v, 3) < 3)
		return;
	*first = (uint32_t)v[1];
	*max = (uint32_t)v[2];
}

static void follow_bool(const char *name, bool *out)
{
	unsigned long long v;

	if (read_numbers(name, &v, 1) == 1)
		*out = v != 0;
}

static void follow_byte(const char *name, uint8_t *out)
{
	unsigned long long v;

	if (read_numbers(name, &v, 1) == 1)
		*out = (uint8_t)v;
}

static void follow_lowat(uint32_t *out)
{
	unsigned long long v;

	if (read_numbers("tcp_notsent_lowat", &v, 1) == 1)
		*out = v >= UINT32_MAX ? 0 : (uint32_t)v;
}

static void follow_seconds(const char *name, uint64_t *out)
{
	unsigned long long v;

	if (read_numbers(name, &v, 1) == 1)
		*out = v * NS_PER_S;
}

/* Scripts are written for CUBIC and say so, but a new namespace begins with what the first one has, BBR perhaps, and
 * may not choose what that does not allow. None asks for BBR. */
static void follow_congestion(struct tcp_config *c)
{
	static char name[32];
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_congestion_control", "r");

	if (f == NULL)
		return;
	if (fscanf(f, "%31s", name) == 1 && strcmp(name, "bbr") != 0 && cc_find(name) >= 0)
		c->congestion = name;
	fclose(f);
}

void drill_follow_sysctls(struct tcp_config *c)
{
	follow_sizes("tcp_wmem", &c->sndbuf, &c->sndbuf_max);
	follow_sizes("tcp_rmem", &c->rcvbuf, &c->rcvbuf_max);
	follow_lowat(&c->notsent_lowat);
	follow_bool("tcp_timestamps", &c->timestamps);
	follow_bool("tcp_window_scaling", &c->window_scaling);
	follow_bool("tcp_sack", &c->sack);
	follow_bool("tcp_syncookies", &c->syncookies);
	follow_bool("tcp_slow_start_after_idle", &c->slow_start_after_idle);
	follow_byte("tcp_ecn", &c->ecn);
	follow_byte("tcp_syn_retries", &c->syn_retries);
	follow_byte("tcp_synack_retries", &c->synack_retries);
	follow_byte("tcp_retries1", &c->retries1);
	follow_byte("tcp_retries2", &c->retries2);
	follow_byte("tcp_orphan_retries", &c->orphan_retries);
	follow_byte("tcp_keepalive_probes", &c->keepalive_probes);
	follow_byte("tcp_min_tso_segs", &c->min_tso_segs);
	follow_seconds("tcp_keepalive_time", &c->keepalive_time);
	follow_seconds("tcp_keepalive_intvl", &c->keepalive_interval);
	follow_seconds("tcp_fin_timeout", &c->fin_timeout);
	/* 0 there stands for 8 (tcp(7)). */
	if (c->orphan_retries == 0)
		c->orphan_retries = tcp_default_config.orphan_retries;
	/* Linux has neither, and no sysctl for it. */
	c->growth_limit = c->css_rounds = 0;
	follow_congestion(c);
}
