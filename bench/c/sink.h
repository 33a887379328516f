/* What the parts of the sink share: `sink.c` waits for events, `dialogue.c` understands, `outgoing.c` answers. */

#pragma once

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef WITH_TLS
#include <openssl/ssl.h>
#endif

#define LINE_LIMIT 2048
#define SIZE_LIMIT "134217728"

enum state { COMMAND, CHUNK, DATA };

struct connection {
    int fd;
    enum state state;
    bool is_closing, is_refused, has_sender, has_recipient, is_signed_in, is_last_chunk, is_chunk_wanted;
    bool is_encrypted, wants_tls, awaits_response;
    unsigned matched;    /* of CRLF.CRLF, in DATA */
    uint64_t chunk_left; /* octets of BDAT to come */
    uint64_t octets;     /* of the message so far */
    char line[LINE_LIMIT];
    size_t line_length;
    char *out; /* what is ready to leave: replies, or what TLS made of them */
    size_t out_length, out_size;
    unsigned batches; /* of output that wait for their time */
#ifdef WITH_TLS
    SSL *tls;
#endif
    char *plain; /* replies to what arrived together */
    size_t plain_length, plain_size;
};

struct counters {
    uint64_t messages, octets, answers, connections, refused;
};

/* dialogue.c */

extern struct counters counters;
extern const char *auth_response; /* what AUTH PLAIN has to bring; NULL asks for none */
extern bool offers_tls;

/* Begin a session: say who is here. */
void greet(struct connection *c);

/* Take what has arrived; the replies gather in `plain`. */
void take(struct connection *c, const char *bytes, size_t count);

/* outgoing.c */

extern int poller, timer;
extern uint64_t delay_ns;

void append(char **to, size_t *length, size_t *size, const char *bytes, size_t count);

/* Send this, later where there is a delay. False when the connection has ended. */
bool leave(struct connection *c, const char *bytes, size_t count);

/* Send what is ready to leave. False when the connection has ended. */
bool flush_out(struct connection *c);

/* Send whatever has waited long enough; to be called when `timer` fires. */
void release_due(void);

/* Close a connection; it is gone afterwards. */
void end(struct connection *c);

void watch(struct connection *c, uint32_t events);
void fail(const char *what);
