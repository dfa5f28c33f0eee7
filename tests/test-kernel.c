/* SPDX-License-Identifier: MIT */
/*
 * What the kernel does, where the design leans on it. These tests call it raw: when one fails, it is not ours
 * that has changed. What needs root (other uids, a small file system) is left out where there is none; what
 * processes and sockets do is in test-kernel-peers.c.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE 4096
#define DEPTH 4
#define BYTES 32

static const struct timespec past = {0};

/* Close-on-exec is not asked for: nothing here execs. */
static int make_queue(mode_t mode, long depth) {
    struct mq_attr attributes = {.mq_maxmsg = depth, .mq_msgsize = BYTES};
    const char *name = unit_name();
    int fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, mode, &attributes);

    if (fd >= 0)
        mq_unlink(name);
    return fd;
}

static int reopen(int fd, int flags) {
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags);
}

static void set_limit(int resource, rlim_t limit) {
    struct rlimit before;

    ck_assert_int_eq(getrlimit(resource, &before), 0);
    ck_assert_int_eq(setrlimit(resource, &(struct rlimit){limit, before.rlim_max}), 0);
}

/* A fact about what another uid gets from open(/proc/self/fd/N). */
typedef struct Reopening {
    int fd;
    int flags;
} Reopening;

/* Return: 0 or errno. */
static int reopen_here(void *data) {
    const Reopening *reopening = data;

    return reopen(reopening->fd, reopening->flags) < 0 ? errno : 0;
}

static int reopen_as_other(int fd, int flags) {
    return unit_as_uid(UNIT_UID, reopen_here, &(Reopening){fd, flags});
}

/* ---- message queues ---- */

START_TEST(queue_too_deep_is_einval) {
    ck_assert_int_eq(make_queue(0600, 1 << 20), -1);
    ck_assert_int_eq(errno, EINVAL);
}
END_TEST

START_TEST(queue_over_the_users_bytes_is_emfile) {
    set_limit(RLIMIT_MSGQUEUE, 0);
    ck_assert_int_eq(make_queue(0600, DEPTH), -1);
    ck_assert_int_eq(errno, EMFILE);
}
END_TEST

/* A user that is nobody else, not even in another namespace: the kernel counts its bytes of queues in all of
 * them. */
static uid_t own_uid(void) {
    return 50000 + (uid_t)getpid() % 10000;
}

/* Return: 0, or at which step the kernel did something else. */
static int spend_queue_bytes(void *data) {
    rlim_t cost = DEPTH * (BYTES + 96);
    int fd, other;

    if (setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){cost - 1, cost}) < 0)
        return 1;
    if (make_queue(0600, DEPTH) >= 0 || errno != EMFILE)
        return 2;
    if (setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){cost, cost}) < 0)
        return 3;
    fd = make_queue(0600, DEPTH);
    if (fd < 0)
        return 4;
    other = reopen(fd, O_RDONLY);
    close(fd);
    if (other < 0 || make_queue(0600, DEPTH) >= 0)
        return 5;
    close(other);
    return make_queue(0600, DEPTH) < 0 ? 6 : 0;
}

START_TEST(queue_is_paid_for_until_its_last_descriptor_closes) {
    ck_assert_int_eq(unit_as_uid(own_uid(), spend_queue_bytes, NULL), 0);
}
END_TEST

static int fill_namespace(void *data) {
    int fd = 0;

    for (int i = 0; fd >= 0 && i < 10000; i++)
        fd = make_queue(0600, 1);
    return fd < 0 ? errno : 0;
}

START_TEST(queue_over_queues_max_is_enospc) {
    ck_assert_int_eq(unit_as_uid(own_uid(), fill_namespace, NULL), ENOSPC);
}
END_TEST

static int squat(void *data) {
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 7};

    umask(0);
    return mq_open(data, O_RDWR | O_CREAT | O_EXCL, 0666, &attributes) < 0;
}

START_TEST(queue_of_a_squatter_is_opened_for_root_too_as_it_is) {
    struct mq_attr attributes = {.mq_maxmsg = DEPTH, .mq_msgsize = BYTES};
    char name[64];
    struct stat st;
    int fd;

    strcpy(name, unit_name());
    ck_assert_int_eq(unit_as_uid(UNIT_UID, squat, name), 0);
    fd = mq_open(name, O_RDWR | O_CREAT, 0600, &attributes);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st) | mq_getattr(fd, &attributes), 0);
    ck_assert_uint_eq(st.st_uid, UNIT_UID);
    ck_assert_int_eq(attributes.mq_msgsize, 7);
    ck_assert_int_eq(mq_unlink(name), 0);
}
END_TEST

START_TEST(queue_reopened_has_the_rights_that_were_asked_for) {
    char message[BYTES];
    int fd = make_queue(0600, DEPTH);
    int reader = reopen(fd, O_RDONLY | O_NONBLOCK), writer = reopen(fd, O_WRONLY | O_NONBLOCK);

    ck_assert_int_eq(mq_send(reader, "x", 1, 0), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(mq_receive(writer, message, sizeof(message), NULL), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(mq_send(writer, "x", 1, 0), 0);
    ck_assert_int_eq(mq_receive(reader, message, sizeof(message), NULL), 1);
    ck_assert_int_ge(reopen(writer, O_RDWR), 0);
}
END_TEST

START_TEST(queue_of_mode_0600_is_not_reopened_by_another_uid) {
    int closed = reopen(make_queue(0600, DEPTH), O_WRONLY), open_to_all;

    umask(0);
    open_to_all = reopen(make_queue(0666, DEPTH), O_WRONLY);
    ck_assert_int_eq(reopen_as_other(closed, O_RDONLY), EACCES);
    ck_assert_int_eq(reopen_as_other(closed, O_WRONLY), EACCES);
    ck_assert_int_eq(reopen_as_other(open_to_all, O_RDONLY), 0);
}
END_TEST

START_TEST(nonblock_belongs_to_the_description) {
    int fd = make_queue(0600, DEPTH), shared = dup(fd), own = reopen(fd, O_RDWR);

    ck_assert_int_eq(fcntl(shared, F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(fcntl(own, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(timed_calls_with_a_past_deadline_never_block) {
    char message[BYTES];
    int fd = make_queue(0600, 1);

    ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(mq_timedreceive(fd, message, sizeof(message), NULL, &past), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(mq_timedsend(fd, "x", 1, 0, &past), 0);
    ck_assert_int_eq(mq_timedsend(fd, "x", 1, 0, &past), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(mq_timedreceive(fd, message, sizeof(message), NULL, &past), 1);
}
END_TEST

/* The letter for the state of a process. */
static char state_of(pid_t pid) {
    char path[64], state = '?';
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
    fclose(file);
    return state;
}

/* A child that sleeps in mq_receive. */
static pid_t start_receiver(int fd) {
    char message[BYTES];
    int ready[2];
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(ready[0]);
        close(ready[1]);
        mq_receive(fd, message, sizeof(message), NULL);
        for (;;)
            pause();
    }
    close(ready[1]);
    ck_assert_int_eq(read(ready[0], message, 1), 0);
    close(ready[0]);
    while (state_of(pid) != 'S')
        sched_yield();
    return pid;
}

START_TEST(message_is_handed_to_a_blocked_receiver_and_dies_with_it) {
    int fd = make_queue(0600, DEPTH), poller = reopen(fd, O_RDONLY);
    pid_t pid = start_receiver(fd);
    struct mq_attr attributes;

    ck_assert_int_eq(mq_send(fd, "x", 1, 0), 0);
    ck_assert(!unit_is_readable(poller));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(mq_getattr(fd, &attributes), 0);
    ck_assert_int_eq(attributes.mq_curmsgs, 0);
    ck_assert_int_eq(mq_send(fd, "x", 1, 0), 0);
    ck_assert(unit_is_readable(poller));
}
END_TEST

START_TEST(message_needs_a_priority_and_a_buffer_that_fit) {
    char message[BYTES];
    int fd = make_queue(0600, DEPTH);

    ck_assert_int_eq(mq_send(fd, "x", 1, 32768), -1);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(mq_send(fd, "x", 1, 32767), 0);
    ck_assert_int_eq(mq_receive(fd, message, BYTES - 1, NULL), -1);
    ck_assert_int_eq(errno, EMSGSIZE);
}
END_TEST

static int send_from_elsewhere(void *data) {
    return mq_timedsend(*(int *)data, "x", 1, 0, &past) < 0 ? errno : 0;
}

START_TEST(queue_that_was_passed_works_across_ipc_namespaces) {
    int fd = make_queue(0600, DEPTH);

    ck_assert_int_eq(unshare(CLONE_NEWIPC), 0);
    ck_assert_int_eq(send_from_elsewhere(&fd), 0);
    ck_assert(unit_is_readable(fd));
}
END_TEST

START_TEST(inotify_tells_when_a_queue_is_unlinked_and_let_go) {
    struct mq_attr attributes = {.mq_maxmsg = DEPTH, .mq_msgsize = BYTES};
    const char *name = unit_name();
    int fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes), other = reopen(fd, O_RDONLY);
    int watcher = inotify_init1(IN_NONBLOCK);
    struct inotify_event event;
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ck_assert_int_ge(inotify_add_watch(watcher, path, IN_ATTRIB | IN_CLOSE), 0);
    ck_assert_int_eq(mq_unlink(name), 0);
    ck_assert_int_eq(read(watcher, &event, sizeof(event)), sizeof(event));
    ck_assert_uint_eq(event.mask, IN_ATTRIB);
    close(other);
    ck_assert_int_eq(read(watcher, &event, sizeof(event)), sizeof(event));
    ck_assert_uint_eq(event.mask, IN_CLOSE_NOWRITE);
}
END_TEST

/* ---- shared memory ---- */

static int make_object(off_t bytes) {
    const char *name = unit_name();
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(shm_unlink(name), 0);
    ck_assert_int_eq(ftruncate(fd, bytes), 0);
    return fd;
}

static char *map(int fd, size_t bytes, int protection) {
    return mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
}

static off_t held(int fd) {
    struct stat st;

    ck_assert_int_eq(fstat(fd, &st), 0);
    return st.st_blocks * 512;
}

static off_t size(int fd) {
    struct stat st;

    ck_assert_int_eq(fstat(fd, &st), 0);
    return st.st_size;
}

/* A sanitizer has a handler of its own. */
static void let_sigbus_kill(void) {
    ck_assert(signal(SIGBUS, SIG_DFL) != SIG_ERR);
}

START_TEST(touch_of_a_hole_on_a_full_tmpfs_is_sigbus) {
    volatile char *memory;
    int fd;

    let_sigbus_kill();
    unit_small_shm(4 * PAGE);
    fd = make_object(16 * PAGE);
    memory = map(fd, 16 * PAGE, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 16; i++)
        memory[i * PAGE] = 1;
}
END_TEST

START_TEST(fallocate_on_a_full_tmpfs_is_enospc_and_changes_nothing) {
    int fd;

    unit_small_shm(4 * PAGE);
    fd = make_object(2 * PAGE);
    ck_assert_int_eq(posix_fallocate(fd, 0, 16 * PAGE), ENOSPC);
    ck_assert_int_eq(size(fd), 2 * PAGE);
    ck_assert_int_eq(held(fd), 0);
}
END_TEST

START_TEST(failed_fallocate_keeps_what_an_earlier_one_has_promised) {
    int fd, other;

    unit_small_shm(8 * PAGE);
    other = make_object(4 * PAGE);
    fd = make_object(8 * PAGE);
    ck_assert_int_eq(posix_fallocate(other, 0, 2 * PAGE), 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, 4 * PAGE), 0);
    ck_assert_int_eq(posix_fallocate(fd, 4 * PAGE, 4 * PAGE), ENOSPC);
    ck_assert_int_eq(held(fd), 4 * PAGE);
    ck_assert_int_eq(posix_fallocate(fd, 0, 8 * PAGE), ENOSPC);
    ck_assert_int_eq(held(fd), 4 * PAGE);
}
END_TEST

START_TEST(pread_of_a_hole_is_zeros_and_costs_nothing) {
    char data[PAGE];
    int fd = make_object(2 * PAGE);

    memset(data, 7, sizeof(data));
    ck_assert_int_eq(pread(fd, data, sizeof(data), 0), PAGE);
    for (int i = 0; i < PAGE; i++)
        ck_assert_int_eq(data[i], 0);
    ck_assert_int_eq(held(fd), 0);
}
END_TEST

START_TEST(read_of_a_mapped_hole_takes_memory) {
    int fd = make_object(2 * PAGE);
    volatile char *memory = map(fd, 2 * PAGE, PROT_READ);

    ck_assert_int_eq(memory[0], 0);
    ck_assert_int_eq(held(fd), PAGE);
}
END_TEST

START_TEST(punched_pages_are_given_back_under_a_mapping) {
    int fd = make_object(2 * PAGE);
    volatile char *memory = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE);

    memory[0] = memory[PAGE] = 5;
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE), 0);
    ck_assert_int_eq(held(fd), PAGE);
    ck_assert_int_eq(memory[0], 5);
    ck_assert_int_eq(memory[PAGE], 0);
}
END_TEST

/* So a window that the host gave back needs no new mapping in those who come back to it. */
START_TEST(old_mapping_shows_what_is_allocated_anew) {
    int fd = make_object(2 * PAGE);
    volatile char *writer = map(fd, 2 * PAGE, PROT_READ | PROT_WRITE);
    volatile char *reader = map(fd, 2 * PAGE, PROT_READ);

    writer[PAGE] = 5;
    ck_assert_int_eq(reader[PAGE], 5);
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * PAGE), 0);
    ck_assert_int_eq(held(fd), 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, 2 * PAGE), 0);
    writer[PAGE] = 6;
    ck_assert_int_eq(reader[PAGE], 6);
    ck_assert_int_eq(held(fd), 2 * PAGE);
}
END_TEST

START_TEST(touch_of_what_the_owner_cut_off_is_sigbus) {
    int fd = make_object(2 * PAGE);
    volatile char *memory = map(fd, 2 * PAGE, PROT_READ);

    ck_assert_int_eq(memory[PAGE], 0);
    ck_assert_int_eq(ftruncate(fd, PAGE), 0);
    let_sigbus_kill();
    ck_assert_int_eq(memory[PAGE], 0);
}
END_TEST

START_TEST(system_calls_say_what_was_cut_off) {
    int fd = make_object(2 * PAGE), ends[2];
    char *memory = map(fd, 2 * PAGE, PROT_READ), data[2];

    ck_assert_int_eq(ftruncate(fd, PAGE), 0);
    ck_assert_int_eq(pread(fd, data, 2, PAGE - 1), 1);
    ck_assert_int_eq(pread(fd, data, 2, PAGE), 0);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], memory + PAGE, 1), -1);
    ck_assert_int_eq(errno, EFAULT);
}
END_TEST

START_TEST(object_of_shm_open_is_not_sealed) {
    int fd = make_object(PAGE);

    ck_assert_int_eq(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), -1);
    ck_assert_int_eq(errno, EPERM);
}
END_TEST

static int make_memfd(void) {
    int fd = memfd_create("shmipc-test", MFD_ALLOW_SEALING);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, 2 * PAGE), 0);
    return fd;
}

START_TEST(sealed_memfd_keeps_its_size) {
    int fd = make_memfd();

    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    ck_assert_int_eq(ftruncate(fd, PAGE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(ftruncate(fd, 3 * PAGE), -1);
    ck_assert_int_eq(errno, EPERM);
    ck_assert_int_eq(posix_fallocate(fd, 0, 3 * PAGE), EPERM);
    ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), 0);
}
END_TEST

START_TEST(memfd_sealed_against_shrinking_alone_grows) {
    int fd = make_memfd();

    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    ck_assert_int_eq(ftruncate(fd, PAGE), -1);
    ck_assert_int_eq(ftruncate(fd, 3 * PAGE), 0);
}
END_TEST

START_TEST(memfd_reopened_read_only_refuses_a_writable_map) {
    int fd = reopen(make_memfd(), O_RDONLY);
    void *memory = map(fd, PAGE, PROT_READ);

    ck_assert_ptr_eq(map(fd, PAGE, PROT_READ | PROT_WRITE), MAP_FAILED);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_ptr_ne(memory, MAP_FAILED);
    ck_assert_int_eq(mprotect(memory, PAGE, PROT_READ | PROT_WRITE), -1);
    ck_assert_int_eq(errno, EACCES);
}
END_TEST

START_TEST(memfd_is_reopened_by_all_unless_its_mode_forbids) {
    int fd = make_memfd(), passed = reopen(fd, O_RDONLY);

    ck_assert_int_eq(reopen_as_other(passed, O_RDWR), 0);
    ck_assert_int_eq(fchmod(fd, 0600), 0);
    ck_assert_int_eq(reopen_as_other(passed, O_RDWR), EACCES);
}
END_TEST

static int cut(void *data) {
    return ftruncate(*(int *)data, 0) < 0 ? errno : 0;
}

START_TEST(object_passed_read_only_stays_so_for_another_uid) {
    int fd = make_object(PAGE), passed = reopen(fd, O_RDONLY);

    ck_assert_int_eq(reopen_as_other(passed, O_RDWR), EACCES);
    ck_assert_int_eq(reopen_as_other(passed, O_RDONLY), EACCES);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, cut, &passed), EINVAL);
    ck_assert_int_eq(unit_as_uid(UNIT_UID, cut, &fd), 0);
}
END_TEST

static int make_named(void *data) {
    umask(0);
    return shm_open(data, O_RDWR | O_CREAT | O_EXCL, 0666) < 0;
}

START_TEST(protected_regular_keeps_root_from_making_what_another_made) {
    char name[64];

    strcpy(name, unit_name());
    ck_assert_int_eq(unit_as_uid(UNIT_UID, make_named, name), 0);
    ck_assert_int_eq(shm_open(name, O_RDWR | O_CREAT, 0600), -1);
    ck_assert_int_eq(errno, EACCES);
    ck_assert_int_eq(shm_unlink(name), 0);
}
END_TEST

static bool has_protected_regular(void) {
    FILE *file = fopen("/proc/sys/fs/protected_regular", "re");
    int level = 0;

    if (file) {
        if (fscanf(file, "%d", &level) != 1)
            level = 0;
        fclose(file);
    }
    return level > 0;
}

static void add_queues(Suite *suite) {
    TCase *tests = tcase_create("queues");

    tcase_add_test(tests, queue_too_deep_is_einval);
    tcase_add_test(tests, queue_over_the_users_bytes_is_emfile);
    tcase_add_test(tests, queue_reopened_has_the_rights_that_were_asked_for);
    tcase_add_test(tests, nonblock_belongs_to_the_description);
    tcase_add_test(tests, timed_calls_with_a_past_deadline_never_block);
    tcase_add_test(tests, message_is_handed_to_a_blocked_receiver_and_dies_with_it);
    tcase_add_test(tests, message_needs_a_priority_and_a_buffer_that_fit);
    tcase_add_test(tests, inotify_tells_when_a_queue_is_unlinked_and_let_go);
    if (unit_is_root()) {
        tcase_add_test(tests, queue_is_paid_for_until_its_last_descriptor_closes);
        tcase_add_test(tests, queue_over_queues_max_is_enospc);
        tcase_add_test(tests, queue_of_a_squatter_is_opened_for_root_too_as_it_is);
        tcase_add_test(tests, queue_of_mode_0600_is_not_reopened_by_another_uid);
        tcase_add_test(tests, queue_that_was_passed_works_across_ipc_namespaces);
    }
    suite_add_tcase(suite, tests);
}

static void add_memory(Suite *suite) {
    TCase *tests = tcase_create("shared memory");

    tcase_add_test(tests, pread_of_a_hole_is_zeros_and_costs_nothing);
    tcase_add_test(tests, read_of_a_mapped_hole_takes_memory);
    tcase_add_test(tests, punched_pages_are_given_back_under_a_mapping);
    tcase_add_test(tests, old_mapping_shows_what_is_allocated_anew);
    tcase_add_test_raise_signal(tests, touch_of_what_the_owner_cut_off_is_sigbus, SIGBUS);
    tcase_add_test(tests, system_calls_say_what_was_cut_off);
    tcase_add_test(tests, object_of_shm_open_is_not_sealed);
    tcase_add_test(tests, sealed_memfd_keeps_its_size);
    tcase_add_test(tests, memfd_sealed_against_shrinking_alone_grows);
    tcase_add_test(tests, memfd_reopened_read_only_refuses_a_writable_map);
    if (unit_is_root()) {
        tcase_add_test_raise_signal(tests, touch_of_a_hole_on_a_full_tmpfs_is_sigbus, SIGBUS);
        tcase_add_test(tests, fallocate_on_a_full_tmpfs_is_enospc_and_changes_nothing);
        tcase_add_test(tests, failed_fallocate_keeps_what_an_earlier_one_has_promised);
        tcase_add_test(tests, memfd_is_reopened_by_all_unless_its_mode_forbids);
        tcase_add_test(tests, object_passed_read_only_stays_so_for_another_uid);
        if (has_protected_regular())
            tcase_add_test(tests, protected_regular_keeps_root_from_making_what_another_made);
    }
    suite_add_tcase(suite, tests);
}

Suite *unit_suite(void) {
    Suite *suite = suite_create("kernel");

    add_queues(suite);
    add_memory(suite);
    return suite;
}
