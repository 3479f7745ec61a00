/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp why`: of a prefix, which path is the best and by which step, and where
 * each other one loses, pair by pair as the decision itself has it (bgp_decide.h); of a neighbour, why there is no
 * session, and what to look at.
 */
#include <errno.h>
#include <string.h>

#include "daemon/control/commands/cmd_bgp.h"
#include "daemon/control/text/bgp_text.h"
#include "routing/policy/policy.h"

/* --- a prefix --- */

static struct bgp_candidate candidate(const struct control_bgp *b, const struct bgp_prefix_view *v, uint32_t i)
{
	return (struct bgp_candidate){ .set = bgp_table_set(b->table, v->path[i].set),
				       .from = bgp_table_source(b->table, v->path[i].source) };
}

/* By which step path i is behind the best; the two alone. */
static const char *behind(const struct control_bgp *b, const struct bgp_prefix_view *v, uint32_t i)
{
	struct bgp_candidate two[2] = { candidate(b, v, v->best), candidate(b, v, i) };
	struct bgp_choice choice = bgp_decide(b->config->med_always ? BGP_MED_ALWAYS : BGP_MED_SAME_AS, two, 2);

	/* Without the others it could be the better one: a MED of a third's has decided (RFC 4271 9.1.2.2 c). */
	return choice.best == 0 ? bgp_step_name(choice.step) : "MED, of another path of its neighbouring AS";
}

/* Which rule, or which line of a filter, rejects it. The line is one of the config's, or of what it includes. */
static const char *rejected(const struct control_bgp *b, struct ip4_prefix prefix, const struct bgp_prefix_view *v,
			    uint32_t i, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	struct bgp_neighbor_view from;
	struct policy_verdict verdict;

	if (!cmd_bgp_by_source(b, v->path[i].source, &from)) {
		text_add(&t, "its import rejects it");
		return buf;
	}
	b->explain(b->ctx, &from, prefix, bgp_table_set(b->table, v->path[i].received), &verdict);
	if (verdict.rule != POLICY_RULE_NONE)
		text_add(&t, "its import rejects it: %s", verdict.why);
	else if (verdict.pos.line == 0)
		text_add(&t, "its import takes nothing");
	else
		text_add(&t, "its import rejects it at line %u, column %u%s%s", verdict.pos.line, verdict.pos.column,
			 verdict.why != NULL ? ": " : "", verdict.why != NULL ? verdict.why : "");
	return buf;
}

static json_t *why_json(const struct control_bgp *b, struct ip4_prefix prefix, const struct bgp_prefix_view *v)
{
	json_t *all = json_array();
	char addr[IP4_TEXT_MAX], path[768], words[200];

	for (uint32_t i = 0; i < v->n; i++) {
		struct bgp_candidate k = candidate(b, v, i);
		const char *why = v->path[i].is_rejected ? rejected(b, prefix, v, i, words, sizeof(words))
				  : v->path[i].is_loop   ? "our AS is in its path"
				  : i == v->best         ? bgp_step_name(v->step)
							 : behind(b, v, i);

		json_array_append_new(all, json_pack("{s:s, s:s, s:b, s:s}", "peerId", ip4_format(k.from->addr, addr),
						     "path", cmd_bgp_attr(k.set, BGP_AS_PATH, path, sizeof(path)),
						     "bestpath", i == v->best, "reason", why));
	}
	return all;
}

static void put_other(struct command_call *c, const struct control_bgp *b, struct ip4_prefix prefix,
		      const struct bgp_prefix_view *v, uint32_t i)
{
	struct bgp_candidate k = candidate(b, v, i);
	char addr[IP4_TEXT_MAX], path[768], words[200];
	const char *hops = cmd_bgp_attr(k.set, BGP_AS_PATH, path, sizeof(path));

	command_printf(c, "  not   from %-15s path %s: ", ip4_format(k.from->addr, addr), hops);
	if (v->path[i].is_rejected)
		command_printf(c, "%s\n", rejected(b, prefix, v, i, words, sizeof(words)));
	else if (v->path[i].is_loop)
		command_printf(c, "our own AS, identifier or cluster is in it\n");
	else
		command_printf(c, "%s%s\n", behind(b, v, i), i == v->second ? "; the second best" : "");
}

static int why_prefix(struct command_call *c, const char *word)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	struct bgp_prefix_view v;
	struct ip4_prefix prefix;
	char text[IP4_TEXT_MAX], addr[IP4_TEXT_MAX], path[768];

	if (!cmd_bgp_prefix(c, word, &prefix, &v))
		return EXIT_FAILED;
	if (args_has(&c->args, "json"))
		return cmd_bgp_json(c, json_pack("{s:s, s:o}", "prefix", ip4_prefix_format(prefix, text), "paths",
						 why_json(b, prefix, &v)));
	command_printf(c, "%s: %u path%s\n", ip4_prefix_format(prefix, text), v.n, v.n == 1 ? "" : "s");
	if (v.best == BGP_NOBODY) {
		command_printf(c, "  none can be chosen\n");
	} else {
		struct bgp_candidate k = candidate(b, &v, v.best);

		command_printf(c, "  best  from %-15s path %s: %s%s\n", ip4_format(k.from->addr, addr),
			       cmd_bgp_attr(k.set, BGP_AS_PATH, path, sizeof(path)),
			       v.step == BGP_STEP_ONLY ? "" : "before the second best by ", bgp_step_name(v.step));
	}
	for (uint32_t i = 0; i < v.n; i++)
		if (i != v.best)
			put_other(c, b, prefix, &v, i);
	return EXIT_OK;
}

/* --- a neighbour --- */

/* What the last failure may come from, where the words of it alone do not say. */
static const char *hint(const struct bgp_neighbor_view *v)
{
	const struct bgp_down *d = &v->last;

	if (v->digests.is_known && v->digests.n_wrong > 0)
		return v->config->key.len > 0 ? "the passwords of the two sides differ, or the peer has none"
					      : "the peer has a password, and the config has none for it";
	if (d->side != BGP_SIDE_TRANSPORT)
		return NULL;
	switch (d->error) {
	case ECONNREFUSED:
		return "nobody listens there: BGP is not running at the peer, or does not know us";
	case ETIMEDOUT:
		return v->config->key.len > 0
			       ? "nothing came back: a filter, no route back, or another password at the peer"
			       : "nothing came back: a filter, no route back, or a password at the peer";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "no route leads to the peer";
	case EADDRNOTAVAIL:
		return "`local address` is no address of ours";
	case ECONNRESET:
	case 0:
		return "the peer closed it without a word: it may not know our address or AS";
	default:
		return NULL;
	}
}

static void put_session(struct command_call *c, const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	const char *none = cmd_bgp_no_policy(b, v);
	char age[16];

	command_printf(c, " for %s; %u prefixes\n", bgp_text_age(cmd_bgp_now() - v->since, age), v->n_prefixes);
	if (none != NULL)
		command_printf(c, "  nothing of them is used: %s\n", none);
}

static int why_neighbor(struct command_call *c, const char *name)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	struct bgp_neighbor_view v;
	char text[400], age[16];
	struct text t = text_of(text, sizeof(text));

	if (!cmd_bgp_find(c, name, &v))
		return EXIT_FAILED;
	bgp_text_state(&t, &v);
	command_printf(c, "%s: %s", v.config->name, text);
	if (v.state == BGP_STATE_ESTABLISHED) {
		put_session(c, b, &v);
		return EXIT_OK;
	}
	command_printf(c, "\n");
	if (v.last.at != 0) {
		t = text_of(text, sizeof(text));
		bgp_text_down(&t, &v.last);
		command_printf(c, "  last: %s (%s ago)\n", text, bgp_text_age(cmd_bgp_now() - v.last.at, age));
	}
	t = text_of(text, sizeof(text));
	if (bgp_text_digests(&t, &v))
		command_printf(c, "  %s\n", text);
	if (hint(&v) != NULL)
		command_printf(c, "  perhaps: %s\n", hint(&v));
	if (v.config->is_passive && v.last.at == 0)
		command_printf(c, "  we wait for it to connect%s\n", b->is_listening ? "" : ", and do not listen");
	if (v.until != TIME_NEVER && v.until > cmd_bgp_now())
		command_printf(c, "  the next attempt in %s\n", bgp_text_age(v.until - cmd_bgp_now(), age));
	return EXIT_OK;
}

int cmd_bgp_why(struct command_call *c)
{
	const char *word = c->args.word[1];
	struct ip4_prefix prefix;

	if (strcmp(word, "neighbor") == 0) {
		if (c->args.n_words == 3)
			return why_neighbor(c, c->args.word[2]);
		command_error(c, "bgp why: which neighbor?\n");
		return EXIT_USAGE;
	}
	if (c->args.n_words > 2) {
		command_error(c, "bgp why: one prefix or neighbor\n");
		return EXIT_USAGE;
	}
	/* An address is a neighbour's, if one has it. */
	if (cmd_bgp_read_prefix(word, &prefix) && bgp_speaker_find(cmd_bgp_of(c)->speaker, prefix) == BGP_NEIGHBOR_NONE)
		return why_prefix(c, word);
	return why_neighbor(c, word);
}
