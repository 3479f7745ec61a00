/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables made of the lists in tcp_reason.h.
 */
#include "stack/transport/tcp_reason.h"

/* clang-format off */
const struct tcp_reason_info tcp_reason_info[N_TCP_REASONS] = {
#define X(id, reason_name, reason_side, reason_text) \
	[TCP_REASON_##id] = { .name = reason_name, .side = TCP_SIDE_##reason_side, .text = reason_text },
	TCP_REASONS(X)
#undef X
};

const struct tcp_reset_in_info tcp_reset_in_info[N_TCP_RESETS_IN] = {
#define X(id, reset_name, reset_text) [TCP_RESET_IN_##id] = { .name = reset_name, .text = reset_text },
	TCP_RESETS_IN(X)
#undef X
};
/* clang-format on */

const char *const tcp_side_names[N_TCP_SIDES] = {
	[TCP_SIDE_NONE] = "nobody", [TCP_SIDE_LOCAL] = "local",     [TCP_SIDE_REMOTE] = "remote",
	[TCP_SIDE_BOTH] = "both",   [TCP_SIDE_NETWORK] = "network",
};
