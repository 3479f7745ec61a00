/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The names of the stages, in the order of the packet's way. The entries of the
 * hooks have their own numbers beside them (stack/ip/hook.h).
 */
#include "stack/packet/stage.h"

const char *const stage_names[N_STAGES] = {
	[STAGE_RECEIVE] = "receive", [STAGE_FLOWCACHE] = "flow-cache", [STAGE_ETHER] = "ether",
	[STAGE_IP] = "ip",           [STAGE_ROUTE] = "route",          [STAGE_LOCAL] = "local",
	[STAGE_FORWARD] = "forward", [STAGE_ORIGIN] = "origin",        [STAGE_OUTPUT] = "output",
	[STAGE_SEND] = "send",       [STAGE_TIMERS] = "timers",
};
