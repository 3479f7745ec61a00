/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where connections come in over the kernel's TCP. Keys of digests stand at the
 * listening socket, so that a SYN without the right one is dropped by the kernel before
 * anybody here hears of it. What is sent from there has TTL 255 from the SYN's answer on
 * (RFC 5082); the user lowers it for a neighbour that is not asked for that.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/stream/stream_kernel_priv.h"

#define BACKLOG 128
/* Taken in one go, so that those who are connected have their turn. */
#define ACCEPT_MAX 32
/* Without a descriptor or memory nobody is accepted; when to try again. */
#define PAUSE_MS 500

static void accept_again(struct kernel_listener *kl, bool later)
{
	static const struct timeval pause = { .tv_usec = PAUSE_MS * 1000 };

	/* With a time it is called when that has passed: to accept is to ask. */
	event_del(kl->in);
	if (later)
		event_add(kl->in, &pause);
	else
		event_add(kl->in, NULL);
}

/* False: without memory. */
static bool take(struct kernel_listener *kl, int fd)
{
	struct kernel_stream *ks = kernel_stream_new(kl->k, fd, KERNEL_OPEN);

	if (ks == NULL) {
		close(fd);
		return false;
	}
	kernel_stream_ends(ks);
	ks->in_event = true;
	bool taken = kernel_option_common(fd) == 0 && !stream_is_refused(&kl->refused, ks->s.remote.addr) &&
		     kl->accept(kl->user, &kl->l, &ks->s, kernel_now(kl->k));
	ks->in_event = false;
	if (!taken || ks->is_gone)
		kernel_stream_abort(ks);
	else
		kernel_stream_listen_in(ks);
	return true;
}

static void on_incoming(evutil_socket_t fd, short what, void *ctx)
{
	struct kernel_listener *kl = ctx;
	bool later = false;

	for (uint32_t i = 0; i < ACCEPT_MAX && !later; i++) {
		int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got >= 0)
			later = !take(kl, got);
		else if (errno == EAGAIN)
			break;
		else
			later = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
	}
	accept_again(kl, later);
	kernel_told(kl->k);
}

static int open_listener(const struct stream_listen *how)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(how->local.port),
				 .sin_addr.s_addr = htonl(how->local.addr) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, rc;

	if (fd < 0)
		return -errno;
	rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ? -errno : kernel_option_common(fd);
	if (rc == 0)
		rc = kernel_option_ttl(fd, (struct stream_ttl){ .send = 255 });
	if (rc == 0 && (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, BACKLOG) != 0))
		rc = -errno;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in a = { 0 };
	socklen_t len = sizeof(a);

	return getsockname(fd, (struct sockaddr *)&a, &len) == 0 ? ntohs(a.sin_port) : 0;
}

int kernel_listen(struct stream_carrier *c, const struct stream_listen *how, struct stream_listener **out)
{
	struct stream_kernel *k = container_of(c, struct stream_kernel, carrier);
	struct kernel_listener *kl = calloc(1, sizeof(*kl));
	int fd = open_listener(how);

	if (kl == NULL || fd < 0) {
		free(kl);
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	kl->l.carrier = c;
	kl->k = k;
	kl->fd = fd;
	kl->port = port_of(fd);
	kl->accept = how->accept;
	kl->user = how->user;
	kl->in = event_new(k->base, fd, EV_READ, on_incoming, kl);
	if (kl->in == NULL || event_add(kl->in, NULL) != 0) {
		if (kl->in != NULL)
			event_free(kl->in);
		close(fd);
		free(kl);
		return -ENOMEM;
	}
	kl->next = k->listeners;
	kl->prev = &k->listeners;
	if (kl->next != NULL)
		kl->next->prev = &kl->next;
	k->listeners = kl;
	*out = &kl->l;
	return 0;
}

void kernel_unlisten(struct stream_listener *l)
{
	struct kernel_listener *kl = container_of(l, struct kernel_listener, l);

	*kl->prev = kl->next;
	if (kl->next != NULL)
		kl->next->prev = kl->prev;
	event_free(kl->in);
	close(kl->fd);
	free(kl);
}

int kernel_listen_key(struct stream_listener *l, struct ip4_prefix from, const struct stream_key *key)
{
	struct kernel_listener *kl = container_of(l, struct kernel_listener, l);
	int rc = kernel_option_key(kl->fd, from, key);

	kernel_digests_key(&kl->k->digests, from, key);
	stream_refuse(&kl->refused, from, rc != 0);
	return rc;
}
