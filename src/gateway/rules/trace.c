/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a walk through the rules tells the trace slot (stack/packet/trace.h): each
 * rule whose matches hold, with its row and its place in the config, and where a
 * chain comes to its end. Called only when somebody listens, so a rule is looked for
 * by its instruction: rows stand in the order in which they were compiled.
 */
#include "gateway/rules/rules_priv.h"

static const uint8_t verdict_of[N_INSN_OPS] = {
	[INSN_ACCEPT] = TRACE_RULE_ACCEPT, [INSN_DROP] = TRACE_RULE_DROP,         [INSN_REJECT] = TRACE_RULE_REJECT,
	[INSN_JUMP] = TRACE_RULE_JUMP,     [INSN_GOTO] = TRACE_RULE_GOTO,         [INSN_RETURN] = TRACE_RULE_RETURN,
	[INSN_NAT] = TRACE_RULE_TRANSLATE, [INSN_NAT_MAP] = TRACE_RULE_TRANSLATE,
};

/* The last that begins at or before the instruction: one without instructions stands before one that has some. */
uint32_t rules_row_of(const struct ruleset *rs, uint32_t insn)
{
	uint32_t lo = 0, hi = rs->n_rows;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (rs->row[mid].start <= insn)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static void tell(const struct rules *r, const struct packet *p, enum trace_kind kind, uint32_t row, uint8_t verdict)
{
	const struct text_pos *pos = &r->rs->row[row].pos;
	struct trace_step step = { .kind = kind, .p = p };

	step.rule.row = row;
	step.rule.file = pos->file;
	step.rule.line = pos->line;
	step.rule.verdict = verdict;
	env_trace(r->env, &step);
}

void rules_trace_rule(const struct rules *r, const struct packet *p, const struct insn *in, uint8_t op)
{
	tell(r, p, TRACE_RULE, rules_row_of(r->rs, (uint32_t)(in - r->rs->insn)), verdict_of[op]);
}

static void tell_policy(const struct rules *r, const struct packet *p, const struct base_chain *ended)
{
	if (ended != NULL)
		tell(r, p, TRACE_POLICY, ended->row, ended->policy_drop ? TRACE_RULE_DROP : TRACE_RULE_ACCEPT);
}

void rules_trace_return(const struct rules *r, const struct packet *p, const struct insn *in,
			const struct base_chain *ended)
{
	if (in->op == INSN_RETURN)
		rules_trace_rule(r, p, in, in->op);
	tell_policy(r, p, ended);
}

void rules_trace_map(const struct rules *r, const struct packet *p, const struct insn *in, uint8_t op,
		     const struct base_chain *ended)
{
	rules_trace_rule(r, p, in, op);
	if (op == INSN_RETURN)
		tell_policy(r, p, ended);
}
