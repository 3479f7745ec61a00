/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Capture files: one as a device (frames come in from it at their times, what is
 * sent goes into another), and a writer on its own for recording.
 */
#ifndef YG_DAEMON_DEVICE_PCAP_H
#define YG_DAEMON_DEVICE_PCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "stack/packet/device.h"

#define PCAP_SNAPLEN 262144
/* Behind every time of a capture, in nanoseconds; far enough from the type's end for sums. */
#define PCAP_TIME_END (UINT64_C(1) << 62)

enum pcap_form {
	/* Frames as they are on a wire. */
	PCAP_FORM_PLAIN,
	/* Each frame with VNET_HEADER_LEN more bytes behind it: its unfinished
	 * work, so that a replay sees what the device gave. Still an Ethernet
	 * capture: other programs take the bytes for a trailer. */
	PCAP_FORM_RECORD,
};

/* --- a writer --- */

struct pcap_writer;

/* Nanosecond precision, Ethernet. An existing file is replaced. Returns 0 or
 * -errno and a sentence. */
int pcap_writer_open(const char *path, enum pcap_form form, struct pcap_writer **out, char *err, size_t err_len);
/* The same into a file that is open already and is the writer's from here on, also when it fails. */
int pcap_writer_start(FILE *file, enum pcap_form form, struct pcap_writer **out, char *err, size_t err_len);
/* time_ns counts from the epoch of the capture. Buffered. False when an earlier
 * or this write failed (disk full): nothing more is written then. Plain form:
 * offload may be NULL. */
bool pcap_writer_write(struct pcap_writer *w, uint64_t time_ns, const uint8_t *frame, uint32_t len,
		       const struct offload *offload);
/* To the file. False as above. */
bool pcap_writer_flush(struct pcap_writer *w);
/* Flushes and closes; false when anything since the start was lost. */
bool pcap_writer_close(struct pcap_writer *w);

/* --- a device --- */

struct pcap_config {
	const char *in_path; /* NULL: nothing comes in */
	FILE *in_file;       /* open already, the device's from here on, also when it fails; in_path is its name then */
	const char *out_path; /* NULL: what is sent is counted and forgotten */
	enum pcap_form in_form, out_form;
	uint64_t epoch_ns; /* capture time at which the core's clock is 0 */
	struct ether_addr mac;
	uint32_t mtu; /* 0: 1500 */
};

/* name: of the gateway's interface. The device has no descriptor and no clock
 * of its own: set the time, then rx gives what is due. Capabilities: none, so
 * frames leave finished. */
int pcap_device_open(const char *name, const struct pcap_config *cfg, struct device **out, char *err, size_t err_len);
/* The core's clock, for rx (what is due) and tx (the time stamp). Never goes
 * back. */
void pcap_device_set_time(struct device *d, uint64_t now);
/* What went wrong in reading (cut file) or writing (disk full), or NULL. The
 * device goes on without that side. */
const char *pcap_device_error(struct device *d);
/* Capture time of the first frame of a file, to choose epoch_ns; TIME_NEVER for
 * an empty one. Returns 0 or -errno and a sentence. */
int pcap_first_time(const char *path, uint64_t *time_ns, char *err, size_t err_len);

#endif
