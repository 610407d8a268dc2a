/* The subscriber that judges what arrived: its own plain connection to the broker, past whatever is measured. */
#ifndef BENCH_JUDGE_H
#define BENCH_JUDGE_H

#include "channel.h"
#include "mqtt.h"

enum { JUDGE_BUFFER = 1 << 20, LOOK_NS = 500000 };

struct judge {
    struct channel channel;
    unsigned have, payload, connections, topics;
    const struct topic *names; /* connections * topics */
    uint64_t *next;            /* per connection: the place that its next message must have */
    uint64_t received, look_at;
    uint8_t *in;
};

static inline void judge_packet(struct judge *judge, const uint8_t *packet, unsigned body, unsigned size)
{
    if (packet[0] >> 4 != PUBLISH)
        die("the broker sent the subscriber a packet of type %u", packet[0] >> 4);
    unsigned topic = get16(packet + body);
    const char *name = (const char *)packet + body + 2;
    const uint8_t *payload = packet + body + 2 + topic;
    if (topic >= sizeof FORBIDDEN - 1 && !memcmp(name, FORBIDDEN, sizeof FORBIDDEN - 1))
        die("a refused message arrived: %.*s", (int)topic, name);
    if (size - body != 2 + topic + judge->payload)
        die("a message of %u bytes arrived on %.*s", size - body - 2 - topic, (int)topic, name);
    unsigned connection = (unsigned)get16(payload) << 16 | get16(payload + 2);
    uint64_t place = 0;
    for (unsigned i = 0; i < 8; i++)
        place = place << 8 | payload[4 + i];
    if (connection >= judge->connections || place != judge->next[connection])
        die("message %llu of connection %u arrived in place of %llu", (unsigned long long)place, connection,
            connection < judge->connections ? (unsigned long long)judge->next[connection] : 0);
    const struct topic *wanted = &judge->names[connection * judge->topics + place % judge->topics];
    if (wanted->size != topic || memcmp(wanted->text, name, topic))
        die("a message for %s arrived on %.*s", wanted->text, (int)topic, name);
    uint8_t filler = (uint8_t)('a' + place % FILLERS);
    for (unsigned i = PAYLOAD_MIN; i < judge->payload; i++)
        if (payload[i] != filler)
            die("a message on %s was changed", wanted->text);
    judge->next[connection]++;
    judge->received++;
}

static inline int judge_read_once(struct judge *judge)
{
    int n = channel_receive(&judge->channel, judge->in + judge->have, JUDGE_BUFFER - judge->have);
    if (n < 0)
        die("the broker ended the subscriber: %s", channel_trouble(&judge->channel));
    judge->have += (unsigned)n;
    unsigned at = 0, body, size;
    while ((size = packet_size(judge->in + at, judge->have - at, &body))) {
        judge_packet(judge, judge->in + at, body, size);
        at += size;
    }
    memmove(judge->in, judge->in + at, judge->have - at);
    judge->have -= at;
    return n > 0;
}

/* Looks now and then, and is not woken by each message: the broker would pay for the waking, but only as long as this
 * core has nothing else to do, which depends on what is measured. */
static inline void judge_read(struct judge *judge, uint64_t now)
{
    if (now < judge->look_at)
        return;
    while (judge_read_once(judge)) {}
    judge->look_at = now + LOOK_NS;
}

/* Subscribed to what is published and to what must not be, when this returns. */
static inline void judge_open(struct judge *judge, const struct sockaddr_in *broker, const char *id, const char *root)
{
    uint8_t out[1024], answer[9];
    char published[TOPIC_MAX], forbidden[TOPIC_MAX];
    snprintf(published, sizeof published, "%s/#", root);
    snprintf(forbidden, sizeof forbidden, "%s/#", FORBIDDEN);
    const char *filters[] = {published, forbidden};
    judge->in = malloc(JUDGE_BUFFER);
    judge->next = calloc(judge->connections, sizeof *judge->next);
    channel_open(&judge->channel, broker, NULL);
    unsigned size = put_connect(out, 4, id);
    size += put_subscribe(out + size, filters, 2);
    if (channel_send(&judge->channel, out, size) != (int)size)
        die("the broker takes no subscriber: %s", channel_trouble(&judge->channel));
    static const uint8_t wanted[] = {CONNACK << 4, 2, 0, 0, SUBACK << 4, 4, 0, 1, 0};
    for (unsigned have = 0; have < sizeof answer;) {
        int n = channel_receive(&judge->channel, answer + have, (unsigned)sizeof answer - have);
        if (n <= 0)
            die("the broker takes no subscriber: %s", channel_trouble(&judge->channel));
        have += (unsigned)n;
    }
    if (memcmp(answer, wanted, sizeof wanted))
        die("the broker refused the subscriber");
    if (channel_receive(&judge->channel, judge->in, 1) != 1 || judge->in[0] != 0)
        die("the broker refused a subscription");
    set_blocking(judge->channel.fd, 0);
}

#endif
