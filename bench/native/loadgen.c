/* A closed-loop Modbus load generator: N connections, one request outstanding on each, one epoll thread.
 *
 *   loadgen load       --seconds T --warmup W   steady reads; CPU of --watch processes in exactly that window
 *   loadgen idle       --hold 1000,5000         opens so many links, one read on each, prints a line, waits for
 *                                               a line on stdin, goes on to the next number; ends with stdin
 *   loadgen handshakes --seconds T --warmup W   full handshake, close, again, on each of N links;
 *                                               with --request one read before the close
 *
 * Prints one line of JSON per result. Any wrong answer, refused handshake or lost connection ends it with 1:
 * a benchmark of wrong answers is worth nothing. */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>

#include "cpu.h"
#include "histogram.h"
#include "link.h"

enum { EVENTS = 512, RAMP = 32, LIMIT_S = 240 };
enum mode { LOAD, IDLE, HANDSHAKES };

static struct options {
    enum mode mode;
    struct sockaddr_in to;
    unsigned connections;
    double seconds, warmup;
    const char *cert, *key, *ca, *hold;
    int plain, request;
    pid_t watched[MAX_WATCHED];
    int watching;
} options = {.connections = 1, .seconds = 2, .warmup = 0.5};

static struct link *links;
static SSL_CTX *context;
static int epoll_fd;
static unsigned started, ramping, opened, closed; /* links ever begun; in a handshake now; ever opened; ever closed */
static uint64_t total, waiting;                   /* requests answered since the start; requests outstanding */
static int stopping;
static struct histogram histogram;

static void fail(struct link *link, const char *what)
{
    die("connection %u: %s: %s", link->index, what, link->tls ? tls_trouble() : strerror(errno));
}

static void wait_for(struct link *link, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = link};
    int change = link->waits ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (link->waits == events)
        return;
    if (epoll_ctl(epoll_fd, change, link->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
    link->waits = events;
}

static void start(struct link *link)
{
    link->waits = 0;
    link->address = (uint16_t)(link->index % 4 * 20);
    if (link_connect(link, &options.to, context) == FAILED)
        fail(link, "connect");
    ramping++;
    started++;
    wait_for(link, WAIT_WRITE);
}

static void ask(struct link *link)
{
    if (link_send(link) != DONE)
        fail(link, "sending a request");
    waiting++;
}

static void say_goodbye(struct link *link)
{
    link_goodbye(link);
    wait_for(link, WAIT_READ);
}

static void on_handshake(struct link *link)
{
    enum step step = link_shake(link);
    if (step == FAILED)
        fail(link, "handshake");
    if (step != DONE)
        return wait_for(link, (uint32_t)step);
    ramping--;
    opened++;
    wait_for(link, WAIT_READ);
    if (options.mode == HANDSHAKES && !options.request)
        return say_goodbye(link);
    if (options.mode != LOAD)
        ask(link);
}

static void on_answer(struct link *link)
{
    enum step step = link_receive(link);
    if (step == FAILED)
        fail(link, "reading an answer");
    if (step != DONE)
        return;
    const char *wrong = check_read(link->in, link->have, link->tid, link->address);
    if (wrong || !waiting)
        die("connection %u: the answer has %s", link->index, wrong ? wrong : "no request");
    total++;
    waiting--;
    if (options.mode == LOAD) {
        histogram_add(&histogram, now_ns() - link->sent);
        link->address = (uint16_t)((link->address + 20) % 80);
        if (!stopping)
            ask(link);
    } else if (options.mode == HANDSHAKES) {
        say_goodbye(link);
    }
}

static void on_goodbye(struct link *link)
{
    enum step step = link_drain(link);
    if (step == FAILED)
        fail(link, "closing");
    if (step != DONE)
        return;
    histogram_add(&histogram, now_ns() - link->started);
    closed++;
    link_close(link);
    if (!stopping)
        start(link);
}

static void turn(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct link *link = events[i].data.ptr;
        if (link->state == CONNECTING || link->state == SHAKING)
            on_handshake(link);
        else if (link->state == OPEN)
            on_answer(link);
        else if (link->state == CLOSING)
            on_goodbye(link);
    }
}

static uint64_t deadline(double seconds)
{
    return now_ns() + (uint64_t)(seconds * 1e9);
}

static void run_until(uint64_t end)
{
    while (now_ns() < end)
        turn(1);
}

/* At most RAMP handshakes at a time: the target's own limits on unfinished ones are not what is measured. */
static void open_up_to(unsigned wanted)
{
    uint64_t end = deadline(LIMIT_S);
    for (unsigned next = opened; opened < wanted || waiting;) {
        while (next < wanted && ramping < RAMP)
            start(&links[next++]);
        turn(100);
        if (now_ns() > end)
            die("only %u of %u connections were open after %d s", opened, wanted, LIMIT_S);
    }
}

static void print_tls(const struct link *link)
{
    if (link->tls)
        print_tls_of(link->tls);
}

static void print_window(uint64_t units, double seconds, struct cpu before, uint64_t own_before)
{
    struct cpu after = cpu_of(options.watched, options.watching);
    printf("\"connections\": %u, \"seconds\": %.6f, \"count\": %" PRIu64 ", \"rate\": %.2f, ", options.connections,
           seconds, units, (double)units / seconds);
    printf("\"schedstat_ns\": %" PRIu64 ", \"clock_ns\": %" PRIu64 ", \"waited_ns\": %" PRIu64 ", ",
           after.schedstat - before.schedstat, after.clock - before.clock, after.waited - before.waited);
    printf("\"generator_ns\": %" PRIu64 ", ", own_cpu_ns() - own_before);
    histogram_print(&histogram);
}

/* Orderly, so that the next target is not measured while this one still clears up. */
static void close_all(void)
{
    stopping = 1;
    for (unsigned i = 0; i < opened && options.mode != HANDSHAKES; i++)
        say_goodbye(&links[i]);
    for (uint64_t end = deadline(10); closed < started && now_ns() < end;)
        turn(10);
    if (closed < started)
        die("%u connections were not closed by the other side within 10 s", started - closed);
}

static void run_load(void)
{
    open_up_to(options.connections);
    for (unsigned i = 0; i < options.connections; i++)
        ask(&links[i]);
    run_until(deadline(options.warmup));
    memset(&histogram, 0, sizeof histogram);
    uint64_t first = total, own = own_cpu_ns(), begin = now_ns();
    struct cpu before = cpu_of(options.watched, options.watching);
    run_until(begin + (uint64_t)(options.seconds * 1e9));
    printf("{\"mode\": \"load\", ");
    print_tls(&links[0]);
    print_window(total - first, (double)(now_ns() - begin) / 1e9, before, own);
    stopping = 1;
    for (uint64_t end = deadline(5); waiting && now_ns() < end;)
        turn(10);
    if (waiting)
        die("%" PRIu64 " requests had no answer after 5 s", waiting);
    printf(", \"total\": %" PRIu64 "}\n", total);
    close_all();
}

static void run_idle(void)
{
    char line[16], *rest = strdup(options.hold), *item;
    while ((item = strsep(&rest, ","))) {
        open_up_to((unsigned)atoi(item));
        printf("{\"mode\": \"idle\", \"held\": %u}\n", opened);
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
            break;
    }
    close_all();
}

static void run_handshakes(void)
{
    for (unsigned i = 0; i < options.connections; i++)
        start(&links[i]);
    run_until(deadline(options.warmup));
    memset(&histogram, 0, sizeof histogram);
    uint64_t first = closed, own = own_cpu_ns(), begin = now_ns();
    struct cpu before = cpu_of(options.watched, options.watching);
    run_until(begin + (uint64_t)(options.seconds * 1e9));
    printf("{\"mode\": \"handshakes\", ");
    print_window(closed - first, (double)(now_ns() - begin) / 1e9, before, own);
    close_all();
    printf(", \"total\": %u}\n", closed);
}

static unsigned links_needed(void)
{
    const char *last = options.hold ? strrchr(options.hold, ',') : NULL;
    return options.hold ? (unsigned)atoi(last ? last + 1 : options.hold) : options.connections;
}

static void parse(int argc, char **argv)
{
    static const char *const modes[] = {"load", "idle", "handshakes"};
    static const struct option names[] = {
        {"connect", 1, 0, 't'}, {"connections", 1, 0, 'n'}, {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'},
        {"cert", 1, 0, 'c'},    {"key", 1, 0, 'k'},         {"ca", 1, 0, 'a'},      {"hold", 1, 0, 'h'},
        {"watch", 1, 0, 'p'},   {"plain", 0, 0, 'x'},       {"request", 0, 0, 'r'}, {0, 0, 0, 0}};
    int option, known = 0;
    for (unsigned i = 0; argc > 1 && i < 3; i++)
        if (!strcmp(argv[1], modes[i]) && (known = 1))
            options.mode = (enum mode)i;
    if (!known)
        die("usage: loadgen load|idle|handshakes --connect HOST:PORT [options]");
    for (optind = 2; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 't': options.to = parse_address(optarg); break;
        case 'n': options.connections = (unsigned)atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'w': options.warmup = atof(optarg); break;
        case 'c': options.cert = optarg; break;
        case 'k': options.key = optarg; break;
        case 'a': options.ca = optarg; break;
        case 'h': options.hold = optarg; break;
        case 'x': options.plain = 1; break;
        case 'r': options.request = 1; break;
        case 'p':
            if (options.watching == MAX_WATCHED)
                die("at most %d --watch", MAX_WATCHED);
            options.watched[options.watching++] = atoi(optarg);
            break;
        default: exit(2);
        }
    }
    if (!options.to.sin_port || (options.mode == IDLE && !options.hold))
        die("--connect is needed, and --hold for idle");
    if (!options.plain && (!options.cert || !options.key || !options.ca))
        die("--cert, --key and --ca are needed, or --plain");
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    context = options.plain ? NULL : client_context(options.cert, options.key, options.ca);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    unsigned count = links_needed();
    if (!count || !(links = calloc(count, sizeof *links)))
        die("no memory for %u connections", count);
    for (unsigned i = 0; i < count; i++)
        links[i].index = i;
    if (options.mode == LOAD)
        run_load();
    else if (options.mode == IDLE)
        run_idle();
    else
        run_handshakes();
    return 0;
}
