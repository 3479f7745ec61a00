/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `policy { ... }`: what BGP's neighbours name as filters. The inside is in the language of routing/policy, and its
 * errors are shown as all others are. The block may stand several times; what one defines the next can use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_policy.h"
#include "daemon/config/config_priv.h"

static bool keep_text(struct config_policy *c, const char *text, size_t len)
{
	char *bigger = realloc(c->text, c->len + len + 1);

	if (bigger == NULL)
		return false;
	memcpy(bigger + c->len, text, len);
	c->text = bigger;
	c->len += len;
	c->text[c->len++] = '\n';
	return true;
}

static struct config_policy *begin(struct parser *p)
{
	struct config *cfg = config_of(p);

	if (cfg->policy != NULL)
		return cfg->policy;
	cfg->policy = calloc(1, sizeof(*cfg->policy));
	if (cfg->policy == NULL || policy_create(&cfg->policy->program) != 0)
		p->no_memory = true;
	return cfg->policy;
}

bool config_policy_block(struct parser *p)
{
	struct policy_error e;
	struct policy_text t;

	if (!config_foreign_block(p, policy_text_len, &t.p, &t.len, &t.pos))
		return false;
	struct config_policy *c = begin(p);

	if (p->no_memory || c->has_errors)
		return !p->no_memory;
	int err = keep_text(c, t.p, t.len) ? policy_add(c->program, &t, &e) : -ENOMEM;

	if (err == -EINVAL) {
		config_err(p, &e.pos, "%s", e.why);
		c->has_errors = true;
	} else if (err != 0) {
		p->no_memory = true;
	}
	return err == 0 || err == -EINVAL;
}

struct config_policy *config_policy_hold(struct config_policy *c)
{
	if (c != NULL)
		c->n_more++;
	return c;
}

void config_policy_free(struct config_policy *c)
{
	if (c == NULL || c->n_more-- > 0)
		return;
	policy_destroy(c->program);
	free(c->text);
	free(c);
}

bool config_policy_same(const struct config_policy *x, const struct config_policy *y)
{
	size_t n = x != NULL ? x->len : 0, m = y != NULL ? y->len : 0;

	return n == m && (n == 0 || memcmp(x->text, y->text, n) == 0);
}

uint32_t config_policy_find(const struct config_policy *c, const char *filter)
{
	return c != NULL ? policy_find(c->program, filter) : POLICY_NONE;
}
