/* SPDX-License-Identifier: MIT */
#include "plugin-unit.h"

#include "unit.h"

#include <string.h>

#define OFFSET PAGE_BYTES /* windows begin a page into their objects, so that offsets matter */

Rig rig;

static int rig_grow(Exchange *exchange, uint64_t segment_bytes) {
    return segment_bytes > rig.granted_bytes ? (int)rig.refusal : 0;
}

static bool rig_cancelled(Exchange *exchange) {
    return rig.cancelled;
}

void rig_set_up(void) {
    int request_fd, response_fd;

    rig = (Rig){.granted_bytes = UINT64_MAX};
    ck_assert_int_eq(object_create(unit_name(), OFFSET + RIG_WINDOW_BYTES, &request_fd), 0);
    ck_assert_int_eq(object_create(unit_name(), OFFSET + RIG_WINDOW_BYTES, &response_fd), 0);
    segment_init(&rig.request, request_fd, true, OFFSET, RIG_WINDOW_BYTES);
    segment_init(&rig.response, response_fd, true, OFFSET, RIG_WINDOW_BYTES);
    rig.settings = (HandlerSettings){.type = HANDLER_PLUGIN, .plugin = {.list = rig.own}};
    rig.exchange = (Exchange){
        .client = 77,
        .uid = 1234,
        .attempt = 2,
        .deadline_ns = UINT64_MAX / 2,
        .request_fd = request_fd,
        .request_offset = OFFSET,
        .response = &rig.response,
        .max_response = RIG_WINDOW_BYTES,
        .grow = rig_grow,
        .cancelled = rig_cancelled,
        .cancel_fd = -1,
    };
}

void rig_tear_down(void) {
    handler_free(rig.handler);
    exchange_deinit(&rig.exchange);
    segment_disconnect(&rig.request);
    segment_disconnect(&rig.response);
    fd_close(rig.request.fd);
    fd_close(rig.response.fd);
}

void rig_set(const char *key, const char *value) {
    PluginSettings *own = &rig.settings.plugin;

    ck_assert_uint_lt(own->n, RIG_SETTINGS_MAX);
    own->list[own->n++] = (PluginSetting){.key = (char *)key, .value = (char *)value};
}

int rig_new(const char *path) {
    rig.handler = handler_free(rig.handler);
    rig.settings.path = (char *)path;
    return handler_new(&rig.handler, &rig.settings, rig.error);
}

void rig_request(const void *data, uint64_t bytes) {
    ck_assert_int_eq(segment_resize(&rig.request, round_to_pages(bytes)), 0);
    ck_assert_int_eq(segment_remap(&rig.request), 0);
    if (bytes > 0)
        memcpy(rig.request.map, data, bytes);
    rig.exchange.request = rig.trusted ? rig.request.map : NULL;
    rig.exchange.request_bytes = bytes;
}

void rig_request_text(const char *text) {
    rig_request(text, strlen(text));
}

void rig_handle(void) {
    rig.exchange.reason = REASON_NONE;
    rig.exchange.status = 0;
    memset(rig.exchange.response_user, 0, sizeof(rig.exchange.response_user));
    ck_assert_int_eq(handler_handle(rig.handler, &rig.exchange), 0);
}

void rig_handle_text(const char *text) {
    rig_request_text(text);
    rig_handle();
}

const char *rig_text(void) {
    static char copy[65536];

    ck_assert_uint_lt(rig.exchange.response_bytes, sizeof(copy));
    if (rig.exchange.response_bytes > 0)
        memcpy(copy, rig.response.map, rig.exchange.response_bytes);
    copy[rig.exchange.response_bytes] = '\0';
    return copy;
}

void assert_answered(uint64_t bytes) {
    if (rig.exchange.reason != REASON_NONE)
        ck_abort_msg("%s: %s", reason_name(rig.exchange.reason), rig_text());
    ck_assert_uint_eq(rig.exchange.response_bytes, bytes);
}

void assert_answer(const char *expected) {
    assert_answered(strlen(expected));
    ck_assert_str_eq(rig_text(), expected);
}

void assert_failed(Reason reason, int status, const char *text) {
    ck_assert_str_eq(rig_text(), text);
    ck_assert_int_eq(rig.exchange.reason, reason);
    ck_assert_int_eq(rig.exchange.status, status);
}

void assert_refused(const char *path, const char *words) {
    ck_assert_int_eq(rig_new(path), HANDLER_REFUSED);
    ck_assert_ptr_null(rig.handler);
    ck_assert_msg(strstr(rig.error, words) != NULL, "\"%s\" does not say \"%s\"", rig.error, words);
}
