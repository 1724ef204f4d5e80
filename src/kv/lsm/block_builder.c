#include "base/varint.h"
#include "kv/lsm/block.h"

enum {
    HEADER_BYTES = 8,
    WIDE_OFFSETS = 0x8000,
    // Entries smaller than this on average are grouped: an own head and offset would weigh too
    // much.
    SINGLE_BYTES_MIN = TARN_TUNABLE(48, 32),
    GROUP_ENTRIES = TARN_TUNABLE(8, 3),
};

typedef struct block_entry {
    uint64_t trailer;
    size_t begin; // in `bytes`
    uint32_t key_len;
    uint32_t value_len;
} block_entry;

void lsm_block_builder_init(lsm_block_builder *builder, const tarn_alloc *alloc, lsm_order order) {
    *builder =
        (lsm_block_builder){.entries = {.alloc = alloc}, .bytes = {.alloc = alloc}, .order = order};
}

void lsm_block_builder_reset(lsm_block_builder *builder) {
    tarn_buffer_free(&builder->entries);
    tarn_buffer_free(&builder->bytes);
    builder->count = 0;
}

static const block_entry *entry_at(const lsm_block_builder *builder, size_t i) {
    return (const block_entry *)(const void *)builder->entries.data + i;
}

static tarn_slice key_at(const lsm_block_builder *builder, size_t i) {
    const block_entry *entry = entry_at(builder, i);
    return (tarn_slice){builder->bytes.data + entry->begin, entry->key_len};
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a block");
}

tarn_status lsm_block_builder_add(lsm_block_builder *builder, tarn_slice key, uint64_t trailer,
                                  tarn_slice value, tarn_error *err) {
    block_entry entry = {trailer, builder->bytes.len, (uint32_t)key.len, (uint32_t)value.len};
    if (!tarn_buffer_reserve(&builder->bytes, key.len + value.len) ||
        !tarn_buffer_append(&builder->entries,
                            (tarn_slice){(const uint8_t *)&entry, sizeof entry})) {
        return fail_memory(err);
    }
    uint8_t *at = builder->bytes.data + builder->bytes.len;
    if (key.len > 0) memcpy(at, key.data, key.len);
    if (value.len > 0) memcpy(at + key.len, value.data, value.len);
    builder->bytes.len += key.len + value.len;
    builder->count++;
    return TARN_OK;
}

size_t lsm_block_builder_bytes(const lsm_block_builder *builder) {
    return builder->bytes.len + builder->count * 8 + HEADER_BYTES;
}

// What all keys begin with. Only the bytewise order puts all of them between the first and the
// last.
static size_t shared_prefix(const lsm_block_builder *builder) {
    if (!lsm_order_is_bytewise(builder->order)) return 0;
    size_t len = lsm_common_prefix(key_at(builder, 0), key_at(builder, builder->count - 1));
    return len < UINT16_MAX ? len : UINT16_MAX;
}

static uint64_t pack_trailer(uint64_t trailer) {
    return lsm_trailer_sequence(trailer) << 2 | (uint64_t)(lsm_trailer_kind(trailer) - 1);
}

// Writes one entry; `shared` counts behind the block's prefix. `out` has room.
static void encode_entry(const lsm_block_builder *builder, size_t i, size_t prefix_len,
                         bool has_shared, size_t shared, tarn_buffer *out) {
    const block_entry *entry = entry_at(builder, i);
    uint8_t *at = out->data + out->len;
    size_t skipped = prefix_len + shared;
    size_t rest = entry->key_len - skipped;
    if (has_shared) at += tarn_varint_encode(at, shared);
    at += tarn_varint_encode(at, rest);
    at += tarn_varint_encode(at, pack_trailer(entry->trailer));
    at += tarn_varint_encode(at, entry->value_len);
    memcpy(at, builder->bytes.data + entry->begin + skipped, rest + entry->value_len);
    at += rest + entry->value_len;
    out->len = (size_t)(at - out->data);
}

static void store_offset(uint8_t *offsets, bool is_wide, size_t group, size_t offset) {
    if (is_wide) {
        tarn_store_u32(offsets + group * 4, (uint32_t)offset);
    } else {
        tarn_store_u16(offsets + group * 2, (uint16_t)offset);
    }
}

tarn_status lsm_block_builder_finish(lsm_block_builder *builder, tarn_buffer *out,
                                     tarn_error *err) {
    tarn_assert(builder->count > 0);
    size_t prefix_len = shared_prefix(builder);
    size_t interval = builder->bytes.len / builder->count >= SINGLE_BYTES_MIN ? 1 : GROUP_ENTRIES;
    size_t groups = (builder->count + interval - 1) / interval;
    // Keys and values as they are, and four varints each, are more than the entries take.
    size_t entries_max = builder->bytes.len + builder->count * 20;
    bool is_wide = entries_max > UINT16_MAX;
    size_t tables_bytes = prefix_len + groups * (is_wide ? 8 : 6);
    if (entries_max > UINT32_MAX) return tarn_fail(err, TARN_INVALID, "block is too large");
    if (!tarn_buffer_reserve(out, HEADER_BYTES + tables_bytes + entries_max)) {
        return fail_memory(err);
    }
    uint8_t *header = out->data + out->len;
    tarn_store_u32(header, (uint32_t)groups);
    tarn_store_u16(header + 4, (uint16_t)(interval | (is_wide ? WIDE_OFFSETS : 0)));
    tarn_store_u16(header + 6, (uint16_t)prefix_len);
    if (prefix_len > 0) memcpy(header + HEADER_BYTES, key_at(builder, 0).data, prefix_len);
    uint8_t *heads = header + HEADER_BYTES + prefix_len;
    uint8_t *offsets = heads + groups * 4;
    out->len += HEADER_BYTES + tables_bytes;
    size_t entries_begin = out->len;
    for (size_t i = 0; i < builder->count; i++) {
        bool is_first = i % interval == 0;
        tarn_slice key = tarn_slice_skip(key_at(builder, i), prefix_len);
        if (is_first) {
            tarn_store_u32(heads + i / interval * 4, (uint32_t)(lsm_key_head(key, 0) >> 32));
            store_offset(offsets, is_wide, i / interval, out->len - entries_begin);
        }
        size_t shared =
            is_first ? 0
                     : lsm_common_prefix(tarn_slice_skip(key_at(builder, i - 1), prefix_len), key);
        encode_entry(builder, i, prefix_len, interval > 1, shared, out);
    }
    builder->count = 0;
    tarn_buffer_clear(&builder->entries);
    tarn_buffer_clear(&builder->bytes);
    return TARN_OK;
}
