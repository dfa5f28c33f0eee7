/* SPDX-License-Identifier: MIT */
#include "core/parking.h"

#include "base/error.h"
#include "os/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES (UINT64_C(4) << 20)
#define HALF        ".half" /* ends the name of a file that is being written */
#define FOUND_SAME  (PARKING_GIVEN_UP + 1)
#define NAME_MAX_BYTES (PARKED_ID_BYTES + sizeof(HALF))

/* --- where --- */

static const char *nonempty(const char *variable) {
    const char *value = secure_getenv(variable);

    return value && value[0] ? value : NULL;
}

static int join(char path[static PARKING_PATH_MAX], const char *folder, const char *below, const char *name) {
    int length = snprintf(path, PARKING_PATH_MAX, "%s%s%s%s", folder, below, name[0] ? "/" : "", name);

    return length < PARKING_PATH_MAX ? 0 : error_origin(-ENAMETOOLONG);
}

static int of_system(const char *name, char path[static PARKING_PATH_MAX]) {
    return join(path, "/var/lib", "/shmipc", name);
}

int parking_of_host(const char *name, char path[static PARKING_PATH_MAX]) {
    const char *state = nonempty("STATE_DIRECTORY"), *own = nonempty("XDG_STATE_HOME"),
               *home = nonempty("HOME");

    if (state)
        return join(path, state, "", ""); /* the unit asks for one, and for this instance alone */
    if (geteuid() == 0)
        return of_system(name, path);
    if (own)
        return join(path, own, "/shmipc", name);
    return home ? join(path, home, "/.local/state/shmipc", name) : error_origin(-ENOENT);
}

int parking_find(const char *name, char path[static PARKING_PATH_MAX]) {
    int r = parking_of_host(name, path);

    return r == 0 && access(path, F_OK) == 0 ? 0 : of_system(name, path);
}

/* --- the folder --- */

static bool is_half(const char *name, char id[static PARKED_ID_BYTES]) {
    size_t length = strlen(name), end = strlen(HALF);

    if (length <= end || length - end >= PARKED_ID_BYTES || strcmp(name + length - end, HALF) != 0)
        return false;
    snprintf(id, PARKED_ID_BYTES, "%.*s", (int)(length - end), name);
    return parked_id_is_valid(id);
}

/* Return: 0, also where there is none, with *ret_names NULL; or negative errno. */
static int open_and_list(const char *path, int *ret_folder, char ***ret_names) {
    int r = folder_open(path, false, ret_folder);

    *ret_names = NULL;
    if (r == 0)
        r = folder_list(*ret_folder, ret_names);
    return r == -ENOENT ? 0 : r;
}

/* Whether a host that lives writes it: one of this name may have been started twice. */
static bool is_being_written(int folder, const char *name) {
    _cleanup_close_ int fd = -1;
    uint64_t bytes;

    return file_open(folder, name, &fd, &bytes) == 0 && file_lock(fd) == -EWOULDBLOCK;
}

static int sweep(int folder, char *const *names) {
    char id[PARKED_ID_BYTES];
    int r = 0;

    for (; r == 0 && *names; names++) {
        if (is_half(*names, id) && !is_being_written(folder, *names))
            r = file_remove(folder, *names);
        r = r == -ENOENT ? 0 : r;
    }
    return r;
}

int parking_sweep(const char *path) {
    _cleanup_close_ int folder = -1;
    _cleanup_free_ char **names = NULL;
    int r = open_and_list(path, &folder, &names);

    if (r < 0 || !names)
        return r;
    r = folder_lock(folder); /* one that is made is locked before this is let go */
    return r == 0 ? sweep(folder, names) : r;
}

/* Return: 0, -EBADMSG, or another negative errno. */
static int read_head(int fd, uint64_t bytes, Parked *ret_parked) {
    char head[PARKED_HEAD_BYTES];
    int r = file_read(fd, 0, head, sizeof(head));

    if (r == -ENODATA)
        return error_origin(-EBADMSG);
    if (r < 0)
        return r;
    if (!parked_parse(head, ret_parked) || ret_parked->kept_bytes > bytes - PARKED_HEAD_BYTES)
        return error_origin(-EBADMSG);
    return 0;
}

/* Return: 0, -ENOENT, -EBADMSG, or another negative errno. */
static int open_in(int folder, const char *id, Parked *ret_parked, int *ret_fd) {
    _cleanup_close_ int fd = -1;
    char own[PARKED_ID_BYTES];
    uint64_t bytes;
    int r;

    if (!parked_id_is_valid(id))
        return error_origin(-ENOENT);
    r = file_open(folder, id, &fd, &bytes);
    if (r == 0)
        r = read_head(fd, bytes, ret_parked);
    if (r == 0 && strcmp(parked_id(ret_parked, own), id) != 0)
        r = error_origin(-EBADMSG);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

/* --- keeping --- */

/* Add up what the files hold: all of them, and those of one uid. A file that says nothing counts for all. */
static int add_up(int folder, uint32_t uid, uint64_t *ret_all, uint64_t *ret_own) {
    _cleanup_free_ char **names = NULL;
    int r = folder_list(folder, &names);

    *ret_all = *ret_own = 0;
    for (char **name = names; r == 0 && *name; name++) {
        _cleanup_close_ int fd = -1;
        uint64_t bytes;
        Parked parked;

        if (file_open(folder, *name, &fd, &bytes) < 0)
            continue; /* it was removed by now, or is no file */
        *ret_all += bytes;
        if (read_head(fd, bytes, &parked) == 0 && parked.uid == uid)
            *ret_own += bytes;
    }
    return r;
}

static int check_room(int folder, const ParkingOrder *order, uint64_t bytes) {
    uint64_t all, own;
    int r = add_up(folder, order->parked.uid, &all, &own);

    if (r < 0)
        return r;
    if (bytes > order->budget || all > order->budget - bytes)
        return PARKING_OVER_BUDGET;
    return bytes > order->share || own > order->share - bytes ? PARKING_OVER_SHARE : 0;
}

static int write_head(int fd, const Parked *parked) {
    char head[PARKED_HEAD_BYTES];

    parked_format(parked, head);
    return file_write(fd, 0, head, sizeof(head));
}

/*
 * A host that was killed when it had named the file, and before it ended the exchange, is followed by one
 * that parks again. Return: 0 if there is none of that id; FOUND_SAME if it is there; -EEXIST if that is
 * another; or another negative errno.
 */
static int find_same(int folder, const Parked *wanted) {
    _cleanup_close_ int fd = -1;
    char id[PARKED_ID_BYTES];
    Parked found;
    int r = open_in(folder, parked_id(wanted, id), &found, &fd);

    if (r == -ENOENT)
        return 0;
    if (r == 0 && found.uid == wanted->uid && found.pid == wanted->pid &&
        found.payload_bytes == wanted->payload_bytes &&
        memcmp(found.user, wanted->user, sizeof(found.user)) == 0)
        return FOUND_SAME;
    return r == 0 || r == -EBADMSG ? error_origin(-EEXIST) : r;
}

/*
 * Take its room: whoever adds up from now on finds it. Return: 0, FOUND_SAME, PARKING_OVER_…, or negative
 * errno.
 */
static int take_room(int folder, const ParkingOrder *order, const char *half, int *ret_fd) {
    uint64_t bytes = PARKED_HEAD_BYTES + order->parked.payload_bytes;
    int r = folder_lock(folder);

    if (r < 0)
        return r;
    r = find_same(folder, &order->parked);
    if (r == 0)
        r = check_room(folder, order, bytes);
    if (r == 0)
        r = file_create(folder, half, bytes, ret_fd);
    if (r == 0)
        r = file_lock(*ret_fd);
    if (r == 0)
        r = write_head(*ret_fd, &order->parked);
    folder_unlock(folder);
    return r;
}

/* Return: 0, PARKING_GIVEN_UP, or negative errno. */
static int copy(int fd, const ParkingOrder *order, uint64_t *ret_kept) {
    uint64_t at = 0, n = PIECE_BYTES, bytes = order->parked.payload_bytes;

    for (; at < bytes && n == PIECE_BYTES; at += n) {
        uint64_t piece = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        int r;

        if (!order->go_on(order->data))
            return PARKING_GIVEN_UP;
        r = file_copy(fd, PARKED_HEAD_BYTES + at, order->request_fd, order->request_at + at, piece, &n);
        if (r < 0)
            return r;
    }
    *ret_kept = at;
    return 0;
}

static int fill(int fd, const ParkingOrder *order) {
    Parked parked = order->parked;
    int r = copy(fd, order, &parked.kept_bytes);

    if (r == 0)
        r = write_head(fd, &parked);
    if (r == 0)
        r = file_resize(fd, PARKED_HEAD_BYTES + parked.kept_bytes);
    return r == 0 ? file_sync(fd) : r;
}

int parking_keep(const ParkingOrder *order) {
    _cleanup_close_ int folder = -1, fd = -1;
    char id[PARKED_ID_BYTES], half[NAME_MAX_BYTES];
    int r = folder_open(order->path, true, &folder);

    if (r < 0)
        return r;
    snprintf(half, sizeof(half), "%s" HALF, parked_id(&order->parked, id));
    r = take_room(folder, order, half, &fd);
    if (r == 0)
        r = fill(fd, order);
    if (r == 0 && !order->go_on(order->data))
        r = PARKING_GIVEN_UP;
    if (r == 0)
        r = file_name(folder, half, id);
    if (r != 0 && fd >= 0)
        (void)file_remove(folder, half);
    return r == FOUND_SAME ? 0 : r;
}

/* --- reading --- */

int parking_open(const char *path, const char *id, Parked *ret_parked, int *ret_fd) {
    _cleanup_close_ int folder = -1;
    int r = folder_open(path, false, &folder);

    return r < 0 ? r : open_in(folder, id, ret_parked, ret_fd);
}

static int by_time(const void *a, const void *b) {
    const Parked *left = a, *right = b;

    if (left->time_us != right->time_us)
        return left->time_us < right->time_us ? -1 : 1;
    return left->client < right->client ? -1 : left->client > right->client;
}

static int add(ParkingList *list, const Parked *parked) {
    Parked *more = reallocarray(list->list, list->n + 1, sizeof(*more));

    if (!more)
        return error_origin(-ENOMEM);
    list->list = more;
    list->list[list->n++] = *parked;
    return 0;
}

static int add_damaged(ParkingList *list, const char *id) {
    char(*more)[PARKED_ID_BYTES] = reallocarray(list->damaged, list->n_damaged + 1, sizeof(*more));

    if (!more)
        return error_origin(-ENOMEM);
    list->damaged = more;
    snprintf(list->damaged[list->n_damaged++], PARKED_ID_BYTES, "%s", id);
    return 0;
}

/* Those that vanish meanwhile are left out. */
static int add_all(int folder, char *const *names, ParkingList *list) {
    int r = 0;

    for (; r == 0 && names && *names; names++) {
        _cleanup_close_ int fd = -1;
        Parked parked;

        if (!parked_id_is_valid(*names))
            continue;
        r = open_in(folder, *names, &parked, &fd);
        if (r == 0)
            r = add(list, &parked);
        else if (r == -EBADMSG)
            r = add_damaged(list, *names);
        r = r == -ENOENT ? 0 : r;
    }
    return r;
}

int parking_list(const char *path, ParkingList *ret_list) {
    _cleanup_close_ int folder = -1;
    _cleanup_free_ char **names = NULL;
    _cleanup_(parking_list_deinit) ParkingList list = {0};
    int r = open_and_list(path, &folder, &names);

    if (r == 0)
        r = add_all(folder, names, &list);
    if (r < 0)
        return r;
    if (list.n > 1)
        qsort(list.list, list.n, sizeof(*list.list), by_time);
    *ret_list = list;
    list = (ParkingList){0};
    return 0;
}

void parking_list_deinit(ParkingList *list) {
    free(list->list);
    free(list->damaged);
    *list = (ParkingList){0};
}

int parking_drop(const char *path, const char *id) {
    _cleanup_close_ int folder = -1;
    int r = parked_id_is_valid(id) ? folder_open(path, false, &folder) : error_origin(-ENOENT);

    return r < 0 ? r : file_remove(folder, id);
}
