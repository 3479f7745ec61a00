/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Finding the control socket, and the runtime directory that it and the locks of
 * devices stand in. A directory is used only if it belongs to us and nobody else can
 * write to it: in /tmp anybody could have made one of that name. Then another name is
 * made up, so that nobody keeps a gateway from starting by being first.
 * In a user namespace the same uid has another number outside, so a command looks
 * at every /tmp/yangguan-* that, from where it stands, belongs to it.
 *
 * A lock is held (flock) as long as its descriptor is open, and its file goes with it.
 * So who gets a lock looks whether the file still has its name: it may have waited for
 * nothing but a file on its way out.
 */
#include "daemon/control/server/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

#define DIRS_MAX 16

static int namespace_inode(unsigned long *ino)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) != 0)
		return -errno;
	*ino = (unsigned long)st.st_ino;
	return 0;
}

/* Ours alone to write. */
static bool dir_is_ours(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

static bool make_dir(const char *dir)
{
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return false;
	return dir_is_ours(dir) && access(dir, W_OK | X_OK) == 0;
}

/* The i-th candidate; false behind the last. */
static bool candidate(size_t i, char *dir, size_t len)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	switch (i) {
	case 0:
		snprintf(dir, len, "/run/yangguan");
		return true;
	case 1:
		if (xdg != NULL && xdg[0] == '/')
			snprintf(dir, len, "%s/yangguan", xdg);
		else
			snprintf(dir, len, "/run/user/%u/yangguan", (unsigned)geteuid());
		return true;
	case 2:
		snprintf(dir, len, "/tmp/yangguan-%u", (unsigned)geteuid());
		return true;
	default:
		return false;
	}
}

/* A directory in /tmp that is ours: one that is there, else one of a name that nobody has taken. */
static bool tmp_dir(char *dir, size_t len)
{
	bool found = false;
	glob_t g;

	if (glob("/tmp/yangguan-*", 0, NULL, &g) == 0) {
		for (size_t i = 0; i < g.gl_pathc && !found; i++) {
			found = strlen(g.gl_pathv[i]) < len && make_dir(g.gl_pathv[i]);
			if (found)
				strcpy(dir, g.gl_pathv[i]);
		}
		globfree(&g);
	}
	if (found)
		return true;
	snprintf(dir, len, "/tmp/yangguan-%u-XXXXXX", (unsigned)geteuid());
	return mkdtemp(dir) != NULL;
}

/* The first directory that can be used, made if need be, and the number of the network namespace. */
static int runtime_dir(char dir[CONTROL_PATH_MAX], unsigned long *ino, char *err, size_t err_len)
{
	int rc = namespace_inode(ino);

	if (rc != 0) {
		snprintf(err, err_len, "cannot tell the network namespace (/proc/self/ns/net: %s)", strerror(-rc));
		return rc;
	}
	for (size_t i = 0; candidate(i, dir, CONTROL_PATH_MAX); i++)
		if (make_dir(dir))
			return 0;
	if (tmp_dir(dir, CONTROL_PATH_MAX))
		return 0;
	snprintf(err, err_len,
		 "no runtime directory (/run/yangguan, $XDG_RUNTIME_DIR/yangguan and /tmp/yangguan-%u cannot be used)",
		 (unsigned)geteuid());
	return -EACCES;
}

int control_path_default(char *path, size_t len, char *err, size_t err_len)
{
	char dir[CONTROL_PATH_MAX], why[256];
	unsigned long ino = 0;
	int rc = runtime_dir(dir, &ino, why, sizeof(why));

	if (rc != 0) {
		snprintf(err, err_len, "%s: give --socket PATH", why);
		return rc;
	}
	int n = snprintf(path, len, "%s/%lu.sock", dir, ino);
	if (n > 0 && (size_t)n < len)
		return 0;
	snprintf(err, err_len, "%s is too long for a control socket: give --socket PATH", dir);
	return -ENAMETOOLONG;
}

/* The file that stands for a device of this network namespace. */
static int lock_path(const char *name, char path[CONTROL_LOCK_MAX], char *err, size_t err_len)
{
	char dir[CONTROL_PATH_MAX];
	unsigned long ino = 0;
	int rc = runtime_dir(dir, &ino, err, err_len);

	if (rc == 0)
		snprintf(path, CONTROL_LOCK_MAX, "%s/%lu.%s.lock", dir, ino, name);
	return rc;
}

/* A descriptor that holds the lock of a file of that name; -EWOULDBLOCK when somebody else does. */
static int take_lock(const char *path)
{
	struct stat st;

	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		int rc = flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &st) != 0 ? -errno : 0;
		if (rc == 0 && st.st_nlink > 0)
			return fd;
		close(fd);
		if (rc != 0)
			return rc;
	}
}

int control_path_lock(const char *name, char *err, size_t err_len)
{
	char path[CONTROL_LOCK_MAX];
	int rc = lock_path(name, path, err, err_len);

	if (rc != 0)
		return rc;
	int fd = take_lock(path);
	if (fd == -EWOULDBLOCK) {
		snprintf(err, err_len, "another gateway that runs here has taken %s: stop it first", name);
		return -EADDRINUSE;
	}
	if (fd < 0)
		snprintf(err, err_len, "cannot lock %s (%s): %s", name, path, strerror(-fd));
	return fd;
}

void control_path_unlock(const char *name, int fd)
{
	char path[CONTROL_LOCK_MAX], err[256];
	struct stat named, held;

	/* Before it is let go of, so that it is ours that goes. */
	if (lock_path(name, path, err, sizeof(err)) == 0 && lstat(path, &named) == 0 && fstat(fd, &held) == 0 &&
	    named.st_ino == held.st_ino && named.st_dev == held.st_dev)
		unlink(path);
	close(fd);
}

int control_path_dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	strcpy(sun.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* The directories that may hold sockets of ours, candidates first, each once. */
static size_t list_dirs(char dirs[DIRS_MAX][CONTROL_PATH_MAX])
{
	size_t n = 0;
	glob_t g;

	for (size_t i = 0; candidate(i, dirs[n], CONTROL_PATH_MAX); i++)
		if (dir_is_ours(dirs[n]))
			n++;
	if (glob("/tmp/yangguan-*", GLOB_NOSORT, NULL, &g) != 0)
		return n;
	for (size_t i = 0; i < g.gl_pathc && n < DIRS_MAX; i++) {
		bool known = !dir_is_ours(g.gl_pathv[i]) || strlen(g.gl_pathv[i]) >= CONTROL_PATH_MAX;
		for (size_t j = 0; j < n; j++)
			known = known || strcmp(dirs[j], g.gl_pathv[i]) == 0;
		if (!known)
			strcpy(dirs[n++], g.gl_pathv[i]);
	}
	globfree(&g);
	return n;
}

/* Every socket in dir that somebody answers on. The first is kept in *fd, all are added to list. */
static void try_dir(const char *dir, int *fd, size_t *n_found, struct text *list)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		char path[CONTROL_PATH_MAX];
		size_t len = strlen(e->d_name);
		if (len < 6 || strcmp(e->d_name + len - 5, ".sock") != 0)
			continue;
		int n = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (n < 0 || (size_t)n >= sizeof(path))
			continue;
		int one = control_path_dial(path);
		if (one < 0)
			continue;
		text_add(list, "\n  --socket %s", path);
		if ((*n_found)++ == 0)
			*fd = one;
		else
			close(one);
	}
	closedir(d);
}

static int connect_any(char *err, size_t err_len)
{
	char dirs[DIRS_MAX + 1][CONTROL_PATH_MAX];
	char buf[2048];
	struct text list = text_of(buf, sizeof(buf));
	unsigned long ino = 0;
	size_t n = list_dirs(dirs), n_found = 0;
	int fd = -1;

	namespace_inode(&ino);
	for (size_t i = 0; i < n; i++) {
		char path[CONTROL_PATH_MAX + 32];
		snprintf(path, sizeof(path), "%.*s/%lu.sock", CONTROL_PATH_MAX, dirs[i], ino);
		fd = control_path_dial(path);
		if (fd >= 0)
			return fd;
	}
	for (size_t i = 0; i < n; i++)
		try_dir(dirs[i], &fd, &n_found, &list);
	if (n_found == 1)
		return fd;
	if (n_found > 1) {
		close(fd);
		snprintf(err, err_len,
			 "no gateway runs in this network namespace, but several elsewhere; choose one:%s", buf);
	} else {
		snprintf(err, err_len, "no gateway is running here (start one: yangguan run -c FILE)");
	}
	return -ENOENT;
}

int control_path_connect(const char *path, char *err, size_t err_len)
{
	if (path == NULL)
		return connect_any(err, err_len);
	int fd = control_path_dial(path);
	if (fd == -ENOENT || fd == -ECONNREFUSED)
		snprintf(err, err_len, "no gateway answers on %s", path);
	else if (fd < 0)
		snprintf(err, err_len, "%s: %s", path, strerror(-fd));
	return fd;
}
