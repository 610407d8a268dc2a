/* One client connection, plain TCP or TLS, never blocking. Every step says what it waits for. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/epoll.h>

#include "modbus.h"

enum state { CLOSED, CONNECTING, SHAKING, OPEN, CLOSING };
enum step { WAIT_READ = EPOLLIN, WAIT_WRITE = EPOLLOUT, DONE = 0, FAILED = -1 };

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

/* TLS 1.3 only, mutual, P-256, AES-256-GCM; the server's chain is checked against the CA, nothing is resumed. */
static inline SSL_CTX *client_context(const char *cert, const char *key, const char *ca)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)
        || !SSL_CTX_set_ciphersuites(context, "TLS_AES_256_GCM_SHA384") || !SSL_CTX_set1_groups_list(context, "P-256")
        || SSL_CTX_use_certificate_chain_file(context, cert) != 1
        || SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1
        || SSL_CTX_load_verify_locations(context, ca, NULL) != 1) {
        ERR_print_errors_fp(stderr);
        die("cannot use certificate %s, key %s, CA %s", cert, key, ca);
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(context, 1); /* one recv a record, not two */
    return context;
}

static inline const char *tls_trouble(void)
{
    static char text[256];
    unsigned long code = ERR_get_error();
    if (!code)
        return errno ? strerror(errno) : "end of stream";
    ERR_error_string_n(code, text, sizeof text);
    return text;
}

static inline enum step tls_step(SSL *tls, int result)
{
    switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ:
        return WAIT_READ;
    case SSL_ERROR_WANT_WRITE:
        return WAIT_WRITE;
    default:
        return FAILED;
    }
}

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
