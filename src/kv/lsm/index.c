#include "kv/lsm/index.h"

enum { HEADER_BYTES = 24 };

typedef struct index_end {
    uint64_t block_end; // in the file
    size_t key_end;     // in `bytes`
} index_end;

void lsm_index_builder_init(lsm_index_builder *builder, const tarn_alloc *alloc, lsm_order order) {
    *builder =
        (lsm_index_builder){.bytes = {.alloc = alloc}, .ends = {.alloc = alloc}, .order = order};
}

void lsm_index_builder_reset(lsm_index_builder *builder) {
    tarn_buffer_free(&builder->bytes);
    tarn_buffer_free(&builder->ends);
}

static const index_end *end_at(const lsm_index_builder *builder, size_t i) {
    return (const index_end *)(const void *)builder->ends.data + i;
}

void lsm_index_builder_move(lsm_index_builder *builder, uint64_t file_offset) {
    tarn_assert(builder->file_offset == 0);
    builder->file_offset = file_offset;
    index_end *ends = (index_end *)(void *)builder->ends.data;
    for (size_t i = 0; i < builder->count; i++) ends[i].block_end += file_offset;
}

static tarn_slice key_at(const lsm_index_builder *builder, size_t i) {
    size_t begin = i == 0 ? 0 : end_at(builder, i - 1)->key_end;
    return (tarn_slice){builder->bytes.data + begin, end_at(builder, i)->key_end - begin};
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for an index block");
}

bool lsm_index_builder_fits(const lsm_index_builder *builder, uint64_t end_offset) {
    return builder->count == 0 || end_offset - builder->file_offset <= UINT32_MAX;
}

tarn_status lsm_index_builder_add(lsm_index_builder *builder, tarn_slice last_key,
                                  uint64_t file_offset, uint64_t end_offset, tarn_error *err) {
    if (builder->count == 0) builder->file_offset = file_offset;
    tarn_assert(end_offset - builder->file_offset <= UINT32_MAX);
    index_end end = {end_offset, builder->bytes.len + last_key.len};
    if (!tarn_buffer_reserve(&builder->bytes, last_key.len) ||
        !tarn_buffer_append(&builder->ends, (tarn_slice){(const uint8_t *)&end, sizeof end})) {
        return fail_memory(err);
    }
    if (last_key.len > 0) {
        memcpy(builder->bytes.data + builder->bytes.len, last_key.data, last_key.len);
    }
    builder->bytes.len += last_key.len;
    builder->count++;
    return TARN_OK;
}

tarn_status lsm_index_builder_finish(lsm_index_builder *builder, tarn_buffer *out,
                                     tarn_error *err) {
    tarn_assert(builder->count > 0);
    size_t count = builder->count;
    size_t prefix_len = 0;
    if (lsm_order_is_bytewise(builder->order)) {
        prefix_len = lsm_common_prefix(key_at(builder, 0), key_at(builder, count - 1));
        if (prefix_len > UINT16_MAX) prefix_len = UINT16_MAX;
    }
    size_t keys_bytes = builder->bytes.len - count * prefix_len;
    size_t bytes = HEADER_BYTES + prefix_len + count * 16 + keys_bytes;
    if (keys_bytes > UINT32_MAX) return tarn_fail(err, TARN_INVALID, "index block is too large");
    if (!tarn_buffer_reserve(out, bytes)) return fail_memory(err);
    uint8_t *header = out->data + out->len;
    tarn_store_u32(header, (uint32_t)count);
    tarn_store_u32(header + 4, (uint32_t)builder->first_ordinal);
    tarn_store_u64(header + 8, builder->file_offset);
    tarn_store_u32(header + 16, (uint32_t)prefix_len);
    tarn_store_u32(header + 20, 0);
    uint8_t *at = header + HEADER_BYTES;
    if (prefix_len > 0) memcpy(at, key_at(builder, 0).data, prefix_len);
    uint8_t *heads = at + prefix_len;
    uint8_t *key_ends = heads + count * 8;
    uint8_t *block_ends = key_ends + count * 4;
    uint8_t *keys = block_ends + count * 4;
    size_t key_end = 0;
    for (size_t i = 0; i < count; i++) {
        tarn_slice key = tarn_slice_skip(key_at(builder, i), prefix_len);
        if (key.len > 0) memcpy(keys + key_end, key.data, key.len);
        key_end += key.len;
        tarn_store_u64(heads + i * 8, lsm_key_head(key, 0));
        tarn_store_u32(key_ends + i * 4, (uint32_t)key_end);
        tarn_store_u32(block_ends + i * 4,
                       (uint32_t)(end_at(builder, i)->block_end - builder->file_offset));
    }
    out->len += bytes;
    builder->first_ordinal += count;
    builder->count = 0;
    tarn_buffer_clear(&builder->bytes);
    tarn_buffer_clear(&builder->ends);
    return TARN_OK;
}

// ---- reading ----

static tarn_status check_ends(const lsm_index *index, tarn_error *err) {
    uint32_t key_end = 0;
    uint32_t block_end = 0;
    for (uint32_t i = 0; i < index->count; i++) {
        uint32_t next_key = tarn_load_u32(index->key_ends + (size_t)i * 4);
        uint32_t next_block = tarn_load_u32(index->block_ends + (size_t)i * 4);
        if (next_key < key_end || next_key > index->keys.len || next_block <= block_end) {
            return tarn_fail(err, TARN_CORRUPT, "index entry %u of %u does not fit", i,
                             index->count);
        }
        key_end = next_key;
        block_end = next_block;
    }
    return TARN_OK;
}

tarn_status lsm_index_open(tarn_slice payload, lsm_order order, bool was_checked,
                           lsm_index *ret_index, tarn_error *err) {
    if (payload.len < HEADER_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "index block of %zu bytes has no header", payload.len);
    }
    lsm_index index = {.order = order, .count = tarn_load_u32(payload.data)};
    index.first_ordinal = tarn_load_u32(payload.data + 4);
    index.file_offset = tarn_load_u64(payload.data + 8);
    size_t prefix_len = tarn_load_u32(payload.data + 16);
    tarn_slice rest = tarn_slice_skip(payload, HEADER_BYTES);
    if (index.count == 0 || prefix_len > rest.len || index.count > (rest.len - prefix_len) / 16 ||
        index.file_offset > (uint64_t)1 << 62 ||
        (prefix_len > 0 && !lsm_order_is_bytewise(order))) {
        return tarn_fail(err, TARN_CORRUPT, "index header does not fit its %zu bytes", payload.len);
    }
    index.prefix = tarn_slice_head(rest, prefix_len);
    index.heads = rest.data + prefix_len;
    index.key_ends = index.heads + (size_t)index.count * 8;
    index.block_ends = index.key_ends + (size_t)index.count * 4;
    index.keys = tarn_slice_skip(rest, prefix_len + (size_t)index.count * 16);
    if (!was_checked) TARN_TRY(check_ends(&index, err));
    *ret_index = index;
    return TARN_OK;
}

static tarn_slice stored_key(const lsm_index *index, uint32_t i) {
    size_t begin = i == 0 ? 0 : tarn_load_u32(index->key_ends + (size_t)(i - 1) * 4);
    size_t end = tarn_load_u32(index->key_ends + (size_t)i * 4);
    return (tarn_slice){index->keys.data + begin, end - begin};
}

uint32_t lsm_index_seek(const lsm_index *index, tarn_slice key) {
    size_t prefix_len = index->prefix.len;
    size_t common = key.len < prefix_len ? key.len : prefix_len;
    int order = common == 0 ? 0 : memcmp(key.data, index->prefix.data, common);
    if (order > 0) return index->count;
    if (order < 0 || key.len < prefix_len) return 0;
    tarn_slice rest = tarn_slice_skip(key, prefix_len);
    bool has_heads = lsm_order_is_bytewise(index->order);
    uint64_t head = lsm_key_head(rest, 0);
    uint32_t low = 0;
    uint32_t high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t other = tarn_load_u64(index->heads + (size_t)middle * 8);
        bool is_before = has_heads && other != head
                             ? other < head
                             : lsm_compare_keys(index->order, stored_key(index, middle), rest) < 0;
        if (is_before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void lsm_index_block(const lsm_index *index, uint32_t i, uint64_t *ret_offset, uint64_t *ret_len) {
    uint64_t begin = i == 0 ? 0 : tarn_load_u32(index->block_ends + (size_t)(i - 1) * 4);
    uint64_t end = tarn_load_u32(index->block_ends + (size_t)i * 4);
    *ret_offset = index->file_offset + begin;
    *ret_len = end - begin;
}
