/* SPDX-License-Identifier: BSD-2-Clause: a page on a gateway's own address, read by a client behind it, without a
 * device */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <yangguan/gateway.h>
#include <yangguan/socket.h>

static struct yg_gateway *gw;
static struct yg_stack *client;
static char page[500];

static int from_gateway(void *ctx, unsigned int interface, const struct yg_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n && client != NULL; i++)
		yg_input_bytes(client, frames[i].bytes, frames[i].len, yg_now(client));
	return (int)n;
}

static int from_client(void *ctx, struct yg_packet *const *packets, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct yg_frame f = { .bytes = yg_packet_data(packets[i], client),
				      .len = yg_packet_len(packets[i], client) };
		yg_gateway_input(gw, 1, &f, 1, yg_now(client));
		yg_packet_free(client, packets[i]);
	}
	return (int)n;
}

static void show(void *ctx, const struct yg_connection *c)
{
	snprintf(page + strlen(page), sizeof(page) - strlen(page), "to port %u: %s\n",
		 ntohs(((const struct sockaddr_in *)&c->destination)->sin_port), c->state);
}

int main(void)
{
	char why[500], got[sizeof(page)] = "";
	struct yg_gateway_config cfg = { .size = sizeof(cfg), .parts = YG_GATEWAY_NAT, .output = from_gateway };
	struct yg_gateway_interface lan = { sizeof(lan), "lan0", "10.0.0.1/24", 0, 0 };
	struct yg_gateway_policy policy = { .size = sizeof(policy), .interface = &lan, .n_interfaces = 1 };
	struct yg_stack_config c = { .size = sizeof(c), .output = from_client, .address = "10.0.0.2/24" };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(80) };
	gw = yg_gateway_create(&cfg, &policy, why, sizeof(why));
	if (gw == NULL || yg_gateway_attach(gw, "lan0", NULL, 0) != 1 || (client = yg_stack_create(&c)) == NULL)
		return fprintf(stderr, "%s\n", why), 1;
	struct yg_stack *host = yg_gateway_stack(gw); /* its sockets are the gateway's own */
	int listener = yg_socket(host, AF_INET, SOCK_STREAM, 0), ours = yg_socket(client, AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "10.0.0.1", &at.sin_addr);
	yg_bind(host, listener, (struct sockaddr *)&at, sizeof(at));
	yg_listen(host, listener, 8);
	yg_connect(client, ours, (struct sockaddr *)&at, sizeof(at)); /* every packet arrives while it runs */
	int theirs = yg_accept(host, listener, NULL, NULL);
	yg_gateway_connections(gw, show, NULL);
	yg_send(host, theirs, page, strlen(page), 0);
	yg_recv(client, ours, got, sizeof(got) - 1, 0);
	printf("%s", got);
	yg_stack_destroy(client), client = NULL;
	return yg_gateway_destroy(gw), 0;
}
