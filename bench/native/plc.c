/* A fast PLC: plain Modbus/TCP on one epoll thread, pipelined requests, any number of connections.
 * Reads are answered from memory, writes are stored and counted. One answer to each read from the socket
 * holds all the answers to what was read, so that the PLC is never the slowest part of a measurement.
 * A connection to the second port gets the counts as one line of JSON. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/epoll.h>

#include "modbus.h"

enum { MAX_FD = 65536, INPUT = 64 * 1024, RECENT = 64 };

struct peer {
    unsigned have;
    uint8_t left[ADU_MAX]; /* an incomplete frame, kept for the next read */
};

static uint16_t holding[65536];
static uint8_t coils[65536];
static struct peer *peers[MAX_FD];
static uint64_t frames, bytes, malformed, opened, per_function[256];
static unsigned open_now;
static uint8_t recent[RECENT][ADU_MAX]; /* the last frames that were no plain reads */
static uint64_t recent_count;
static int epoll_fd;

static unsigned exception(uint8_t *out, unsigned code)
{
    out[7] |= 0x80;
    out[8] = (uint8_t)code;
    return 2;
}

static unsigned read_registers(const uint8_t *in, uint8_t *out)
{
    unsigned address = get16(in + 8), quantity = get16(in + 10);
    if (quantity < 1 || quantity > 125)
        return exception(out, 3);
    if (address + quantity > 65536)
        return exception(out, 2);
    out[8] = (uint8_t)(2 * quantity);
    for (unsigned i = 0; i < quantity; i++)
        put16(out + 9 + 2 * i, holding[address + i]);
    return 2 + 2 * quantity;
}

static unsigned write_registers(const uint8_t *in, unsigned pdu, uint8_t *out)
{
    unsigned address = get16(in + 8), quantity = get16(in + 10);
    if (quantity < 1 || quantity > 123 || pdu != 6 + 2 * quantity || in[12] != 2 * quantity)
        return exception(out, 3);
    if (address + quantity > 65536)
        return exception(out, 2);
    for (unsigned i = 0; i < quantity; i++)
        holding[address + i] = get16(in + 13 + 2 * i);
    memcpy(out + 8, in + 8, 4);
    return 5;
}

/* The length of the answering PDU, which is written behind the MBAP header in `out`. */
static unsigned answer(const uint8_t *in, unsigned pdu, uint8_t *out)
{
    out[7] = in[7];
    if ((in[7] == 3 || in[7] == 4) && pdu == 5)
        return read_registers(in, out);
    if (in[7] == 16 && pdu >= 6)
        return write_registers(in, pdu, out);
    if ((in[7] == 5 || in[7] == 6) && pdu == 5) {
        if (in[7] == 6)
            holding[get16(in + 8)] = get16(in + 10);
        else
            coils[get16(in + 8)] = in[10] != 0;
        memcpy(out + 8, in + 8, 4);
        return 5;
    }
    return exception(out, 1);
}

static unsigned serve_frame(const uint8_t *in, unsigned size, uint8_t *out)
{
    frames++;
    per_function[in[7]]++;
    if (in[7] != 3 && in[7] != 4) {
        uint8_t *slot = recent[recent_count++ % RECENT];
        memset(slot, 0, ADU_MAX);
        memcpy(slot, in, size);
    }
    unsigned pdu = answer(in, size - MBAP, out);
    memcpy(out, in, MBAP);
    put16(out + 4, pdu + 1);
    return MBAP + pdu;
}

static void close_peer(int fd)
{
    free(peers[fd]);
    peers[fd] = NULL;
    open_now--;
    close(fd);
}

/* Answers every whole frame in `in`; the number of bytes used, or -1 for a frame no device would accept. */
static int serve_all(const uint8_t *in, unsigned size, uint8_t *out, unsigned *filled)
{
    unsigned used = 0;
    while (size - used >= 6) {
        unsigned length = get16(in + used + 4);
        if (get16(in + used + 2) != 0 || length < 2 || length > 254)
            return -1;
        if (size - used < 6 + length)
            break;
        *filled += serve_frame(in + used, 6 + length, out + *filled);
        used += 6 + length;
    }
    return (int)used;
}

static int send_all(int fd, const uint8_t *out, unsigned size)
{
    for (unsigned sent = 0; sent < size;) {
        ssize_t n = send(fd, out + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return -1;
        sent += n > 0 ? (unsigned)n : 0;
    }
    return 0;
}

static void serve(int fd)
{
    static uint8_t in[INPUT], out[INPUT / 8 * ADU_MAX]; /* the smallest frame has 8 bytes */
    struct peer *peer = peers[fd];
    unsigned filled = 0, have = peer->have;
    memcpy(in, peer->left, have);
    ssize_t n = recv(fd, in + have, INPUT - have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        return close_peer(fd);
    have += (unsigned)n;
    bytes += (uint64_t)n;
    int used = serve_all(in, have, out, &filled);
    if (used < 0) {
        malformed++;
        return close_peer(fd);
    }
    peer->have = have - (unsigned)used;
    memcpy(peer->left, in + used, peer->have);
    if (filled && send_all(fd, out, filled))
        close_peer(fd);
}

static void accept_all(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= MAX_FD || !(peers[fd] = calloc(1, sizeof *peers[fd]))) {
            close(fd);
            continue;
        }
        no_delay(fd);
        opened++;
        open_now++;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void report(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
    if (!to)
        return;
    fprintf(to, "{\"frames\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"malformed\": %" PRIu64, frames, bytes, malformed);
    fprintf(to, ", \"opened\": %" PRIu64 ", \"open\": %u, \"functions\": {", opened, open_now);
    const char *comma = "";
    for (unsigned i = 0; i < 256; i++)
        if (per_function[i]) {
            fprintf(to, "%s\"%u\": %" PRIu64, comma, i, per_function[i]);
            comma = ", ";
        }
    fprintf(to, "}, \"recent\": [");
    uint64_t first = recent_count > RECENT ? recent_count - RECENT : 0;
    for (uint64_t i = first; i < recent_count; i++) {
        const uint8_t *frame = recent[i % RECENT];
        fprintf(to, "%s\"", i == first ? "" : ", ");
        for (unsigned byte = 6; byte < 6u + get16(frame + 4); byte++)
            fprintf(to, "%02x", frame[byte]);
        fprintf(to, "\"");
    }
    fprintf(to, "]}\n");
    fclose(to);
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "127.0.0.1";
    char address[80];
    uint16_t port, report_port;
    struct epoll_event events[512];
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < 65536; i++)
        holding[i] = initial_register(i);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    snprintf(address, sizeof address, "%s:0", host);
    int plc = listen_on(address, &port), reporter = listen_on(address, &report_port);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, plc, &(struct epoll_event){.events = EPOLLIN, .data.fd = plc});
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, reporter, &(struct epoll_event){.events = EPOLLIN, .data.fd = reporter});
    printf("{\"port\": %u, \"report_port\": %u}\n", port, report_port);
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == plc)
                accept_all(plc);
            else if (fd == reporter)
                report(reporter);
            else if (peers[fd])
                serve(fd);
        }
    }
}
