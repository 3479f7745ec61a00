/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames that a driver did not take after an XDP redirect: attaches redirect_drops.bpf.c to
 * the kernel's tracepoints, and tells it which devices are ours (by network
 * namespace and index; tracepoints see the whole machine).
 *
 * It needs more of the kernel than forwarding does (its own description of its
 * types), so when it cannot be had the number is unknown, and the rest works. The
 * whole machine's redirects pass it, so it is there only once a port has XDP.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/fastpath/bpf_objects.h"
#include "daemon/fastpath/fastpath_priv.h"

static const char *const programs[] = { "yangguan_xmit", "yangguan_err", "yangguan_exc" };

static int hang(struct bpf_object *o, const char *name)
{
	const struct bpf_program *p = bpf_object__find_program_by_name(o, name);

	return p == NULL ? -ENOENT : bpf_raw_tracepoint_open(NULL, bpf_program__fd(p));
}

static int copy_map_fd(const struct bpf_object *o, const char *name)
{
	const struct bpf_map *m = bpf_object__find_map_by_name(o, name);

	return m == NULL ? -1 : fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 0);
}

void lost_none(struct fastpath_redirect_drops *l)
{
	*l = (struct fastpath_redirect_drops){ .ours_fd = -1, .redirect_drops_fd = -1, .link_fd = { -1, -1, -1 } };
}

void redirect_drops_open(struct fastpath_redirect_drops *l)
{
	struct bpf_object *o;
	struct stat st;
	char err[256];

	if (l->tried)
		return;
	l->tried = true;
	if (stat("/proc/self/ns/net", &st) != 0)
		return;
	l->netns = (uint32_t)st.st_ino;
	if (program_object(bpf_object_redirect_drops, bpf_object_redirect_drops_len, NULL, 0, NULL, &o, err,
			   sizeof(err)) != 0)
		return;
	l->ours_fd = copy_map_fd(o, "ours");
	l->redirect_drops_fd = copy_map_fd(o, "lost");
	l->known = l->ours_fd >= 0 && l->redirect_drops_fd >= 0;
	for (uint32_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		l->link_fd[i] = hang(o, programs[i]);
		l->known = l->known && l->link_fd[i] >= 0;
	}
	bpf_object__close(o);
}

static void drop_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

void redirect_drops_close(struct fastpath_redirect_drops *l)
{
	for (uint32_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		drop_fd(l->link_fd[i]);
	drop_fd(l->ours_fd);
	drop_fd(l->redirect_drops_fd);
	lost_none(l);
}

void redirect_drops_add(struct fastpath_redirect_drops *l, uint32_t ifindex)
{
	struct fp_device key = { .netns = l->netns, .ifindex = ifindex };
	uint32_t one = 1;

	if (l->known && bpf_map_update_elem(l->ours_fd, &key, &one, BPF_ANY) != 0)
		l->known = false;
}

void redirect_drops_remove(struct fastpath_redirect_drops *l, uint32_t ifindex)
{
	struct fp_device key = { .netns = l->netns, .ifindex = ifindex };

	if (l->known)
		(void)bpf_map_delete_elem(l->ours_fd, &key);
}

uint64_t redirect_drops_count(const struct fastpath_redirect_drops *l, uint32_t n_cpus)
{
	uint64_t *of_cpu = calloc(n_cpus, sizeof(*of_cpu)), sum = 0;
	uint32_t zero = 0;

	if (l->known && of_cpu != NULL && bpf_map_lookup_elem(l->redirect_drops_fd, &zero, of_cpu) == 0)
		for (uint32_t c = 0; c < n_cpus; c++)
			sum += of_cpu[c];
	free(of_cpu);
	return sum;
}
