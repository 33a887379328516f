/* One request and its answer, over HTTP or SMTP. */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

int poller;
const char *request_template, *values;
size_t request_length, place_width, value_count;
uint64_t next_number;

static size_t place;

void find_place(void) {
    const char *found = memchr(request_template, '#', request_length);
    if (!found)
        return;
    place = (size_t)(found - request_template);
    while (place + place_width < request_length && request_template[place + place_width] == '#')
        place_width++;
}

static void fill_place(struct connection *c) {
    if (!place_width)
        return;
    uint64_t number = next_number++;
    if (values) {
        memcpy(c->request + place, values + number % value_count * (place_width + 1), place_width);
        return;
    }
    for (size_t i = place_width; i--; number /= 10)
        c->request[place + i] = (char)('0' + number % 10);
}

/* Greets an SMTP server, waiting for it. */
static void greet(int fd) {
    char heard[4096];
    size_t length = 0;
    const char *said = "";
    for (int step = 0; step < 2; step++) {
        if (write(fd, said, strlen(said)) < 0)
            fail("write");
        length = 0;
        do {
            ssize_t count = read(fd, heard + length, sizeof heard - 1 - length);
            if (count <= 0)
                fail("read");
            length += (size_t)count;
            heard[length] = 0;
        } while (!strstr(heard, step ? "\n250 " : "220 ") || heard[length - 1] != '\n');
        said = "EHLO bench\r\n";
    }
}

static void connect_to_service(struct connection *c) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (replies)
        greet(c->fd);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event))
        fail("epoll_ctl");
}

void open_connection(struct connection *c) {
    if (!(c->request = malloc(request_length)))
        fail("malloc");
    memcpy(c->request, request_template, request_length);
    connect_to_service(c);
}

void watch(struct connection *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event))
        fail("epoll_ctl");
}

void send_rest(struct connection *c) {
    while (c->sent < request_length) {
        ssize_t count = send(c->fd, c->request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN)
            return; /* reading tells what happened */
        if (count < 0) {
            watch(c, EPOLLIN | EPOLLOUT);
            return;
        }
        c->sent += (size_t)count;
    }
}

void begin(struct connection *c) {
    fill_place(c);
    c->sent = c->head_length = 0;
    c->body_left = 0;
    c->status = 0;
    c->began_ns = now_ns();
    send_rest(c);
}

static bool is_smtp_complete(struct connection *c) {
    unsigned seen = 0;
    for (char *line = c->head, *line_end; (line_end = strchr(line, '\n')); line = line_end + 1) {
        if (strncmp(line, "250 ", 4)) {
            c->status = -1;
            return true;
        }
        seen++;
    }
    c->status = expected;
    return seen == replies;
}

/* Whether the answer is complete with these octets, which stand at the end of the head as far as they fit. */
static bool is_complete(struct connection *c, size_t count) {
    if (replies)
        return is_smtp_complete(c);
    if (!c->status) {
        char *head_end = strstr(c->head, "\r\n\r\n");
        if (!head_end) {
            if (c->head_length == HEAD_LIMIT)
                c->status = -1;
            return c->status != 0;
        }
        char *length = strcasestr(c->head, "\r\ncontent-length:");
        c->status = strncmp(c->head, "HTTP/1.1 ", 9) || !length || length > head_end ? -1 : atoi(c->head + 9);
        if (c->status < 0)
            return true;
        uint64_t arrived = c->head_length - (size_t)(head_end + 4 - c->head);
        c->body_left = strtoull(length + 17, NULL, 10);
        if (arrived > c->body_left) {
            c->status = -1;
            return true;
        }
        c->body_left -= arrived;
    } else {
        c->body_left -= count < c->body_left ? count : c->body_left;
    }
    return !c->body_left;
}

bool hear(struct connection *c) {
    static char more[HEAD_LIMIT];
    bool is_body = c->status > 0;
    char *to = is_body ? more : c->head + c->head_length;
    size_t room = is_body ? sizeof more : HEAD_LIMIT - c->head_length;
    ssize_t count = recv(c->fd, to, room, 0);
    if (count < 0 && errno == EAGAIN)
        return false;
    if (count <= 0) {
        c->head[c->head_length] = 0;
        count_failure("the connection has ended", c->head);
        close(c->fd);
        connect_to_service(c);
        return true;
    }
    if (!is_body) {
        c->head_length += (size_t)count;
        c->head[c->head_length] = 0;
    }
    if (!is_complete(c, (size_t)count))
        return false;
    count_answer(c);
    return true;
}
