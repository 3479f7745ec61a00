/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Kleinrock's plane in a terminal: how much is in flight, in BDP, against how fast it is delivered (above) and how long
 * a round trip takes (below), a dot a round trip. What the path allows is grey: up to a BDP in flight each byte more is
 * rate, from there on it is only queue. The ring is where both meet: all of the rate, and no queue.
 *
 * A character is eight dots (braille, U+2800: two columns of four) and has the colour of its last point. x is
 * logarithmic, since what matters are multiples.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "tools/bbr/bbr_run.h"

#define X_LEAST (1.0 / 32)
#define SHARE_MOST 1.12
#define MARGIN 7u /* columns left of a plane */
#define ROWS_BESIDE 6u
#define ROWS_LEAST 6u
#define ROWS_MOST 60u
#define COLUMNS_LEAST 40u
#define COLUMNS_MOST 200u
#define COLOUR_GREY 240u
#define COLOUR_RING 15u

/* Of 256, as the pictures have them. */
static const uint8_t colours[N_SIM_STATES] = {
	[SIM_STARTUP] = 33, [SIM_DRAIN] = 135, [SIM_DOWN] = 130,      [SIM_CRUISE] = 34,
	[SIM_REFILL] = 178, [SIM_UP] = 160,    [SIM_PROBE_RTT] = 245, [SIM_NONE] = 208
};

struct canvas {
	uint8_t dots[ROWS_MOST][COLUMNS_MOST], colour[ROWS_MOST][COLUMNS_MOST];
};

struct plane {
	uint32_t columns, rows; /* of each of both, in characters */
	double x_most, ratio_most;
	bool was_drawn;
	struct canvas above, below;
};

static void dot(const struct plane *p, struct canvas *c, double x, double y, uint8_t colour)
{
	/* Bits of U+2800 by column and row of dots. */
	static const uint8_t bit[2][4] = { { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 } };
	double dx = floor(x * (p->columns * 2 - 1) + 0.5), dy = floor((1 - y) * (p->rows * 4 - 1) + 0.5);

	if (!(dx >= 0) || !(dy >= 0) || dx >= p->columns * 2 || dy >= p->rows * 4)
		return;
	uint32_t ix = (uint32_t)dx, iy = (uint32_t)dy;

	c->dots[iy / 4][ix / 2] |= bit[ix % 2][iy % 4];
	c->colour[iy / 4][ix / 2] = colour;
}

static double place_x(const struct plane *p, double inflight)
{
	return log(fmin(fmax(inflight, X_LEAST), p->x_most) / X_LEAST) / log(p->x_most / X_LEAST);
}

static double place_ratio(const struct plane *p, double ratio)
{
	/* A tenth below 1, so that the line of no queue is not the edge. */
	return (fmin(ratio, p->ratio_most) - 0.9) / (p->ratio_most - 0.9);
}

void plane_point(struct plane *p, double inflight, double share, double rtt_ratio, enum sim_state state, uint32_t flow)
{
	/* Controls without states are told apart by their flow. */
	uint8_t colour = state == SIM_NONE ? (uint8_t)(colours[SIM_NONE] + flow % 6) : colours[state];
	double x = place_x(p, inflight);

	dot(p, &p->above, x, fmin(share, SHARE_MOST) / SHARE_MOST, colour);
	dot(p, &p->below, x, place_ratio(p, rtt_ratio), colour);
}

static void draw_limits(struct plane *p)
{
	for (uint32_t i = 0; i < p->columns * 2; i++) {
		double x = (double)i / (p->columns * 2 - 1), inflight = X_LEAST * pow(p->x_most / X_LEAST, x);

		dot(p, &p->above, x, fmin(inflight, 1) / SHARE_MOST, COLOUR_GREY);
		if (inflight <= p->ratio_most)
			dot(p, &p->below, x, place_ratio(p, fmax(inflight, 1)), COLOUR_GREY);
	}
	for (int i = 0; i < 16; i++) {
		double angle = i * 2 * 3.14159265 / 16, rx = 3.0 / (p->columns * 2), ry = 3.0 / (p->rows * 4);
		double x = place_x(p, 1) + rx * cos(angle);

		dot(p, &p->above, x, 1 / SHARE_MOST + ry * sin(angle), COLOUR_RING);
		dot(p, &p->below, x, place_ratio(p, 1) + ry * sin(angle), COLOUR_RING);
	}
}

struct plane *plane_create(const struct bbr_ask *ask)
{
	struct plane *p = calloc(1, sizeof(*p));
	struct winsize w = { .ws_row = 24, .ws_col = 80 };

	if (p == NULL)
		return NULL;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_row == 0 || w.ws_col == 0)
		w = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	uint32_t rows = w.ws_row > ROWS_BESIDE ? w.ws_row - ROWS_BESIDE : 0;
	uint32_t columns = w.ws_col > MARGIN + 1 ? w.ws_col - MARGIN - 1 : 0;

	p->rows = min_u32(max_u32(rows / 2, ROWS_LEAST), ROWS_MOST);
	p->columns = min_u32(max_u32(columns, COLUMNS_LEAST), COLUMNS_MOST);
	p->x_most = fmax(ask->buffer_bdp * 1.3 + 1, 4);
	p->ratio_most = fmax((ask->buffer_bdp + 1) * 1.05, 2);
	draw_limits(p);
	return p;
}

void plane_destroy(struct plane *p)
{
	free(p);
}

static void draw_canvas(const struct plane *p, const struct canvas *c, const char *top, const char *bottom, FILE *to)
{
	for (uint32_t y = 0; y < p->rows; y++) {
		uint8_t last = 0;

		fprintf(to, "\033[K%*s ", (int)MARGIN - 1, y == 0 ? top : y == p->rows - 1 ? bottom : "");
		for (uint32_t x = 0; x < p->columns; x++) {
			uint32_t code = 0x2800u + c->dots[y][x];

			if (c->dots[y][x] != 0 && c->colour[y][x] != last) {
				last = c->colour[y][x];
				fprintf(to, "\033[38;5;%um", last);
			}
			if (c->dots[y][x] == 0)
				fputc(' ', to);
			else
				fprintf(to, "%c%c%c", (int)(0xe0u | code >> 12), (int)(0x80u | (code >> 6 & 0x3fu)),
					(int)(0x80u | (code & 0x3fu)));
		}
		fprintf(to, "\033[0m\n");
	}
}

static void draw_axis(const struct plane *p, FILE *to)
{
	static const struct {
		double at;
		const char *text;
	} marks[] = { { 0.0625, "1/16" }, { 0.125, "1/8" }, { 0.25, "1/4" }, { 0.5, "1/2" }, { 1, "1" },
		      { 2, "2" },         { 4, "4" },       { 8, "8" },      { 16, "16" },   { 64, "64" } };
	char line[COLUMNS_MOST + 1];

	memset(line, ' ', sizeof(line));
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		size_t at = (size_t)(place_x(p, marks[i].at) * (p->columns - 1)), len = strlen(marks[i].text);

		if (marks[i].at < p->x_most && at + len <= p->columns)
			memcpy(line + at, marks[i].text, len);
	}
	fprintf(to, "\033[K%*s %.*s\n", (int)MARGIN - 1, "BDP", (int)p->columns, line);
}

void plane_draw(struct plane *p, const char *line, FILE *to)
{
	char most[16];

	(void)snprintf(most, sizeof(most), "%.3gx", p->ratio_most);
	fprintf(to, p->was_drawn ? "\033[H" : "\033[2J\033[H");
	p->was_drawn = true;
	fprintf(to, "\033[K");
	for (uint32_t s = 0; s < SIM_NONE; s++)
		fprintf(to, "\033[38;5;%um%s ", colours[s], sim_state_names[s]);
	fprintf(to, "\033[38;5;%umothers\033[0m\n", colours[SIM_NONE]);
	draw_canvas(p, &p->above, "rate", "", to);
	draw_canvas(p, &p->below, most, "RTT 1x", to);
	draw_axis(p, to);
	fprintf(to, "\033[K%s\n\033[J", line);
	(void)fflush(to);
}
