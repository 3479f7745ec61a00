/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Answers of the kernel that are not whole. The part of the kernel is played by another
 * socket of netlink, for which a process needs no right.
 */
#include "daemon/device/netlink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/device/netlink_priv.h"

#define SEQ 7

struct pair {
	struct mnl_socket *kernel, *user;
	int n_told;
};

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_USERSOCK, SOCK_CLOEXEC | SOCK_NONBLOCK);

	assert_non_null(nl);
	assert_int_equal(mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID), 0);
	return nl;
}

static void begin(struct pair *p)
{
	*p = (struct pair){ .kernel = open_socket(), .user = open_socket() };
}

static void end(struct pair *p)
{
	mnl_socket_close(p->kernel);
	mnl_socket_close(p->user);
}

/* A datagram with one message, whose payload is a number. */
static void tell(struct pair *p, uint16_t type, uint16_t flags, int32_t number)
{
	char buf[64];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = mnl_socket_get_portid(p->user) };

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_MULTI | flags;
	h->nlmsg_seq = SEQ;
	h->nlmsg_pid = to.nl_pid;
	memcpy(mnl_nlmsg_put_extra_header(h, sizeof(number)), &number, sizeof(number));
	assert_int_equal(sendto(mnl_socket_get_fd(p->kernel), buf, h->nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)),
			 h->nlmsg_len);
}

static int count(const struct nlmsghdr *h, void *ctx)
{
	((struct pair *)ctx)->n_told++;
	return MNL_CB_OK;
}

static int answer(struct pair *p)
{
	return netlink_read_answer(p->user, SEQ, count, p);
}

/* Would catch: a list whose second piece does not come taken for whole (what it does not name would be taken for gone);
 * one that ends with an error; one that has changed meanwhile; and a whole one that is refused. */
static void test_parts_of_a_list(void **state)
{
	struct pair p;

	begin(&p);
	tell(&p, NLMSG_MIN_TYPE, 0, 0);
	tell(&p, NLMSG_MIN_TYPE, 0, 0);
	tell(&p, NLMSG_DONE, 0, 0);
	assert_int_equal(answer(&p), 0);
	assert_int_equal(p.n_told, 2);

	tell(&p, NLMSG_MIN_TYPE, 0, 0);
	assert_int_equal(answer(&p), -EAGAIN);

	tell(&p, NLMSG_MIN_TYPE, 0, 0);
	tell(&p, NLMSG_DONE, 0, -ENOMEM);
	assert_int_equal(answer(&p), -ENOMEM);

	tell(&p, NLMSG_MIN_TYPE, 0, 0);
	tell(&p, NLMSG_MIN_TYPE, NLM_F_DUMP_INTR, 0);
	assert_int_equal(answer(&p), -EINTR);
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
