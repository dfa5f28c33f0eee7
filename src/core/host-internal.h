/* SPDX-License-Identifier: MIT */
/*
 * The host's parts: peers (connections) are clients, workers, or askers of status; uids have request queues.
 */
#pragma once

#include "base/table.h"
#include "core/client.h"
#include "core/host-account.h"
#include "core/host-store.h"
#include "core/host-trace.h"
#include "core/host.h"
#include "os/channel.h"
#include "os/limits.h"
#include "os/page.h"
#include "os/wait.h"
#include "wire/hello.h"
#include "wire/message.h"
#include "wire/parked.h"
#include "wire/slots.h"

enum { SOURCE_LISTENER, SOURCE_PEER, SOURCE_PIDFD, SOURCE_UID, SOURCE_PROBE, SOURCE_WATCH, SOURCE_PARKING };

#define NOBODY ((uid_t)-1)

/* A connection. */
typedef struct Peer {
    Host *host;
    uint64_t number; /* key in host->peers */
    PeerRole role;
    int fd;
    WaitSource source;
    ChannelPeer who;
    HostAccount *account; /* of who.uid */
    char name[NAME_BYTES];
    uint64_t since_ns;
    bool is_probe;
    HostClient *client;
    HostWorker *worker;
    /* a status peer's place in the answer; see host-status.c */
    uint32_t status_part;
    uint64_t status_after;
    uint64_t status_client; /* whose slots are being told, … */
    uint32_t status_slot;   /* … the next of them */
    uint64_t status_serial;
    bool status_slots;    /* asked for, too */
    HostTracer *tracer;   /* NULL: it does not trace */
    bool owes_again; /* it is still to be told AGAIN, before anything else */
    bool waits;      /* it was hushed, and has not been heard since */
    uint32_t hushed; /* what is waited for once it is heard again; 0: it is heard; see host-pace.c */
} Peer;

/* A uid that has clients, and its request queue. Stays for a while after its last client. */
struct HostUid {
    uid_t uid;
    uint64_t number; /* tells this queue from an earlier one of the same uid */
    int queue;
    HostCharge *charge; /* of the queue */
    WaitSource source;
    uint32_t n_clients; /* those with them that are gone, while workers hold them */
    uint32_t n_here;    /* likewise without, and without the probe */
    uint32_t n_owed; /* announcements */
    uint64_t idle_since_ns;
    uint32_t kept; /* one more than its record's number in the index; 0: none */
};

/* Since when a slot has been seen idle; see host-trim.c */
typedef struct HostIdle {
    uint64_t since_ns; /* 0: it was not, when it was last looked at */
    uint32_t generation;
} HostIdle;

/* The workers that the exchange of one slot has killed. */
typedef struct HostLosses {
    uint32_t generation;
    uint32_t n;
    ParkedWorker workers[SLOT_ATTEMPTS_MAX];
} HostLosses;

struct HostClient {
    uint64_t id;
    Peer *peer;      /* NULL: gone */
    pid_t pid;
    HostUid *uid;
    HostAccount *account;
    char name[NAME_BYTES];
    bool trusted;
    bool probe;
    uint64_t since_ns;
    uint32_t n_slots;
    uint64_t stride;
    HugePages huge;             /* that it was told to use */
    uint32_t told_workers;
    bool untold;     /* a host before this one told it */
    uint32_t n_met;  /* workers that hold its descriptors */

    Page submit;
    Page states;
    int reply_queue;
    HostCharge *charge;         /* of the reply queue */
    int requests_fd;
    int responses_fd;
    uint64_t *reserved[2];      /* bytes for each slot: requests, responses */
    uint64_t reserved_bytes[2]; /* their sums */
    bool *owed;                 /* for each slot: an announcement */
    HostIdle *idle;             /* for each slot */
    uint64_t *told_cancel;      /* for each slot: the word of the claim whose owner was told CANCEL last */
    uint32_t kept;              /* as in HostUid */
    HostLosses **losses;        /* for each slot; NULL as long as there are none */
};

struct HostWorker {
    uint32_t number;
    Peer *peer;           /* NULL: hung up */
    pid_t pid;
    uid_t uid;
    int pidfd;            /* owned */
    WaitSource pidfd_source;
    char name[NAME_BYTES];
    uint64_t since_ns;
    uint64_t timeout_ns;
    bool leaving;         /* takes nothing more, by its own word */
    /* it was told AGAIN, and has not said all that it holds: nothing that it asks is heard */
    bool counting;
    bool older;           /* than this host: it may hold clients that this one has never known */
    bool suspect;         /* to be seen dead before its claims are touched */
    const char *why;      /* why the host killed it; NULL: it has not */
    bool in_reach;        /* this host may kill it */
    bool again;           /* what it had claimed may go to another worker */
    bool counted;         /* its process's death, at that of another worker of it; see host-settle.c */
    uint64_t pinged_ns;   /* 0: no ping without an answer */
    uint64_t claimed_ns;  /* as of the last look; 0: no claim */
    bool was_busy;        /* as of the look before */
    uint64_t unnoted_ns;  /* when a claim without its time was first seen; 0: none */
    bool unnoted;         /* one was seen in the last look */
    uint64_t busy_client;
    uint32_t busy_slot;
    uint64_t memory_limit;  /* of its control group; 0: not known */
    uint64_t private_bytes; /* reserved for its copies of requests */
    Table met;            /* HostClient, by id */
    Table queues;         /* HostUid number, as a pointer, by uid: which queues it was told of */
    Table told_gone;      /* HostClient, by id: GONE was sent, DROPPED not heard */
    Page ring;            /* of its records; no map: nobody traces */
    uint64_t ring_at;     /* how far that was read */
    bool has_ring;        /* it was told of one */
    uint32_t kept;        /* as in HostUid */
};

typedef struct HostProbe {
    Client *client;
    WaitSource source;
    Request *request;
    uint32_t round;
    bool due;
    uint64_t sent_ns;
    uint64_t next_ns; /* when it is due by itself; ticks may come more often */
    bool known;
    bool healthy;
    uint64_t last_ns;
} HostProbe;

/* How long the host waits for others. No settings: nobody has a reason to change them, but tests. */
typedef struct HostPatience {
    uint64_t hello_ns;  /* that a stranger has for its HELLO */
    uint64_t answer_ns; /* that an idle worker has for a PING */
    uint64_t grace_ns;  /* past its own timeout, before a worker is taken for stuck */
    uint64_t look_ns;   /* between two looks at who has claimed what, at least */
    uint64_t probe_ns;  /* that a probe has for its way */
    uint64_t squeeze_ns; /* that idle memory stays after there was not enough of it for who wanted it */
    uint64_t trace_ns;  /* from one look at the rings to the next, while somebody traces */
    uint64_t poison_ns; /* in which three deaths are too many, and for which they have a user refused */
    uint64_t pace_ns;   /* of its time that a user may have at once */
    uint64_t idle_ns;   /* that a queue outlives its uid's last client: calls come one after the other */
} HostPatience;

/* What is being parked; see host-park.c. */
typedef struct HostParking {
    char *path;        /* NULL: nothing is */
    int bell_fd;       /* rung by threads that have ended */
    WaitSource source;
    Table parks;       /* by number */
    uint64_t latest;   /* number */
    uint32_t n_running;
    uint64_t n_parked; /* since the host's start */
} HostParking;

/* For whom the host works, and since when; see host-pace.c. */
typedef struct HostPace {
    uint64_t cpu_ns;    /* what its thread had run when this piece of work began */
    uid_t uid;          /* who is charged for it; NOBODY: nobody */
    bool none_waits;    /* it has found no further newcomer */
    uint32_t n_shed_before;
    uint32_t n_shed;    /* newcomers that were turned away since the last rest */
    uint64_t shed_ns;   /* what that took */
    uint64_t listen_ns; /* when newcomers are taken in again; 0: they are */
    uint64_t hear_ns;   /* when to look who is heard again; 0: all are */
} HostPace;

struct Host {
    char name[NAME_BYTES];
    char *path;           /* NULL: adopted */
    const HostSettings *settings;
    HostPatience patience;
    Limits limits;        /* of the system, as of the last tick */
    uid_t uid;
    gid_t gid;
    int listener;
    int spare_fd;
    bool fds_may_come;    /* from strangers: the kernel does not refuse them (before Linux 6.16) */
    WaitSource listener_source;
    Wait *wait;
    uint64_t timer_ns;
    uint64_t tick_ns;     /* when the next look at everything is due */
    uint64_t looked_ns;   /* when it was last noted who has claimed what */
    uint64_t since_ns;
    uint64_t settings_ns; /* when it was given its settings */
    uint64_t next_id;     /* of clients, uids, peers */
    uint32_t next_worker;

    Table peers;
    Table clients;        /* gone ones too, until workers have let go of them */
    Table workers;        /* suspects too */
    Table uids;
    Table accounts;       /* HostAccount, by uid; see host-account.h */
    Table charges;        /* HostCharge that the kernel will tell the end of, by watch_id */
    int watch;            /* of their queues; -1: none to be had */
    WaitSource watch_source;
    uint32_t n_clients;   /* that are there */
    uint32_t n_workers;   /* that are there and not leaving */
    uint32_t n_counting;  /* that have not said yet what they hold */
    bool repeat_due;      /* at the next tick */
    bool fit_is_told;     /* how many clients fit, since the start or the last change of the settings */
    uint64_t memory_bytes;
    uint64_t block_bytes; /* what the file system of shared memory gives it in */
    int no_huge;          /* 0: the kernel makes huge pages; or the negative errno that it refused with */
    bool huge_is_told;    /* since the start or the last change of the settings */
    uint64_t trim_ns;     /* when to look for idle memory again */
    uint64_t squeezed_ns;
    uint64_t n_redelivered;
    uint64_t n_refused;    /* peers, whose own doing it is */
    uint64_t n_misbehaved; /* likewise, and were disconnected */
    uint64_t n_limits;     /* times that a limit of the system was reached */
    uint64_t refused_ns;  /* when the next refused user is heard again; 0: none is */
    HostPace pace;
    HostParking parking;
    SlotCounts past;      /* what clients that are gone had done */
    Histogram past_stages[_STAGE_N];
    Histogram stages[_STAGE_N]; /* with theirs that are there, as of host_read_stages() */
    uint64_t stages_ns;         /* when that was */
    HostProbe probe;
    HostTrace trace;
    HostStore store;
    EventQueue events;
};

/* host-peer.c */
int host_accept(Host *host);
int host_add_peer(Host *host, int fd, bool is_probe, Peer **ret);
int peer_dispatch(Peer *peer, uint32_t events);
int peer_say_again(Peer *peer); /* if it is owed; see owes_again */
void peer_free(Peer *peer);

/*
 * Peers that were taken up are this host's only as far as its settings let them in: a worker that is none any
 * more is killed, since what it has claimed is nobody else's until it is dead.
 */
void host_look_at_taken(Host *host);
bool peer_is_trusted(const Peer *peer);
bool peer_sees_all(const Peer *peer); /* also what others do */
void peer_becomes(Peer *peer, PeerRole role); /* no stranger any more */

/*
 * Say one packet. Return: 0; -EAGAIN if it did not fit, -EPIPE if the peer has gone; or another negative
 * errno.
 */
int peer_say(Peer *peer, const Packet *packet, const int *fds, size_t n_fds);

/* An answer that the peer waits for: one that does not fit costs the connection. Return: as peer_say(). */
int peer_answer(Peer *peer, const Packet *packet, const int *fds, size_t n_fds);

/* End the connection because of what it said; @what is a text that stays. */
void peer_misbehaved(Peer *peer, const char *what);
/* Likewise, for a limit of the system: the cure is the administrator's. */
void peer_refuse_for_system(Peer *peer, const char *text);
void peer_refuse(Peer *peer, Reason code, const char *text, ...) __attribute__((format(printf, 3, 4)));

/*
 * host-pace.c: around each piece of work; the second charges whoever it was for. What the loop around the
 * host does between two turns goes to the first piece of the next.
 */
void host_pace_begin(Host *host);
int host_pace_end(Host *host);
int host_hear_peer(Peer *peer, uint32_t events); /* peer_dispatch(), if its user does not have to wait */
bool host_paces_newcomer(Host *host, int fd);    /* if so, it is to be turned away */
bool host_paces_trace(Peer *peer); /* whether it is told nothing now; host_pace_end() charges what follows */
bool account_has_spent(HostAccount *account, uint64_t now_ns);

/* When something of it is due, UINT64_MAX for never; and do it. */
uint64_t host_next_pace(const Host *host);
int host_pace_go_on(Host *host, uint64_t now_ns);

/* host-uid.c */
int host_get_uid(Host *host, uid_t uid, HostUid **ret); /* 0, a QueueLimit, or negative errno */
int uid_take_up(Host *host, const IndexUid *record, uint32_t number, int *fds);
void uid_free(Host *host, HostUid *uid);
void host_reap_uids(Host *host, uint64_t now_ns);

/* Announce a slot, or owe it. */
void host_announce(Host *host, HostClient *client, uint32_t slot, uint32_t generation);
int host_pay_uid(Host *host, HostUid *uid);

/* host-limits.c: whether a peer may have more; if not, it is refused, and gone */
bool host_admits_peer(Peer *peer);
bool host_admits_client(Peer *peer);

/*
 * How many clients fit into the system's limits in all, as they are at this moment; UINT64_MAX for any
 * number.
 */
typedef struct HostFit {
    uint64_t n[_LIMIT_N];
    LimitKind least; /* the one that allows fewest */
} HostFit;

void host_fit(const Host *host, HostFit *ret_fit);
void host_tell_fit(Host *host);

/* Whether this user can have a share only; root and the host's own user can have all. */
bool host_limits_uid(const Host *host, uid_t uid);

/* What one user can have of @whole. */
uint64_t host_share(const Host *host, const HostAccount *account, uint64_t whole);

/*
 * Whoever has said nothing yet gives way, the oldest first: one of the user with the most of them where there
 * are too many connections in all, otherwise those who only connect could keep all others out; one of the
 * newcomer's own user where that has too many. Return: whether there is a place for one more.
 */
#define PEERS_BESIDE_CLIENTS 256 /* workers, askers of status, strangers */
size_t host_max_peers(const Host *host);
bool host_make_place(Host *host);
void host_limit_half_open(Peer *newcomer);

/* See which of the descriptors that were sent to clients have been received. */
void client_look_at_flying(HostClient *client);
void host_look_at_flying(Host *host, const HostAccount *account);

/*
 * host-make.c: make a queue (0, a QueueLimit, or negative errno) or an object (0 or negative errno) without a
 * name
 */
int host_make_queue(const Host *host, uint32_t depth, int *ret_fd);
int host_make_object(const Host *host, uint64_t bytes, int *ret_fd);

/*
 * What a kill between creation and unlink may have left: one object or queue, under one name for each kind.
 */
int host_sweep(const Host *host);

/*
 * host-client.c; as uid_take_up() and worker_take_up(), client_take_up() takes over the descriptors that it
 * sets to -1.
 * Return: 0; or negative errno, and there is nothing of it.
 */
void client_attach(Peer *peer);
int client_take_up(Host *host, const IndexClient *record, uint32_t number, int *fds);
void host_never_again(Host *host, uint64_t id); /* give out this number (host-takeup.c) */
void host_forget_client(Host *host, HostClient *client); /* if it is gone and nobody holds it */
void host_client_gone(Host *host, HostClient *client);
void host_client_free(Host *host, HostClient *client);
void client_hear_look(Host *host, HostClient *client, const PacketSlot *look);

/*
 * What a client says of its request. Its payload_bytes are 0 where it could not have sent so many. Return:
 * whether it is of this generation.
 */
bool host_read_request(const HostClient *client, uint32_t slot, uint32_t generation, SubmitRecord *ret);

/* End what no worker has, if its client wishes so or is gone. Return: as slots_look(). */
SlotState host_end_wished(Host *host, const HostClient *client, uint32_t slot, uint64_t now_ns);
void host_notify(HostClient *client, uint32_t slot, uint32_t generation);

/*
 * After a worker's death or leaving, or where a message may be lost otherwise: announce what is submitted,
 * notify of what has ended.
 */
void host_repeat(Host *host);
void host_tell_workers(Host *host);
int client_sync(HostClient *client, uint32_t n_workers);

/* host-memory.c: reserve memory. Fills the answer. */
void host_reserve(Host *host, HostClient *client, const PacketReserve *wish, PacketReserved *answer);

/* Likewise, for the private copies of a worker: it shall have @wish->bytes in all. */
void host_reserve_private(Host *host, HostWorker *worker, const PacketReserve *wish, PacketReserved *answer);

/* A window (@side 0: of the request, 1: of the response) holds nothing any more. */
void host_unreserve(Host *host, HostClient *client, uint32_t slot, unsigned side);
/* @side: 1 for responses */
void host_count_reserved(Host *host, HostClient *client, uint32_t slot, unsigned side, uint64_t bytes);

/* `memory`, as it is now. */
uint64_t host_memory(const Host *host);

/* From one window to the next. */
uint64_t host_stride(const Host *host);

/*
 * host-huge.c: see in what blocks objects get their memory, and whether the kernel makes huge pages. Return:
 * 0 or negative errno.
 */
int host_measure(Host *host);
void host_tell_huge(Host *host);
uint32_t host_huge_in_use(const Host *host); /* as STATUS_HOST says it */

/* What clients that attach now are told to use. */
HugePages host_huge_pages(const Host *host);

/* host-trim.c: give back what has been idle for long; when to do it next, UINT64_MAX for never. */
void host_trim(Host *host, uint64_t now_ns);
uint64_t host_next_trim(const Host *host);

/*
 * Give back what is idle at this moment, of everybody or of one account, until @bytes are free; not too
 * often.
 */
void host_squeeze(Host *host, const HostAccount *account, uint64_t bytes);

/*
 * A host before this one may have been killed as it held slots: finish what it was at, before anything else.
 */
void client_end_holds(Host *host, HostClient *client);

/* host-worker.c */
void worker_attach(Peer *peer, const PacketHello *hello);
void worker_hear_meet(Peer *peer, const PacketMeet *meet);
void worker_hear_holds(Peer *peer, uint64_t client);
HostClient *worker_find_met(Host *host, HostWorker *worker, uint64_t id); /* NULL: it holds none such */
void worker_hear_dropped(Host *host, HostWorker *worker, uint64_t client);
void worker_hear_leaving(Host *host, HostWorker *worker);
void host_worker_hung_up(Host *host, HostWorker *worker);
void host_worker_kill(Host *host, HostWorker *worker, const char *why);
void host_worker_dead(Host *host, HostWorker *worker);
void host_worker_free(Host *host, HostWorker *worker);
int worker_take_up(Host *host, const IndexWorker *record, uint32_t number, int *fds);
void host_count_workers(Host *host);

/* Tell a worker of queues and of clients that have gone, as far as it listens. */
void worker_sync(HostWorker *worker, Host *host);
void host_sync_workers(Host *host);

/* Look which worker has claimed what; kill what is past its time or does not answer. */
void host_judge_workers(Host *host, uint64_t now_ns);
void host_ping_workers(Host *host, uint64_t now_ns);

/* When the next worker has to be judged; UINT64_MAX for never. */
uint64_t host_next_judgement(const Host *host);

/* host-settle.c */
void host_settle(Host *host, const HostWorker *worker); /* all that it had claimed; it was seen dead */
void host_settle_own(Host *host); /* what the host before was about to end */
void host_free_losses(HostClient *client);

/* End what the dead @owner has claimed: as FAILED, unless its client wishes otherwise. */
void host_end_lost(Host *host, HostClient *client, uint32_t slot, uint32_t owner, Reason reason);

/* End a claim of the host's own, or of a dead worker, as FAILED with a text. */
void host_fail(Host *host, HostClient *client, uint32_t slot, const SlotClaim *claim, Reason reason,
               const char *text);

/* host-poison.c: one more worker died of this user's requests */
void host_note_death(Host *host, HostAccount *account);
bool host_refuses(const HostAccount *account);
bool host_refuses_uid(const Host *host, uid_t uid);
const char *host_refusal_text(const Host *host, const HostAccount *account,
                              char text[static REFUSED_TEXT_BYTES]);
void host_refuse_slot(Host *host, HostClient *client, uint32_t slot); /* if it is submitted or WAITING */
int host_drain_uid(Host *host, HostUid *uid);
void host_end_refusals(Host *host, uint64_t now_ns);

/*
 * host-park.c: keep the request of a slot whose last owner is dead: @worker, or with NULL one of a host
 * before.
 * Return: whether that is under way, and will end the slot; if not, the caller ends it.
 */
bool host_park(Host *host, const HostClient *client, uint32_t slot, const HostWorker *worker, Reason reason);

/* The client of a slot that may be being parked has wished, or is gone. */
void host_park_look(Host *host, HostClient *client, uint32_t slot);
void host_parking_dispatch(Host *host);
void host_parking_deinit(Host *host);

/* host-probe.c */
int host_probe_init(Host *host);
void host_probe_deinit(Host *host);
int host_probe(Host *host);          /* begin one if none is under way */
int host_probe_dispatch(Host *host); /* see how it goes */

/* host-stages.c */
void host_keep_stages(Host *host, const HostClient *client); /* that goes */
void host_read_stages(Host *host);
void client_read_stages(const HostClient *client, StageTimes ret_times[static _STAGE_N]);

/*
 * What is in the buckets from @bucket on that hold anything, as in PacketStatusStage; @bucket is then the
 * next.
 * Return: how many there are, @n_max at most.
 */
uint32_t stage_entries(const Histogram *histogram, uint32_t *bucket, uint64_t *entries, uint32_t n_max);

/* host-status.c */
int status_continue(Peer *peer); /* say as much as fits */
void host_counts(const Host *host, SlotCounts *ret_counts);
