/* One publishing connection: batches of messages out, acknowledgements back. */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include "channel.h"
#include "histogram.h"
#include "mqtt.h"

enum { OUT_MAX = 16384, IN_MAX = 16384, WINDOW_MAX = 256 };

struct publisher {
    struct channel channel;
    unsigned index, level, have, filled, sent, free_ids;
    int blocked, reading;
    uint64_t place;              /* allowed messages so far */
    uint64_t made;               /* all messages so far */
    uint64_t due;                /* paced: when the next one is to be sent */
    uint16_t ids[WINDOW_MAX];    /* free packet ids */
    uint64_t began[WINDOW_MAX];  /* by packet id - 1: when it was sent, or was to be */
    uint8_t refused[WINDOW_MAX]; /* by packet id - 1: it must not be let through */
    uint8_t out[OUT_MAX], in[IN_MAX];
};

/* Connected and accepted by the broker when this returns. */
static inline void publisher_open(struct publisher *publisher, const struct sockaddr_in *to, SSL_CTX *context,
                                  const char *client_id, unsigned window)
{
    uint8_t out[256];
    unsigned body, size = put_connect(out, publisher->level, client_id), packet;
    channel_open(&publisher->channel, to, context);
    if (channel_send(&publisher->channel, out, size) != (int)size)
        die("%s: CONNECT: %s", client_id, channel_trouble(&publisher->channel));
    while (!(packet = packet_size(publisher->in, publisher->have, &body))) {
        int n = channel_receive(&publisher->channel, publisher->in + publisher->have, IN_MAX - publisher->have);
        if (n <= 0)
            die("%s: waiting for CONNACK: %s", client_id, channel_trouble(&publisher->channel));
        publisher->have += (unsigned)n;
    }
    if (publisher->in[0] != CONNACK << 4 || publisher->in[body + 1])
        die("%s: refused with packet %u, code 0x%02x", client_id, publisher->in[0] >> 4, publisher->in[body + 1]);
    publisher->have -= packet;
    memmove(publisher->in, publisher->in + packet, publisher->have);
    for (unsigned i = 0; i < window; i++)
        publisher->ids[i] = (uint16_t)(window - i);
    publisher->free_ids = window;
    set_blocking(publisher->channel.fd, 0);
}

static inline void publisher_close(struct publisher *publisher)
{
    static const uint8_t goodbye[] = {DISCONNECT << 4, 0};
    set_blocking(publisher->channel.fd, 1);
    channel_send(&publisher->channel, goodbye, sizeof goodbye);
    channel_close(&publisher->channel);
}

/* Adds one message; `refused`: on a topic that must not be let through. `qos` 1 needs a free id. */
static inline void publisher_add(struct publisher *publisher, unsigned qos, const struct topic *topic, unsigned payload,
                                 int refused, uint64_t began)
{
    unsigned id = qos ? publisher->ids[--publisher->free_ids] : 0;
    if (qos) {
        publisher->began[id - 1] = began;
        publisher->refused[id - 1] = (uint8_t)refused;
    }
    publisher->filled += put_publish(publisher->out + publisher->filled, publisher->level, qos, id, topic, payload,
                                     publisher->index, publisher->place);
    publisher->made++;
    publisher->place += !refused;
}

/* Sends what was added as one TLS record. 0 when it would block. */
static inline int publisher_flush(struct publisher *publisher)
{
    while (publisher->sent < publisher->filled) {
        int n = channel_send(&publisher->channel, publisher->out + publisher->sent, publisher->filled - publisher->sent);
        if (n < 0)
            die("connection %u: publishing: %s", publisher->index, channel_trouble(&publisher->channel));
        if (n == 0)
            return 0;
        publisher->sent += (unsigned)n;
    }
    publisher->sent = publisher->filled = 0;
    return 1;
}

/* v5 says what became of it: 0x87 for what must not be let through, and nothing above 0x7f for the rest. */
static inline void publisher_acknowledged(struct publisher *publisher, const uint8_t *packet, unsigned body, unsigned size,
                                          unsigned window, struct histogram *histogram)
{
    if (packet[0] != PUBACK << 4 || size - body < 2)
        die("connection %u: a packet of type %u, 0x%02x", publisher->index, packet[0] >> 4, size > body ? packet[body] : 0);
    unsigned id = get16(packet + body), code = size - body > 2 ? packet[body + 2] : 0;
    if (!id || id > window || !publisher->began[id - 1])
        die("connection %u: PUBACK for packet id %u, which is not in flight", publisher->index, id);
    int refused = publisher->refused[id - 1];
    if (publisher->level == 5 && refused != (code == 0x87))
        die("connection %u: PUBACK 0x%02x for %s message", publisher->index, code, refused ? "a forbidden" : "an allowed");
    histogram_add(histogram, now_ns() - publisher->began[id - 1]);
    publisher->began[id - 1] = 0;
    publisher->ids[publisher->free_ids++] = (uint16_t)id;
}

/* Reads until the socket is empty: read_ahead hides records from epoll. The number of acknowledgements. */
static inline unsigned publisher_read(struct publisher *publisher, unsigned window, struct histogram *histogram)
{
    unsigned count = 0;
    for (;;) {
        int n = channel_receive(&publisher->channel, publisher->in + publisher->have, IN_MAX - publisher->have);
        if (n < 0)
            die("connection %u: ended by the other side: %s", publisher->index, channel_trouble(&publisher->channel));
        if (n == 0)
            return count;
        publisher->have += (unsigned)n;
        unsigned at = 0, body, size;
        for (; (size = packet_size(publisher->in + at, publisher->have - at, &body)); at += size, count++)
            publisher_acknowledged(publisher, publisher->in + at, body, size, window, histogram);
        publisher->have -= at;
        memmove(publisher->in, publisher->in + at, publisher->have);
    }
}

#endif
