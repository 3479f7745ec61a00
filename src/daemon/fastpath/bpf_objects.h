/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The BPF programs as compiled, in our own binary (tools/embed).
 */
#ifndef YG_DAEMON_FASTPATH_BPF_OBJECTS_H
#define YG_DAEMON_FASTPATH_BPF_OBJECTS_H

#include <stddef.h>

extern const unsigned char bpf_object_xdp[], bpf_object_tc[], bpf_object_redirect_drops[];
extern const size_t bpf_object_xdp_len, bpf_object_tc_len, bpf_object_redirect_drops_len;

#endif
