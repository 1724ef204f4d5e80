// Reading through the front: gets, snapshots, iterators; hiding what has expired.
#include "base/alloc.h"
#include "kv/front.h"

// ---- gets ----

// A visitor of a family with a TTL: takes the moment of expiry off, or says that there is nothing.
typedef struct ttl_visit {
    const tarn_kv_family *family;
    int64_t now_us;
    tarn_kv_visitor *visit;
    void *context;
    bool is_expired;
} ttl_visit;

static tarn_status visit_live(void *context, tarn_slice stored, tarn_error *err) {
    ttl_visit *v = context;
    tarn_slice value;
    TARN_TRY(kv_unstamp(v->family, stored, &value, err));
    v->is_expired = kv_is_expired(v->family, stored, v->now_us);
    return v->is_expired ? TARN_OK : v->visit(v->context, value, err);
}

static tarn_status check_read(const tarn_kv *kv, const tarn_kv_read *read, tarn_slice key,
                              tarn_kv_family **ret_family, tarn_error *err) {
    if (key.len == 0 || key.len > TARN_KV_KEY_MAX) {
        return tarn_fail(err, TARN_INVALID, "the key has %zu bytes, not 1 to %d", key.len,
                         TARN_KV_KEY_MAX);
    }
    tarn_assert(read->snapshot == NULL || read->snapshot->kv == kv);
    return kv_family_find(kv, read->family, ret_family, err);
}

// In what follows a tarn_kv_read has its family found.
static tarn_status visit_family(tarn_kv *kv, const tarn_kv_read *read, tarn_slice key,
                                tarn_kv_visitor *visit, void *context, bool *ret_found,
                                tarn_error *err) {
    const tarn_kv_family *family = read->family;
    const tarn_kv_snapshot *snapshot = read->snapshot;
    if (family->options.ttl_ms <= 0) {
        return kv->ops->get(kv->engine, family, snapshot, key, visit, context, ret_found, err);
    }
    ttl_visit v = {family, tarn_os_now_us(kv->os), visit, context, false};
    bool found = false;
    TARN_TRY(kv->ops->get(kv->engine, family, snapshot, key, visit_live, &v, &found, err));
    *ret_found = found && !v.is_expired;
    return TARN_OK;
}

static const tarn_kv_read read_now;

tarn_status tarn_kv_visit(tarn_kv *kv, const tarn_kv_read *read, tarn_slice key,
                          tarn_kv_visitor *visit, void *context, bool *ret_found, tarn_error *err) {
    if (read == NULL) read = &read_now;
    tarn_kv_family *family = NULL;
    TARN_TRY(check_read(kv, read, key, &family, err));
    bool found = false;
    tarn_kv_read exact = {.family = family, .snapshot = read->snapshot};
    TARN_TRY(visit_family(kv, &exact, key, visit, context, &found, err));
    kv_counters *counters = kv_counters_of_thread(kv);
    kv_count(&counters->gets, 1);
    if (found) kv_count(&counters->hits, 1);
    *ret_found = found;
    return TARN_OK;
}

static tarn_status copy_to_buffer(void *context, tarn_slice value, tarn_error *err) {
    tarn_buffer *buffer = context;
    bool fits = value.len <= buffer->capacity_bytes || tarn_buffer_reserve(buffer, value.len);
    if (!fits) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes", value.len);
    }
    if (value.len > 0) memcpy(buffer->data, value.data, value.len);
    buffer->len = value.len;
    return TARN_OK;
}

tarn_status tarn_kv_get(tarn_kv *kv, const tarn_kv_read *read, tarn_slice key, tarn_buffer *value,
                        bool *ret_found, tarn_error *err) {
    return tarn_kv_visit(kv, read, key, copy_to_buffer, value, ret_found, err);
}

// ---- many gets ----

typedef struct arena_visit {
    tarn_arena *arena;
    tarn_slice value;
} arena_visit;

static tarn_status copy_to_arena(void *context, tarn_slice value, tarn_error *err) {
    arena_visit *v = context;
    if (!tarn_arena_copy(v->arena, value, &v->value)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes", value.len);
    }
    return TARN_OK;
}

static tarn_status get_each(tarn_kv *kv, const tarn_kv_read *read, const tarn_slice *keys,
                            size_t count, tarn_arena *arena, tarn_kv_answer *answers,
                            tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        arena_visit v = {.arena = arena};
        bool found = false;
        TARN_TRY(visit_family(kv, read, keys[i], copy_to_arena, &v, &found, err));
        answers[i] = (tarn_kv_answer){.found = found, .value = v.value};
    }
    return TARN_OK;
}

static tarn_status get_each_at_once(tarn_kv *kv, const tarn_kv_read *read, const tarn_slice *keys,
                                    size_t count, tarn_arena *arena, tarn_kv_answer *answers,
                                    tarn_error *err) {
    if (read->snapshot != NULL) return get_each(kv, read, keys, count, arena, answers, err);
    tarn_kv_snapshot *now = NULL;
    TARN_TRY(tarn_kv_snapshot_new(kv, &now, err));
    tarn_kv_read frozen = {.family = read->family, .snapshot = now};
    tarn_status status = get_each(kv, &frozen, keys, count, arena, answers, err);
    tarn_kv_snapshot_free(now);
    return status;
}

static tarn_status unstamp_answers(tarn_kv *kv, const tarn_kv_family *family,
                                   tarn_kv_answer *answers, size_t count, tarn_error *err) {
    if (family->options.ttl_ms <= 0) return TARN_OK;
    int64_t now_us = tarn_os_now_us(kv->os);
    for (size_t i = 0; i < count; i++) {
        if (!answers[i].found) continue;
        tarn_slice stored = answers[i].value;
        TARN_TRY(kv_unstamp(family, stored, &answers[i].value, err));
        if (kv_is_expired(family, stored, now_us)) answers[i] = (tarn_kv_answer){0};
    }
    return TARN_OK;
}

tarn_status tarn_kv_multi_get(tarn_kv *kv, const tarn_kv_read *read, const tarn_slice *keys,
                              size_t count, tarn_arena *arena, tarn_kv_answer *answers,
                              tarn_error *err) {
    if (read == NULL) read = &read_now;
    tarn_kv_family *family = NULL;
    TARN_TRY(kv_family_find(kv, read->family, &family, err));
    for (size_t i = 0; i < count; i++) TARN_TRY(check_read(kv, read, keys[i], &family, err));
    if (kv->ops->multi_get == NULL) {
        tarn_kv_read exact = {.family = family, .snapshot = read->snapshot};
        TARN_TRY(get_each_at_once(kv, &exact, keys, count, arena, answers, err));
    } else {
        TARN_TRY(kv->ops->multi_get(kv->engine, family, read->snapshot, keys, count, arena, answers,
                                    err));
        TARN_TRY(unstamp_answers(kv, family, answers, count, err));
    }
    uint64_t hits = 0;
    for (size_t i = 0; i < count; i++) hits += answers[i].found ? 1 : 0;
    kv_counters *counters = kv_counters_of_thread(kv);
    kv_count(&counters->gets, count);
    kv_count(&counters->hits, hits);
    return TARN_OK;
}

// ---- snapshots ----

tarn_status tarn_kv_snapshot_new(tarn_kv *kv, tarn_kv_snapshot **ret_snapshot, tarn_error *err) {
    if (kv->ops->snapshot_new == NULL) return kv_unsupported(kv, "take snapshots", err);
    tarn_kv_snapshot *snapshot = NULL;
    TARN_TRY(kv->ops->snapshot_new(kv->engine, &snapshot, err));
    snapshot->kv = kv;
    *ret_snapshot = snapshot;
    return TARN_OK;
}

void tarn_kv_snapshot_free(tarn_kv_snapshot *snapshot) {
    if (snapshot == NULL) return;
    tarn_kv *kv = snapshot->kv;
    kv->ops->snapshot_free(kv->engine, snapshot);
}

// ---- iterators ----

// The first bytes behind all that have the prefix: the prefix without its last bytes 255, the last
// of the rest one higher. Empty when there is none such. Appended to `out`.
static bool append_end_of_prefix(tarn_slice prefix, tarn_buffer *out) {
    while (prefix.len > 0 && prefix.data[prefix.len - 1] == 0xFF) prefix.len--;
    if (prefix.len == 0) return true;
    if (!tarn_buffer_append(out, prefix)) return false;
    out->data[out->len - 1]++;
    return true;
}

static tarn_status fold_prefix(tarn_kv_iterator_options *options, tarn_buffer *room,
                               tarn_error *err) {
    if (options->prefix.len == 0) return TARN_OK;
    if (options->family->options.comparator != NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "a prefix says nothing in the order of the comparator '%s'",
                         options->family->options.comparator->name);
    }
    if (!append_end_of_prefix(options->prefix, room)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for an iterator");
    }
    tarn_slice end = tarn_buffer_slice(room);
    if (tarn_slice_compare(options->lower, options->prefix) < 0) options->lower = options->prefix;
    bool ends_before = options->upper.len == 0 || tarn_slice_compare(end, options->upper) < 0;
    if (end.len > 0 && ends_before) options->upper = end;
    return TARN_OK;
}

tarn_status tarn_kv_iterator_new(tarn_kv *kv, const tarn_kv_iterator_options *options,
                                 tarn_kv_iterator **ret_iterator, tarn_error *err) {
    if (kv->ops->iterator_new == NULL) return kv_unsupported(kv, "iterate in order", err);
    tarn_kv_iterator_options filled = {0};
    if (options != NULL) filled = *options;
    tarn_kv_family *family = NULL;
    TARN_TRY(kv_family_find(kv, filled.family, &family, err));
    filled.family = family;
    bool has_ttl = family->options.ttl_ms > 0;
    if (has_ttl) filled.keys_only = false; // the moment of expiry is part of the value
    tarn_buffer room = {.alloc = kv->alloc};
    tarn_kv_iterator *iterator = NULL;
    tarn_status status = fold_prefix(&filled, &room, err);
    if (status == TARN_OK) status = kv->ops->iterator_new(kv->engine, &filled, &iterator, err);
    tarn_buffer_free(&room);
    if (status != TARN_OK) return status;
    iterator->kv = kv;
    iterator->family = family;
    iterator->keys_only = options != NULL && options->keys_only;
    iterator->opened_us = has_ttl ? tarn_os_now_us(kv->os) : 0;
    iterator->is_valid = false;
    *ret_iterator = iterator;
    return TARN_OK;
}

void tarn_kv_iterator_free(tarn_kv_iterator *iterator) {
    if (iterator != NULL) iterator->ops->free(iterator);
}

// Goes on from an expired entry to the next that is not.
static tarn_status skip_expired(tarn_kv_iterator *iterator,
                                tarn_status (*move)(tarn_kv_iterator *, tarn_error *),
                                tarn_error *err) {
    if (iterator->family->options.ttl_ms <= 0) return TARN_OK;
    while (iterator->is_valid) {
        tarn_slice value;
        tarn_status status = kv_unstamp(iterator->family, iterator->value, &value, err);
        if (status != TARN_OK) {
            iterator->is_valid = false;
            return status;
        }
        if (!kv_is_expired(iterator->family, iterator->value, iterator->opened_us)) break;
        TARN_TRY(move(iterator, err));
    }
    return TARN_OK;
}

tarn_status tarn_kv_seek_first(tarn_kv_iterator *iterator, tarn_error *err) {
    TARN_TRY(iterator->ops->seek_first(iterator, err));
    return skip_expired(iterator, iterator->ops->next, err);
}

tarn_status tarn_kv_seek_last(tarn_kv_iterator *iterator, tarn_error *err) {
    TARN_TRY(iterator->ops->seek_last(iterator, err));
    return skip_expired(iterator, iterator->ops->prev, err);
}

tarn_status tarn_kv_seek(tarn_kv_iterator *iterator, tarn_slice key, tarn_error *err) {
    if (key.len == 0) return tarn_kv_seek_first(iterator, err);
    TARN_TRY(iterator->ops->seek(iterator, key, err));
    return skip_expired(iterator, iterator->ops->next, err);
}

tarn_status tarn_kv_seek_for_prev(tarn_kv_iterator *iterator, tarn_slice key, tarn_error *err) {
    TARN_TRY(iterator->ops->seek_for_prev(iterator, key, err));
    return skip_expired(iterator, iterator->ops->prev, err);
}

tarn_status tarn_kv_next(tarn_kv_iterator *iterator, tarn_error *err) {
    tarn_assert(iterator->is_valid);
    TARN_TRY(iterator->ops->next(iterator, err));
    return skip_expired(iterator, iterator->ops->next, err);
}

tarn_status tarn_kv_prev(tarn_kv_iterator *iterator, tarn_error *err) {
    tarn_assert(iterator->is_valid);
    TARN_TRY(iterator->ops->prev(iterator, err));
    return skip_expired(iterator, iterator->ops->prev, err);
}

bool tarn_kv_is_valid(const tarn_kv_iterator *iterator) {
    return iterator->is_valid;
}

tarn_slice tarn_kv_key(const tarn_kv_iterator *iterator) {
    tarn_assert(iterator->is_valid);
    return iterator->key;
}

tarn_slice tarn_kv_value(const tarn_kv_iterator *iterator) {
    tarn_assert(iterator->is_valid);
    if (iterator->keys_only) return (tarn_slice){0};
    bool has_ttl = iterator->family->options.ttl_ms > 0;
    return has_ttl ? tarn_slice_skip(iterator->value, KV_TTL_BYTES) : iterator->value;
}
