/* chatload: a load for line-based chat servers. It sends the next message when one has arrived.
 *
 *     chatload -p PORT[,PORT]... [-H 127.0.0.1] [-P chat|irc|nats] -m pairs|group
 *         -p PORTS   where the connections go, in turns: with two, each pair is at two servers
 *         -c N       pairs of connections, or members of the group besides the sender
 *         -w N       messages of each sender that are on their way (1: ping-pong)
 *         -n TOTAL   deliveries to wait for
 *         -s SIZE    bytes of data in a message
 *         -i N       more connections, which log in and are idle
 *         -t SECS    time out after so many seconds
 *         -u PREFIX  prefix of the names
 *         -r         the second of each pair reconnects until it is in the same process as the
 *                    first (chat only), because several processes may share the port
 *
 * The data has exactly one '|', so counting these counts deliveries, whatever the protocol adds.
 * Prints one line of key=value pairs. Exits with 0 when all have arrived, with 1 when not.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 2000000
#define PORTS 8

typedef struct {
    int fd, watched;
    char name[32], *out;
    size_t len, at, cap;
    double *sent_at; /* A ring: when each message on its way was sent. */
    long head, tail;
} Conn;

static const char *host = "127.0.0.1", *protocol = "chat", *mode = "pairs", *prefix = "u";
static int ports[PORTS] = {3333}, servers = 1, count = 10, idle, size = 32, redial;
static long window = 100, total = 100000, sampled;
static double limit = 50, *samples;
static char *text, to_group[32];
static Conn *conns;
static int number, epoll, chat, irc, group;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(2);
}

static void put(Conn *conn, const char *data, size_t len) {
    if (conn->len + len > conn->cap) {
        conn->cap = (conn->len + len) * 2;
        conn->out = realloc(conn->out, conn->cap);
    }
    memcpy(conn->out + conn->len, data, len);
    conn->len += len;
}

static void flush(Conn *conn) {
    while (conn->at < conn->len) {
        ssize_t sent = write(conn->fd, conn->out + conn->at, conn->len - conn->at);
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) fail("write");
        conn->at += sent;
    }
    if (conn->at == conn->len) conn->at = conn->len = 0;
    int watched = conn->len > 0;
    if (watched == conn->watched) return;
    struct epoll_event event = {.events = EPOLLIN | (watched ? EPOLLOUT : 0),
                                .data.ptr = conn};
    epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event);
    conn->watched = watched;
}

static void queue_line(Conn *conn, const char *format, ...) {
    char line[256];
    va_list words;
    va_start(words, format);
    put(conn, line, vsprintf(line, format, words));
    va_end(words);
}

static void queue_message(Conn *from, const char *command, const char *to) {
    if (chat) queue_line(from, "CHAT/1.0 %s %s ", command, to);
    else if (irc) queue_line(from, "PRIVMSG %s :", to);
    else queue_line(from, "PUB %s %d\r\n", to, size);
    put(from, text, size);
    put(from, "\r\n" + chat, 2 - chat);
}

static void open_conn(Conn *conn) {
    int one = 1;
    int port = ports[(conn - conns) % servers];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    conn->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(conn->fd, (void *)&address, sizeof address)) fail("connect");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(conn->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    epoll_ctl(epoll, EPOLL_CTL_ADD, conn->fd, &event);
    if (chat) {
        queue_line(conn, "CHAT/1.0 LOGIN %s\n", conn->name);
        /* The message comes back when the login was executed. */
        queue_message(conn, "SEND", conn->name);
    } else if (irc) {
        queue_line(conn, "NICK %s\r\nUSER %s 0 * :u\r\n", conn->name, conn->name);
    } else {
        queue_line(conn, "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\n");
        queue_line(conn, "SUB u.%s 1\r\n", conn->name);
        if (group && conn - conns <= count) queue_line(conn, "SUB g 2\r\n");
        queue_line(conn, "PING\r\n");
    }
    flush(conn);
}

/* Answers a PING with a PONG. Otherwise the server closes the connection. */
static void answer_ping(Conn *conn, char *data, size_t len) {
    char *ping = len >= 4 && !memcmp(data, "PING", 4) ? data : memmem(data, len, "\nPING", 5);
    if (ping && *ping == '\n') ping++;
    char *end = ping ? memchr(ping, '\n', data + len - ping) : NULL;
    if (!end) return;
    ping[1] = 'O';
    put(conn, ping, end - ping + 1);
    flush(conn);
}

/* Reads what has arrived. Returns the number of deliveries in it. */
static long receive(Conn *conn) {
    static char buffer[1 << 18];
    long deliveries = 0;
    for (ssize_t got = sizeof buffer; got == sizeof buffer;) {
        got = read(conn->fd, buffer, sizeof buffer);
        if (got < 0 && errno == EAGAIN) break;
        if (!got) errno = ECONNRESET;
        if (got <= 0) fail("read");
        char *at = buffer, *end = buffer + got;
        for (; (at = memchr(at, '|', end - at)); at++) deliveries++;
        if (!deliveries && !chat) answer_ping(conn, buffer, got);
    }
    return deliveries;
}

/* Waits for so many deliveries; with protocols that do not confirm a login, for a second. */
static void wait_for(long deliveries) {
    struct epoll_event events[512];
    double end = now() + (chat ? limit : 1);
    while (now() < end && (deliveries > 0 || !chat)) {
        int ready = epoll_wait(epoll, events, 512, 50);
        for (int at = 0; at < ready; at++) {
            if (events[at].events & EPOLLOUT) flush(events[at].data.ptr);
            if (events[at].events & EPOLLIN) deliveries -= receive(events[at].data.ptr);
        }
    }
    if (!chat || deliveries <= 0) return;
    errno = ETIMEDOUT;
    fail("login");
}

/* Reconnects the second of a pair until it is in the same process as the first one. */
static void reconnect(Conn *first, Conn *second) {
    for (int attempt = 1;; attempt++) {
        struct pollfd both[2] = {{first->fd, POLLIN, 0}, {second->fd, POLLIN, 0}};
        queue_message(first, "SEND", second->name);
        flush(first);
        if (poll(both, 2, -1) < 0) fail("poll");
        if (both[1].revents && receive(second)) return;
        /* The first one got a notice that the second one is offline. */
        receive(first);
        close(second->fd);
        sprintf(second->name, "%s%d.%d", prefix, (int)(second - conns), attempt);
        open_conn(second);
        wait_for(1);
    }
}

static void make_group(void) {
    sprintf(to_group, chat ? "%s-g%d" : irc ? "#%s" : "g", prefix, count);
    if (chat) {
        queue_line(conns, "CHAT/1.0 GROUP %s", to_group);
        for (int at = 0; at <= count; at++) queue_line(conns, " %s", conns[at].name);
        queue_line(conns, "\n");
        queue_message(conns, "SEND", conns->name);
        flush(conns);
    }
    for (int at = 0; at <= count && irc; at++) {
        queue_line(&conns[at], "JOIN %s\r\n", to_group);
        flush(&conns[at]);
    }
    wait_for(1);
}

static void send_next(Conn *from, double when) {
    char to[40];
    from->sent_at[from->tail++ % (window + 1)] = when;
    if (group) {
        queue_message(from, "BROADCAST", to_group);
        return;
    }
    sprintf(to, chat || irc ? "%s" : "u.%s", (from + 1)->name);
    queue_message(from, "SEND", to);
}

/* Exchanges messages. Returns the number of deliveries. */
static long exchange(double start) {
    struct epoll_event events[512];
    long got = 0, complete = 0;
    for (Conn *from = conns; from < conns + (group ? 1 : 2 * count); from += 2) {
        from->sent_at = malloc((window + 1) * sizeof(double));
        for (long at = 0; at < window; at++) send_next(from, now());
        flush(from);
    }
    while (got < total) {
        int ready = epoll_wait(epoll, events, 512, 100);
        double when = now();
        if (when > start + limit) break;
        for (int at = 0; at < ready; at++) {
            Conn *conn = events[at].data.ptr, *from = group ? conns : conn - 1;
            if (events[at].events & EPOLLOUT) flush(conn);
            long received = events[at].events & EPOLLIN ? receive(conn) : 0;
            if (!received) continue;
            got += received;
            complete += received;
            /* A message to the group has arrived when all members have received it. */
            for (int each = group ? count : 1; complete >= each; complete -= each) {
                double sent = from->sent_at[from->head++ % (window + 1)];
                if (sampled < SAMPLES) samples[sampled++] = when - sent;
                send_next(from, when);
            }
            flush(from);
        }
    }
    return got;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(int permille) {
    return sampled ? samples[sampled * permille / 1000] * 1e6 : 0;
}

static void set_ports(char *list) {
    servers = 0;
    for (char *word = strtok(list, ","); word && servers < PORTS; word = strtok(NULL, ","))
        ports[servers++] = atoi(word);
}

int main(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "p:P:H:m:c:w:n:s:i:t:u:r")) != -1;)
        switch (option) {
        case 'p': set_ports(optarg); break; case 'H': host = optarg; break;
        case 'P': protocol = optarg; break; case 'm': mode = optarg; break;
        case 'c': count = atoi(optarg); break; case 'w': window = atol(optarg); break;
        case 'n': total = atol(optarg); break; case 's': size = atoi(optarg); break;
        case 'i': idle = atoi(optarg); break; case 't': limit = atof(optarg); break;
        case 'u': prefix = optarg; break; case 'r': redial = 1; break;
        default: return 2;
        }
    chat = !strcmp(protocol, "chat");
    irc = !strcmp(protocol, "irc"), group = !strcmp(mode, "group");
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    number = (group ? count + 1 : 2 * count) + idle;
    conns = calloc(number, sizeof *conns);
    samples = malloc(SAMPLES * sizeof *samples);
    text = memset(malloc(size), 'x', size);
    text[0] = '|', epoll = epoll_create1(0);
    double opened = now();
    for (int at = 0; at < number; at++) {
        sprintf(conns[at].name, "%s%d", prefix, at);
        open_conn(&conns[at]);
    }
    wait_for(number);
    opened = now() - opened;
    if (group) make_group();
    for (int at = 0; redial && at < 2 * count; at += 2) reconnect(&conns[at], &conns[at + 1]);
    double start = now();
    long got = exchange(start);
    double took = now() - start;
    qsort(samples, sampled, sizeof *samples, compare);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("proto=%s mode=%s n=%d window=%ld size=%d idle=%d deliveries=%ld seconds=%.3f rate=%.0f"
           " p50_us=%.0f p99_us=%.0f p999_us=%.0f connect_per_s=%.0f client_cpu=%.2f\n",
           protocol, mode, count, window, size, idle, got, took, got / took, quantile(500),
           quantile(990), quantile(999), number / opened,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec +
               (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    return got >= total ? 0 : 1;
}
