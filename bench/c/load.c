/* A load generator: connections that each send a request, wait for its answer, check it, and send the next one.
 *
 *   load -p PORT [-n CONNECTIONS] [-t SECONDS | -r REQUESTS] [-e STATUS] [-f FIRST] [-v VALUES] [-s REPLIES] REQUEST
 *
 * REQUEST is a file that is sent as it is, except that each run of `#` in it becomes a number of its own (counting from
 * FIRST, filled up with zeros), or the next line of the file VALUES, which has to be as long. The service is to answer
 * with STATUS (201). With -s it is an SMTP server instead, which is greeted once and then says REPLIES times 250 to
 * each REQUEST.
 *
 * It prints what `report` says. An answer that is wrong counts as failed; the first one is shown on standard error.
 */

#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

int port, expected = 201;
unsigned replies;

static uint32_t *latencies_us;
static size_t answered, failed, latencies_size;

void fail(const char *what) {
    perror(what);
    exit(1);
}

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *content = malloc(*length + 1);
    if (!content || fread(content, 1, *length, file) != *length)
        fail(path);
    content[*length] = 0;
    fclose(file);
    return content;
}

void count_failure(const char *what, const char *detail) {
    if (!failed++)
        fprintf(stderr, "%s: %.600s\n", what, detail);
}

void count_answer(struct connection *c) {
    if (c->status != expected) {
        count_failure("another answer", c->head);
        return;
    }
    if (answered == latencies_size) {
        latencies_size = latencies_size ? latencies_size * 2 : 65536;
        if (!(latencies_us = realloc(latencies_us, latencies_size * sizeof *latencies_us)))
            fail("realloc");
    }
    latencies_us[answered++] = (uint32_t)((now_ns() - c->began_ns) / 1000);
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double share_ms(unsigned percent) {
    if (!answered)
        return 0;
    size_t rank = answered * percent / 100;
    return latencies_us[rank < answered ? rank : answered - 1] / 1000.0;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void report(double seconds) {
    qsort(latencies_us, answered, sizeof *latencies_us, compare);
    printf("{\"seconds\": %.6f, \"answered\": %zu, \"failed\": %zu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
           "\"cpu_s\": %.3f}\n",
           seconds, answered, failed, share_ms(50), share_ms(99), share_ms(100), cpu_s());
}

static void run(struct connection *connections, unsigned count, double seconds, uint64_t requests) {
    uint64_t began_ns = now_ns(), stop_ns = began_ns + (uint64_t)(seconds * 1e9), begun = 0;
    unsigned under_way = 0;
    for (; under_way < count && begun < requests; under_way++, begun++)
        begin(&connections[under_way]);
    struct epoll_event events[256];
    while (under_way) {
        int ready = epoll_wait(poller, events, 256, PATIENCE_MS);
        if (ready == 0) {
            count_failure("no answer", "for a minute");
            break;
        }
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) {
                watch(c, EPOLLIN);
                send_rest(c);
            }
            if (!(events[i].events & ~(uint32_t)EPOLLOUT) || !hear(c))
                continue;
            if (now_ns() < stop_ns && begun < requests) {
                begin(c);
                begun++;
            } else {
                under_way--;
            }
        }
    }
    report((double)(now_ns() - began_ns) / 1e9);
}

int main(int argc, char **argv) {
    unsigned count = 1;
    double seconds = 1e6;
    uint64_t requests = UINT64_MAX;
    const char *values_path = NULL;
    int option;
    while ((option = getopt(argc, argv, "p:n:t:r:e:f:v:s:")) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'n': count = (unsigned)atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'r': requests = strtoull(optarg, NULL, 10); break;
        case 'e': expected = atoi(optarg); break;
        case 'f': next_number = strtoull(optarg, NULL, 10); break;
        case 'v': values_path = optarg; break;
        case 's': replies = (unsigned)atoi(optarg); break;
        default: return 2;
        }
    }
    if (!port || optind != argc - 1 || (seconds == 1e6 && requests == UINT64_MAX))
        return 2;
    request_template = read_file(argv[optind], &request_length);
    find_place();
    if (values_path) {
        size_t length;
        values = read_file(values_path, &length);
        value_count = length / (place_width + 1);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc(count, sizeof *connections);
    for (unsigned i = 0; i < count; i++)
        open_connection(&connections[i]);
    run(connections, count, seconds, requests);
    return failed ? 1 : 0;
}
