// SPDX-License-Identifier: MIT
// Boost.Interprocess: a region of anonymous shared memory for the payloads, which stay where they are, and a
// semaphore in each direction that wakes the other side
#include "peer.h"

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <new>

namespace ipc = boost::interprocess;

namespace {

struct Bells {
    ipc::interprocess_semaphore asked{0};
    ipc::interprocess_semaphore answered{0};
};

const Task *task;
ipc::mapped_region shared;
Bells *bells;
uint64_t stride;

unsigned char *request_of(uint32_t slot) {
    return static_cast<unsigned char *>(shared.get_address()) + 4096 + slot * stride;
}

unsigned char *response_of(uint32_t slot) {
    return request_of(task->n_in_flight + slot);
}

void prepare(const Task *with) {
    task = with;
    stride = (task->bytes + 63) / 64 * 64;
    shared = ipc::anonymous_shared_memory(4096 + 2 * stride * task->n_in_flight);
    bells = new (shared.get_address()) Bells;
}

[[noreturn]] void serve(const Task *with) {
    for (uint32_t slot = 0;; slot = (slot + 1) % with->n_in_flight) {
        bells->asked.wait();
        peer_answer(with, request_of(slot), response_of(slot));
        bells->answered.post();
    }
}

void nothing_to_connect(const Task *) {
}

void *begin(uint32_t slot) {
    return request_of(slot);
}

void send(uint32_t) {
    bells->asked.post();
}

const void *receive(uint32_t slot) {
    bells->answered.wait();
    return response_of(slot);
}

void end(uint32_t) {
}

} // namespace

int main(int argc, char **argv) {
    Peer peer = {};

    peer.name = "boost";
    peer.open = prepare;
    peer.serve = serve;
    peer.connect = nothing_to_connect;
    peer.begin = begin;
    peer.send = send;
    peer.receive = receive;
    peer.end = end;
    return peer_main(argc, argv, &peer);
}
