/* SPDX-License-Identifier: MIT */
/*
 * The socket protocol: one struct for each packet (docs/protocol.md, section 2)
 *
 * The structs are the bytes on the socket. packet_check() is the door: what passes it has the right size, the
 * right number of descriptors and a sender that may say so; texts in it end with a NUL. Values are checked by
 * whoever uses them.
 *
 * What exchanges depend on has one size, and never another in this version of the protocol. What a host says
 * to those who only look (STATUS_* and TRACED) may grow at its end, since they may be of another age than the
 * host that runs: of an older host's row the rest is 0, which must mean that it was not said; of a newer
 * host's the rest is not looked at.
 */
#pragma once

#include "wire/slots.h"
#include "wire/trace.h"

#include <stddef.h>
#include <stdint.h>

#define PROTOCOL_VERSION 1u
#define HELLO_MAGIC      "SHMIPC\r\n"

typedef enum PeerRole {
    PEER_CLIENT = 1,
    PEER_WORKER = 2,
    PEER_STATUS = 3,
    PEER_HOST = 4,     /* never in a HELLO */
    PEER_STRANGER = 5, /* has said nothing yet */
} PeerRole;

typedef enum PacketType {
    PACKET_HELLO = 1,
    PACKET_WELCOME,
    PACKET_REFUSED,
    PACKET_RESERVE,
    PACKET_RESERVED,
    PACKET_LOOK,
    PACKET_WORKERS,
    PACKET_QUEUE,
    PACKET_UNQUEUE,
    PACKET_MEET,
    PACKET_CLIENT,
    PACKET_GONE,
    PACKET_DROPPED,
    PACKET_PING,
    PACKET_PONG,
    PACKET_LEAVING,
    PACKET_CANCEL,
    PACKET_STATUS,
    PACKET_STATUS_HOST,
    PACKET_STATUS_CLIENT,
    PACKET_STATUS_WORKER,
    PACKET_STATUS_END,
    PACKET_AGAIN,
    PACKET_HOLDS,
    PACKET_STATUS_SLOTS,
    PACKET_STATUS_SLOT,
    PACKET_STATUS_STAGE,
    PACKET_TRACE,
    PACKET_TRACED,
    PACKET_RING,
    PACKET_UNRING,
    _PACKET_N,
} PacketType;

#define PACKET_BYTES_MAX    512 /* of any age */
#define NAME_BYTES          64
#define VERSION_BYTES       32
#define REFUSED_TEXT_BYTES  232
#define RESERVED_TEXT_BYTES 128

/* Order of the descriptors that come with WELCOME to a client, and with CLIENT. */
enum {
    WELCOME_REQUEST_QUEUE,
    WELCOME_REPLY_QUEUE,
    WELCOME_SUBMIT,
    WELCOME_STATE,
    WELCOME_REQUESTS,
    WELCOME_RESPONSES,
    WELCOME_N_FDS
};
enum { CLIENT_REPLY_QUEUE, CLIENT_SUBMIT, CLIENT_STATE, CLIENT_REQUESTS, CLIENT_RESPONSES, CLIENT_N_FDS };

#define WELCOME_TRUSTED  1u
#define WELCOME_HUGE     2u
#define WELCOME_HUGE_ALL 4u

#define CLIENT_TRUSTED  1u
#define CLIENT_PROBE    2u
#define CLIENT_GONE     4u
#define CLIENT_HUGE     8u
#define CLIENT_HUGE_ALL 16u

#define DIRECTION_REQUEST  1u
#define DIRECTION_RESPONSE 2u
#define DIRECTION_PRIVATE  3u /* a worker's copies of requests; client and slot are 0 */

typedef struct PacketHeader {
    uint32_t type;
    uint32_t bytes;
    uint64_t serial;
} PacketHeader;

typedef struct PacketHello {
    PacketHeader header;
    char magic[8];
    uint32_t role;
    uint32_t version_min;
    uint32_t version_max;
    uint32_t reserved;
    uint64_t timeout_ns;
    char name[NAME_BYTES];
} PacketHello;

typedef struct PacketWelcome {
    PacketHeader header;
    uint32_t version;
    uint32_t n_slots;
    uint64_t id;
    uint64_t max_payload;
    uint64_t stride;
    uint32_t uid;
    uint32_t n_workers;
    uint32_t flags;
    uint32_t reserved;
} PacketWelcome;

typedef struct PacketRefused {
    PacketHeader header;
    uint32_t code;
    uint32_t reserved;
    char text[REFUSED_TEXT_BYTES];
} PacketRefused;

typedef struct PacketReserve {
    PacketHeader header;
    uint64_t client;
    uint64_t bytes;
    uint32_t slot;
    uint32_t direction;
} PacketReserve;

typedef struct PacketReserved {
    PacketHeader header;
    uint64_t client;
    uint64_t bytes;
    uint32_t slot;
    uint32_t direction;
    uint32_t code;
    uint32_t reserved;
    char text[RESERVED_TEXT_BYTES];
} PacketReserved;

/* LOOK */
typedef struct PacketSlot {
    PacketHeader header;
    uint32_t slot;
    uint32_t generation;
} PacketSlot;

/* WORKERS, QUEUE, UNQUEUE: n_workers or uid */
typedef struct PacketNumber {
    PacketHeader header;
    uint32_t number;
    uint32_t reserved;
} PacketNumber;

typedef struct PacketMeet {
    PacketHeader header;
    uint64_t client;
    uint32_t uid;
    uint32_t reserved;
} PacketMeet;

typedef struct PacketClient {
    PacketHeader header;
    uint64_t client;
    uint64_t stride;
    uint32_t n_slots;
    uint32_t uid;
    uint32_t flags;
    uint32_t reserved;
} PacketClient;

/* GONE, DROPPED, HOLDS */
typedef struct PacketId {
    PacketHeader header;
    uint64_t client;
} PacketId;

/* PING, PONG, LEAVING, STATUS, STATUS_SLOTS, STATUS_END, RING, UNRING */
typedef struct PacketEmpty {
    PacketHeader header;
} PacketEmpty;

typedef struct PacketAgain {
    PacketHeader header;
    uint64_t max_payload;
} PacketAgain;

typedef struct PacketCancel {
    PacketHeader header;
    uint64_t client;
    uint32_t slot;
    uint32_t generation;
} PacketCancel;

/* The host's own numbers. Times are CLOCK_MONOTONIC nanoseconds, counters count since the host's start. */
typedef struct PacketStatusHost {
    PacketHeader header;
    char name[NAME_BYTES];
    char version[VERSION_BYTES];
    uint64_t pid;
    uint64_t uptime_ns;
    uint64_t memory_bytes;          /* reserved by segments */
    uint64_t memory_limit;
    uint64_t max_payload;
    uint64_t n_done;                /* exchanges, of clients that are gone too */
    uint64_t n_failed;
    uint64_t n_cancelled;           /* and expired */
    uint64_t n_redelivered;
    uint64_t request_payload_bytes; /* of exchanges that ended */
    uint64_t response_payload_bytes;
    uint64_t in_flight;
    uint64_t probe_ns;              /* how long the last probe took */
    uint64_t queue_bytes;           /* of RLIMIT_MSGQUEUE, by this host */
    uint64_t queue_bytes_limit;
    uint64_t n_queues;
    uint64_t n_queues_limit;        /* fs.mqueue.queues_max */
    uint64_t n_files;               /* descriptors */
    uint64_t n_files_limit;
    uint32_t n_clients;
    uint32_t max_clients;
    uint32_t n_workers;
    uint32_t healthy;               /* 0 not known yet, 1 well, 2 ill */
    uint32_t slots_per_client;
    uint32_t queue_depth;           /* messages that a request queue holds */
    uint64_t n_refused;             /* peers */
    uint64_t n_misbehaved;          /* peers that were disconnected for it */
    uint64_t n_limits;              /* times that a limit of the system was reached */
    /* events that are not in the log: too many of a kind and user, or at once */
    uint64_t n_untold;
    /* clients that fit in all, as each limit is now; UINT64_MAX for any number */
    uint64_t fit_queue_bytes;
    uint64_t fit_queues;
    uint64_t fit_files;
    uint32_t user_share;            /* percent of the limits */
    uint32_t partial;               /* 1: rows of other users are left out, for who asked may not see them */
    uint64_t n_parked;              /* requests that workers did not survive, kept since the start */
    uint64_t n_waiting;             /* of those in flight: no worker has them now */
    uint64_t private_bytes;         /* of memory_bytes: workers' copies of requests */
    uint32_t huge_pages;            /* in use: HugePages, or STATUS_HUGE_MOUNT */
    uint32_t reserved;
    /* since it was given its settings: at its start, or by a reload; 0: not said */
    uint64_t settings_ns;
} PacketStatusHost;

#define STATUS_HUGE_MOUNT 3u /* of a PacketStatusHost: /dev/shm is mounted so that it has no others */

/* How long a stage has taken, since the client came. */
typedef struct StageTimes {
    uint64_t p50_ns;
    uint64_t p99_ns;
} StageTimes;

typedef struct PacketStatusClient {
    PacketHeader header;
    char name[NAME_BYTES];
    uint64_t id;
    uint64_t request_bytes;         /* reserved */
    uint64_t response_bytes;
    uint64_t resident_bytes;        /* in memory now, as the kernel says */
    uint64_t n_done;
    uint64_t n_failed;
    uint64_t age_ns;
    uint32_t pid;
    uint32_t uid;
    uint32_t in_flight;
    uint32_t queued;                /* messages in its uid's request queue */
    uint32_t trusted;               /* 1: requests handled in place, 0: copied */
    uint32_t probe;                 /* 1: the host's own */
    uint32_t n_waiting;             /* of those in flight: no worker has them now */
    uint32_t n_slots;
    StageTimes stages[_STAGE_N];
} PacketStatusClient;

typedef struct PacketStatusWorker {
    PacketHeader header;
    char name[NAME_BYTES];
    uint64_t number;
    uint64_t age_ns;
    uint64_t busy_ns;               /* since it claimed what it has; 0: idle */
    uint64_t client;                /* whose exchange it has */
    uint32_t slot;
    uint32_t pid;
    uint32_t uid;
    uint32_t n_clients;             /* whose memory it has met */
    uint32_t leaving;
    uint32_t reserved;
    uint64_t private_bytes;         /* reserved for its copies of requests */
    uint64_t timeout_ns;            /* past which it is taken for stuck; 0: not said */
} PacketStatusWorker;

/* What is the matter with a slot. */
typedef enum StatusSlot {
    STATUS_SLOT_IDLE,    /* and holds memory */
    STATUS_SLOT_FILLING, /* taken by the client, nothing is submitted */
    STATUS_SLOT_QUEUED,
    STATUS_SLOT_AGAIN,   /* its worker died: waits for another */
    STATUS_SLOT_RUNNING,
    STATUS_SLOT_PARKING,
    STATUS_SLOT_ENDED,   /* the client has not released the answer yet */
    _STATUS_SLOT_N,
} StatusSlot;

/* A slot that is used or holds memory. */
typedef struct PacketStatusSlot {
    PacketHeader header;
    uint64_t client;
    uint64_t request_bytes;         /* reserved */
    uint64_t response_bytes;
    uint64_t payload_bytes;         /* of the request, while there is one */
    uint64_t running_ns;            /* since it was claimed; 0: it is not */
    uint64_t left_ns;               /* until its deadline, while it is in flight; UINT64_MAX for none */
    uint32_t slot;
    uint32_t generation;            /* of the latest exchange */
    uint32_t state;                 /* StatusSlot */
    uint32_t attempts;
    uint32_t worker;                /* that has it; 0: none */
    uint32_t reserved;
} PacketStatusSlot;

#define STAGE_ENTRIES    56u
#define STAGE_COUNT_BITS 48u
#define STAGE_COUNT_MAX  ((UINT64_C(1) << STAGE_COUNT_BITS) - 1)

/*
 * A part of the histogram of one stage of all exchanges, since the host's start: as many of these as it
 * takes, one at least. An entry is a bucket that holds something: its number in the upper 16 bits, how many
 * below.
 */
typedef struct PacketStatusStage {
    PacketHeader header;
    uint32_t stage;                 /* Stage */
    uint32_t n_entries;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t entries[STAGE_ENTRIES];
} PacketStatusStage;

#define TRACE_OF_UID      1u
#define TRACE_ONLY_FAILED 2u /* what has not ended as DONE */

/* Which exchanges somebody wants to see. */
typedef struct PacketTrace {
    PacketHeader header;
    uint64_t client;                /* 0: of all */
    uint64_t least_ns;              /* that it took, in all */
    uint32_t worker;                /* 0: of all */
    uint32_t uid;                   /* with TRACE_OF_UID */
    uint32_t flags;
    uint32_t reserved;
} PacketTrace;

#define TRACED_MAX        4u
#define TRACED_NAME_BYTES 16

/* An exchange that has ended, or came to something else that is worth a line. */
typedef struct TracedRecord {
    TraceRecord record;
    uint32_t uid;
    uint32_t pid;                   /* of its client */
    uint32_t worker;                /* that ended it, or died of it; 0: none, or not known */
    uint32_t reserved;
    char name[TRACED_NAME_BYTES];   /* of its client, cut */
} TracedRecord;

/* Some of them; the first one, which may have none, says that the host has begun to look. */
typedef struct PacketTraced {
    PacketHeader header;
    uint64_t n_lost;                /* that are not told, before these */
    uint32_t n_records;
    uint32_t reserved;
    TracedRecord records[TRACED_MAX];
} PacketTraced;

/* Any packet, for receiving. */
typedef union Packet {
    PacketHeader header;
    PacketHello hello;
    PacketWelcome welcome;
    PacketRefused refused;
    PacketReserve reserve;
    PacketReserved reserved;
    PacketSlot slot;
    PacketNumber number;
    PacketMeet meet;
    PacketClient client;
    PacketId id;
    PacketEmpty empty;
    PacketCancel cancel;
    PacketAgain again;
    PacketStatusHost status_host;
    PacketStatusClient status_client;
    PacketStatusWorker status_worker;
    PacketStatusSlot status_slot;
    PacketStatusStage status_stage;
    PacketTrace trace;
    PacketTraced traced;
    uint8_t bytes[PACKET_BYTES_MAX];
} Packet;

/**
 * packet_init() - zero a packet of this type and write its header. Return: its size, which is what is sent.
 */
size_t packet_init(Packet *packet, PacketType type, uint64_t serial);

/**
 * packet_init_hello() - a HELLO of this version; @name as in text_copy(). Fields that not every role has stay
 * 0. Return: as packet_init().
 */
size_t packet_init_hello(Packet *packet, PeerRole role, const char *name);

/**
 * packet_check() - whether @bytes bytes that were received with @n_fds descriptors are a packet that @from
 * may send
 * Return: NULL, with its texts printable and NUL-terminated, and what an older host does not say 0; or a text
 * that says what is wrong.
 */
const char *packet_check(Packet *packet, size_t bytes, size_t n_fds, PeerRole from);

/**
 * hello_check() - whether a HELLO can be answered. Return: 0, or the Reason why not with a text for the peer.
 */
int hello_check(const PacketHello *hello, const char **ret_text);

/** text_copy() - copy a string into a fixed field, cut if need be, NUL-padded. */
void text_copy(char *field, size_t bytes, const char *text);
