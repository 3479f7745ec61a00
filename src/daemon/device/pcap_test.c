/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Capture files: what is written is read back, to the nanosecond, and bad files
 * are refused by name.
 */
#include "daemon/device/pcap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/be.h"
#include "daemon/device/vnet.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

/* 2026, with nanoseconds that microseconds would lose. */
#define EPOCH (UINT64_C(1780000000) * NS_PER_S + 123456789)

struct fixture {
	char dir[32];
	char path[64];
	char err[256];
	struct packet_pool *pool;
	struct ledger ledger;
	struct batch batch;
};

static int set_up(void **state)
{
	struct fixture *t = calloc(1, sizeof(*t));
	struct packet_pool_config cfg = { .n_packets = 8, .n_small = 6, .n_large = 2 };

	strcpy(t->dir, "/tmp/pcap_test.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/a.pcap", t->dir);
	t->pool = packet_pool_create(&cfg);
	assert_non_null(t->pool);
	*state = t;
	return 0;
}

/* By field: what lies between them is nobody's. */
static void assert_offload(const struct offload *a, const struct offload *b)
{
	assert_int_equal(a->csum_partial, b->csum_partial);
	assert_int_equal(a->csum_valid, b->csum_valid);
	assert_int_equal(a->gso_type, b->gso_type);
	assert_int_equal(a->csum_start, b->csum_start);
	assert_int_equal(a->csum_offset, b->csum_offset);
	assert_int_equal(a->gso_size, b->gso_size);
	assert_int_equal(a->gso_hdr_len, b->gso_hdr_len);
}

static int tear_down(void **state)
{
	struct fixture *t = *state;

	assert_int_equal(packet_pool_used(t->pool), 0);
	assert_int_equal(ledger_expected_held(&t->ledger), 0);
	packet_pool_destroy(t->pool);
	unlink(t->path);
	rmdir(t->dir);
	free(t);
	return 0;
}

static struct device *open_device(struct fixture *t, const struct pcap_config *cfg)
{
	struct device *d = NULL;

	if (pcap_device_open("lan0", cfg, &d, t->err, sizeof(t->err)) < 0)
		fail_msg("%s", t->err);
	d->pool = t->pool;
	d->ledger = &t->ledger;
	return d;
}

static struct pcap_writer *open_writer(struct fixture *t, enum pcap_form form)
{
	struct pcap_writer *w = NULL;

	if (pcap_writer_open(t->path, form, &w, t->err, sizeof(t->err)) < 0)
		fail_msg("%s", t->err);
	return w;
}

/* Counts what was received as delivered and frees it. */
static void deliver(struct fixture *t)
{
	for (uint32_t i = 0; i < t->batch.n; i++) {
		t->ledger.n_delivered++;
		packet_free(t->pool, t->batch.p[i]);
	}
	t->batch.n = 0;
}

static void fill(uint8_t *f, uint32_t len, uint8_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		f[i] = (uint8_t)(seed + i * 7);
}

/* Would catch: times cut to microseconds, frames given before they are due,
 * order lost, the last frame lost. */
static void test_frames_come_at_their_times(void **state)
{
	struct fixture *t = *state;
	static const uint64_t times[] = { 0, 1, 999, 5 * NS_PER_S + 1 };
	static const uint32_t lens[] = { 60, 1514, 14, 66000 };
	static uint8_t frame[66000];
	struct pcap_writer *w = open_writer(t, PCAP_FORM_PLAIN);

	for (uint32_t i = 0; i < ARRAY_LEN(times); i++) {
		fill(frame, lens[i], (uint8_t)i);
		assert_true(pcap_writer_write(w, EPOCH + times[i], frame, lens[i], NULL));
	}
	assert_true(pcap_writer_close(w));

	uint64_t first = 0;
	assert_int_equal(pcap_first_time(t->path, &first, t->err, sizeof(t->err)), 0);
	assert_true(first == EPOCH);

	struct device *d = open_device(t, &(struct pcap_config){ .in_path = t->path, .epoch_ns = EPOCH });
	for (uint32_t i = 0; i < ARRAY_LEN(times); i++) {
		assert_true(d->ops->next(d) == times[i]);
		if (times[i] > 0) {
			pcap_device_set_time(d, times[i] - 1);
			assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 0);
		}
		pcap_device_set_time(d, times[i]);
		assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 1);
		fill(frame, lens[i], (uint8_t)i);
		assert_int_equal(t->batch.p[0]->len, lens[i]);
		assert_memory_equal(packet_frame(t->batch.p[0]), frame, lens[i]);
		deliver(t);
	}
	assert_true(d->ops->next(d) == TIME_NEVER);
	assert_null(pcap_device_error(d));
	assert_int_equal(t->ledger.n_received, 4);
	d->ops->close(d);
}

/* Would catch: a clock that goes back with a capture that does. */
static void test_time_never_goes_back(void **state)
{
	struct fixture *t = *state;
	uint8_t frame[60] = { 0 };
	struct pcap_writer *w = open_writer(t, PCAP_FORM_PLAIN);

	assert_true(pcap_writer_write(w, EPOCH + 500, frame, sizeof(frame), NULL));
	assert_true(pcap_writer_write(w, EPOCH + 100, frame, sizeof(frame), NULL));
	assert_true(pcap_writer_write(w, EPOCH - 100, frame, sizeof(frame), NULL));
	assert_true(pcap_writer_close(w));
	struct device *d = open_device(t, &(struct pcap_config){ .in_path = t->path, .epoch_ns = EPOCH });
	assert_true(d->ops->next(d) == 500);
	pcap_device_set_time(d, 500);
	assert_int_equal(d->ops->rx(d, &t->batch, 1), 1);
	assert_true(d->ops->next(d) == 500);
	assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 2);
	deliver(t);
	d->ops->close(d);
}

/* Would catch: an empty pool that ends or stalls the device, or frames that
 * vanish without a name. */
static void test_empty_pool_is_a_named_drop(void **state)
{
	struct fixture *t = *state;
	uint8_t frame[60] = { 0 };
	struct pcap_writer *w = open_writer(t, PCAP_FORM_PLAIN);

	for (int i = 0; i < 20; i++)
		assert_true(pcap_writer_write(w, EPOCH, frame, sizeof(frame), NULL));
	assert_true(pcap_writer_close(w));
	struct device *d = open_device(t, &(struct pcap_config){ .in_path = t->path, .epoch_ns = EPOCH });
	assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 8);
	assert_int_equal(t->ledger.n_received, 20);
	assert_int_equal(t->ledger.n_dropped[DROP_NO_BUFFER], 12);
	assert_int_equal(ledger_expected_held(&t->ledger), 8);
	deliver(t);
	d->ops->close(d);
}

/* Would catch: offload notes lost on the way through a recording, so that a
 * replay computes other checksums than the run did. */
static void test_record_keeps_unfinished_work(void **state)
{
	struct fixture *t = *state;
	const struct offload none = { 0 };
	const struct offload valid = { .csum_valid = true };
	const struct offload partial = { .csum_partial = true, .csum_start = 34, .csum_offset = 6 };
	const struct offload *const all[] = { &none, &valid, &partial };
	uint8_t frame[100];
	struct pcap_writer *w = open_writer(t, PCAP_FORM_RECORD);

	fill(frame, sizeof(frame), 1);
	for (uint32_t i = 0; i < ARRAY_LEN(all); i++)
		assert_true(pcap_writer_write(w, EPOCH, frame, sizeof(frame), all[i]));
	assert_true(pcap_writer_close(w));
	struct device *d = open_device(
		t, &(struct pcap_config){ .in_path = t->path, .in_form = PCAP_FORM_RECORD, .epoch_ns = EPOCH });
	assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 3);
	for (uint32_t i = 0; i < ARRAY_LEN(all); i++) {
		const struct packet *p = t->batch.p[i];
		assert_int_equal(p->len, sizeof(frame));
		assert_memory_equal(p->buf + p->off, frame, sizeof(frame));
		assert_int_equal(p->offload.csum_partial, all[i]->csum_partial);
		assert_int_equal(p->offload.csum_valid, all[i]->csum_valid);
		assert_int_equal(p->offload.csum_start, all[i]->csum_start);
		assert_int_equal(p->offload.csum_offset, all[i]->csum_offset);
	}
	deliver(t);
	d->ops->close(d);
}

/* Would catch: frames of a capture from inside a host dropped for checksums
 * that its card was still to fill in, or for being joined; finished ones touched. */
static void test_capture_inside_a_host(void **state)
{
	enum { L4_OFF = ETHER_HEADER_LEN + IPV4_HEADER_LEN, TCP_OFF = L4_OFF + TCP_HEADER_LEN };
	static const struct {
		uint8_t proto;
		uint32_t payload_len;
		int check_error; /* added to the pseudo header's sum */
		struct offload expected;
	} rows[] = {
		{ IPPROTO_NR_TCP, 100, 0, { .csum_partial = true, .csum_start = L4_OFF, .csum_offset = 16 } },
		{ IPPROTO_NR_UDP, 100, 0, { .csum_partial = true, .csum_start = L4_OFF, .csum_offset = 6 } },
		{ IPPROTO_NR_TCP,
		  4000,
		  0,
		  { .csum_partial = true,
		    .csum_start = L4_OFF,
		    .csum_offset = 16,
		    .gso_type = GSO_TCP4,
		    .gso_size = 1460,
		    .gso_hdr_len = TCP_OFF } },
		{ IPPROTO_NR_TCP, 100, 1, { 0 } },
		{ IPPROTO_NR_UDP, 100, 1, { 0 } },
	};
	struct fixture *t = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool tcp = rows[i].proto == IPPROTO_NR_TCP;
		uint32_t l4_len = rows[i].payload_len + (tcp ? TCP_HEADER_LEN : UDP_HEADER_LEN);
		struct ipv4_view ip = { .src = 0x0a4d000a,
					.dst = 0xcb0071fe,
					.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len),
					.header_len = IPV4_HEADER_LEN,
					.ttl = 64,
					.proto = rows[i].proto };
		uint8_t frame[4200] = { [12] = 0x08 };

		fill(frame + L4_OFF, l4_len, (uint8_t)i);
		ipv4_emit(frame + ETHER_HEADER_LEN, &ip);
		if (tcp)
			tcp_emit(frame + L4_OFF, 40000, 80, 1, 1, TCP_ACK, 500);
		else
			udp_emit(frame + L4_OFF, 40000, 53, (uint16_t)rows[i].payload_len);
		uint32_t sum = checksum_pseudo(ip.src, ip.dst, ip.proto, l4_len) + (uint32_t)rows[i].check_error;
		be16 field = be16_of(checksum_fold(sum));
		memcpy(frame + L4_OFF + (tcp ? 16 : 6), &field, sizeof(field));

		struct pcap_writer *w = open_writer(t, PCAP_FORM_PLAIN);
		assert_true(pcap_writer_write(w, EPOCH, frame, L4_OFF + l4_len, NULL));
		assert_true(pcap_writer_close(w));
		struct device *d = open_device(t, &(struct pcap_config){ .in_path = t->path, .epoch_ns = EPOCH });
		t->batch.n = 0;
		assert_int_equal(d->ops->rx(d, &t->batch, 1), 1);
		assert_offload(&t->batch.p[0]->offload, &rows[i].expected);
		deliver(t);
		d->ops->close(d);
	}
}

/* Would catch: what is sent stamped with anything but the core's clock. */
static void test_sent_frames_are_written(void **state)
{
	struct fixture *t = *state;
	struct device *out = open_device(t, &(struct pcap_config){ .out_path = t->path, .epoch_ns = EPOCH });

	for (uint32_t i = 0; i < 3; i++) {
		struct packet *p = packet_alloc(t->pool, 60 + i);
		fill(packet_frame(p), p->len, (uint8_t)i);
		t->ledger.n_originated++;
		batch_add(&t->batch, p);
		pcap_device_set_time(out, i * 1001);
		out->ops->tx(out, &t->batch);
		assert_int_equal(t->batch.n, 0);
	}
	assert_int_equal(out->n_tx_packets, 3);
	assert_true(out->ops->next(out) == TIME_NEVER);
	out->ops->close(out);

	struct device *in = open_device(t, &(struct pcap_config){ .in_path = t->path, .epoch_ns = EPOCH });
	for (uint32_t i = 0; i < 3; i++) {
		uint8_t want[64];
		fill(want, 60 + i, (uint8_t)i);
		assert_true(in->ops->next(in) == i * 1001);
		pcap_device_set_time(in, i * 1001);
		assert_int_equal(in->ops->rx(in, &t->batch, BATCH_MAX), 1);
		assert_int_equal(t->batch.p[0]->len, 60 + i);
		assert_memory_equal(packet_frame(t->batch.p[0]), want, 60 + i);
		deliver(t);
	}
	in->ops->close(in);
}

/* With neither side the device swallows what is sent, and counts it. */
static void test_both_sides_absent(void **state)
{
	struct fixture *t = *state;
	struct device *d = open_device(t, &(struct pcap_config){ 0 });

	t->ledger.n_originated++;
	batch_add(&t->batch, packet_alloc(t->pool, 60));
	d->ops->tx(d, &t->batch);
	assert_int_equal(t->ledger.n_handed, 1);
	assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 0);
	d->ops->close(d);
}

/* A file by hand: header fields in this machine's order, classic microseconds. */
struct record {
	uint32_t sec, usec, caplen, len;
};

static void write_file(struct fixture *t, uint32_t link_type, const struct record *r, uint32_t n, uint32_t n_lost)
{
	const uint32_t head[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 262144, link_type };
	static const uint8_t zeros[70000];
	FILE *f = fopen(t->path, "w");

	assert_non_null(f);
	fwrite(head, sizeof(head), 1, f);
	for (uint32_t i = 0; i < n; i++) {
		fwrite(&r[i], sizeof(r[i]), 1, f);
		fwrite(zeros, r[i].caplen - (i + 1 == n ? n_lost : 0), 1, f);
	}
	fclose(f);
}

/* Would catch: a cut frame handed on as if it were whole, and microsecond files
 * read as nanoseconds. */
static void test_cut_and_short_frames(void **state)
{
	struct fixture *t = *state;
	const struct record r[] = { { 5, 7, 96, 1514 }, { 5, 7, 10, 10 }, { 5, 8, 69000, 69000 }, { 5, 9, 60, 60 } };

	write_file(t, 1, r, ARRAY_LEN(r), 0);
	struct device *d = open_device(t, &(struct pcap_config){ .in_path = t->path });
	assert_true(d->ops->next(d) == 5 * NS_PER_S + 7 * NS_PER_US);
	pcap_device_set_time(d, 6 * NS_PER_S);
	assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 1);
	assert_int_equal(t->ledger.n_received, 4);
	assert_int_equal(t->ledger.n_dropped[DROP_FRAME_CUT], 2);
	assert_int_equal(t->ledger.n_dropped[DROP_FRAME_SHORT], 1);
	deliver(t);
	d->ops->close(d);
}

/* Would catch: a file that ends in the middle taken for one that ended well. */
static void test_file_that_ends_in_a_frame(void **state)
{
	struct fixture *t = *state;
	const struct record r[] = { { 1, 0, 60, 60 }, { 2, 0, 60, 60 } };

	write_file(t, 1, r, ARRAY_LEN(r), 20);
	struct device *d = open_device(t, &(struct pcap_config){ .in_path = t->path });
	pcap_device_set_time(d, 3 * NS_PER_S);
	assert_int_equal(d->ops->rx(d, &t->batch, BATCH_MAX), 1);
	assert_true(d->ops->next(d) == TIME_NEVER);
	assert_non_null(pcap_device_error(d));
	deliver(t);
	d->ops->close(d);
}

/* Would catch: frames of another link type parsed as Ethernet, and error texts
 * that do not name the file. */
static void test_bad_files_are_refused(void **state)
{
	struct fixture *t = *state;
	struct device *d = NULL;
	struct pcap_config cfg = { .in_path = t->path };

	assert_true(pcap_device_open("lan0", &cfg, &d, t->err, sizeof(t->err)) < 0);
	assert_non_null(strstr(t->err, t->path));
	write_file(t, 113, NULL, 0, 0);
	assert_int_equal(pcap_device_open("lan0", &cfg, &d, t->err, sizeof(t->err)), -EPROTONOSUPPORT);
	assert_non_null(strstr(t->err, t->path));
	assert_non_null(strstr(t->err, "LINUX_SLL"));
	FILE *f = fopen(t->path, "w");
	fputs("this is no capture, but long enough for its header", f);
	fclose(f);
	assert_true(pcap_device_open("lan0", &cfg, &d, t->err, sizeof(t->err)) < 0);
	assert_non_null(strstr(t->err, t->path));
	cfg = (struct pcap_config){ .out_path = "/nonexistent/x.pcap" };
	assert_true(pcap_device_open("lan0", &cfg, &d, t->err, sizeof(t->err)) < 0);
	assert_non_null(strstr(t->err, "/nonexistent/x.pcap"));
	assert_null(d);
}

/* Would catch: a full disk that goes unnoticed; the frames are named drops. */
static void test_full_disk_is_told(void **state)
{
	struct fixture *t = *state;
	struct device *d;

	if (access("/dev/full", W_OK) != 0) {
		printf("skipped: there is no /dev/full\n");
		skip();
	}
	d = open_device(t, &(struct pcap_config){ .out_path = "/dev/full" });
	for (int i = 0; i < 200; i++) {
		t->ledger.n_originated++;
		batch_add(&t->batch, packet_alloc(t->pool, 1514));
		d->ops->tx(d, &t->batch);
	}
	assert_true(t->ledger.n_dropped[DROP_TX_REFUSED] > 0);
	assert_non_null(pcap_device_error(d));
	d->ops->close(d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_frames_come_at_their_times), TEST(test_time_never_goes_back),
		TEST(test_empty_pool_is_a_named_drop), TEST(test_record_keeps_unfinished_work),
		TEST(test_capture_inside_a_host),      TEST(test_sent_frames_are_written),
		TEST(test_both_sides_absent),          TEST(test_cut_and_short_frames),
		TEST(test_file_that_ends_in_a_frame),  TEST(test_bad_files_are_refused),
		TEST(test_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
