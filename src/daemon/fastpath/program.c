/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loading: a program from the object in our own binary, over maps that are there
 * already, with the constants of one device in it.
 *
 * The object is opened again for each device, since constants are folded when the
 * verifier reads the program. What remains of it is one descriptor.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fastpath/bpf_objects.h"
#include "daemon/fastpath/fastpath_priv.h"

#define ALIVE_TICKS 954u /* a second */
#define LOG_BYTES 65536

void program_explain(struct text *t, int error)
{
	switch (error) {
	case EPERM:
	case EACCES:
		text_add(t,
			 "not allowed; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON outside of a user "
			 "namespace");
		break;
	case ENOMEM:
	case E2BIG:
		text_add(t,
			 "not enough memory; take fewer connections, or a larger memory limit for this control group");
		break;
	case ENOSYS:
		text_add(t, "this kernel has no BPF; take another driver");
		break;
	case EINVAL:
		text_add(t, "this kernel does not know it (Linux 6.1 or later does); take another driver");
		break;
	default:
		text_add(t, "%s", strerror(error));
	}
}

/* The verifier's last words that are not its statistics; NULL when it has said nothing. */
static const char *last_line(char *log)
{
	char *line = NULL, *rest = NULL;

	for (char *at = strtok_r(log, "\n", &rest); at != NULL; at = strtok_r(NULL, "\n", &rest))
		if (strncmp(at, "processed ", 10) != 0)
			line = at;
	return line;
}

static int bind_maps(struct bpf_object *o, const struct program_maps *maps, size_t n_maps,
		     const struct fp_program *constants)
{
	struct bpf_map *m;
	int r = 0;

	for (size_t i = 0; i < n_maps && r == 0; i++) {
		m = bpf_object__find_map_by_name(o, maps[i].name);
		if (m != NULL)
			r = bpf_map__reuse_fd(m, maps[i].fd);
	}
	m = constants == NULL ? NULL : bpf_object__find_map_by_name(o, ".rodata.program");
	if (r == 0 && m != NULL)
		r = bpf_map__set_initial_value(m, constants, sizeof(*constants));
	return r;
}

int program_object(const void *bytes, size_t len, const struct program_maps *maps, size_t n_maps,
		   const struct fp_program *constants, struct bpf_object **out, char *err, size_t err_len)
{
	struct text t = text_of(err, err_len);
	char log[LOG_BYTES] = "";
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "yangguan", .kernel_log_buf = log,
		    .kernel_log_size = sizeof(log), .kernel_log_level = 0);
	struct bpf_object *o = bpf_object__open_mem(bytes, len, &opts);

	if (o == NULL) {
		int e = errno;

		text_add(&t, "libbpf cannot read the program: %s", strerror(e));
		return -e;
	}
	int r = bind_maps(o, maps, n_maps, constants);
	if (r == 0)
		r = bpf_object__load(o);
	if (r == 0) {
		*out = o;
		return 0;
	}
	const char *verifier = r == -EPERM ? NULL : last_line(log);
	text_add(&t, "the kernel does not load the program: ");
	/* With words of the verifier the error adds nothing, and is ENOSPC when the log was too long for its buffer. */
	if (verifier != NULL)
		text_add(&t, "its verifier says \"%s\"; take another driver, and tell us", verifier);
	else
		program_explain(&t, -r);
	bpf_object__close(o);
	return r;
}

int program_load(struct fastpath *f, const struct fastpath_port *port, enum program_life life, char *err,
		 size_t err_len)
{
	const struct program_maps maps[] = {
		{ ".data.config", f->map_fd[FASTPATH_MAP_CONFIG] }, { "bucket", f->map_fd[FASTPATH_MAP_BUCKET] },
		{ "flow", f->map_fd[FASTPATH_MAP_FLOW] },           { "adjacency", f->map_fd[FASTPATH_MAP_ADJACENCY] },
		{ "counters", f->map_fd[FASTPATH_MAP_COUNTERS] },   { "devices", f->map_fd[FASTPATH_MAP_DEVICES] },
		{ "sockets", f->map_fd[FASTPATH_MAP_SOCKETS] },     { "padding", f->map_fd[FASTPATH_MAP_PADDING] },
	};
	const struct fp_program constants = {
		.port = port->number,
		.up_ifindex = port->up_ifindex,
		.alive_ticks = life == PROGRAM_STAYS ? ALIVE_TICKS : 0,
		.how_max = fastpath_egress_max(port->kind),
	};
	bool tc = port->kind == FASTPATH_TC;
	struct bpf_object *o;
	int r = program_object(tc ? bpf_object_tc : bpf_object_xdp, tc ? bpf_object_tc_len : bpf_object_xdp_len, maps,
			       sizeof(maps) / sizeof(maps[0]), &constants, &o, err, err_len);

	if (r < 0)
		return r;
	const struct bpf_program *p = bpf_object__find_program_by_name(o, tc ? FP_NAME_TC : FP_NAME_XDP);
	int fd = p == NULL ? -1 : fcntl(bpf_program__fd(p), F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		struct text t = text_of(err, err_len);

		fd = -errno;
		text_add(&t, "no descriptor for the program: %s", strerror(errno));
	}
	bpf_object__close(o);
	return fd;
}
