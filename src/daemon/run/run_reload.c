/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reload: all or nothing. The new config is read, a snapshot built, the devices
 * that it adds are opened; only when all of that has worked do the workers
 * change over, in one step while all of them are quiesced. Whatever
 * fails before leaves everything as it was; the new devices are given back.
 */
#include "daemon/run/run_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "daemon/config/config.h"
#include "daemon/config/config_bgp.h"
#include "daemon/run/run_bgp.h"

struct snapshot *run_snapshot(const char *path, struct gateway_limits *limits, struct config_errors **errors)
{
	struct snapshot *snap = NULL;
	struct config *cfg = config_read_file(path, errors);

	if (cfg != NULL) {
		*limits = snapshot_limits(cfg);
		snap = snapshot_build(cfg, NULL, errors);
		config_free(cfg);
	}
	return snap;
}

struct change_over {
	struct run *run;
	struct snapshot *snap;
	struct run_port next[IP_INTERFACES_MAX]; /* as it shall be */
	bool is_new[IP_INTERFACES_MAX];          /* opened for this reload */
	bool leaves[IP_INTERFACES_MAX];          /* the device that is there now goes */
	bool stripped[IP_INTERFACES_MAX];        /* and its number, which its program had, is needed already */
	bool other_limits;
	int rc;
};

static bool same_device(const struct run *r, const struct snapshot *snap, uint32_t i)
{
	return r->port[i].device != NULL && strcmp(r->port[i].device->name, snap->core.ip.interface[i].name) == 0 &&
	       r->port[i].driver == snap->driver[i];
}

/* A driver can only be changed by taking the device away and adding it again: the old one holds its lock. */
static bool other_driver(const struct run *r, const struct snapshot *snap, uint32_t i)
{
	return r->port[i].device != NULL && strcmp(r->port[i].device->name, snap->core.ip.interface[i].name) == 0 &&
	       !same_device(r, snap, i);
}

static void close_new(struct change_over *c)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->is_new[i])
			run_port_close(c->run, &c->next[i], i);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->stripped[i])
			run_port_reopen(c->run, i);
}

/* 0, or -errno and a sentence, and nothing is open that was not before. */
static int open_new(struct change_over *c, char *err, size_t err_len)
{
	struct run *r = c->run;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const char *name = c->snap->core.ip.interface[i].name;
		c->leaves[i] = r->port[i].device != NULL && !same_device(r, c->snap, i);
		if (name[0] == '\0')
			continue;
		if (same_device(r, c->snap, i)) {
			c->next[i] = r->port[i];
			c->next[i].take_over = c->snap->take_over[i];
			continue;
		}
		int rc = -EBUSY;
		if (other_driver(r, c->snap, i)) {
			snprintf(err, err_len, "%s: its driver cannot be changed by a reload: restart the gateway",
				 name);
		} else {
			if (r->port[i].port.attached) {
				run_port_detach_program(r, i);
				c->stripped[i] = true;
			}
			rc = run_port_open(r, c->snap, i, &c->next[i], err, err_len);
		}
		if (rc != 0) {
			close_new(c);
			return rc;
		}
		c->is_new[i] = true;
	}
	return 0;
}

/* With the workers quiesced: devices that leave go first, since a number may have a new owner in the new config. */
static void change_over(void *arg)
{
	struct change_over *c = arg;
	struct run *r = c->run;
	uint64_t now = worker_clock();

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->leaves[i])
			run_port_detach(r, &r->port[i], i);
	if (r->record != NULL)
		record_config_text(r->record, c->snap->text, c->snap->text_len);
	c->rc = core_api_configure(&r->core[0].entry, &c->snap->core, now);
	struct run_port *ports = c->rc == 0 ? c->next : r->port;
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (ports[i].device != NULL && (c->rc == 0 ? c->is_new[i] : c->leaves[i]))
			run_port_attach(r, &ports[i], i);
}

/* Every interface may have left and be another one now; the rest is words and numbers. */
#define REPORT_MAX (2 * IP_INTERFACES_MAX * (DEVICE_NAME_MAX + sizeof(" given back,")) + 256)

/* A clause for each neighbour of BGP. */
static size_t report_max(const struct run *r, const struct snapshot *snap)
{
	size_t n = 0;

	if (r->snap->bgp != NULL)
		n += r->snap->bgp->n_neighbors;
	if (snap->bgp != NULL)
		n += snap->bgp->n_neighbors;
	return REPORT_MAX + n * (CONFIG_NAME_MAX + 96);
}

/* One line: what is different now. */
static char *report_changes(const struct change_over *c)
{
	size_t max = report_max(c->run, c->snap);
	char *text = malloc(max);
	if (text == NULL)
		return NULL;
	struct text t = text_of(text, max);
	size_t n_interfaces = 0;

	text_add(&t, "reloaded, generation %llu:", (unsigned long long)c->snap->core.generation);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		n_interfaces += c->snap->core.ip.interface[i].name[0] != '\0';
		if (c->leaves[i])
			text_add(&t, " %s given back,", c->run->port[i].device->name);
		if (c->is_new[i])
			text_add(&t, " %s taken,", c->next[i].device->name);
	}
	text_add(&t, " %zu interfaces, %zu routes", n_interfaces, c->snap->n_routes);
	size_t n_unsettled = rib_n_unsettled(c->snap->core.rib);
	if (n_unsettled > 0)
		text_add(&t, "; %zu prefixes find no room in the forwarding table and are not in use: %s", n_unsettled,
			 rib_unsettled_why(c->snap->core.rib));
	if (c->snap->n_workers != c->run->n_cores)
		text_add(&t, "; there are %u workers until the next start", c->run->n_cores);
	if (c->other_limits)
		text_add(&t, "; sizes of tables stay as they are until the next start");
	run_bgp_foresee(c->run->snap->bgp, c->snap->bgp, &t);
	text_add(&t, "\n");
	return text;
}

/* The same beforehand, and nothing is different yet. */
static char *report_foreseen(const struct run *r, const struct snapshot *snap)
{
	size_t max = report_max(r, snap);
	char *text = malloc(max);
	if (text == NULL)
		return NULL;
	struct text t = text_of(text, max);

	text_add(&t, "good, nothing was changed:");
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		if (r->port[i].device != NULL && !same_device(r, snap, i))
			text_add(&t, " %s would be given back,", r->port[i].device->name);
		if (snap->core.ip.interface[i].name[0] != '\0' && !same_device(r, snap, i))
			text_add(&t, " %s would be taken,", snap->core.ip.interface[i].name);
	}
	text_add(&t, " %zu routes", snap->n_routes);
	run_bgp_foresee(r->snap->bgp, snap->bgp, &t);
	text_add(&t, "\n");
	return text;
}

/* What was wrong is told to who asked, and its first line to who listens: whoever sent a SIGHUP has no other way. */
static bool refuse(struct run *r, char **report, const char *text)
{
	char first[256];

	if (text == NULL || text[0] == '\0')
		text = "no memory";
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, "\n"), text);
	if (asprintf(report, "%s\nnothing was changed\n", text) < 0)
		*report = NULL;
	run_event(r, &(struct yg_event){ .kind = EVENT_RELOAD_REFUSED, .time_ns = worker_clock(), .detail = first });
	return false;
}

static bool refuse_errors(struct run *r, char **report, struct config_errors *errors)
{
	char *text = config_errors_text(errors);
	size_t len = text != NULL ? strlen(text) : 0;

	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	refuse(r, report, text);
	free(text);
	config_errors_free(errors);
	return false;
}

static void commit(struct change_over *c)
{
	struct run *r = c->run;
	struct snapshot *old = r->snap;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (c->leaves[i])
			run_port_close(r, &r->port[i], i);
	memcpy(r->port, c->next, sizeof(r->port));
	r->snap = c->snap;
	run_routes_refit(r, old);
	run_kernel_configure(r);
	run_bgp_configure(r, old->bgp);
	snapshot_destroy(old);
	run_routes_changed(r);
}

/* The new config and its snapshot; NULL and *report. */
static struct snapshot *read_config(struct run *r, bool *other_limits, char **report)
{
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_file(r->config_absolute, &errors);

	if (cfg == NULL) {
		refuse_errors(r, report, errors);
		return NULL;
	}
	config_errors_free(errors);
	errors = NULL;
	struct gateway_limits limits = snapshot_limits(cfg);
	*other_limits = memcmp(&limits, &r->limits, sizeof(limits)) != 0;
	struct snapshot *snap = snapshot_build(cfg, r->snap, &errors);
	config_free(cfg);
	if (snap == NULL)
		refuse_errors(r, report, errors);
	else
		config_errors_free(errors);
	return snap;
}

static bool can_reload(struct run *r, char **report)
{
	struct stat st;

	if (r->config_absolute[0] != '\0' && !(stat(r->config_absolute, &st) == 0 && S_ISFIFO(st.st_mode)))
		return true;
	return refuse(r, report, "the config came from standard input or a pipe and cannot be read again");
}

bool run_reload_foresee(void *run, char **report)
{
	struct run *r = run;
	bool other_limits;

	*report = NULL;
	if (!can_reload(r, report))
		return false;
	struct snapshot *snap = read_config(r, &other_limits, report);

	if (snap == NULL)
		return false;
	*report = report_foreseen(r, snap);
	snapshot_destroy(snap);
	return true;
}

bool run_reload(void *run, char **report)
{
	struct run *r = run;
	char err[512] = "";

	*report = NULL;
	if (!can_reload(r, report))
		return false;
	struct change_over *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return refuse(r, report, "no memory");
	c->run = r;
	c->snap = read_config(r, &c->other_limits, report);
	if (c->snap == NULL) {
		free(c);
		return false;
	}
	int rc = open_new(c, err, sizeof(err));
	if (rc == 0) {
		run_quiesced(r, change_over, c);
		rc = c->rc;
		if (rc != 0) {
			snprintf(err, sizeof(err), "the new config does not fit: %s", strerror(-rc));
			close_new(c);
		}
	}
	if (rc != 0) {
		snapshot_destroy(c->snap);
		free(c);
		return refuse(r, report, err[0] != '\0' ? err : strerror(-rc));
	}
	*report = report_changes(c);
	commit(c);
	run_event(r, &(struct yg_event){
			     .kind = EVENT_RELOADED, .time_ns = worker_clock(), .count = r->snap->core.generation });
	free(c);
	return true;
}
