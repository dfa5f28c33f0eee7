/* SPDX-License-Identifier: MIT */
/*
 * Parties: a host, workers and clients in one process, over real sockets, queues and memory
 *
 * The test's own thread runs the host and its clients, so that it may look at anything of theirs at any time;
 * AWAIT() lets them turn until something is so. A worker has a thread, since its handler works inside
 * worker_wait() and asks the host meanwhile. A worker that is to die is a process, and so is a client of
 * another user. Peers that do not keep the rules are made by hand, on the socket.
 *
 * A test that waits in vain is ended by its timeout.
 */
#pragma once

#include "core/client-internal.h"
#include "core/host-internal.h"
#include "core/worker.h"
#include "unit.h"

#include <pthread.h>

#define PARTY_CLIENTS 8
#define PARTY_EVENTS  512
#define PARTY_KEPT    128
#define MIB           (UINT64_C(1) << 20)

typedef struct Party {
    char folder[64];
    char path[96]; /* of the host's socket */
    HostSettings settings;
    uint64_t poll_ns; /* of workers that are started from now on */
    bool terse;       /* likewise, as those of programs are */
    Host *host;
    int bell_fd; /* rung by threads that have done something */
    Client *clients[PARTY_CLIENTS];
    Event events[PARTY_EVENTS]; /* what the host has told */
    unsigned n_events;
    size_t n_fds; /* before all this */
    bool keeps;   /* hosts that start from now on have a keeper */
    struct {
        char name[32];
        int fd; /* -1: none */
    } kept[PARTY_KEPT];
    const char *parks_in; /* the folder of hosts from now on; NULL: none */
    int keeper_result; /* what the keeper says; negative: nothing is kept */
} Party;

extern Party party;

/* Fixture: a host that lets everybody in. The end sees that no descriptor was left open. */
void party_begin(void);
void party_end(void);

/* Likewise, with a host that party_keep() was said for. */
void party_begin_kept(void);

/* A case of tests that each begin and end so, with time enough on a slow machine. */
TCase *party_add_case(Suite *suite, const char *name, void (*begin)(void), void (*end)(void));

/* Another host of the same name, as after a restart. */
void party_start_host(void);
void party_stop_host(void);

/*
 * What a service manager does: hosts from now on have it keep what matters. A host that is restarted finds
 * it; so does party_start_host(), after party_leave_host(), which is what a kill leaves.
 */
extern const HostKeeper party_keeper;
void party_keep(void);
void party_restart_host(void);
void party_leave_host(void);
unsigned party_n_kept(const char *name); /* NULL: in all */

/* What a host has taken up, at once; then until its workers have said what they hold. */
void party_await_take_up(unsigned n_clients, unsigned n_workers);

/* Let the host and the clients do what there is to do; wait until there is, or until @fd is readable. */
void party_turn(int fd);

#define AWAIT(condition)                                                                                     \
    while (!(condition))                                                                                     \
        party_turn(-1);

/* The same for what is seen in memory or in a queue, of which no descriptor of theirs tells. */
#define AWAIT_UNTOLD(condition)                                                                              \
    while (!(condition)) {                                                                                   \
        party_settle();                                                                                      \
        sched_yield();                                                                                       \
    }

/* Let them turn until @fd is readable. */
void party_await_fd(int fd);

/* Until nothing is left to do at this moment. */
void party_settle(void);

/* The host looks at everything that it looks at now and then. */
void party_tick(void);

/* How many events of this kind the host has told; the latest. */
unsigned party_n_events(EventKind kind);
const Event *party_event(EventKind kind);

/* --- clients --- */

/* Connected, and not answered yet. */
Client *party_connect(const char *name);

/* Let in. */
Client *party_add_client(void);
void party_remove_client(Client *client);
HostClient *party_client_of_host(const Client *client);

/* The bytes of memory that a client's objects take, and how many the host has reserved for them. */
uint64_t party_resident(const Client *client);
uint64_t party_reserved(const Client *client);

/* Of all clients none is left but the host's own, and no memory is reserved but for it. */
void party_check_only_probe(void);

/* A request with @bytes of payload; not sent yet. */
/* As libshmipc does it: until the host has answered. Return: 0 or CLIENT_NOT_GRANTED. */
int party_reserve(Request *request, uint64_t bytes);

Request *party_take(Client *client, uint64_t bytes);
Request *party_send(Client *client, uint64_t bytes);

/* Until it has ended, as DONE with what it was sent with. */
void party_check_echo(Request *request);

/* Send, check, release. */
void party_echo(Client *client, uint64_t bytes);

SlotWord party_word(const Request *request);

/* --- workers as threads --- */

typedef struct PartyWorker {
    WorkerSettings settings;
    Worker *worker;
    pthread_t thread;
    int stop_fd;
    pthread_mutex_t lock; /* for what follows */
    bool stop;
    bool ended;
    int result;
    WorkerState state;
    uint64_t n_exchanges;
    unsigned n_told[_EVENT_N];
    Event latest[_EVENT_N]; /* of each kind */
} PartyWorker;

/* @handler: NULL for echo. It attaches; whoever wants to see that awaits it. */
PartyWorker *party_start_worker(Handler *handler);

/* Likewise, and the host has let it in. */
PartyWorker *party_add_worker(Handler *handler);

/* What it has claimed it finishes. */
void party_stop_worker(PartyWorker *worker);

WorkerState party_worker_state(PartyWorker *worker);
uint64_t party_worker_n_exchanges(PartyWorker *worker);
unsigned party_worker_told(PartyWorker *worker, EventKind kind);
void party_worker_event(PartyWorker *worker, EventKind kind, Event *ret_event);

extern Handler party_echo_handler;

/* A handler that waits in each exchange until it is let go, or the exchange is cancelled; then it echoes. */
typedef struct Gate {
    Handler handler;
    bool deaf;      /* does not listen whether it is cancelled */
    int entered_fd; /* counts exchanges that have come in */
    int open_fd;    /* counts those that may go on */
} Gate;

void gate_init(Gate *gate);
void gate_deinit(Gate *gate);
void gate_await_entry(Gate *gate); /* of one exchange */
void gate_open(Gate *gate);        /* for one exchange */

/* --- processes --- */

/* A child with nothing open but its three descriptors and a pipe to here. */
typedef struct Child {
    pid_t pid;
    int pidfd;
    int report_fd;
} Child;

/* @function returns the exit status. @uid: to become first; UNIT_SAME_UID for this one. */
#define UNIT_SAME_UID ((uid_t)-1)

Child child_start(uid_t uid, int (*function)(void));

/* In the child: tell the test. */
void child_report(char what);

/* Until it has reported once. Return: what. */
char child_await(const Child *child);

/* Until it has ended. Return: exit status, or minus the signal. */
int child_end(Child *child);

/* Likewise; it must have been killed. */
void child_check_killed(Child *child);

/* In a child: be a worker with this handler, for ever. */
int child_work(const HandlerKind *kind, uint64_t timeout_ns);

/* Likewise, with one that reports 'c' at each exchange, and never comes back from it. */
int child_wait_for_ever(uint64_t timeout_ns);

/* Likewise, with one that echoes, and has all the time there is. */
int child_echo(void);

/* A child that is a worker, and that the host has let in. */
Child party_add_child_of(uid_t uid, int (*function)(void));
Child party_add_child(int (*function)(void));

/* The test ends with it: the host sees that it has gone. */
void party_kill_child(Child *child);

/* --- peers by hand, turned by the test --- */

/* Connect, and say HELLO unless @role is PEER_STRANGER. */
int raw_connect(PeerRole role);

/* Likewise as this user, whom the kernel notes at that moment. */
int raw_connect_as(uid_t uid, PeerRole role);
void raw_say(int fd, const Packet *packet);

/* The next packet, which must be of this type; its descriptors are closed unless @ret_fds. */
void raw_expect(int fd, PacketType type, Packet *ret_packet, int *ret_fds);

/* Until the host has hung up. */
void raw_expect_end(int fd);

/* A worker that has come, and the queue that it was sent; it goes by its own will. */
int raw_join(int *ret_queue);
void raw_leave(int fd, int queue);

/* --- a worker by hand, in a child --- */

typedef struct Hand {
    int channel;
    uint32_t number;
    uid_t uid; /* of whose clients it hears */
    int queue;
    Page submit;
    Page states;
    int reply_queue;
} Hand;

void hand_attach(Hand *hand, uid_t uid);

/* The next message about this client; others are thrown away. */
void hand_take(Hand *hand, uint64_t client, Message *ret_message);
void hand_meet(Hand *hand, const Message *message);
void hand_claim(Hand *hand, const Message *message, SlotClaim *ret_claim);

/* Until the host hangs up; ends the process. */
_Noreturn void hand_await_end(Hand *hand);
