/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs for the kernel, a few instructions each, that send everything up: in
 * place of daemon/fastpath, so that drivers are tested by themselves.
 */
#ifndef YG_TESTS_DEVICE_PROGRAMS_H
#define YG_TESTS_DEVICE_PROGRAMS_H

#include <stdint.h>

enum programs_xdp { PROGRAMS_XDP_NATIVE, PROGRAMS_XDP_GENERIC };

/* Descriptors; a link takes its program from the device when it is closed. -errno when the kernel says no. */
int programs_xsk_map(void);
int programs_xdp_attach(int map_fd, uint32_t ifindex, enum programs_xdp mode);
/* Redirects what comes in on ifindex into up_ifindex. Goes with the device or programs_tc_detach. */
int programs_tc_attach(uint32_t ifindex, uint32_t up_ifindex);
void programs_tc_detach(uint32_t ifindex);

#endif
