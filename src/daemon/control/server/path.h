/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where the control socket is: DIR/<inode of the network namespace>.sock, so
 * that a command finds the gateway of the namespace it runs in, also through
 * `ip netns exec`. DIR is /run/yangguan for root, else $XDG_RUNTIME_DIR/yangguan,
 * else /tmp/yangguan-<uid>. The locks of devices stand beside it.
 */
#ifndef YG_DAEMON_CONTROL_SERVER_PATH_H
#define YG_DAEMON_CONTROL_SERVER_PATH_H

#include <stddef.h>

#define CONTROL_PATH_MAX 108 /* of struct sockaddr_un */

/* For a gateway: makes the directory if it is not there. 0, or -errno and a sentence. */
int control_path_default(char *path, size_t len, char *err, size_t err_len);
#define CONTROL_LOCK_MAX (CONTROL_PATH_MAX + 64)

/* For a gateway: the lock of the device `name` of this network namespace. A descriptor that holds it, for
 * control_path_unlock, or -errno and a sentence; it ends with the process in any case. */
int control_path_lock(const char *name, char *err, size_t err_len);
void control_path_unlock(const char *name, int fd);
/* For a command: a connected socket. path NULL: this namespace's gateway, else
 * the only one that answers. -errno and a text (lines when there are several). */
int control_path_connect(const char *path, char *err, size_t err_len);
/* Connects to path itself. A descriptor or -errno. */
int control_path_dial(const char *path);

#endif
