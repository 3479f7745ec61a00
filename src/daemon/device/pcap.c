/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Capture files through libpcap, in nanoseconds whatever the file has.
 *
 * The device keeps one frame in hand, read ahead: its time is `next`. rx hands
 * out the frames whose time has come and reads on. A time before its
 * predecessor's (captures of several CPUs), or one that no clock can show, counts as
 * the predecessor's, so time never goes back. A file that ends in the middle of a frame gives what is
 * whole, and pcap_device_error says the rest.
 *
 * A capture that was made inside a host shows frames before its card has finished
 * them or after it has joined them: with the bare pseudo-header sum for a checksum,
 * and segments larger than the link takes. They are known by that sum, and get the
 * offload fields that a device would have given them.
 *
 * Times in files are wall-clock; the core's clock starts where the caller says
 * (epoch_ns), the same for all files of a replay.
 *
 * Next: src/core/gateway.c (gateway_input)
 */
#include "daemon/device/pcap.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/device/vnet.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/l4.h"

#define DEFAULT_MTU 1500

/* --- writer --- */

struct pcap_writer {
	pcap_t *handle; /* libpcap wants one to know the file's kind */
	pcap_dumper_t *dumper;
	enum pcap_form form;
	bool failed;
	uint8_t joined[PACKET_LARGE_BYTES + VNET_HEADER_LEN]; /* frame and trailer */
};

int pcap_writer_start(FILE *file, enum pcap_form form, struct pcap_writer **out, char *err, size_t err_len)
{
	struct pcap_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->handle = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, PCAP_SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
	if (!w || !w->handle) {
		free(w);
		fclose(file);
		snprintf(err, err_len, "no memory to write a capture");
		return -ENOMEM;
	}
	w->form = form;
	errno = 0;
	/* When it fails it has closed the file. */
	w->dumper = pcap_dump_fopen(w->handle, file);
	if (!w->dumper) {
		int error = errno ? errno : EIO;
		snprintf(err, err_len, "cannot write the capture: %s", pcap_geterr(w->handle));
		pcap_close(w->handle);
		free(w);
		return -error;
	}
	*out = w;
	return 0;
}

int pcap_writer_open(const char *path, enum pcap_form form, struct pcap_writer **out, char *err, size_t err_len)
{
	FILE *file = fopen(path, "wbe");

	if (!file) {
		int error = errno;
		snprintf(err, err_len, "cannot write the capture: %s: %s", path, strerror(error));
		return -error;
	}
	return pcap_writer_start(file, form, out, err, err_len);
}

bool pcap_writer_write(struct pcap_writer *w, uint64_t time_ns, const uint8_t *frame, uint32_t len,
		       const struct offload *offload)
{
	struct pcap_pkthdr h = {
		.ts = { .tv_sec = (time_t)(time_ns / NS_PER_S), .tv_usec = (suseconds_t)(time_ns % NS_PER_S) },
		.caplen = len,
		.len = len,
	};

	if (w->failed)
		return false;
	if (w->form == PCAP_FORM_RECORD) {
		static const struct offload none;
		struct virtio_net_hdr vnet;

		if (len > PACKET_LARGE_BYTES) {
			w->failed = true;
			return false;
		}
		vnet_of_offload(offload ? offload : &none, &vnet);
		memcpy(w->joined, frame, len);
		memcpy(w->joined + len, &vnet, VNET_HEADER_LEN);
		h.caplen = h.len = len + VNET_HEADER_LEN;
		frame = w->joined;
	}
	pcap_dump((u_char *)w->dumper, &h, frame);
	if (ferror(pcap_dump_file(w->dumper)))
		w->failed = true;
	return !w->failed;
}

bool pcap_writer_flush(struct pcap_writer *w)
{
	if (pcap_dump_flush(w->dumper) < 0)
		w->failed = true;
	return !w->failed;
}

bool pcap_writer_close(struct pcap_writer *w)
{
	bool ok = pcap_writer_flush(w);

	pcap_dump_close(w->dumper);
	pcap_close(w->handle);
	free(w);
	return ok;
}

/* --- reading --- */

/* file: NULL, or path opened already. */
static int open_capture(const char *path, FILE *file, pcap_t **out, char *err, size_t err_len)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *h = file ? pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, text)
			 : pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);

	if (!h) {
		if (file)
			fclose(file);
		/* libpcap names the file only when it could not open it. */
		snprintf(err, err_len, "%s%scannot read the capture: %s", strstr(text, path) ? "" : path,
			 strstr(text, path) ? "" : ": ", text);
		return -EINVAL;
	}
	int dlt = pcap_datalink(h);
	if (dlt != DLT_EN10MB) {
		const char *name = pcap_datalink_val_to_name(dlt);
		snprintf(err, err_len, "%s: a capture of link type %s; only Ethernet (EN10MB) can be read", path,
			 name ? name : "unknown");
		pcap_close(h);
		return -EPROTONOSUPPORT;
	}
	*out = h;
	return 0;
}

/* What no clock can have said counts as no time at all. */
static uint64_t time_of(const struct pcap_pkthdr *h)
{
	if (h->ts.tv_sec < 0 || (uint64_t)h->ts.tv_sec >= PCAP_TIME_END / NS_PER_S || h->ts.tv_usec < 0 ||
	    (uint64_t)h->ts.tv_usec >= NS_PER_S)
		return 0;
	return (uint64_t)h->ts.tv_sec * NS_PER_S + (uint64_t)h->ts.tv_usec;
}

int pcap_first_time(const char *path, uint64_t *time_ns, char *err, size_t err_len)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *handle;
	int r = open_capture(path, NULL, &handle, err, err_len);

	if (r < 0)
		return r;
	*time_ns = pcap_next_ex(handle, &h, &data) == 1 ? time_of(h) : TIME_NEVER;
	pcap_close(handle);
	return 0;
}

/* --- device --- */

struct pcap_device {
	struct device dev;
	pcap_t *in;
	struct pcap_writer *out;
	enum pcap_form in_form;
	uint64_t epoch_ns;
	uint64_t now;
	uint64_t next; /* core's clock: when the frame in hand is due; TIME_NEVER if none */
	const uint8_t *data;
	uint32_t caplen, len; /* of the frame in hand, trailer included */
	bool out_failed;
	char error[PCAP_ERRBUF_SIZE + 64];
};

static struct pcap_device *of_device(struct device *d)
{
	return container_of(d, struct pcap_device, dev);
}

static void read_ahead(struct pcap_device *c)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	uint64_t last = c->next == TIME_NEVER ? 0 : c->next;
	int r = c->in ? pcap_next_ex(c->in, &h, &data) : PCAP_ERROR_BREAK;

	c->next = TIME_NEVER;
	if (r != 1) {
		if (r == PCAP_ERROR)
			snprintf(c->error, sizeof(c->error), "reading the capture: %s", pcap_geterr(c->in));
		return;
	}
	uint64_t t = time_of(h);
	c->next = max_u64(t > c->epoch_ns ? t - c->epoch_ns : 0, last);
	c->data = data;
	c->caplen = h->caplen;
	c->len = h->len;
}

/* A right checksum that happens to be the pseudo header's sum comes out the same when it is finished. */
static void find_unfinished_work(const struct device *d, struct packet *p)
{
	const uint8_t *frame = packet_frame(p), *l3 = frame + ETHER_HEADER_LEN;
	struct ether_view ether;
	struct ipv4_view ip;
	struct l4_view l4;

	if (!ether_parse(frame, p->len, &ether) || ether.type != ETHERTYPE_IPV4 ||
	    ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip) != IPV4_OK || ipv4_is_fragment(&ip))
		return;
	uint32_t l4_len = (uint32_t)ip.total_len - ip.header_len;

	if (l4_parse(&ip, l3 + ip.header_len, l4_len, &l4) != L4_OK || (l4.kind != L4_TCP && l4.kind != L4_UDP) ||
	    l4.check != checksum_fold(checksum_pseudo(ip.src, ip.dst, ip.proto, l4_len)))
		return;
	p->offload = (struct offload){
		.csum_partial = true,
		.csum_start = (uint16_t)(ETHER_HEADER_LEN + ip.header_len),
		.csum_offset = l4.kind == L4_TCP ? TCP_CHECK_AT : UDP_CHECK_AT,
	};
	uint32_t headers = (uint32_t)ip.header_len + l4.header_len;

	if (l4.kind == L4_TCP && ip.total_len > d->mtu && d->mtu > headers) {
		p->offload.gso_type = GSO_TCP4;
		p->offload.gso_size = (uint16_t)(d->mtu - headers);
		p->offload.gso_hdr_len = (uint16_t)(ETHER_HEADER_LEN + headers);
	}
}

/* The frame in hand, into b or dropped by name. */
static void take_frame(struct pcap_device *c, struct batch *b)
{
	uint32_t trailer = c->in_form == PCAP_FORM_RECORD ? VNET_HEADER_LEN : 0;
	enum drop_reason reason = DROP_NO_BUFFER;
	struct packet *p = NULL;

	c->dev.ledger->n_received++;
	c->dev.n_rx_packets++;
	c->dev.n_rx_bytes += c->len - min_u32(c->len, trailer);
	if (c->caplen < c->len || c->caplen > PACKET_LARGE_BYTES - PACKET_HEADROOM)
		reason = DROP_FRAME_CUT;
	else if (c->caplen < ETHER_HEADER_LEN + trailer)
		reason = DROP_FRAME_SHORT;
	else
		p = packet_alloc(c->dev.pool, c->caplen - trailer);
	if (p) {
		memcpy(packet_frame(p), c->data, p->len);
		if (trailer) {
			struct virtio_net_hdr vnet;
			memcpy(&vnet, c->data + p->len, VNET_HEADER_LEN);
			if (!vnet_to_offload(&vnet, packet_frame(p), p->len, &p->offload)) {
				packet_drop(c->dev.pool, c->dev.ledger, p, DROP_OFFLOAD_BAD);
				return;
			}
		} else {
			find_unfinished_work(&c->dev, p);
		}
		batch_add(b, p);
	} else {
		c->dev.ledger->n_dropped[reason]++;
	}
}

static uint32_t pcap_device_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct pcap_device *c = of_device(d);
	uint32_t n_before = b->n;

	for (uint32_t n = 0; n < max && b->n < BATCH_MAX && c->next != TIME_NEVER && c->next <= c->now; n++) {
		take_frame(c, b);
		read_ahead(c);
	}
	return b->n - n_before;
}

static void pcap_device_tx(struct device *d, struct batch *b)
{
	struct pcap_device *c = of_device(d);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];

		if (c->out && !pcap_writer_write(c->out, c->epoch_ns + c->now, packet_frame(p), p->len, &p->offload)) {
			if (!c->out_failed)
				snprintf(c->error, sizeof(c->error), "writing the capture failed; is the disk full?");
			c->out_failed = true;
			packet_drop(d->pool, d->ledger, p, DROP_TX_REFUSED);
			continue;
		}
		d->ledger->n_handed++;
		d->n_tx_packets++;
		d->n_tx_bytes += p->len;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

static int pcap_device_poll_fd(struct device *d)
{
	return -1;
}

static uint64_t pcap_device_next(struct device *d)
{
	return of_device(d)->next;
}

static void pcap_device_close(struct device *d)
{
	struct pcap_device *c = of_device(d);

	if (c->in)
		pcap_close(c->in);
	if (c->out)
		(void)pcap_writer_close(c->out);
	free(c);
}

static const struct device_ops pcap_device_ops = {
	.driver = "pcap",
	.rx = pcap_device_rx,
	.tx = pcap_device_tx,
	.poll_fd = pcap_device_poll_fd,
	.next = pcap_device_next,
	.close = pcap_device_close,
};

int pcap_device_open(const char *name, const struct pcap_config *cfg, struct device **out, char *err, size_t err_len)
{
	struct pcap_device *c = calloc(1, sizeof(*c));
	int r = 0;

	if (!c) {
		if (cfg->in_file)
			fclose(cfg->in_file);
		snprintf(err, err_len, "device %s: no memory", name);
		return -ENOMEM;
	}
	c->dev.ops = &pcap_device_ops;
	c->dev.mac = cfg->mac;
	c->dev.mtu = cfg->mtu ? cfg->mtu : DEFAULT_MTU;
	c->dev.up = true;
	snprintf(c->dev.name, sizeof(c->dev.name), "%s", name);
	c->in_form = cfg->in_form;
	c->epoch_ns = cfg->epoch_ns;
	c->next = TIME_NEVER;
	if (cfg->in_path)
		r = open_capture(cfg->in_path, cfg->in_file, &c->in, err, err_len);
	if (r == 0 && cfg->out_path)
		r = pcap_writer_open(cfg->out_path, cfg->out_form, &c->out, err, err_len);
	if (r < 0) {
		pcap_device_close(&c->dev);
		return r;
	}
	read_ahead(c);
	*out = &c->dev;
	return 0;
}

void pcap_device_set_time(struct device *d, uint64_t now)
{
	struct pcap_device *c = of_device(d);

	c->now = max_u64(c->now, now);
}

const char *pcap_device_error(struct device *d)
{
	const struct pcap_device *c = of_device(d);

	return c->error[0] ? c->error : NULL;
}
