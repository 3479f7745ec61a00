/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The maps of the fast path: made here, mapped into our memory, and gone with the
 * last descriptor, which is ours or a program's.
 *
 * Life: fastpath_open makes the maps, empty and switched off; fastpath_attach
 * loads a program for a device over them (program.c) and hangs it there
 * (attach.c); offload.h fills them. Nothing is pinned, nothing is a file.
 *
 * The bucket table has room for twice the references that can be in it (two of
 * each connection), rounded up to a power of two buckets: with eight slots each,
 * one bucket in fifty is too small at the worst, and has overflow buckets behind it.
 *
 * Next: src/daemon/fastpath/xdp.bpf.c and src/daemon/fastpath/tc.bpf.c
 */
#include "daemon/fastpath/fastpath_priv.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_CONNECTIONS_DEFAULT 262144u
#define N_CONNECTIONS_MAX (1u << 26)
#define N_ADJACENCIES_DEFAULT 4096u
#define REFS_PER_HOME_BUCKET 4u
#define HOME_PER_OVERFLOW 8u
#define N_HOME_MIN 64u

const char *const fastpath_count_names[FP_N_COUNTS] = {
	[FP_FORWARDED] = "forwarded",    [FP_UP_NOT_IPV4] = "not-ipv4",
	[FP_UP_NOT_PLAIN] = "not-plain", [FP_UP_NO_FLOW] = "no-flow",
	[FP_UP_STALE] = "stale",         [FP_UP_BEHIND] = "behind",
	[FP_UP_WINDOW] = "window",       [FP_UP_TOO_BIG] = "too-big",
	[FP_UP_ADJACENCY] = "adjacency", [FP_UP_PARTIAL] = "partial-checksum",
	[FP_UP_REFUSED] = "refused",     [FP_UP_OVERLOAD] = "overload",
};

struct map_plan {
	const char *name;
	enum bpf_map_type type;
	uint32_t value_size, n_entries;
	bool mapped;
};

static uint32_t home_buckets(uint32_t n_connections)
{
	uint32_t n = N_HOME_MIN;

	while (n * REFS_PER_HOME_BUCKET < 2 * n_connections)
		n *= 2;
	return n;
}

static void plan(const struct fastpath_maps *m, struct map_plan p[N_FASTPATH_MAPS])
{
	p[FASTPATH_MAP_CONFIG] =
		(struct map_plan){ "yg_config", BPF_MAP_TYPE_ARRAY, sizeof(struct fp_config), 1, true };
	p[FASTPATH_MAP_BUCKET] = (struct map_plan){ "yg_bucket", BPF_MAP_TYPE_ARRAY, sizeof(struct fp_bucket),
						    m->n_home + m->n_overflow, true };
	p[FASTPATH_MAP_FLOW] =
		(struct map_plan){ "yg_flow", BPF_MAP_TYPE_ARRAY, sizeof(struct fp_flow), 2 * m->n_connections, true };
	p[FASTPATH_MAP_ADJACENCY] = (struct map_plan){ "yg_adjacency", BPF_MAP_TYPE_ARRAY, sizeof(struct fp_adjacency),
						       m->n_adjacencies, true };
	p[FASTPATH_MAP_COUNTERS] =
		(struct map_plan){ "yg_counters", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint64_t), FP_N_COUNTS, false };
	p[FASTPATH_MAP_DEVICES] =
		(struct map_plan){ "yg_devices", BPF_MAP_TYPE_DEVMAP, sizeof(uint32_t), FP_PORTS, false };
	p[FASTPATH_MAP_SOCKETS] =
		(struct map_plan){ "yg_sockets", BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), FP_PORTS * FP_QUEUES, false };
	p[FASTPATH_MAP_PADDING] = (struct map_plan){ "yg_padding", BPF_MAP_TYPE_PERCPU_ARRAY, sizeof(uint64_t),
						     FP_PORTS * FP_N_PADDINGS, false };
}

static int make_map(struct fastpath *f, enum fastpath_map which, const struct map_plan *p, struct text *t)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = p->mapped ? BPF_F_MMAPABLE : 0);
	long page = sysconf(_SC_PAGESIZE);
	int fd = bpf_map_create(p->type, p->name, sizeof(uint32_t), p->value_size, p->n_entries, &opts);

	if (fd < 0) {
		text_add(t, "the kernel does not make the map %s (%llu KiB): ", p->name,
			 (unsigned long long)p->value_size * p->n_entries >> 10);
		program_explain(t, -fd);
		return fd;
	}
	f->map_fd[which] = fd;
	if (!p->mapped)
		return 0;
	size_t len = ((size_t)p->value_size * p->n_entries + (size_t)page - 1) & ~((size_t)page - 1);
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		int e = errno;

		text_add(t, "the map %s cannot be mapped into memory: %s", p->name, strerror(e));
		return -e;
	}
	f->memory[which] = memory;
	f->memory_len[which] = len;
	return 0;
}

int fastpath_open(const struct fastpath_limits *limits, struct fastpath **out, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	struct map_plan p[N_FASTPATH_MAPS];
	struct fastpath *f = calloc(1, sizeof(*f));
	int r = 0;

	if (f == NULL) {
		text_add(&t, "out of memory");
		return -ENOMEM;
	}
	/* What goes wrong is told in our sentences; libbpf's lines would go to stderr. */
	libbpf_set_print(NULL);
	f->beat_fd = -1;
	for (uint32_t i = 0; i < N_FASTPATH_MAPS; i++)
		f->map_fd[i] = -1;
	struct fastpath_maps *m = &f->maps;
	m->n_connections = limits != NULL && limits->n_connections != 0 ? limits->n_connections : N_CONNECTIONS_DEFAULT;
	m->n_adjacencies = limits != NULL && limits->n_adjacencies != 0 ? limits->n_adjacencies : N_ADJACENCIES_DEFAULT;
	lost_none(&f->lost);
	int n_cpus = libbpf_num_possible_cpus();
	f->n_cpus = n_cpus > 0 ? (uint32_t)n_cpus : 1;
	if (m->n_connections > N_CONNECTIONS_MAX || m->n_adjacencies > UINT16_MAX + 1u) {
		text_add(&t, "at most %u connections and %u adjacencies fit into the kernel's maps", N_CONNECTIONS_MAX,
			 UINT16_MAX + 1u);
		r = -EINVAL;
	}
	m->n_home = home_buckets(m->n_connections < N_CONNECTIONS_MAX ? m->n_connections : N_CONNECTIONS_MAX);
	m->n_overflow = m->n_home / HOME_PER_OVERFLOW;
	plan(m, p);
	for (uint32_t i = 0; i < N_FASTPATH_MAPS && r == 0; i++)
		r = make_map(f, (enum fastpath_map)i, &p[i], &t);
	if (r < 0) {
		fastpath_close(f);
		return r;
	}
	m->config = f->memory[FASTPATH_MAP_CONFIG];
	m->bucket = f->memory[FASTPATH_MAP_BUCKET];
	m->flow = f->memory[FASTPATH_MAP_FLOW];
	m->adjacency = f->memory[FASTPATH_MAP_ADJACENCY];
	m->config->bucket_mask = m->n_home - 1;
	*out = f;
	return 0;
}

void fastpath_close(struct fastpath *f)
{
	if (f == NULL)
		return;
	for (uint32_t i = 0; i < FP_PORTS; i++)
		fastpath_detach(f, i);
	clsact_beat_stop(f);
	redirect_drops_close(&f->lost);
	for (uint32_t i = 0; i < N_FASTPATH_MAPS; i++) {
		if (f->memory[i] != NULL)
			(void)munmap(f->memory[i], f->memory_len[i]);
		if (f->map_fd[i] >= 0)
			(void)close(f->map_fd[i]);
	}
	free(f);
}

const struct fastpath_maps *fastpath_maps(const struct fastpath *f)
{
	return &f->maps;
}

int fastpath_xsk_map_fd(const struct fastpath *f)
{
	return f->map_fd[FASTPATH_MAP_SOCKETS];
}

uint32_t fastpath_xsk_key(uint32_t number, uint32_t queue)
{
	assert(number < FP_PORTS && queue < FP_QUEUES);
	return number * FP_QUEUES + queue;
}

/* Nobody counts what tc's packets meet behind the redirect, apart from what else the device sends. */
static bool redirect_drops_known(const struct fastpath *f)
{
	return !f->had_tc && (f->lost.known || !f->lost.tried);
}

/* of_cpu: room for all of them. */
static uint64_t sum_of_cpus(const struct fastpath *f, enum fastpath_map map, uint32_t key, uint64_t *of_cpu)
{
	uint64_t sum = 0;

	if (of_cpu != NULL && bpf_map_lookup_elem(f->map_fd[map], &key, of_cpu) == 0)
		for (uint32_t c = 0; c < f->n_cpus; c++)
			sum += of_cpu[c];
	return sum;
}

void fastpath_padding(const struct fastpath *f, uint32_t number, uint64_t *in, uint64_t *out)
{
	uint64_t *of_cpu = calloc(f->n_cpus, sizeof(*of_cpu));

	*in = sum_of_cpus(f, FASTPATH_MAP_PADDING, number * FP_N_PADDINGS + FP_PADDING_IN, of_cpu);
	*out = sum_of_cpus(f, FASTPATH_MAP_PADDING, number * FP_N_PADDINGS + FP_PADDING_OUT, of_cpu);
	free(of_cpu);
}

void fastpath_counts(const struct fastpath *f, struct fastpath_counts *out)
{
	uint64_t *of_cpu = calloc(f->n_cpus, sizeof(*of_cpu));

	*out = (struct fastpath_counts){ .redirect_drops_known = redirect_drops_known(f),
					 .n_lost = redirect_drops_count(&f->lost, f->n_cpus) };
	for (uint32_t i = 0; i < FP_N_COUNTS; i++)
		out->count[i] = sum_of_cpus(f, FASTPATH_MAP_COUNTERS, i, of_cpu);
	free(of_cpu);
}
