/* SPDX-License-Identifier: MIT */
/*
 * MESSAGE_IDs of what an administrator acts on
 *
 * They are for ever: scripts look for them (`journalctl MESSAGE_ID=…`), and systemd/shmipc.catalog
 * explains each (`journalctl -x`). A new kind of message gets a new id (`systemd-id128 new`) and an
 * entry there; a test holds the two files together. The comment says who logs it.
 */
#pragma once

#define MESSAGE_ID_HOST_READY           "d87d391b61b742f18b065117753c17f0" /* host: takes peers */
#define MESSAGE_ID_TAKEN_UP             "1416975105ae4670a13864eebd13e83f" /* host: after another one */
#define MESSAGE_ID_WORKER_ATTACHED      "b04bb9f9b6864fd587c3e7eb3f128cc7" /* host */
#define MESSAGE_ID_WORKER_DIED          "9d9458d55d07479a8c88739146ad83a7" /* host: without leaving */
#define MESSAGE_ID_WORKER_KILLED        "79848065867840e2ae6bbbee4a98b399" /* host: by itself */
#define MESSAGE_ID_HEALTH_CHANGED       "52242d100826437499eb8f0d96c35fde" /* host: and first probe */
#define MESSAGE_ID_EXCHANGE_FAILED      "4ed628b2d6514d1dae253321b5927735" /* worker */
#define MESSAGE_ID_EXCHANGE_REDELIVERED "f3a9977c5bba42d8a2ba0d682c769c84" /* host */
#define MESSAGE_ID_EXCHANGE_PARKED      "1a865e6a9e314f5a83422fe3920b81a4" /* host */
#define MESSAGE_ID_USER_REFUSED         "751724bf56694f3085d7df85f8ab5dab" /* host: and heard again */
#define MESSAGE_ID_HOST_ATTACHED        "a0362d259b9545dd97e8ed1389f6f859" /* worker */
#define MESSAGE_ID_HOST_LOST            "04720b5fe35549dd803739510519c590" /* worker */
#define MESSAGE_ID_LIMIT_REACHED        "38e29313d8c446dd83897497d56b54a4" /* either */
#define MESSAGE_ID_CAPACITY             "2a17e767d52a44eda602f9b5fe3a08b7" /* host: at start and reload */
#define MESSAGE_ID_CLIENT_REFUSED       "860097271c614479ba3cd6133fc01b2e" /* host */
#define MESSAGE_ID_PEER_MISBEHAVED      "cd2a6b0b2fb54ab78b90042c93181160" /* either */
#define MESSAGE_ID_CONFIG_INVALID       "38aff1aac98f48da841204a6af2e15e4" /* either */
#define MESSAGE_ID_CONFIG_RELOADED      "b1da6ad72128404e9a42fcf3159419e3" /* either */
