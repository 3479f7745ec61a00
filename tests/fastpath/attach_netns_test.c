/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The programs on real devices: who is refused, what the refusal says, and what
 * is left behind, also by a gateway that was killed. See netns_fixture.h.
 */
#include "netns_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/fastpath/netlink_priv.h"

#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)

/* --- who is there --- */

/* 0 when nothing of anybody's is on r0. */
static int anybody(char *err, size_t err_len)
{
	int r = probe_foreign_xdp(fixture.r0, err, err_len);

	if (r == 0)
		r = probe_foreign_tcx(fixture.r0, err, err_len);
	return r != 0 ? r : clsact_claim(fixture.r0, err, err_len);
}

/* Would catch: a program not hung where it was asked for, or left there; a second gateway on the same device. */
static void test_attach_and_detach(void **state)
{
	for (uint32_t i = 0; i < FIXTURE_HOOKS; i++) {
		struct fastpath_port p = fixture_port(1, fixture_hooks[i].kind);

		assert_int_equal(anybody(fixture.err, sizeof(fixture.err)), 0);
		fixture_attach(1, fixture_hooks[i].kind, fixture_hooks[i].tc);
		assert_int_equal(anybody(fixture.err, sizeof(fixture.err)), -EBUSY);
		assert_non_null(strstr(fixture.err, fixture_hooks[i].kind == FASTPATH_TC ? FP_NAME_TC : FP_NAME_XDP));
		/* The same number, then another number on the same device. */
		assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -EINVAL);
		p.number = 2;
		assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -EBUSY);
		fastpath_detach(fixture.f, 1);
		assert_int_equal(anybody(fixture.err, sizeof(fixture.err)), 0);
	}
	assert_int_equal(fixture_run("test -z \"$(tc qdisc show dev r0 clsact)\""), 0);
}

static void add_foreign_filter(int prog_fd)
{
	char buf[1024];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = RTM_NEWTFILTER;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	struct tcmsg *t = mnl_nlmsg_put_extra_header(h, sizeof(*t));
	t->tcm_ifindex = (int)fixture.r0;
	t->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	t->tcm_info = TC_H_MAKE(7u << 16, htons(ETH_P_ALL));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	struct nlattr *options = mnl_attr_nest_start(h, TCA_OPTIONS);
	mnl_attr_put_u32(h, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(h, TCA_BPF_NAME, "somebody_else");
	mnl_attr_nest_end(h, options);
	assert_int_equal(fastpath_netlink(NETLINK_ROUTE, h, NULL, NULL), 0);
}

static void refused_by_name(enum fastpath_kind kind, int prog_fd)
{
	struct fastpath_port p = fixture_port(1, kind);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	char id[32];

	assert_int_equal(bpf_obj_get_info_by_fd(prog_fd, &info, &len), 0);
	(void)snprintf(id, sizeof(id), "(id %u)", info.id);
	assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -EBUSY);
	if (strstr(fixture.err, "somebody_else") == NULL || strstr(fixture.err, id) == NULL ||
	    strstr(fixture.err, "r0") == NULL)
		fail_msg("no name or number: %s", fixture.err);
}

static void refused_at_every_hook(int prog_fd)
{
	for (enum fastpath_kind kind = FASTPATH_XDP_NATIVE; kind <= FASTPATH_TC; kind++)
		refused_by_name(kind, prog_fd);
}

/* A filter that keeps the kernel's own stack quiet, as src/daemon/device/suppress_tc.c hangs it there. */
static void test_our_own_filter_is_not_foreign(void **state)
{
	assert_int_equal(fixture_run("tc qdisc add dev r0 clsact && tc filter add dev r0 ingress protocol all prio 1 "
				     "handle 0x59470001 bpf bytecode '1,6 0 0 2' da"),
			 0);
	for (uint32_t i = 0; i < FIXTURE_HOOKS - 1; i++) {
		fixture_attach(1, fixture_hooks[i].kind, fixture_hooks[i].tc);
		fastpath_detach(fixture.f, 1);
	}
}

/* Would catch: somebody else's program pushed aside or run past, at the same hook or at the other one; a refusal that
 * does not say whose it is. */
static void test_foreign_programs_are_refused(void **state)
{
	int xdp = fixture_foreign_program(BPF_PROG_TYPE_XDP), tc = fixture_foreign_program(BPF_PROG_TYPE_SCHED_CLS),
	    link;

	link = bpf_link_create(xdp, (int)fixture.r0, BPF_XDP, NULL);
	assert_true(link >= 0);
	refused_at_every_hook(xdp);
	close(link);
	link = bpf_link_create(tc, (int)fixture.r0, ATTACH_TCX_INGRESS, NULL);
	if (link >= 0) {
		refused_at_every_hook(tc);
		close(link);
	}
	assert_int_equal(fixture_run("tc qdisc add dev r0 clsact"), 0);
	add_foreign_filter(tc);
	refused_at_every_hook(tc);
	close(xdp);
	close(tc);
}

/* Would catch: the program that keeps the kernel quiet (daemon/device/suppress_tcx.c) taken for somebody else's, or
 * before ours, so that nothing comes up any more. */
/* The rights of a running gateway, which has given up to open a program by its number (daemon/run/privileges.c). */
static void set_sys_admin(uint32_t bit)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	assert_int_equal(syscall(SYS_capget, &h, d), 0);
	d[0].effective = (d[0].effective & ~(1u << CAP_SYS_ADMIN)) | bit;
	assert_int_equal(syscall(SYS_capset, &h, d), 0);
}

static void test_before_the_quiet_one(void **state)
{
	const struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "yangguan_quiet", "BSD", drop, sizeof(drop) / sizeof(drop[0]),
			       NULL);
	int link = bpf_link_create(fd, (int)fixture.r0, ATTACH_TCX_INGRESS, NULL);
	struct fastpath_counts counts;
	uint64_t n_up = 0;

	assert_true(fd >= 0);
	if (link < 0) {
		printf("skipped: this kernel has no tcx\n");
		skip();
	}
	/* As a device that is back is taken: without the right to open programs. */
	set_sys_admin(0);
	fixture_attach(1, FASTPATH_TC, FASTPATH_TC_BEST);
	set_sys_admin(1u << CAP_SYS_ADMIN);
	fixture_go(CLIENT_NS);
	(void)fixture_run("ping -c 1 -W 0.1 10.0.0.254 >/dev/null");
	fixture_go(ROUTER);
	fastpath_counts(fixture.f, &counts);
	for (int i = 0; i < FP_N_COUNTS; i++)
		n_up += counts.count[i];
	assert_true(n_up > 0);
	close(link);
	close(fd);
}

/* Would catch: a sentence that does not say what to do. */
static void test_failures_say_what_to_do(void **state)
{
	struct fastpath_port p = fixture_port(1, FASTPATH_XDP_NATIVE);

	assert_int_equal(fixture_run("ip link set r0 mtu 9000"), 0);
	fixture_go(CLIENT_NS);
	assert_int_equal(fixture_run("ip link set c0 mtu 9000"), 0);
	fixture_go(ROUTER);
	assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -ERANGE);
	assert_non_null(strstr(fixture.err, "MTU 9000"));
	assert_non_null(strstr(fixture.err, "3506"));
	p.ifindex = fixture.up0 + 100;
	assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -ENODEV);
	p.ifindex = if_nametoindex("lo");
	assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -EOPNOTSUPP);
	assert_non_null(strstr(fixture.err, "driver tc"));
	assert_non_null(strstr(fixture.err, "xdp_generic"));
	p.kind = FASTPATH_XDP_GENERIC;
	struct text t = text_of(fixture.err, sizeof(fixture.err));
	attach_explain_xdp(&t, "lo", &p, EINVAL);
	assert_non_null(strstr(fixture.err, "driver tc"));
	assert_null(strstr(fixture.err, "xdp_generic"));
	p.number = FP_PORTS;
	assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -EINVAL);
}

/* --- killed --- */

static pid_t other_gateway(const struct fixture_hook *hook)
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct fastpath_port p = fixture_port(1, hook->kind);
		struct fastpath *f;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (fastpath_open(NULL, &f, fixture.err, sizeof(fixture.err)) == 0 &&
		    fastpath_attach_egress(f, &p, hook->tc, fixture.err, sizeof(fixture.err)) == 0 &&
		    write(ready[1], "y", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_it(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool kernel_answers(void)
{
	fixture_go(CLIENT_NS);
	bool yes = fixture_run("ping -c 1 -W 1 -i 0.2 10.0.0.254 >/dev/null") == 0;
	fixture_go(ROUTER);
	return yes;
}

/* Would catch: a killed gateway whose program stays and takes packets away, or that cannot be followed by another at
 * once. */
static void test_killed(void **state)
{
	assert_int_equal(fixture_run("ip addr add 10.0.0.254/24 dev r0"), 0);
	for (uint32_t i = 0; i < FIXTURE_HOOKS; i++) {
		struct fastpath_port p = fixture_port(1, fixture_hooks[i].kind);
		pid_t pid = other_gateway(&fixture_hooks[i]);
		uint64_t until = fixture_now_ms() + PATIENCE_MS;

		assert_int_equal(fastpath_attach(fixture.f, &p, fixture.err, sizeof(fixture.err)), -EBUSY);
		assert_false(kernel_answers());
		kill_it(pid);
		if (fixture_hooks[i].tc == FASTPATH_TC_CLSACT) {
			/* Long before the filter stands back. */
			fastpath_sweep(fixture.f, fixture.r0);
			assert_int_equal(anybody(fixture.err, sizeof(fixture.err)), 0);
		}
		while (!kernel_answers())
			assert_true(fixture_now_ms() < until);
		/* The link's end is carried out a little after the process's. */
		while (fastpath_attach_egress(fixture.f, &p, fixture_hooks[i].tc, fixture.err, sizeof(fixture.err)) !=
		       0)
			assert_true(fixture_now_ms() < until);
		assert_int_equal(fixture_run("test \"$(tc filter show dev r0 ingress | grep -c yangguan)\" = %d",
					     fixture_hooks[i].tc == FASTPATH_TC_CLSACT),
				 0);
		fastpath_detach(fixture.f, 1);
		assert_int_equal(anybody(fixture.err, sizeof(fixture.err)), 0);
	}
}

/* Would catch: a dead filter or its qdisc that stays; somebody else's filter or qdisc that goes, or our own while it is
 * in use; a filter that does not stand back without being swept away. */
static void test_sweep(void **state)
{
	const struct fixture_hook clsact = { FASTPATH_TC, FASTPATH_TC_CLSACT };
	int tc = fixture_foreign_program(BPF_PROG_TYPE_SCHED_CLS);
	uint64_t until = fixture_now_ms() + PATIENCE_MS;

	assert_int_equal(fixture_run("ip addr add 10.0.0.254/24 dev r0"), 0);
	kill_it(other_gateway(&clsact));
	while (!kernel_answers())
		assert_true(fixture_now_ms() < until);
	fastpath_sweep(NULL, fixture.r0);
	assert_int_equal(fixture_run("test -z \"$(tc qdisc show dev r0 clsact)\""), 0);
	/* On a qdisc of somebody else's. */
	assert_int_equal(fixture_run("tc qdisc add dev r0 clsact"), 0);
	kill_it(other_gateway(&clsact));
	fastpath_sweep(fixture.f, fixture.r0);
	assert_int_equal(anybody(fixture.err, sizeof(fixture.err)), 0);
	assert_int_equal(fixture_run("tc qdisc show dev r0 clsact | grep -q clsact"), 0);
	add_foreign_filter(tc);
	fastpath_sweep(fixture.f, fixture.r0);
	assert_int_equal(fixture_run("tc filter show dev r0 ingress | grep -q somebody_else"), 0);
	assert_int_equal(fixture_run("tc qdisc del dev r0 clsact"), 0);
	fixture_attach(1, FASTPATH_TC, FASTPATH_TC_CLSACT);
	fastpath_sweep(fixture.f, fixture.r0);
	assert_int_equal(fixture_run("tc filter show dev r0 ingress | grep -q yangguan_tc"), 0);
	close(tc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXTURE_TEST(test_attach_and_detach),
		FIXTURE_TEST(test_foreign_programs_are_refused),
		FIXTURE_TEST(test_before_the_quiet_one),
		FIXTURE_TEST(test_our_own_filter_is_not_foreign),
		FIXTURE_TEST(test_failures_say_what_to_do),
		FIXTURE_TEST(test_killed),
		FIXTURE_TEST(test_sweep),
	};

	if (!fixture_tests_may_run())
		return FIXTURE_EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
