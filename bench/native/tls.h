/* The client side of TLS as every target is offered it, and what one step of it waits for. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/epoll.h>

#include "net.h"

enum step { WAIT_READ = EPOLLIN, WAIT_WRITE = EPOLLOUT, DONE = 0, FAILED = -1 };

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

static inline void print_tls_of(const SSL *tls)
{
    int group = (int)SSL_get_negotiated_group((SSL *)tls);
    printf("\"tls\": {\"version\": \"%s\", \"cipher\": \"%s\", \"group\": \"%s\"}, ", SSL_get_version(tls),
           SSL_get_cipher(tls), OBJ_nid2sn(group));
}

#endif
