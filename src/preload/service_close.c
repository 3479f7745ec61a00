/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Descriptors that programs have sent and that are not ours: closing one may take as long as whoever made it likes (a
 * TCP socket of the kernel's with SO_LINGER, a file whose server does not answer), and the loop must not wait for that.
 * So a thread closes them, which has nothing else of the service's and is made for the first of them; in a family whose
 * programs are what they say there is none. If it is behind by more than the pipe to it has room for, they stay open.
 *
 * A socket of AF_UNIX never waits: those are closed where they are.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "preload/service_priv.h"

static void *close_all(void *from)
{
	int pipe = (int)(intptr_t)from, fd;

	while (read(pipe, &fd, sizeof(fd)) == sizeof(fd))
		close(fd);
	close(pipe);
	return NULL;
}

/* The end to write to, -1: none. */
static int begin(void)
{
	int ends[2];
	pthread_t thread;
	sigset_t all, was;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	/* The reader waits, the writer never does. */
	(void)fcntl(ends[1], F_SETFL, O_NONBLOCK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	int rc = pthread_create(&thread, NULL, close_all, (void *)(intptr_t)ends[0]);

	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (rc == 0) {
		(void)pthread_detach(thread);
		return ends[1];
	}
	close(ends[0]);
	close(ends[1]);
	return -1;
}

void service_close(struct service *v, int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX) {
		close(fd);
		return;
	}
	if (v->closer < 0)
		v->closer = begin();
	(void)!write(v->closer, &fd, sizeof(fd));
}
