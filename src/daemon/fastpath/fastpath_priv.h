/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the loader share: fastpath.c (maps, counters), program.c
 * (loading a program for a device), attach.c (links), clsact.c (a filter, where
 * there are no links for tc), probe.c (questions about devices), redirect_drops.c (frames
 * that drivers did not take).
 */
#ifndef YG_DAEMON_FASTPATH_FASTPATH_PRIV_H
#define YG_DAEMON_FASTPATH_FASTPATH_PRIV_H

#include <pthread.h>

#include "base/text.h"
#include "daemon/fastpath/fastpath.h"
#include "daemon/fastpath/program.h"

enum fastpath_map {
	FASTPATH_MAP_CONFIG,
	FASTPATH_MAP_BUCKET,
	FASTPATH_MAP_FLOW,
	FASTPATH_MAP_ADJACENCY,
	FASTPATH_MAP_COUNTERS,
	FASTPATH_MAP_DEVICES,
	FASTPATH_MAP_SOCKETS,
	FASTPATH_MAP_PADDING,
	N_FASTPATH_MAPS
};

/* Where a port's program hangs. */
enum fastpath_hook {
	FASTPATH_HOOK_NONE,
	FASTPATH_HOOK_LINK,   /* ends with link_fd */
	FASTPATH_HOOK_CLSACT, /* a filter, which stays until it is removed */
};

struct fastpath_attached {
	struct fastpath_port port;
	enum fastpath_hook hook;
	int link_fd;
	bool made_qdisc;
};

struct fastpath_redirect_drops {
	int ours_fd, redirect_drops_fd; /* maps; -1 */
	int link_fd[3];
	uint32_t netns;
	bool tried, known;
};

struct fastpath {
	int map_fd[N_FASTPATH_MAPS];
	void *memory[N_FASTPATH_MAPS]; /* mapped, or NULL */
	size_t memory_len[N_FASTPATH_MAPS];
	struct fastpath_maps maps;
	uint32_t n_cpus;
	struct fastpath_attached attached[FP_PORTS];
	struct fastpath_redirect_drops lost;
	bool had_tc; /* a port has, or has had, a tc program */
	/* Signs of life for filters that would outlive us. */
	pthread_t beat;
	int beat_fd; /* -1: no thread */
};

/* Which way for tc: tests take the old one on a new kernel. */
enum fastpath_tc { FASTPATH_TC_BEST, FASTPATH_TC_CLSACT };

int fastpath_attach_egress(struct fastpath *f, const struct fastpath_port *port, enum fastpath_tc tc, char *err,
			   size_t err_len);

/* Why the kernel did not hang an XDP program there, and what to do. */
void attach_explain_xdp(struct text *t, const char *name, const struct fastpath_port *p, int error);

/* A program for one device, over f's maps. Its descriptor, or -errno and a sentence. */
enum program_life { PROGRAM_ENDS_WITH_US, PROGRAM_STAYS };
int program_load(struct fastpath *f, const struct fastpath_port *port, enum program_life life, char *err,
		 size_t err_len);
/* An object with the maps named in names bound to fds. Its programs are loaded; *out is closed by the caller. */
struct bpf_object;
struct program_maps {
	const char *name;
	int fd;
};
int program_object(const void *bytes, size_t len, const struct program_maps *maps, size_t n_maps,
		   const struct fp_program *constants, struct bpf_object **out, char *err, size_t err_len);
/* What a refusal by the kernel means, in general: rights, memory, age. */
void program_explain(struct text *t, int error);

/* Somebody else's program on the device: -EBUSY and a sentence that names it; 0 if there is none. */
int probe_foreign_xdp(uint32_t ifindex, char *err, size_t err_len);
int probe_foreign_tcx(uint32_t ifindex, char *err, size_t err_len);
/* What is known of a device as a way out, and what follows. *why as in fastpath_egress. */
enum probe_xmit { PROBE_XMIT_UNKNOWN, PROBE_XMIT_NO, PROBE_XMIT_YES };
struct probe_facts {
	enum probe_xmit xmit; /* the driver takes redirected frames */
	bool is_veth, peer_elsewhere, has_queue, large_segments;
};
enum fp_egress probe_judge(enum fastpath_kind kind, const struct probe_facts *facts, const char **why);
int probe_mtu(uint32_t ifindex);
void probe_ifname(uint32_t ifindex, char name[16]);
int probe_mac(uint32_t ifindex, uint8_t mac[6]);

/* 0 and *made_qdisc; or -errno and a sentence. clsact_claim comes before it. */
int clsact_attach(uint32_t ifindex, int prog_fd, bool *made_qdisc, char *err, size_t err_len);
void clsact_detach(uint32_t ifindex, bool made_qdisc);
/* Removes the filter that an earlier process of ours left; the caller holds the device's lock, and has none there. */
void clsact_sweep(uint32_t ifindex);
/* BPF filters at ingress, as above. */
int clsact_claim(uint32_t ifindex, char *err, size_t err_len);
int clsact_beat_start(struct fastpath *f, char *err, size_t err_len);
void clsact_beat_stop(struct fastpath *f);

void lost_none(struct fastpath_redirect_drops *l);
/* For the first port with XDP; once more does nothing. */
void redirect_drops_open(struct fastpath_redirect_drops *l);
void redirect_drops_close(struct fastpath_redirect_drops *l);
void redirect_drops_add(struct fastpath_redirect_drops *l, uint32_t ifindex);
void redirect_drops_remove(struct fastpath_redirect_drops *l, uint32_t ifindex);
uint64_t redirect_drops_count(const struct fastpath_redirect_drops *l, uint32_t n_cpus);

#endif
