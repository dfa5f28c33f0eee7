/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/client.h"
#include "core/request-list.h"
#include "core/spin.h"
#include "os/page.h"
#include "os/wait.h"
#include "wire/hello.h"

struct Client {
    ClientState state;
    void *owner; /* the caller's */
    Wait *wait;
    uint64_t timer_ns; /* when the timer is set to; may be too early, never too late */

    int channel;
    WaitSource channel_source;
    uint64_t serial;

    int request_queue;
    WaitSource request_source;
    uint32_t n_owed;
    int reply_queue;
    WaitSource reply_source;

    Page submit;
    Page states;
    int requests_fd;
    int responses_fd;

    uint64_t id;
    uint64_t max_payload;
    uint64_t stride;
    uint32_t n_slots;
    uint32_t n_workers;
    Request *requests; /* n_slots */
    uint32_t free_from;    /* no slot before this one is free */
    uint32_t n_taken;      /* as client_n_taken() */
    uint32_t n_in_flight;
    RequestList in_flight; /* as they were sent */
    RequestList ended;     /* and not handed out, as they were seen to end */
    uint64_t spin_ns;    /* as client_set_spin() */
    bool skips;          /* as request_post() */
    bool awake;          /* as the submit page says */
    SpinPace pace;
    uint32_t n_in_a_row; /* times that polling has found something, since the descriptors were looked at */
    uint64_t served_ns;  /* the latest of these, by clock_coarse_ns() */
    uint64_t row_ns;     /* the first of those in a row, likewise */
    uint64_t last_bytes; /* of the latest request and response together */
    uint64_t seen_ns;    /* when the latest answer was seen that is measured, however it came */
    uint32_t last_cpu;   /* where the latest response came from */
    uint32_t dice;       /* which exchanges are measured */

    Reason refused;
    char refused_text[REFUSED_TEXT_BYTES];
};

/*
 * client-request.c: look at the word of every slot in flight; end what has ended.
 * Return: 0 or negative errno.
 */
int client_look(Client *client);

/* client-request.c: whether this one, which is in flight, shows an end where its client polls. */
bool request_shows_end(const Request *request);

/*
 * client-request.c: end this one, which shows an end, and what has ended besides: from the oldest on, and
 * from this one on, each up to the first that does not show an end. Return: 0 or negative errno.
 */
int request_reap(Request *request);

/*
 * client-poll.c: look at the slots in flight for a while, if somebody polls for this client.
 * Return: 1 if something has ended, 0, or negative errno.
 */
int client_poll(Client *client, uint64_t until_ns);

/* client-poll.c: whether it does not sleep while a worker polls. */
bool client_stays_awake(const Client *client);

/* client-request.c: send what is owed, as far as there is room. Return: 0 or negative errno. */
int client_pay(Client *client);

/* client-request.c: tell the host what its full socket did not take. Return: 0 or negative errno. */
int client_pay_host(Client *client);

/*
 * client-request.c: there is a new host: owe it what the one before has left without an answer. Return: 0 or
 * negative errno.
 */
int client_ask_again(Client *client);

/*
 * client-request.c: ask the host to look at what is past its deadline, and set the timer for the rest.
 * Return: 0 or negative errno.
 */
int client_watch_deadlines(Client *client);

/* client-request.c: the host's word on memory. */
void client_granted(Client *client, const PacketReserved *reserved);

/* client-request.c: the host is gone; end everything. */
void client_end_all(Client *client);

/*
 * client.c: send one packet to the host.
 * Return: 0, also when the host is lost by now; -EAGAIN when it does not fit; or negative errno.
 */
int client_say(Client *client, const Packet *packet);
