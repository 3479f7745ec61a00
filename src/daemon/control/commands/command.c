/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of commands, and the frame around each call: find, read options,
 * start, end. What each does stands in cmd_*.c.
 */
#include "daemon/control/commands/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/control/commands/cmd_priv.h"

const struct command *const control_commands[] = {
	&cmd_bgp,        &cmd_conntrack, &cmd_drops,       &cmd_stats, &cmd_events, &cmd_log,
	&cmd_interfaces, &cmd_neigh,     &cmd_route,       &cmd_rules, &cmd_pools,  &cmd_reload,
	&cmd_ss,         &cmd_why,       &cmd_ping_socket, &cmd_nc,    NULL,
};

const struct command *control_command_find(const char *name)
{
	for (size_t i = 0; control_commands[i] != NULL; i++)
		if (strcmp(control_commands[i]->info.name, name) == 0)
			return control_commands[i];
	return NULL;
}

YG_PRINTF(3, 0)
static void write_text(struct command_call *c, enum proto_frame type, const char *fmt, va_list args)
{
	char *text;
	int len = vasprintf(&text, fmt, args);

	if (len < 0)
		return;
	c->write(c->carrier, type, text, (size_t)len);
	free(text);
}

void command_printf(struct command_call *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_text(c, PROTO_OUT, fmt, args);
	va_end(args);
}

void command_error(struct command_call *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_text(c, PROTO_ERR, fmt, args);
	va_end(args);
}

static void output_to_call(void *ctx, const char *text, size_t len)
{
	struct command_call *c = ctx;

	c->write(c->carrier, PROTO_OUT, text, len);
}

void command_output(struct command_call *c, enum output_shape shape)
{
	output_begin(&c->output, args_has(&c->args, "json") ? OUTPUT_JSON : OUTPUT_TEXT, shape, output_to_call, c);
}

static void no_such_command(struct command_call *c, const char *name)
{
	const char *names[ARRAY_LEN(control_commands)];
	size_t n = 0;

	for (size_t i = 0; control_commands[i] != NULL; i++)
		if (!control_commands[i]->hidden)
			names[n++] = control_commands[i]->info.name;
	const char *near = args_nearest(name, names, n);
	if (near != NULL)
		command_error(c, "unknown command \"%.40s\"; did you mean \"%s\"?\n", name, near);
	else
		command_error(c, "unknown command \"%.40s\"\n", name);
}

static void help(struct command_call *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return;
	command_info_print(&c->command->info, f);
	fclose(f);
	c->write(c->carrier, PROTO_OUT, text, len);
	free(text);
}

int command_start(struct command_call *c, const struct control_target *target, size_t argc, const char *const *argv)
{
	char err[160];

	c->target = target;
	c->state = NULL;
	c->output = (struct output){ 0 };
	c->command = control_command_find(argv[0]);
	if (c->command == NULL) {
		no_such_command(c, argv[0]);
		return EXIT_USAGE;
	}
	if (args_parse(&c->args, c->command->info.options, (int)argc - 1, argv + 1, err, sizeof(err)) != 0) {
		command_error(c, "%s: %s (see: yangguan %s --help)\n", argv[0], err, argv[0]);
		return EXIT_USAGE;
	}
	if (c->args.help) {
		help(c);
		return EXIT_OK;
	}
	if (c->command->state_bytes > 0) {
		c->state = calloc(1, c->command->state_bytes);
		if (c->state == NULL) {
			command_error(c, "%s: no memory\n", argv[0]);
			return EXIT_FAILED;
		}
	}
	return c->command->start(c);
}

bool command_takes_lines(const struct command_call *c)
{
	const struct command *cmd = c->command;

	return cmd->line != NULL && (cmd->input_option == NULL || args_value(&c->args, cmd->input_option) != NULL);
}

void command_end(struct command_call *c)
{
	/* Without its state a command has not begun, so it has nothing to end. */
	if (c->state != NULL && c->command->end != NULL)
		c->command->end(c);
	output_abandon(&c->output);
	free(c->state);
	c->state = NULL;
}

const char *target_ifname(const struct control_target *t, uint32_t ifindex)
{
	const struct ip_config *cfg = ip_stack_config(t->ip);

	if (cfg == NULL || ifindex == 0 || ifindex >= IP_INTERFACES_MAX || cfg->interface[ifindex].name[0] == '\0')
		return "?";
	return cfg->interface[ifindex].name;
}

void target_call(const struct control_target *t, control_fn *fn, void *arg)
{
	t->call(t->ctx, 0, fn, arg);
}

void target_call_core(const struct control_target *t, uint32_t core, control_fn *fn, void *arg)
{
	t->call(t->ctx, core, fn, arg);
}

struct core_call {
	target_core_fn *fn;
	void *arg;
	const struct control_core *core;
	uint32_t number;
};

static void call_core(void *arg)
{
	const struct core_call *c = arg;

	c->fn(c->arg, c->core, c->number);
}

void target_call_each(const struct control_target *t, target_core_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < t->n_cores; i++) {
		struct core_call c = { .fn = fn, .arg = arg, .core = &t->core[i], .number = i };

		target_call_core(t, i, call_core, &c);
	}
}

const struct control_core *target_host(const struct control_target *t)
{
	return t->has_host ? &t->host : &t->core[0];
}

void target_call_host(const struct control_target *t, control_fn *fn, void *arg)
{
	if (t->call_host != NULL)
		t->call_host(t->ctx, fn, arg);
	else
		target_call(t, fn, arg);
}

void target_call_all(const struct control_target *t, control_fn *fn, void *arg)
{
	if (t->n_cores == 1 && !t->has_host)
		target_call(t, fn, arg);
	else
		t->call_all(t->ctx, fn, arg);
}
