/* What the halves of the load generator share: `load.c` counts, `exchange.c` asks and hears. */

#pragma once

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_LIMIT (64 * 1024)

struct connection {
    int fd;
    char *request;
    size_t sent;
    uint64_t began_ns;
    char head[HEAD_LIMIT + 1]; /* of the answer, with the beginning of its body */
    size_t head_length;
    uint64_t body_left;
    int status; /* 0 until the head is complete */
};

/* load.c */

extern int port, expected; /* the status of a good answer */
extern unsigned replies;   /* of an SMTP server; 0 for HTTP */

void count_failure(const char *what, const char *detail);
void count_answer(struct connection *c);
uint64_t now_ns(void);
void fail(const char *what);

/* exchange.c */

extern int poller;
extern const char *request_template, *values;
extern size_t request_length, place_width, value_count;
extern uint64_t next_number;

/* Find the run of `#` in the request. */
void find_place(void);

/* Connect, with a request of its own. */
void open_connection(struct connection *c);

/* Send the next request, as far as it goes. */
void begin(struct connection *c);
void send_rest(struct connection *c);

/* True when the answer is complete, or never will be; it is counted then. */
bool hear(struct connection *c);

void watch(struct connection *c, uint32_t events);
