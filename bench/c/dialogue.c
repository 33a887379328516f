/* The sink's half of the dialogue: lines, chunks and data, wherever they are cut; RFC 5321, 2920, 3030. */

#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct counters counters;
const char *auth_response;
bool offers_tls;

static void say(struct connection *c, const char *reply) {
    append(&c->plain, &c->plain_length, &c->plain_size, reply, strlen(reply));
}

static void refuse(struct connection *c, const char *reply) {
    counters.refused++;
    say(c, reply);
}

void greet(struct connection *c) {
    say(c, "220 sink ESMTP\r\n");
}

static void reset(struct connection *c) {
    c->has_sender = c->has_recipient = false;
    c->octets = 0;
}

static void accept_message(struct connection *c) {
    counters.messages++;
    counters.octets += c->octets;
    reset(c);
    say(c, "250 2.0.0 accepted\r\n");
}

static void end_chunk(struct connection *c) {
    c->state = COMMAND;
    if (!c->is_chunk_wanted) {
        refuse(c, "503 5.5.1 no recipient\r\n");
        reset(c);
    } else if (c->is_last_chunk) {
        accept_message(c);
    } else {
        say(c, "250 2.0.0 go on\r\n");
    }
}

static void bdat(struct connection *c, const char *words) {
    char *rest;
    if (*words < '0' || *words > '9') {
        refuse(c, "501 5.5.4 BDAT needs a size\r\n");
        c->is_closing = true; /* where the chunk ends is not known */
        return;
    }
    errno = 0;
    c->chunk_left = strtoull(words, &rest, 10);
    if (errno || (*rest && strcasecmp(rest, " LAST"))) {
        refuse(c, "501 5.5.4 BDAT is unreadable\r\n");
        c->is_closing = true;
        return;
    }
    c->is_last_chunk = *rest != 0;
    c->is_chunk_wanted = c->has_recipient;
    c->octets += c->chunk_left;
    c->state = CHUNK;
    if (!c->chunk_left)
        end_chunk(c);
}

static bool is_path(const char *words, const char *prefix) {
    size_t length = strlen(prefix);
    return !strncasecmp(words, prefix, length) && strchr(words + length, '>');
}

static void hello(struct connection *c, bool is_extended) {
    reset(c);
    if (!is_extended) {
        say(c, "250 sink\r\n");
        return;
    }
    say(c, "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n");
    if (offers_tls && !c->is_encrypted)
        say(c, "250-STARTTLS\r\n");
    if (auth_response)
        say(c, "250-AUTH PLAIN\r\n");
    say(c, "250-SIZE " SIZE_LIMIT "\r\n250 CHUNKING\r\n");
}

static void sign_in(struct connection *c, const char *response) {
    c->is_signed_in = auth_response && !strcmp(response, auth_response);
    if (c->is_signed_in)
        say(c, "235 2.7.0 welcome\r\n");
    else
        refuse(c, "535 5.7.8 wrong\r\n");
}

static bool is_verb(const char *line, const char *verb) {
    size_t length = strlen(verb);
    return !strncasecmp(line, verb, length) && (!line[length] || line[length] == ' ');
}

static void obey(struct connection *c, const char *line) {
    const char *words = strchr(line, ' ') ? strchr(line, ' ') + 1 : "";
    if (c->awaits_response) {
        c->awaits_response = false;
        sign_in(c, line);
    } else if (is_verb(line, "MAIL")) {
        if (auth_response && !c->is_signed_in)
            refuse(c, "530 5.7.0 sign in first\r\n");
        else if (c->has_sender)
            refuse(c, "503 5.5.1 one sender is enough\r\n");
        else if (!is_path(words, "FROM:<"))
            refuse(c, "501 5.5.4 MAIL FROM:<address>\r\n");
        else
            c->has_sender = true, say(c, "250 2.1.0 sender\r\n");
    } else if (is_verb(line, "RCPT")) {
        if (!c->has_sender)
            refuse(c, "503 5.5.1 no sender\r\n");
        else if (!is_path(words, "TO:<") || !strncasecmp(words, "TO:<>", 5))
            refuse(c, "501 5.5.4 RCPT TO:<address>\r\n");
        else
            c->has_recipient = true, say(c, "250 2.1.5 recipient\r\n");
    } else if (is_verb(line, "BDAT")) {
        bdat(c, words);
    } else if (is_verb(line, "DATA")) {
        if (!c->has_recipient) {
            refuse(c, "503 5.5.1 no recipient\r\n");
            return;
        }
        c->state = DATA;
        c->matched = 2; /* the dot may stand in the first line */
        say(c, "354 go on\r\n");
    } else if (is_verb(line, "RSET")) {
        reset(c);
        say(c, "250 2.0.0 forgotten\r\n");
    } else if (is_verb(line, "NOOP")) {
        say(c, "250 2.0.0 here\r\n");
    } else if (is_verb(line, "EHLO") || is_verb(line, "HELO")) {
        hello(c, is_verb(line, "EHLO"));
    } else if (is_verb(line, "QUIT")) {
        say(c, "221 2.0.0 bye\r\n");
        c->is_closing = true;
    } else if (auth_response && !strncasecmp(line, "AUTH PLAIN", 10)) {
        if (line[10] == ' ')
            sign_in(c, line + 11);
        else
            c->awaits_response = true, say(c, "334 \r\n");
    } else if (is_verb(line, "STARTTLS") && offers_tls && !c->is_encrypted) {
        say(c, "220 2.0.0 go on\r\n");
        c->wants_tls = true;
        c->is_signed_in = false;
        reset(c);
    } else {
        refuse(c, "500 5.5.2 unknown\r\n");
    }
}

/* Finds the end of the data, CRLF.CRLF, wherever it is cut; returns how many octets belong to the data. */
static size_t scan_data(struct connection *c, const char *bytes, size_t count) {
    static const char end_of_data[] = "\r\n.\r\n";
    size_t position = 0;
    while (position < count) {
        if (!c->matched) {
            const char *found = memchr(bytes + position, '\r', count - position);
            if (!found)
                return count;
            position = (size_t)(found - bytes);
        }
        char octet = bytes[position++];
        if (octet == end_of_data[c->matched])
            c->matched++;
        else
            c->matched = octet == '\r';
        if (c->matched == 5) {
            c->state = COMMAND;
            break;
        }
    }
    return position;
}

static size_t take_line(struct connection *c, const char *bytes, size_t count) {
    const char *found = memchr(bytes, '\n', count);
    size_t taken = found ? (size_t)(found - bytes) + 1 : count;
    if (c->line_length + taken > LINE_LIMIT) {
        refuse(c, "500 5.5.2 too long\r\n");
        c->is_closing = true;
        return count;
    }
    memcpy(c->line + c->line_length, bytes, taken);
    c->line_length += taken;
    if (!found)
        return taken;
    size_t length = c->line_length;
    c->line_length = 0;
    if (length < 2 || c->line[length - 2] != '\r' || memchr(c->line, 0, length)) {
        refuse(c, "500 5.5.2 a line ends in CRLF\r\n");
        return taken;
    }
    c->line[length - 2] = 0;
    obey(c, c->line);
    return taken;
}

void take(struct connection *c, const char *bytes, size_t count) {
    while (count && !c->is_closing && !c->wants_tls) {
        size_t taken;
        if (c->state == CHUNK) {
            taken = c->chunk_left < count ? c->chunk_left : count;
            if (!(c->chunk_left -= taken))
                end_chunk(c);
        } else if (c->state == DATA) {
            taken = scan_data(c, bytes, count);
            c->octets += taken;
            if (c->state == COMMAND)
                accept_message(c);
        } else {
            taken = take_line(c, bytes, count);
        }
        bytes += taken;
        count -= taken;
    }
    if (count && c->wants_tls)
        c->is_closing = true; /* clear text behind STARTTLS (CVE-2011-0411) */
}
