#include "base/alloc.h"
#include "base/varint.h"
#include "kv/front.h"

// ---- the bytes ----

static bool take_bytes(tarn_slice *rest, tarn_slice *ret_bytes) {
    uint64_t len;
    if (!tarn_varint_decode(rest, &len) || len > rest->len) return false;
    *ret_bytes = tarn_slice_head(*rest, (size_t)len);
    *rest = tarn_slice_skip(*rest, (size_t)len);
    return true;
}

// Limits of keys and values are part of what a change is: no code further on has to fear others.
static bool take_change(tarn_slice *rest, kv_change *ret_change) {
    if (rest->len == 0) return false;
    uint8_t kind = rest->data[0];
    uint64_t family_id;
    if (kind < KV_PUT || kind > KV_MERGE) return false;
    *rest = tarn_slice_skip(*rest, 1);
    if (!tarn_varint_decode(rest, &family_id) || family_id > UINT32_MAX) return false;
    *ret_change = (kv_change){.kind = (kv_change_kind)kind, .family_id = (uint32_t)family_id};
    if (!take_bytes(rest, &ret_change->key) || ret_change->key.len > TARN_KV_KEY_MAX) return false;
    if (ret_change->key.len == 0 && kind != KV_DELETE_RANGE) return false;
    if (kind == KV_DELETE) return true;
    size_t limit =
        kind == KV_DELETE_RANGE ? TARN_KV_KEY_MAX : TARN_KV_VALUE_MAX + (size_t)KV_TTL_BYTES;
    return take_bytes(rest, &ret_change->value) && ret_change->value.len <= limit;
}

tarn_status kv_change_next(tarn_slice *rest, kv_change *ret_change, tarn_error *err) {
    tarn_slice after = *rest;
    kv_change change;
    if (!take_change(&after, &change)) {
        return tarn_fail(err, TARN_CORRUPT, "%zu bytes at the end of a batch are no change of it",
                         rest->len);
    }
    *rest = after;
    *ret_change = change;
    return TARN_OK;
}

static size_t change_bytes_max(const kv_change *change) {
    return 1 + 3 * (size_t)TARN_VARINT_MAX_BYTES + change->key.len + change->value.len;
}

static uint8_t *put_bytes(uint8_t *out, tarn_slice bytes) {
    out += tarn_varint_encode(out, bytes.len);
    if (bytes.len > 0) memcpy(out, bytes.data, bytes.len);
    return out + bytes.len;
}

// There is room for change_bytes_max.
static size_t put_change(uint8_t *out, const kv_change *change) {
    uint8_t *end = out;
    *end++ = (uint8_t)change->kind;
    end += tarn_varint_encode(end, change->family_id);
    end = put_bytes(end, change->key);
    if (change->kind != KV_DELETE) end = put_bytes(end, change->value);
    return (size_t)(end - out);
}

static void note_change(tarn_kv_batch *batch, const kv_change *change) {
    batch->count++;
    batch->has_ranges |= change->kind == KV_DELETE_RANGE;
    batch->has_merges |= change->kind == KV_MERGE;
    batch->names_families |= change->family_id != 0;
    if (change->key.len > batch->key_bytes_max) batch->key_bytes_max = change->key.len;
}

static tarn_status check_change(const kv_change *change, tarn_error *err) {
    bool is_range = change->kind == KV_DELETE_RANGE;
    if (change->key.len == 0 && !is_range) return tarn_fail(err, TARN_INVALID, "the key is empty");
    size_t key_len = change->key.len;
    if (is_range && change->value.len > key_len) key_len = change->value.len;
    if (key_len > TARN_KV_KEY_MAX) {
        return tarn_fail(err, TARN_INVALID, "the key has %zu bytes, more than the %d allowed",
                         key_len, TARN_KV_KEY_MAX);
    }
    if (change->value.len > TARN_KV_VALUE_MAX) {
        return tarn_fail(err, TARN_INVALID, "the value has %zu bytes, more than the %zu allowed",
                         change->value.len, TARN_KV_VALUE_MAX);
    }
    return TARN_OK;
}

tarn_status kv_batch_add(tarn_kv_batch *batch, const kv_change *change, tarn_error *err) {
    size_t more = change_bytes_max(change);
    if (more > TARN_KV_BATCH_MAX - batch->bytes.len) {
        return tarn_fail(err, TARN_INVALID,
                         "the batch has %zu bytes, and with the next change more than the %zu "
                         "allowed",
                         batch->bytes.len, TARN_KV_BATCH_MAX);
    }
    if (!tarn_buffer_reserve(&batch->bytes, more)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a batch of %zu bytes",
                         batch->bytes.len + more);
    }
    batch->bytes.len += put_change(batch->bytes.data + batch->bytes.len, change);
    note_change(batch, change);
    return TARN_OK;
}

// ---- batches of callers ----

tarn_status tarn_kv_batch_new(const tarn_alloc *alloc, tarn_kv_batch **ret_batch, tarn_error *err) {
    if (alloc == NULL) alloc = &tarn_alloc_libc;
    tarn_kv_batch *batch = tarn_alloc_new(alloc, tarn_kv_batch, 1);
    if (batch == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a batch");
    batch->alloc = alloc;
    batch->bytes.alloc = alloc;
    *ret_batch = batch;
    return TARN_OK;
}

void tarn_kv_batch_free(tarn_kv_batch *batch) {
    if (batch == NULL) return;
    tarn_buffer_free(&batch->bytes);
    tarn_alloc_free(batch->alloc, batch, 1);
}

void tarn_kv_batch_clear(tarn_kv_batch *batch) {
    tarn_buffer bytes = batch->bytes;
    tarn_buffer_clear(&bytes);
    *batch = (tarn_kv_batch){.bytes = bytes, .alloc = batch->alloc};
}

size_t tarn_kv_batch_count(const tarn_kv_batch *batch) {
    return batch->count;
}

size_t tarn_kv_batch_bytes(const tarn_kv_batch *batch) {
    return batch->bytes.len;
}

static tarn_status add_checked(tarn_kv_batch *batch, const tarn_kv_family *family, kv_change change,
                               tarn_error *err) {
    change.family_id = family == NULL ? 0 : family->id;
    TARN_TRY(check_change(&change, err));
    return kv_batch_add(batch, &change, err);
}

tarn_status tarn_kv_batch_put(tarn_kv_batch *batch, tarn_kv_family *family, tarn_slice key,
                              tarn_slice value, tarn_error *err) {
    return add_checked(batch, family, (kv_change){.kind = KV_PUT, .key = key, .value = value}, err);
}

tarn_status tarn_kv_batch_delete(tarn_kv_batch *batch, tarn_kv_family *family, tarn_slice key,
                                 tarn_error *err) {
    return add_checked(batch, family, (kv_change){.kind = KV_DELETE, .key = key}, err);
}

tarn_status tarn_kv_batch_delete_range(tarn_kv_batch *batch, tarn_kv_family *family,
                                       tarn_slice begin, tarn_slice end, tarn_error *err) {
    kv_change change = {.kind = KV_DELETE_RANGE, .key = begin, .value = end};
    return add_checked(batch, family, change, err);
}

tarn_status tarn_kv_batch_merge(tarn_kv_batch *batch, tarn_kv_family *family, tarn_slice key,
                                tarn_slice operand, tarn_error *err) {
    kv_change change = {.kind = KV_MERGE, .key = key, .value = operand};
    return add_checked(batch, family, change, err);
}

// ---- batches of one ----

tarn_status kv_single_init(kv_single *single, const tarn_alloc *alloc, const kv_change *change,
                           tarn_error *err) {
    TARN_TRY(check_change(change, err));
    single->batch = (tarn_kv_batch){.alloc = alloc};
    single->owns_bytes = change_bytes_max(change) > sizeof single->room;
    if (single->owns_bytes) {
        single->batch.bytes.alloc = alloc;
        return kv_batch_add(&single->batch, change, err);
    }
    size_t len = put_change(single->room, change);
    single->batch.bytes = (tarn_buffer){single->room, len, sizeof single->room, 0, alloc};
    note_change(&single->batch, change);
    return TARN_OK;
}

void kv_single_free(kv_single *single) {
    if (single->owns_bytes) tarn_buffer_free(&single->batch.bytes);
}
