/* An MQTT load generator: publishers on N connections, and one subscriber at the broker that judges what arrived.
 *
 *   mqttgen flood   publishes as fast as the target takes it, --batch messages a write; QoS 1 keeps --window open
 *   mqttgen paced   --hertz messages a second on each connection, QoS 1, timed from when each was due
 *
 * With --seconds it measures that long after --warmup: messages at the subscriber, the CPU of the --proxy and --server
 * processes in exactly that window. With --until-term it publishes until SIGTERM. Then it waits for what is on its
 * way, and prints one line of JSON. --refused N makes every Nth message one that the target must not let through.
 * A lost, doubled, reordered, changed or leaked message, a refusal of an allowed one or a lost connection ends it
 * with 1: a benchmark of wrong answers is worth nothing. */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>

#include "cpu.h"
#include "judge.h"
#include "publisher.h"

enum { EVENTS = 256, DRAIN_S = 20, SETTLE_MS = 50 };

static struct options {
    int paced, until_term, plain;
    struct sockaddr_in to, broker;
    unsigned connections, qos, batch, window, topics, level, payload, refused;
    uint64_t lag;
    double seconds, warmup, hertz;
    const char *cert, *key, *ca, *client, *root;
    pid_t proxy[MAX_WATCHED], server[MAX_WATCHED];
    int proxies, servers;
} options = {
    .connections = 1, .batch = 16, .window = 16, .topics = 1, .level = 4, .payload = 64, .lag = 16384, .seconds = 2,
    .warmup = 0.5, .hertz = 10, .client = "scada", .root = "bench"};

static struct publisher *publishers;
static struct judge judge;
static struct topic *names, *forbidden;
static uint64_t allowed, refused, acknowledged;
static int epoll_fd;
static volatile sig_atomic_t terminated;
static struct histogram histogram;

static void on_term(int number)
{
    (void)number;
    terminated = 1;
}

static void wait_for(struct publisher *publisher, int blocked)
{
    struct epoll_event event = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = publisher};
    if (publisher->blocked == blocked)
        return;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, publisher->channel.fd, &event);
    publisher->blocked = blocked;
}

static int may_add(const struct publisher *publisher)
{
    return (!options.qos || publisher->free_ids) && allowed - judge.received < options.lag
        && publisher->filled + options.payload + TOPIC_MAX + 16 < OUT_MAX;
}

static void add(struct publisher *publisher, uint64_t began)
{
    int bad = options.refused && publisher->made % options.refused == options.refused - 1;
    const struct topic *topic = bad ? &forbidden[publisher->index]
                                    : &names[publisher->index * options.topics + publisher->place % options.topics];
    publisher_add(publisher, options.qos, topic, options.payload, bad, began);
    allowed += !bad;
    refused += (unsigned)bad;
}

/* One batch, or what is due. Whether anything was done. */
static int publish(struct publisher *publisher)
{
    if (publisher->blocked)
        return 0;
    uint64_t now = now_ns();
    if (options.paced) {
        for (; publisher->due <= now && may_add(publisher); publisher->due += (uint64_t)(1e9 / options.hertz))
            add(publisher, publisher->due);
    } else {
        for (unsigned i = 0; i < options.batch && may_add(publisher); i++)
            add(publisher, now);
    }
    if (!publisher->filled)
        return 0;
    wait_for(publisher, !publisher_flush(publisher));
    return 1;
}

static int publish_all(void)
{
    int busy = 0;
    for (unsigned i = 0; i < options.connections; i++)
        busy |= publish(&publishers[i]);
    return busy;
}

static void turn(int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        struct publisher *publisher = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            acknowledged += publisher_read(publisher, options.window, &histogram);
        if (publisher->blocked && events[i].events & EPOLLOUT)
            wait_for(publisher, !publisher_flush(publisher));
    }
    judge_read(&judge, now_ns());
}

static void run_until(uint64_t end)
{
    while (now_ns() < end && !terminated)
        turn(publish_all() && !options.paced ? 0 : 1);
}

static uint64_t in_flight(void)
{
    uint64_t count = allowed - judge.received;
    if (options.qos)
        count += allowed + refused - acknowledged;
    for (unsigned i = 0; i < options.connections; i++)
        count += publishers[i].filled;
    return count;
}

/* All that was allowed arrives, and what was not had time to. */
static void drain(void)
{
    uint64_t end = now_ns() + DRAIN_S * UINT64_C(1000000000);
    while (in_flight() && now_ns() < end)
        turn(1);
    if (in_flight())
        die("%" PRIu64 " of %" PRIu64 " allowed messages arrived, %" PRIu64 " of %" PRIu64 " were acknowledged",
            judge.received, allowed, acknowledged, options.qos ? allowed + refused : 0);
    for (end = now_ns() + SETTLE_MS * UINT64_C(1000000); now_ns() < end;)
        turn(1);
}

static void open_all(void)
{
    SSL_CTX *context = options.plain ? NULL : client_context(options.cert, options.key, options.ca);
    char id[128];
    judge.connections = options.connections;
    judge.topics = options.topics;
    judge.payload = options.payload;
    judge.names = names;
    snprintf(id, sizeof id, "judge-%s-%d", options.root, (int)getpid());
    judge_open(&judge, &options.broker, id, options.root);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    for (unsigned i = 0; i < options.connections; i++) {
        publishers[i].index = i;
        publishers[i].level = options.level;
        snprintf(id, sizeof id, "%s-%u", options.client, i);
        publisher_open(&publishers[i], &options.to, context, id, options.window);
        event.data.ptr = &publishers[i];
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, publishers[i].channel.fd, &event);
    }
    for (unsigned i = 0; i < options.connections; i++) /* spread evenly over one period */
        publishers[i].due = now_ns() + (uint64_t)(1e9 / options.hertz / options.connections * i);
}

static void name_topics(void)
{
    names = calloc(options.connections * options.topics, sizeof *names);
    forbidden = calloc(options.connections, sizeof *forbidden);
    for (unsigned i = 0; i < options.connections; i++) {
        forbidden[i].size = (unsigned)snprintf(forbidden[i].text, TOPIC_MAX, "%s/line-%u", FORBIDDEN, i);
        for (unsigned j = 0; j < options.topics; j++) {
            struct topic *topic = &names[i * options.topics + j];
            topic->size = (unsigned)snprintf(topic->text, TOPIC_MAX, "%s/line-%u/tag-%u", options.root, i, j);
        }
    }
}

static void print_window(uint64_t delivered, double seconds, struct cpu proxy, struct cpu server, uint64_t own)
{
    struct cpu proxy_now = cpu_of(options.proxy, options.proxies), server_now = cpu_of(options.server, options.servers);
    if (publishers[0].channel.tls)
        print_tls_of(publishers[0].channel.tls);
    printf("\"seconds\": %.6f, \"count\": %" PRIu64 ", \"rate\": %.2f, ", seconds, delivered, (double)delivered / seconds);
    printf("\"proxy_ns\": %" PRIu64 ", \"proxy_waited_ns\": %" PRIu64 ", ", proxy_now.schedstat - proxy.schedstat,
           proxy_now.waited - proxy.waited);
    printf("\"server_ns\": %" PRIu64 ", \"server_waited_ns\": %" PRIu64 ", ", server_now.schedstat - server.schedstat,
           server_now.waited - server.waited);
    printf("\"generator_ns\": %" PRIu64 ", ", own_cpu_ns() - own);
    histogram_print(&histogram);
}

static void run(void)
{
    run_until(now_ns() + (uint64_t)(options.warmup * 1e9));
    memset(&histogram, 0, sizeof histogram);
    uint64_t first = judge.received, tried = allowed + refused, own = own_cpu_ns(), begin = now_ns();
    struct cpu proxy = cpu_of(options.proxy, options.proxies), server = cpu_of(options.server, options.servers);
    run_until(options.until_term ? UINT64_MAX : begin + (uint64_t)(options.seconds * 1e9));
    double seconds = (double)(now_ns() - begin) / 1e9;
    printf("{");
    print_window(judge.received - first, seconds, proxy, server, own);
    printf(", \"tried\": %.2f", (double)(allowed + refused - tried) / seconds);
    drain();
    printf(", \"allowed\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"acknowledged\": %" PRIu64 ", \"delivered\": %" PRIu64
           "}\n", allowed, refused, acknowledged, judge.received);
    fflush(stdout);
    for (unsigned i = 0; i < options.connections; i++)
        publisher_close(&publishers[i]);
}

static void watch(pid_t *pids, int *count)
{
    if (*count == MAX_WATCHED)
        die("at most %d processes can be watched", MAX_WATCHED);
    pids[(*count)++] = atoi(optarg);
}

static void parse_option(int option)
{
    switch (option) {
    case 't': options.to = parse_address(optarg); break;
    case 'b': options.broker = parse_address(optarg); break;
    case 'n': options.connections = (unsigned)atoi(optarg); break;
    case 'q': options.qos = (unsigned)atoi(optarg); break;
    case 'B': options.batch = (unsigned)atoi(optarg); break;
    case 'W': options.window = (unsigned)atoi(optarg); break;
    case 'T': options.topics = (unsigned)atoi(optarg); break;
    case 'l': options.level = (unsigned)atoi(optarg); break;
    case 'z': options.payload = (unsigned)atoi(optarg); break;
    case 'L': options.lag = (uint64_t)atoll(optarg); break;
    case 'r': options.refused = (unsigned)atoi(optarg); break;
    case 'h': options.hertz = atof(optarg); break;
    case 's': options.seconds = atof(optarg); break;
    case 'w': options.warmup = atof(optarg); break;
    case 'c': options.cert = optarg; break;
    case 'k': options.key = optarg; break;
    case 'a': options.ca = optarg; break;
    case 'i': options.client = optarg; break;
    case 'R': options.root = optarg; break;
    case 'x': options.plain = 1; break;
    case 'u': options.until_term = 1; break;
    case 'p': watch(options.proxy, &options.proxies); break;
    case 'v': watch(options.server, &options.servers); break;
    default: exit(2);
    }
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"connect", 1, 0, 't'}, {"broker", 1, 0, 'b'},  {"connections", 1, 0, 'n'}, {"qos", 1, 0, 'q'},
        {"batch", 1, 0, 'B'},   {"window", 1, 0, 'W'},  {"topics", 1, 0, 'T'},      {"level", 1, 0, 'l'},
        {"payload", 1, 0, 'z'}, {"lag", 1, 0, 'L'},     {"refused", 1, 0, 'r'},     {"hertz", 1, 0, 'h'},
        {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'},  {"cert", 1, 0, 'c'},        {"key", 1, 0, 'k'},
        {"ca", 1, 0, 'a'},      {"client", 1, 0, 'i'},  {"root", 1, 0, 'R'},        {"plain", 0, 0, 'x'},
        {"proxy", 1, 0, 'p'},   {"server", 1, 0, 'v'},  {"until-term", 0, 0, 'u'},  {0, 0, 0, 0}};
    if (argc < 2 || (strcmp(argv[1], "flood") && strcmp(argv[1], "paced")))
        die("usage: mqttgen flood|paced --connect HOST:PORT --broker HOST:PORT [options]");
    options.paced = !strcmp(argv[1], "paced");
    optind = 2;
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;)
        parse_option(option);
    if (options.paced)
        options.qos = 1;
    if (!options.to.sin_port || !options.broker.sin_port || (!options.plain && (!options.cert || !options.key || !options.ca)))
        die("--connect and --broker are needed, and --cert, --key and --ca or --plain");
    if (options.qos > 1 || (options.level != 4 && options.level != 5) || options.payload < PAYLOAD_MIN
        || options.payload > PAYLOAD_MAX || options.window < 1 || options.window > WINDOW_MAX || !options.topics
        || !options.batch || !options.connections || strlen(options.root) > 24)
        die("--qos 0|1, --level 4|5, --payload %d-%d, --window 1-%d, --root of at most 24 letters", PAYLOAD_MIN, PAYLOAD_MAX,
            WINDOW_MAX);
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_term);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    name_topics();
    publishers = calloc(options.connections, sizeof *publishers);
    if (!publishers || !names || !forbidden)
        die("no memory for %u connections", options.connections);
    open_all();
    run();
    return 0;
}
