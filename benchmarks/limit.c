/* limit: a minimal single-threaded CHAT/1.0 server in C, to compare others with.
 *
 *     limit PORT
 *
 * It listens on 127.0.0.1, on a free port if PORT is 0, and prints the address. It has epoll, a
 * hash table, and a queue for each connection, which it writes once for each wake-up. It knows
 * LOGIN, SEND, BROADCAST and GROUP. It has no checks, no bounds on memory, and no error handling:
 * never use it to chat.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 65536
#define BUCKETS 131072
#define NAME 64

typedef struct {
    int fd, dirty, watched;
    char name[NAME];
    size_t name_len;
    char *in, *out;
    size_t in_len, in_cap, out_len, out_cap, out_at;
} Conn;

/* The connection that has a name; -1 if it is gone. */
typedef struct User {
    char name[NAME];
    size_t len;
    int fd;
    struct User *next;
} User;

typedef struct Group {
    char name[NAME];
    size_t len;
    char (*members)[NAME];
    size_t *lens, count;
    struct Group *next;
} Group;

static Conn *conns[MOST];
static int dirty[MOST], dirties, epoll;
static User *users[BUCKETS];
static Group *groups[BUCKETS];

static unsigned hash(const char *name, size_t len) {
    unsigned value = 2166136261u;
    while (len--) value = (value ^ (unsigned char)*name++) * 16777619u;
    return value % BUCKETS;
}

static User *user(const char *name, size_t len) {
    for (User *each = users[hash(name, len)]; each; each = each->next)
        if (each->len == len && !memcmp(each->name, name, len)) return each;
    return NULL;
}

static Group *group(const char *name, size_t len) {
    for (Group *each = groups[hash(name, len)]; each; each = each->next)
        if (each->len == len && !memcmp(each->name, name, len)) return each;
    return NULL;
}

static void queue(const char *name, size_t name_len, const Conn *from, const char *data,
                  size_t len) {
    static const char head[] = "CHAT/1.0 RECEIVE ";
    User *to = user(name, name_len);
    if (!to || to->fd < 0) return;
    Conn *conn = conns[to->fd];
    size_t need = conn->out_len + sizeof head + from->name_len + len + 1;
    if (need > conn->out_cap) {
        conn->out_cap = need * 2;
        conn->out = realloc(conn->out, conn->out_cap);
    }
    char *at = conn->out + conn->out_len;
    at = mempcpy(at, head, sizeof head - 1);
    at = mempcpy(at, from->name, from->name_len);
    *at++ = ' ';
    at = mempcpy(at, data, len);
    *at++ = '\n';
    conn->out_len = at - conn->out;
    if (!conn->dirty) {
        conn->dirty = 1;
        dirty[dirties++] = conn->fd;
    }
}

static void flush(Conn *conn) {
    conn->dirty = 0;
    while (conn->out_at < conn->out_len) {
        ssize_t sent =
            send(conn->fd, conn->out + conn->out_at, conn->out_len - conn->out_at, MSG_NOSIGNAL);
        if (sent < 0) break;
        conn->out_at += sent;
    }
    if (conn->out_at == conn->out_len) conn->out_at = conn->out_len = 0;
    int watched = conn->out_len > 0;
    if (watched == conn->watched) return;
    struct epoll_event event = {.events = EPOLLIN | (watched ? EPOLLOUT : 0),
                                .data.fd = conn->fd};
    epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event);
    conn->watched = watched;
}

static void log_in(Conn *conn, const char *name, size_t len) {
    if (len >= NAME) return;
    memcpy(conn->name, name, len);
    conn->name_len = len;
    User *known = user(name, len);
    if (!known) {
        known = calloc(1, sizeof *known);
        memcpy(known->name, name, len);
        known->len = len;
        known->next = users[hash(name, len)];
        users[hash(name, len)] = known;
    }
    known->fd = conn->fd;
}

/* Makes a group from its name and its members, which are separated by spaces. */
static void make_group(const char *words, const char *end) {
    Group *made = NULL;
    while (words < end) {
        const char *space = memchr(words, ' ', end - words);
        if (!space) space = end;
        size_t len = space - words;
        if (len >= NAME) return;
        if (!made) {
            made = group(words, len);
            if (!made) {
                made = calloc(1, sizeof *made);
                memcpy(made->name, words, len);
                made->len = len;
                made->next = groups[hash(words, len)];
                groups[hash(words, len)] = made;
            }
            made->count = 0;
        } else {
            made->members = realloc(made->members, (made->count + 1) * NAME);
            made->lens = realloc(made->lens, (made->count + 1) * sizeof *made->lens);
            memcpy(made->members[made->count], words, len);
            made->lens[made->count++] = len;
        }
        words = space + 1;
    }
}

static int starts(const char *line, size_t len, const char *command) {
    size_t size = strlen(command);
    return len >= size && !memcmp(line, command, size);
}

static void execute(Conn *conn, const char *line, size_t len) {
    if (len && line[len - 1] == '\r') len--;
    if (!starts(line, len, "CHAT/1.0 ")) return;
    const char *end = line + len;
    line += 9;
    len -= 9;
    if (starts(line, len, "SEND ")) {
        line += 5;
        const char *space = memchr(line, ' ', end - line);
        if (space) queue(line, space - line, conn, space + 1, end - space - 1);
    } else if (starts(line, len, "BROADCAST ")) {
        line += 10;
        const char *space = memchr(line, ' ', end - line);
        Group *to = space ? group(line, space - line) : NULL;
        for (size_t at = 0; to && at < to->count; at++)
            if (to->lens[at] != conn->name_len ||
                memcmp(to->members[at], conn->name, conn->name_len))
                queue(to->members[at], to->lens[at], conn, space + 1, end - space - 1);
    } else if (starts(line, len, "LOGIN ")) {
        log_in(conn, line + 6, len - 6);
    } else if (starts(line, len, "GROUP ")) {
        make_group(line + 6, end);
    }
}

static void close_conn(Conn *conn) {
    User *known = conn->name_len ? user(conn->name, conn->name_len) : NULL;
    if (known && known->fd == conn->fd) known->fd = -1;
    close(conn->fd);
    conns[conn->fd] = NULL;
    free(conn->in);
    free(conn->out);
    free(conn);
}

static void receive(Conn *conn) {
    static char buffer[1 << 18];
    ssize_t got = read(conn->fd, buffer, sizeof buffer);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        close_conn(conn);
        return;
    }
    char *at = buffer, *end;
    size_t left = got;
    if (conn->in_len) {
        left += conn->in_len;
        if (left > conn->in_cap) {
            conn->in_cap = left * 2;
            conn->in = realloc(conn->in, conn->in_cap);
        }
        memcpy(conn->in + conn->in_len, buffer, got);
        at = conn->in;
    }
    while ((end = memchr(at, '\n', left))) {
        execute(conn, at, end - at);
        left -= end + 1 - at;
        at = end + 1;
    }
    if (left > conn->in_cap) {
        conn->in_cap = left * 2;
        conn->in = realloc(conn->in, conn->in_cap);
    }
    if (left) memmove(conn->in, at, left);
    conn->in_len = left;
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conns[fd] = calloc(1, sizeof(Conn));
        conns[fd]->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    /* Not more connections than there is room for. */
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max < MOST ? most.rlim_max : MOST;
    setrlimit(RLIMIT_NOFILE, &most);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, size) || listen(listener, 4096)) {
        perror("limit");
        return 1;
    }
    getsockname(listener, (void *)&address, &size);
    printf("Listening on 127.0.0.1:%d.\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[512];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, 512, -1);
        for (int at = 0; at < ready; at++) {
            int fd = events[at].data.fd;
            if (fd == listener) accept_all(fd);
            else if (conns[fd]) {
                if (events[at].events & EPOLLOUT) flush(conns[fd]);
                if (events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(conns[fd]);
            }
        }
        for (int at = 0; at < dirties; at++)
            if (conns[dirty[at]]) flush(conns[dirty[at]]);
        dirties = 0;
    }
}
