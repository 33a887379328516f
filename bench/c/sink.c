/* A fast SMTP server that takes every message and keeps none, on 127.0.0.1. One thread, epoll, no dependencies.
 *
 *   sink [-d MILLISECONDS] [-a AUTH_PLAIN_RESPONSE] [-c CERTIFICATE -k KEY]
 *
 * It prints its port. Each line on its standard input is answered with a line of counters, see `print_counters`; at the
 * end of the input it exits. It speaks PIPELINING and CHUNKING, and holds clients to the order of the commands and to
 * line ends: what breaks them is refused and counted.
 *
 * -d delays all that it says: the replies to what arrived together leave together, that much later. -a demands AUTH
 * PLAIN with this very response. -c and -k offer STARTTLS, where built with -DWITH_TLS -lssl -lcrypto.
 */

#include "sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static char buffer[256 * 1024];
#ifdef WITH_TLS
static SSL_CTX *tls_context;
#endif

/* Sends the replies that have gathered, encrypted where that was agreed on. False when the connection has ended. */
static bool answer(struct connection *c) {
    if (c->plain_length)
        counters.answers++;
#ifdef WITH_TLS
    if (c->is_encrypted) {
        char sealed[32 * 1024];
        int count;
        if (c->plain_length && SSL_write(c->tls, c->plain, (int)c->plain_length) <= 0) {
            end(c);
            return false;
        }
        c->plain_length = 0;
        while ((count = BIO_read(SSL_get_wbio(c->tls), sealed, sizeof sealed)) > 0)
            if (!leave(c, sealed, (size_t)count))
                return false;
        return true;
    }
#endif
    if (!c->plain_length)
        return true;
    size_t count = c->plain_length;
    c->plain_length = 0;
    return leave(c, c->plain, count);
}

#ifdef WITH_TLS
static void start_tls(struct connection *c) {
    c->wants_tls = false;
    c->is_encrypted = true;
    c->tls = SSL_new(tls_context);
    SSL_set_bio(c->tls, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(c->tls);
}

/* False when TLS has failed. */
static bool take_encrypted(struct connection *c, const char *bytes, size_t count) {
    static char opened[16 * 1024];
    BIO_write(SSL_get_rbio(c->tls), bytes, (int)count);
    int length;
    while ((length = SSL_read(c->tls, opened, sizeof opened)) > 0)
        take(c, opened, (size_t)length);
    return SSL_get_error(c->tls, length) == SSL_ERROR_WANT_READ;
}
#endif

static void on_readable(struct connection *c) {
    ssize_t count = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0) {
        end(c);
        return;
    }
    if (c->is_closing)
        return;
#ifdef WITH_TLS
    if (c->is_encrypted) {
        if (take_encrypted(c, buffer, (size_t)count))
            answer(c);
        else
            end(c);
        return;
    }
#endif
    take(c, buffer, (size_t)count);
    if (!answer(c))
        return;
#ifdef WITH_TLS
    if (c->wants_tls)
        start_tls(c);
#endif
}

static void on_connection(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int yes = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            fail("calloc");
        c->fd = fd;
        counters.connections++;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
            fail("epoll_ctl");
        greet(c);
        answer(c);
    }
    if (errno != EAGAIN)
        fail("accept4");
}

/* messages, their octets, answers (each of them to all that had arrived), connections, refused commands */
static void print_counters(void) {
    printf("%lu %lu %lu %lu %lu\n", counters.messages, counters.octets, counters.answers, counters.connections,
           counters.refused);
    fflush(stdout);
}

static void on_input(void) {
    char asked[256];
    ssize_t count = read(0, asked, sizeof asked);
    if (count <= 0)
        exit(0);
    for (ssize_t i = 0; i < count; i++)
        if (asked[i] == '\n')
            print_counters();
}

#ifdef WITH_TLS
static void load_certificate(const char *certificate, const char *key) {
    tls_context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(tls_context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "the certificate or its key cannot be read\n");
        exit(1);
    }
    offers_tls = true;
}
#endif

static int listen_on_loopback(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1024))
        fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void watch_descriptor(int fd, void *mark) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
        fail("epoll_ctl");
}

int main(int argc, char **argv) {
    const char *certificate = NULL, *key = NULL;
    int option;
    while ((option = getopt(argc, argv, "d:a:c:k:")) != -1) {
        if (option == 'd')
            delay_ns = (uint64_t)(atof(optarg) * 1e6);
        else if (option == 'a')
            auth_response = optarg;
        else if (option == 'c')
            certificate = optarg;
        else if (option == 'k')
            key = optarg;
        else
            return 2;
    }
    if (certificate && key) {
#ifdef WITH_TLS
        load_certificate(certificate, key);
#else
        fprintf(stderr, "built without TLS\n");
        return 2;
#endif
    }
    int listener = listen_on_loopback();
    char listener_mark, timer_mark, input_mark;
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch_descriptor(listener, &listener_mark);
    watch_descriptor(timer, &timer_mark);
    watch_descriptor(0, &input_mark);
    struct epoll_event events[256];
    while (true) {
        int count = epoll_wait(poller, events, 256, -1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        bool is_due = false;
        for (int i = 0; i < count; i++) {
            void *mark = events[i].data.ptr;
            if (mark == &listener_mark) {
                on_connection(listener);
            } else if (mark == &timer_mark) {
                uint64_t expirations;
                is_due = read(timer, &expirations, sizeof expirations) > 0;
            } else if (mark == &input_mark) {
                on_input();
            } else {
                struct connection *c = mark;
                if (events[i].events & EPOLLOUT) {
                    watch(c, EPOLLIN);
                    if (!flush_out(c))
                        continue;
                }
                if (events[i].events & ~(uint32_t)EPOLLOUT)
                    on_readable(c);
            }
        }
        if (is_due)
            release_due(); /* last, because it may end connections that the other events are about */
    }
}
