// Time to live: the moment of expiry in front of each value, and merging among values that have
// one.
#include "base/alloc.h"
#include "kv/front.h"

static int64_t expiry_of(tarn_slice stored) {
    return (int64_t)tarn_load_u64(stored.data);
}

static int64_t ttl_us(const tarn_kv_family *family) {
    return family->options.ttl_ms * 1000; // the option is limited where it is set
}

bool kv_is_expired(const tarn_kv_family *family, tarn_slice stored, int64_t now_us) {
    if (family->options.ttl_ms <= 0 || stored.len < KV_TTL_BYTES) return false;
    return expiry_of(stored) <= now_us;
}

tarn_status kv_unstamp(const tarn_kv_family *family, tarn_slice stored, tarn_slice *ret_value,
                       tarn_error *err) {
    if (family->options.ttl_ms <= 0) {
        *ret_value = stored;
        return TARN_OK;
    }
    if (stored.len < KV_TTL_BYTES) {
        return tarn_fail(err, TARN_CORRUPT,
                         "family '" TARN_SLICE_FMT
                         "': a value of %zu bytes has no room for its moment of expiry",
                         TARN_SLICE_ARG(family->name), stored.len);
    }
    *ret_value = tarn_slice_skip(stored, KV_TTL_BYTES);
    return TARN_OK;
}

// ---- batches ----

static tarn_status stamp_change(const tarn_kv *kv, kv_change change, int64_t now_us,
                                tarn_buffer *scratch, tarn_kv_batch *stamped, tarn_error *err) {
    const tarn_kv_family *family = kv_family_by_id(kv, change.family_id);
    tarn_assert(family != NULL); // the batch was checked
    bool has_value = change.kind == KV_PUT || change.kind == KV_MERGE;
    if (has_value && family->options.ttl_ms > 0) {
        uint8_t expiry[KV_TTL_BYTES];
        tarn_store_u64(expiry, (uint64_t)(now_us + ttl_us(family)));
        tarn_buffer_clear(scratch);
        if (!tarn_buffer_append(scratch, (tarn_slice){expiry, sizeof expiry}) ||
            !tarn_buffer_append(scratch, change.value)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a value of %zu bytes",
                             change.value.len);
        }
        change.value = tarn_buffer_slice(scratch);
    }
    return kv_batch_add(stamped, &change, err);
}

tarn_status kv_stamp_batch(const tarn_kv *kv, const tarn_kv_batch *batch, tarn_kv_batch *stamped,
                           tarn_error *err) {
    *stamped = (tarn_kv_batch){.alloc = kv->alloc, .bytes.alloc = kv->alloc};
    tarn_buffer scratch = {.alloc = kv->alloc};
    int64_t now_us = tarn_os_now_us(kv->os);
    tarn_slice rest = tarn_buffer_slice(&batch->bytes);
    tarn_status status = TARN_OK;
    while (status == TARN_OK && rest.len > 0) {
        kv_change change;
        status = kv_change_next(&rest, &change, err);
        if (status == TARN_OK) status = stamp_change(kv, change, now_us, &scratch, stamped, err);
    }
    tarn_buffer_free(&scratch);
    return status;
}

// ---- merging ----

static tarn_status call_operator(const tarn_kv_family *family, tarn_slice key,
                                 const tarn_slice *base, const tarn_slice *operands,
                                 size_t operand_count, tarn_buffer *out, tarn_error *err) {
    const tarn_kv_merge_operator *merge = family->options.merge;
    if (merge == NULL) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' has merge writes, and no merge operator was "
                         "given when it was opened",
                         TARN_SLICE_ARG(family->name));
    }
    size_t before = out->len;
    tarn_status status = merge->merge(merge->context, key, base, operands, operand_count, out, err);
    if (status != TARN_OK) tarn_error_prefix(err, "merge operator '%s': ", merge->name);
    if (status == TARN_OK && out->len - before > TARN_KV_VALUE_MAX) {
        status = tarn_fail(err, TARN_INVALID, "merge operator '%s': a value of %zu bytes",
                           merge->name, out->len - before);
    }
    if (status != TARN_OK) out->len = before;
    return status;
}

// Drops, from the front, what had expired when what follows it was written: the key was empty then.
// Returns how many of the operands are left out; *base becomes NULL with them.
static size_t count_expired(const tarn_kv_family *family, const tarn_slice **base,
                            const tarn_slice *operands, size_t operand_count) {
    size_t expired_count = 0;
    const tarn_slice *before = *base;
    for (size_t i = 0; i < operand_count; i++) {
        int64_t written_us = expiry_of(operands[i]) - ttl_us(family);
        if (before != NULL && expiry_of(*before) <= written_us) {
            *base = NULL;
            expired_count = i;
        }
        before = &operands[i];
    }
    return expired_count;
}

// NOLINTNEXTLINE(readability-function-size): what is folded, and into what
static tarn_status fold_stamped(const tarn_kv_family *family, tarn_slice key,
                                const tarn_slice *base, const tarn_slice *operands,
                                size_t operand_count, int64_t now_us, tarn_buffer *out,
                                tarn_error *err) {
    tarn_slice ignored;
    if (base != NULL) TARN_TRY(kv_unstamp(family, *base, &ignored, err));
    for (size_t i = 0; i < operand_count; i++) {
        TARN_TRY(kv_unstamp(family, operands[i], &ignored, err));
    }
    size_t expired_count = count_expired(family, &base, operands, operand_count);
    operands += expired_count;
    operand_count -= expired_count;
    tarn_slice newest = operands[operand_count - 1];
    if (!tarn_buffer_append(out, tarn_slice_head(newest, KV_TTL_BYTES))) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a merged value");
    }
    if (kv_is_expired(family, newest, now_us)) return TARN_OK;

    tarn_alloc const *alloc = &tarn_alloc_libc;
    tarn_slice *values = tarn_alloc_new(alloc, tarn_slice, operand_count);
    if (values == NULL) {
        out->len -= KV_TTL_BYTES;
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu merge operands", operand_count);
    }
    for (size_t i = 0; i < operand_count; i++) {
        values[i] = tarn_slice_skip(operands[i], KV_TTL_BYTES);
    }
    tarn_slice base_value = {0};
    if (base != NULL) base_value = tarn_slice_skip(*base, KV_TTL_BYTES);
    tarn_status status = call_operator(family, key, base == NULL ? NULL : &base_value, values,
                                       operand_count, out, err);
    tarn_alloc_free(alloc, values, operand_count);
    if (status != TARN_OK) out->len -= KV_TTL_BYTES;
    return status;
}

// NOLINTNEXTLINE(readability-function-size): what is folded, and into what
tarn_status kv_fold(const tarn_kv_family *family, tarn_slice key, const tarn_slice *base,
                    const tarn_slice *operands, size_t operand_count, int64_t now_us,
                    tarn_buffer *out, tarn_error *err) {
    tarn_assert(operand_count > 0);
    if (family->options.ttl_ms <= 0) {
        return call_operator(family, key, base, operands, operand_count, out, err);
    }
    return fold_stamped(family, key, base, operands, operand_count, now_us, out, err);
}
