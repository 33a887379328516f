/* What leaves the sink: at once, or as batches that wait for their time. */

#include "sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct batch {
    struct connection *connection;
    uint64_t due_ns;
    size_t length;
    struct batch *next;
    char bytes[];
};

int poller, timer;
uint64_t delay_ns;

static struct batch *first_batch, **last_batch = &first_batch;

void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void append(char **to, size_t *length, size_t *size, const char *bytes, size_t count) {
    if (*length + count > *size) {
        *size = (*length + count) * 2;
        if (!(*to = realloc(*to, *size)))
            fail("realloc");
    }
    memcpy(*to + *length, bytes, count);
    *length += count;
}

void watch(struct connection *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event))
        fail("epoll_ctl");
}

void end(struct connection *c) {
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (c->batches)
        return; /* freed with its last batch */
#ifdef WITH_TLS
    SSL_free(c->tls);
#endif
    free(c->out);
    free(c->plain);
    free(c);
}

bool flush_out(struct connection *c) {
    size_t sent = 0;
    while (sent < c->out_length) {
        ssize_t count = send(c->fd, c->out + sent, c->out_length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EAGAIN)
            break;
        if (count < 0) {
            end(c);
            return false;
        }
        sent += (size_t)count;
    }
    bool was_full = c->out_length && sent < c->out_length;
    memmove(c->out, c->out + sent, c->out_length - sent);
    c->out_length -= sent;
    if (was_full)
        watch(c, EPOLLIN | EPOLLOUT);
    if (c->is_closing && !c->out_length && !c->batches) {
        end(c);
        return false;
    }
    return true;
}

static void arm(uint64_t due_ns) {
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(due_ns / 1000000000u), .tv_nsec = (long)(due_ns % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

bool leave(struct connection *c, const char *bytes, size_t count) {
    if (!delay_ns) {
        append(&c->out, &c->out_length, &c->out_size, bytes, count);
        return flush_out(c);
    }
    struct batch *batch = malloc(sizeof *batch + count);
    if (!batch)
        fail("malloc");
    *batch = (struct batch){.connection = c, .due_ns = now_ns() + delay_ns, .length = count};
    memcpy(batch->bytes, bytes, count);
    if (!first_batch)
        arm(batch->due_ns);
    *last_batch = batch;
    last_batch = &batch->next;
    c->batches++;
    return true;
}

void release_due(void) {
    uint64_t now = now_ns();
    while (first_batch && first_batch->due_ns <= now) {
        struct batch *batch = first_batch;
        struct connection *c = batch->connection;
        if (!(first_batch = batch->next))
            last_batch = &first_batch;
        c->batches--;
        if (c->fd >= 0) {
            append(&c->out, &c->out_length, &c->out_size, batch->bytes, batch->length);
            flush_out(c);
        } else if (!c->batches) {
            end(c);
        }
        free(batch);
    }
    if (first_batch)
        arm(first_batch->due_ns);
}
