/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Loads the bare fast path (bare.bpf.c) on two devices of this network namespace
 * and stays until its standard input ends; the programs go with it. The MAC
 * addresses of the neighbours are told, since it does not know ARP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bare.h"

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "bare: %s: %s\n", what, strerror(error));
	exit(1);
}

static void side_of(struct bare_side *side, const char *dev, const char *neighbour)
{
	struct ifreq req = { 0 };
	unsigned int mac[6];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", dev);
	side->ifindex = if_nametoindex(dev);
	if (fd < 0 || side->ifindex == 0 || ioctl(fd, SIOCGIFHWADDR, &req) != 0)
		fail(dev, errno);
	close(fd);
	memcpy(side->src_mac, req.ifr_hwaddr.sa_data, 6);
	if (sscanf(neighbour, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		fail(neighbour, EINVAL);
	for (int i = 0; i < 6; i++)
		side->dst_mac[i] = (__u8)mac[i];
}

/* NULL for tc, which goes with the device. */
static struct bpf_link *attach(struct bpf_object *o, const char *direction, const char *kind, __u32 ifindex)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s", direction, kind);
	struct bpf_program *prog = bpf_object__find_program_by_name(o, name);
	if (prog == NULL)
		fail(name, ENOENT);
	if (strcmp(kind, "xdp") == 0) {
		struct bpf_link *link = bpf_program__attach_xdp(prog, (int)ifindex);

		if (link == NULL)
			fail(name, errno);
		return link;
	}
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(prog));
	int rc = bpf_tc_hook_create(&hook);
	if (rc == 0 || rc == -EEXIST)
		rc = bpf_tc_attach(&hook, &opts);
	if (rc != 0)
		fail(name, -rc);
	return NULL;
}

static struct bpf_object *load(void)
{
	char self[PATH_MAX], path[PATH_MAX + 16];

	if (realpath("/proc/self/exe", self) == NULL)
		fail("/proc/self/exe", errno);
	snprintf(path, sizeof(path), "%s/bare.bpf.o", dirname(self));
	libbpf_set_print(NULL);
	struct bpf_object *o = bpf_object__open_file(path, NULL);
	if (o == NULL)
		fail(path, errno);
	int rc = bpf_object__load(o);
	if (rc != 0)
		fail("bare.bpf.o", -rc);
	return o;
}

int main(int argc, char **argv)
{
	struct bare_config config = { 0 };
	char line[16];
	__u32 zero = 0;

	if (argc != 8 || inet_pton(AF_INET, argv[6], &config.outside) != 1) {
		fprintf(stderr, "usage: bare xdp|tc|tc_peer INSIDE_DEV INSIDE_NEIGHBOUR_MAC OUTSIDE_DEV "
				"OUTSIDE_NEIGHBOUR_MAC OUTSIDE_ADDRESS whole|partial\n");
		return 2;
	}
	config.partial = strcmp(argv[7], "partial") == 0;
	side_of(&config.side[0], argv[4], argv[5]);
	side_of(&config.side[1], argv[2], argv[3]);

	struct bpf_object *o = load();
	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(o, "config"), &zero, &config, BPF_ANY) != 0)
		fail("config", errno);
	struct bpf_link *outward = attach(o, "outward", argv[1], config.side[1].ifindex);
	struct bpf_link *inward = attach(o, "inward", argv[1], config.side[0].ifindex);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
	}
	bpf_link__destroy(outward);
	bpf_link__destroy(inward);
	bpf_object__close(o);
	return 0;
}
