#include "lake/committable.h"

#include "base/hash.h"

// Where the fields are (docs/formats/committable.md).
enum {
    MAGIC_AT = 0,
    VERSION_AT = 4,
    COUNT_AT = 8,
    LENGTH_AT = 16,
    CHECKSUM_AT = 24, // of everything else
    BODY_AT = 32,
};
static const uint8_t MAGIC[4] = {'T', 'N', 'C', 'M'};
#define COMMITTABLE_VERSION 1

// The checksum covers the header before it and the body behind it.
static uint64_t checksum(const uint8_t *record, tarn_slice body) {
    uint64_t head = tarn_xxh64((tarn_slice){record, CHECKSUM_AT});
    uint64_t tail = tarn_xxh64(body);
    uint8_t both[16];
    tarn_store_u64(both, head);
    tarn_store_u64(both + 8, tail);
    return tarn_xxh64((tarn_slice){both, sizeof both});
}

tarn_status lake_committable_encode(const lake_entry *const *entries, size_t count,
                                    const tarn_alloc *alloc, tarn_buffer *out, tarn_error *err) {
    // The entries are kept as a manifest: one format less to get right. The sync marker only has to
    // be unlikely in the data, and the same input shall give the same bytes.
    static const lake_avro_options options = {.codec = TARN_CODEC_ZSTD,
                                              .sync_marker = "tarn committable"};
    tarn_buffer body = {.alloc = alloc};
    tarn_status status = lake_manifest_encode(entries, count, &options, &body, err);
    if (status == TARN_OK && !tarn_buffer_reserve(out, BODY_AT + body.len)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a committable");
    }
    if (status == TARN_OK) {
        uint8_t *record = out->data + out->len;
        memcpy(record + MAGIC_AT, MAGIC, sizeof MAGIC);
        tarn_store_u32(record + VERSION_AT, COMMITTABLE_VERSION);
        tarn_store_u64(record + COUNT_AT, count);
        tarn_store_u64(record + LENGTH_AT, body.len);
        tarn_store_u64(record + CHECKSUM_AT, checksum(record, tarn_buffer_slice(&body)));
        memcpy(record + BODY_AT, body.data, body.len);
        out->len += BODY_AT + body.len;
    }
    tarn_buffer_free(&body);
    return status;
}

// One record: its body, checked, and the rest of the bytes.
static tarn_status take_record(tarn_slice *bytes, tarn_slice *ret_body, uint64_t *ret_count,
                               tarn_error *err) {
    const uint8_t *record = bytes->data;
    if (bytes->len < BODY_AT || memcmp(record + MAGIC_AT, MAGIC, sizeof MAGIC) != 0) {
        return tarn_fail(err, TARN_CORRUPT, "not a committable");
    }
    uint32_t version = tarn_load_u32(record + VERSION_AT);
    if (version != COMMITTABLE_VERSION) {
        return tarn_fail(err, TARN_UNSUPPORTED, "committable version %u (only %d is known)",
                         version, COMMITTABLE_VERSION);
    }
    uint64_t len = tarn_load_u64(record + LENGTH_AT);
    tarn_slice rest = tarn_slice_skip(*bytes, BODY_AT);
    if (len > rest.len) return tarn_fail(err, TARN_CORRUPT, "the committable is cut short");
    tarn_slice body = tarn_slice_head(rest, (size_t)len);
    uint64_t stored = tarn_load_u64(record + CHECKSUM_AT);
    uint64_t actual = checksum(record, body);
    if (stored != actual) {
        return tarn_fail(err, TARN_CORRUPT,
                         "the committable's checksum is %016llx, its bytes give %016llx",
                         (unsigned long long)stored, (unsigned long long)actual);
    }
    *ret_count = tarn_load_u64(record + COUNT_AT);
    *ret_body = body;
    *bytes = tarn_slice_skip(rest, body.len);
    return TARN_OK;
}

static tarn_status decode_body(tarn_slice body, uint64_t expected, const tarn_alloc *alloc,
                               tarn_arena *arena, lake_entry **ret_entries, tarn_error *err) {
    tarn_object *object = NULL;
    lake_entry *entries = NULL;
    size_t count = 0;
    bool is_plain = false;
    TARN_TRY(tarn_object_from_bytes(alloc, TARN_LIT("committable"), body, &object, err));
    tarn_status status = lake_manifest_decode(object, arena, &entries, &count, &is_plain, err);
    tarn_object_close(object);
    if (status == TARN_OK && count != expected) {
        status = tarn_fail(err, TARN_CORRUPT, "the committable has %zu entries, not %llu", count,
                           (unsigned long long)expected);
    }
    if (status == TARN_OK) *ret_entries = entries;
    return status;
}

tarn_status lake_committable_decode(tarn_slice bytes, const tarn_alloc *alloc, tarn_arena *arena,
                                    lake_entry **ret_entries, size_t *ret_count, tarn_error *err) {
    lake_entry *all = NULL;
    size_t all_count = 0;
    while (bytes.len > 0) {
        tarn_slice body;
        uint64_t expected = 0;
        lake_entry *entries = NULL;
        TARN_TRY(take_record(&bytes, &body, &expected, err));
        TARN_TRY(decode_body(body, expected, alloc, arena, &entries, err));
        size_t count = (size_t)expected; // decode_body has checked it
        lake_entry *joined = tarn_arena_new(arena, lake_entry, all_count + count);
        if (joined == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a committable");
        if (all_count > 0) memcpy(joined, all, all_count * sizeof *joined);
        if (count > 0) memcpy(joined + all_count, entries, count * sizeof *joined);
        all = joined;
        all_count += count;
    }
    *ret_entries = all;
    *ret_count = all_count;
    return TARN_OK;
}
