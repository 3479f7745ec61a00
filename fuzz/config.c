/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any bytes as a config: read or refused, never both and never neither. What was
 * read must compile, its messages must print, and the text that is kept for the
 * record must read again to as much as the first time.
 */
#include <stdint.h>
#include <stdlib.h>

#include "daemon/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct config *read_once(const char *text, size_t len)
{
	struct config_errors *errors;
	struct config *c = config_read_text("fuzz", text, len, &errors);
	char *said = config_errors_text(errors);

	if (said == NULL || (c == NULL) != (config_n_errors(errors) > 0))
		abort();
	free(said);
	config_errors_free(errors);
	return c;
}

static void check(const struct config *c)
{
	struct rules_error errors[4];
	size_t n_errors;
	struct ruleset *rs = rules_compile(&c->rules, &c->nat, errors, 4, &n_errors);

	if (rs == NULL)
		abort();
	ruleset_destroy(rs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config *c = read_once((const char *)data, len), *again;

	if (c == NULL)
		return 0;
	check(c);
	again = read_once(c->text, c->text_len);
	if (again == NULL || again->n_interfaces != c->n_interfaces || again->rules.n_tables != c->rules.n_tables)
		abort();
	config_free(again);
	config_free(c);
	return 0;
}
