/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What is configured of a neighbour: whether it makes sense, and which changes of it a session does not outlive: those
 * of what the OPENs have said, of whom it is with and by which way, and of how its messages are read.
 */
#include "routing/bgp/bgp_neighbor.h"

#include <string.h>

#include "base/util.h"

const char *const bgp_state_names[N_BGP_STATES] = {
	[BGP_STATE_IDLE] = "Idle",
	[BGP_STATE_CONNECT] = "Connect",
	[BGP_STATE_ACTIVE] = "Active",
	[BGP_STATE_OPEN_SENT] = "OpenSent",
	[BGP_STATE_OPEN_CONFIRM] = "OpenConfirm",
	[BGP_STATE_ESTABLISHED] = "Established",
};

const char *const bgp_idle_names[N_BGP_IDLES] = {
	[BGP_IDLE_NOT] = "not idle",
	[BGP_IDLE_BACK_OFF] = "back-off",
	[BGP_IDLE_SHUT] = "administratively shut down",
	[BGP_IDLE_LIMIT] = "prefix limit",
	[BGP_IDLE_SWEEP] = "being removed",
};

const char *const bgp_side_names[N_BGP_SIDES] = {
	[BGP_SIDE_NONE] = "none",
	[BGP_SIDE_LOCAL] = "local",
	[BGP_SIDE_PEER] = "peer",
	[BGP_SIDE_TRANSPORT] = "transport",
};

const char *bgp_neighbor_config_fault(const struct bgp_neighbor_config *c, uint32_t speaker_as)
{
	uint32_t as = c->local_as != 0 ? c->local_as : speaker_as;
	bool is_internal = c->peer_as == as;

	if (c->peers.len > 32 || (c->peers.addr & ~ip4_mask(c->peers.len)) != 0)
		return "no prefix of neighbours";
	if (c->peers.len == 32 && !ip4_is_unicast(c->peers.addr))
		return "no address that a neighbour can have";
	if (memchr(c->name, '\0', sizeof(c->name)) == NULL || memchr(c->shut_text, '\0', sizeof(c->shut_text)) == NULL)
		return "a text that is too long";
	if (c->key.len > STREAM_KEY_MAX)
		return "a password that is too long";
	if (c->hold_s != 0 && c->hold_s != BGP_HOLD_NONE && c->hold_s < BGP_HOLD_MIN_S)
		return "a hold time of 1 or 2 s";
	if (as == BGP_AS_TRANS || c->peer_as == BGP_AS_TRANS)
		return "AS 23456, which is nobody's";
	if ((c->without & BGP_WITHOUT_AS4) != 0 && as > UINT16_MAX)
		return "our AS needs four octets";
	if (c->has_role && c->role > BGP_ROLE_PEER)
		return "no role";
	if (c->has_role && is_internal)
		return "a role between routers of one AS";
	if (c->strict_role && !c->has_role)
		return "a role that is strict, and none";
	if (c->restart_s > 4095)
		return "a restart time above 4,095 s";
	if (c->max_warn_percent > 100)
		return "a warning above 100 %";
	return NULL;
}

static bool is_same_key(const struct stream_key *a, const struct stream_key *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

const char *bgp_neighbor_config_resets(const struct bgp_neighbor_config *a, const struct bgp_neighbor_config *b)
{
	if (a->local_as != b->local_as)
		return "another AS of ours";
	if (a->peer_as != b->peer_as)
		return "another AS of the neighbour's";
	if (a->local_addr != b->local_addr)
		return "another address of ours";
	if (a->port != b->port)
		return "another port";
	if (a->hops != b->hops || a->ttl_security != b->ttl_security)
		return "another distance";
	if (!is_same_key(&a->key, &b->key))
		return "another password";
	if (a->hold_s != b->hold_s)
		return "another hold time";
	if (a->without != b->without)
		return "other capabilities";
	if (a->has_role != b->has_role || a->role != b->role || a->strict_role != b->strict_role)
		return "another role";
	if (a->any_first_as != b->any_first_as || a->takes_as_sets != b->takes_as_sets ||
	    a->cluster_id != b->cluster_id)
		return "other rules for what comes in";
	return NULL;
}
