/* MQTT 3.1.1 and 5 as the benchmark speaks it, and the messages that it publishes.
 * A payload names its connection and its place in that connection's order, so that a lost, doubled, changed or
 * reordered message is seen; the topic follows from the same two numbers. */
#ifndef BENCH_MQTT_H
#define BENCH_MQTT_H

#include "net.h"

enum packet {
    CONNECT = 1, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP,
    SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT
};
enum { TOPIC_MAX = 64, PAYLOAD_MIN = 12, PAYLOAD_MAX = 1024, FILLERS = 16, KEEP_ALIVE = 120 };

static const char FORBIDDEN[] = "forbidden"; /* no target that inspects lets anything below this topic through */

struct topic {
    unsigned size;
    char text[TOPIC_MAX];
};

static inline unsigned put_varint(uint8_t *to, unsigned value)
{
    unsigned size = 0;
    do {
        to[size] = (uint8_t)(value & 127);
        value >>= 7;
        to[size++] |= (uint8_t)(value ? 128 : 0);
    } while (value);
    return size;
}

static inline unsigned put_text(uint8_t *to, const char *text)
{
    unsigned size = (unsigned)strlen(text);
    put16(to, size);
    memcpy(to + 2, text, size);
    return 2 + size;
}

/* The fixed header in front of a body of at most 4 KiB. */
static inline unsigned put_packet(uint8_t *to, unsigned first, const uint8_t *body, unsigned size)
{
    to[0] = (uint8_t)first;
    unsigned header = 1 + put_varint(to + 1, size);
    memcpy(to + header, body, size);
    return header + size;
}

static inline unsigned put_connect(uint8_t *to, unsigned level, const char *client_id)
{
    uint8_t body[256];
    unsigned size = put_text(body, "MQTT");
    body[size++] = (uint8_t)level;
    body[size++] = 2; /* clean session, or clean start */
    put16(body + size, KEEP_ALIVE);
    size += 2;
    if (level == 5)
        body[size++] = 0; /* no properties */
    size += put_text(body + size, client_id);
    return put_packet(to, CONNECT << 4, body, size);
}

static inline unsigned put_subscribe(uint8_t *to, const char *const *filters, unsigned count)
{
    uint8_t body[512];
    unsigned size = 2;
    put16(body, 1);
    for (unsigned i = 0; i < count; i++) {
        size += put_text(body + size, filters[i]);
        body[size++] = 0; /* QoS 0 */
    }
    return put_packet(to, SUBSCRIBE << 4 | 2, body, size);
}

static inline void put_payload(uint8_t *to, unsigned size, unsigned connection, uint64_t place)
{
    put16(to, connection >> 16);
    put16(to + 2, connection & 0xffff);
    for (unsigned i = 0; i < 8; i++)
        to[4 + i] = (uint8_t)(place >> (56 - 8 * i));
    memset(to + PAYLOAD_MIN, 'a' + (int)(place % FILLERS), size - PAYLOAD_MIN);
}

static inline unsigned put_publish(uint8_t *to, unsigned level, unsigned qos, unsigned packet_id,
                                   const struct topic *topic, unsigned payload, unsigned connection, uint64_t place)
{
    unsigned body = 2 + topic->size + (qos ? 2 : 0) + (level == 5 ? 1 : 0) + payload;
    uint8_t *at = to;
    *at++ = (uint8_t)(PUBLISH << 4 | qos << 1);
    at += put_varint(at, body);
    put16(at, topic->size);
    memcpy(at + 2, topic->text, topic->size);
    at += 2 + topic->size;
    if (qos) {
        put16(at, packet_id);
        at += 2;
    }
    if (level == 5)
        *at++ = 0; /* no properties */
    put_payload(at, payload, connection, place);
    return (unsigned)(at - to) + payload;
}

/* The size of the packet at `at` with its fixed header, and where its body begins; 0 when not all of it is there. */
static inline unsigned packet_size(const uint8_t *at, unsigned have, unsigned *body)
{
    unsigned length = 0;
    for (unsigned i = 1; i < 5 && i < have; i++) {
        length |= (unsigned)(at[i] & 127) << (7 * (i - 1));
        if (!(at[i] & 128)) {
            *body = i + 1;
            return have >= i + 1 + length ? i + 1 + length : 0;
        }
    }
    return 0;
}

#endif
