/* One client connection, plain TCP or TLS, never blocking. Every step says what it waits for. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include "modbus.h"
#include "tls.h"

enum state { CLOSED, CONNECTING, SHAKING, OPEN, CLOSING };

struct link {
    int fd;
    enum state state;
    SSL *tls; /* NULL on plain TCP */
    unsigned index, have;
    uint16_t tid, address;
    uint32_t waits;
    uint64_t started, sent;
    uint8_t in[512];
};

static inline enum step link_connect(struct link *link, const struct sockaddr_in *to, SSL_CTX *context)
{
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return FAILED;
    no_delay(link->fd);
    link->state = CONNECTING;
    link->have = 0;
    link->started = now_ns();
    if (context) {
        link->tls = SSL_new(context);
        SSL_set_fd(link->tls, link->fd);
        SSL_set_connect_state(link->tls);
    }
    if (connect(link->fd, (const struct sockaddr *)to, sizeof *to) && errno != EINPROGRESS)
        return FAILED;
    return WAIT_WRITE;
}

/* After the connect: DONE once requests can be sent. */
static inline enum step link_shake(struct link *link)
{
    if (link->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            errno = error;
            return FAILED;
        }
        link->state = SHAKING;
    }
    if (link->tls) {
        ERR_clear_error();
        int result = SSL_do_handshake(link->tls);
        if (result != 1)
            return tls_step(link->tls, result);
        if (SSL_session_reused(link->tls))
            return FAILED;
    }
    link->state = OPEN;
    return DONE;
}

static inline enum step link_send(struct link *link)
{
    uint8_t request[REQUEST];
    put_read(request, ++link->tid, link->address);
    link->have = 0;
    link->sent = now_ns();
    errno = 0;
    if (link->tls) {
        ERR_clear_error();
        return SSL_write(link->tls, request, REQUEST) == REQUEST ? DONE : FAILED;
    }
    return send(link->fd, request, REQUEST, MSG_NOSIGNAL) == REQUEST ? DONE : FAILED;
}

/* DONE when a whole ADU is in `in`. Reads until the socket is empty: read_ahead hides records from epoll. */
static inline enum step link_receive(struct link *link)
{
    for (;;) {
        errno = 0;
        if (link->tls) {
            ERR_clear_error();
            int n = SSL_read(link->tls, link->in + link->have, (int)(sizeof link->in - link->have));
            if (n <= 0)
                return tls_step(link->tls, n);
            link->have += (unsigned)n;
        } else {
            ssize_t n = recv(link->fd, link->in + link->have, sizeof link->in - link->have, 0);
            if (n <= 0)
                return n < 0 && errno == EAGAIN ? WAIT_READ : FAILED;
            link->have += (unsigned)n;
        }
        if (link->have >= 6 && link->have >= 6u + get16(link->in + 4))
            return DONE;
        if (link->have == sizeof link->in)
            return FAILED;
    }
}

/* Says goodbye (close_notify, FIN) without waiting; link_drain then waits for the other side's end. */
static inline void link_goodbye(struct link *link)
{
    if (link->tls) {
        ERR_clear_error();
        SSL_shutdown(link->tls);
    }
    shutdown(link->fd, SHUT_WR);
    link->state = CLOSING;
}

static inline enum step link_drain(struct link *link)
{
    uint8_t rest[512];
    errno = 0;
    if (!link->tls) {
        ssize_t n = recv(link->fd, rest, sizeof rest, 0);
        return n == 0 ? DONE : n < 0 && errno == EAGAIN ? WAIT_READ : FAILED;
    }
    ERR_clear_error();
    int n = SSL_read(link->tls, rest, sizeof rest);
    if (n <= 0 && SSL_get_error(link->tls, n) == SSL_ERROR_ZERO_RETURN)
        return DONE;
    return n > 0 ? FAILED : tls_step(link->tls, n);
}

static inline void link_close(struct link *link)
{
    if (link->tls)
        SSL_free(link->tls);
    if (link->state != CLOSED)
        close(link->fd);
    link->tls = NULL;
    link->state = CLOSED;
}

#endif
