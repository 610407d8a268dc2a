/* A connection, plain TCP or TLS. It is opened and closed blocking, and used without blocking in between. */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <fcntl.h>

#include "tls.h"

enum { PATIENCE_S = 10 };

struct channel {
    int fd;
    SSL *tls; /* NULL on plain TCP */
};

static inline const char *channel_trouble(const struct channel *channel)
{
    return channel->tls ? tls_trouble() : errno ? strerror(errno) : "end of stream";
}

static inline void set_blocking(int fd, int blocking)
{
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static inline void channel_open(struct channel *channel, const struct sockaddr_in *to, SSL_CTX *context)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    channel->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (channel->fd < 0 || connect(channel->fd, (const struct sockaddr *)to, sizeof *to))
        die("connect: %s", strerror(errno));
    no_delay(channel->fd);
    setsockopt(channel->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!context)
        return;
    channel->tls = SSL_new(context);
    SSL_set_fd(channel->tls, channel->fd);
    ERR_clear_error();
    errno = 0;
    if (SSL_connect(channel->tls) != 1)
        die("handshake: %s", tls_trouble());
    if (SSL_session_reused(channel->tls))
        die("the handshake was resumed");
}

/* How many bytes it took or gave; 0 when it would block; -1 when it is broken or ended. */
static inline int channel_send(struct channel *channel, const uint8_t *data, unsigned size)
{
    errno = 0;
    if (!channel->tls) {
        ssize_t n = send(channel->fd, data, size, MSG_NOSIGNAL);
        return n > 0 ? (int)n : n < 0 && errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    int n = SSL_write(channel->tls, data, (int)size);
    return n > 0 ? n : SSL_get_error(channel->tls, n) == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static inline int channel_receive(struct channel *channel, uint8_t *data, unsigned size)
{
    errno = 0;
    if (!channel->tls) {
        ssize_t n = recv(channel->fd, data, size, 0);
        return n > 0 ? (int)n : n < 0 && errno == EAGAIN ? 0 : -1;
    }
    ERR_clear_error();
    int n = SSL_read(channel->tls, data, (int)size);
    return n > 0 ? n : SSL_get_error(channel->tls, n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* Orderly, and waits for the other side's end: the next target is not measured while this one still clears up. */
static inline void channel_close(struct channel *channel)
{
    uint8_t rest[4096];
    set_blocking(channel->fd, 1);
    if (channel->tls)
        SSL_shutdown(channel->tls);
    shutdown(channel->fd, SHUT_WR);
    while (recv(channel->fd, rest, sizeof rest, 0) > 0) {}
    if (channel->tls)
        SSL_free(channel->tls);
    close(channel->fd);
}

#endif
