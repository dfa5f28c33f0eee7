// SPDX-License-Identifier: MIT
// iceoryx 2: requests and responses in chunks that its daemon (iox-roudi) has put aside; payloads stay where they
// are. --mode poll looks for the next one all the time, --mode wait sleeps in a WaitSet.
#include "peer.h"

#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/popo/untyped_client.hpp"
#include "iceoryx_posh/popo/untyped_server.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <err.h>
#include <optional>
#include <unistd.h>

namespace {

const Task *task;
char instance[100];
std::optional<iox::popo::UntypedClient> client;
std::optional<iox::popo::WaitSet<>> answers;
void *sent;
const void *received;

bool sleeps() {
    return std::strcmp(task->mode, "wait") == 0;
}

iox::capro::ServiceDescription service() {
    return {"shmipc-bench", iox::capro::IdString_t(iox::cxx::TruncateToCapacity, instance), "exchange"};
}

void join(const char *role) {
    char name[100];

    std::snprintf(name, sizeof(name), "bench-%s-%d", role, static_cast<int>(getpid()));
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name));
}

void prepare(const Task *with) {
    task = with;
    if (task->n_in_flight > 8)
        errx(2, "a client of iceoryx has at most 8 requests on loan");
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff,
                                                             iox::log::LogLevelOutput::kHideLogLevel);
    std::snprintf(instance, sizeof(instance), "%d", static_cast<int>(getpid()));
}

// What there is, answered.
void answer(iox::popo::UntypedServer &server, const Task *with) {
    server.take().and_then([&](const void *request) {
        server.loan(iox::popo::RequestHeader::fromPayload(request), peer_response_bytes(with), 64)
            .and_then([&](void *response) {
                peer_answer(with, request, response);
                server.send(response).or_else([](auto &) { errx(EXIT_FAILURE, "sending a response"); });
            })
            .or_else([](auto &) { errx(EXIT_FAILURE, "no chunk for a response"); });
        server.releaseRequest(request);
    });
}

[[noreturn]] void serve(const Task *with) {
    join("server");
    iox::popo::ServerOptions options;
    options.requestQueueCapacity = 16;
    iox::popo::UntypedServer server(service(), options);
    iox::popo::WaitSet<> requests;

    if (sleeps())
        requests.attachState(server, iox::popo::ServerState::HAS_REQUEST).or_else([](auto) { std::abort(); });
    for (;;) {
        if (sleeps())
            requests.wait();
        answer(server, with);
    }
}

void be_client(const Task *) {
    join("client");
    iox::popo::ClientOptions options;
    options.responseQueueCapacity = 16;
    client.emplace(service(), options);
    while (client->getConnectionState() != iox::ConnectionState::CONNECTED)
        usleep(1000);
    if (sleeps()) {
        answers.emplace();
        answers->attachState(*client, iox::popo::ClientState::HAS_RESPONSE).or_else([](auto) { std::abort(); });
    }
}

void *begin(uint32_t) {
    sent = nullptr;
    client->loan(task->bytes, 64).and_then([](void *request) { sent = request; });
    if (!sent)
        errx(EXIT_FAILURE, "no chunk for a request of that size");
    return sent;
}

void send(uint32_t) {
    client->send(sent).or_else([](auto &) { errx(EXIT_FAILURE, "sending a request"); });
}

const void *receive(uint32_t) {
    received = nullptr;
    while (!received) {
        client->take().and_then([](const void *response) { received = response; });
        if (!received && sleeps())
            answers->wait();
    }
    return received;
}

void end(uint32_t) {
    client->releaseResponse(received);
}

void leave() {
    answers.reset();
    client.reset();
}

} // namespace

int main(int argc, char **argv) {
    Peer peer = {};

    peer.name = "iceoryx";
    peer.modes = "poll|wait";
    peer.open = prepare;
    peer.serve = serve;
    peer.connect = be_client;
    peer.begin = begin;
    peer.send = send;
    peer.receive = receive;
    peer.end = end;
    peer.close = leave;
    return peer_main(argc, argv, &peer);
}
