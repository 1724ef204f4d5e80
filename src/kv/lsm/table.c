#include <stdatomic.h>

#include "base/alloc.h"
#include "base/bitmap.h"
#include "base/varint.h"
#include "kv/lsm/filter.h"
#include "kv/lsm/table_internal.h"

// ---- blocks ----

static tarn_status fail_block(const lsm_table *table, uint64_t offset, tarn_error *err) {
    tarn_error_prefix(err, TARN_SLICE_FMT ": block at byte %llu: ", TARN_SLICE_ARG(table->name),
                      (unsigned long long)offset);
    return TARN_CORRUPT;
}

tarn_status table_fail_at(const lsm_table *table, uint64_t offset, tarn_status status,
                          tarn_error *err) {
    return status == TARN_CORRUPT ? fail_block(table, offset, err) : status;
}

static bool has_bit(const _Atomic uint64_t *words, size_t i) {
    return (atomic_load_explicit(&words[i / 64], memory_order_relaxed) >> i % 64 & 1) != 0;
}

static void set_bit(_Atomic uint64_t *words, size_t i) {
    atomic_fetch_or_explicit(&words[i / 64], (uint64_t)1 << i % 64, memory_order_relaxed);
}

tarn_status table_read_stored(const lsm_table *table, uint64_t offset, uint64_t len,
                              _Atomic uint64_t *checked, size_t ordinal, table_stored *ret_stored,
                              tarn_error *err) {
    if (offset > table->bytes.len || len > table->bytes.len - offset ||
        len <= LSM_BLOCK_TRAILER_BYTES) {
        (void)tarn_fail(err, TARN_CORRUPT, "its %llu bytes are not in the file's %zu",
                        (unsigned long long)len, table->bytes.len);
        return fail_block(table, offset, err);
    }
    const uint8_t *data = table->bytes.data + offset;
    if (checked == NULL || !has_bit(checked, ordinal)) {
        uint32_t stored = tarn_load_u32(data + len - 4);
        uint32_t computed =
            lsm_block_checksum(table->file_id, offset, (tarn_slice){data, (size_t)len - 4});
        if (stored != computed) {
            (void)tarn_fail(err, TARN_CORRUPT, "checksum is %08x, its bytes give %08x", stored,
                            computed);
            return fail_block(table, offset, err);
        }
        if (checked != NULL) set_bit(checked, ordinal);
    }
    *ret_stored = (table_stored){
        .bytes = {data, (size_t)len - LSM_BLOCK_TRAILER_BYTES},
        .codec = (tarn_codec)data[len - LSM_BLOCK_TRAILER_BYTES],
    };
    return TARN_OK;
}

// A block that is never compressed.
static tarn_status read_plain(const lsm_table *table, const uint8_t *handle,
                              tarn_slice *ret_payload, tarn_error *err) {
    uint64_t offset = tarn_load_u64(handle);
    table_stored stored;
    TARN_TRY(table_read_stored(table, offset, tarn_load_u32(handle + 8), NULL, 0, &stored, err));
    if (stored.codec == TARN_CODEC_NONE) {
        *ret_payload = stored.bytes;
        return TARN_OK;
    }
    (void)tarn_fail(err, TARN_CORRUPT, "it has codec %u, where none is allowed",
                    (unsigned)stored.codec);
    return fail_block(table, offset, err);
}

static tarn_status decompress(lsm_table *table, uint64_t offset, tarn_slice stored,
                              tarn_codec codec, lsm_cache_entry **ret_entry, tarn_error *err) {
    lsm_cache_entry *entry = lsm_cache_get(table->cache, table->file_id, offset);
    if (entry != NULL) {
        *ret_entry = entry;
        return TARN_OK;
    }
    size_t len = stored.len < 4 ? 0 : tarn_load_u32(stored.data);
    // No codec here shrinks by more than this; what claims to would only take memory.
    if (len == 0 || len / 4096 > stored.len) {
        return tarn_fail(err, TARN_CORRUPT, "%zu bytes cannot hold %zu", stored.len, len);
    }
    entry = lsm_cache_new_entry(table->alloc, table->file_id, offset, len);
    if (entry == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a block");
    tarn_status status = tarn_decompress(codec, tarn_slice_skip(stored, 4), entry->bytes, len, err);
    if (status != TARN_OK) {
        lsm_cache_release(entry);
        return status;
    }
    *ret_entry = lsm_cache_put(table->cache, entry);
    return TARN_OK;
}

tarn_status table_read_data(lsm_table *table, uint64_t offset, uint64_t len, size_t ordinal,
                            lsm_block *ret_block, lsm_cache_entry **ret_pinned, tarn_error *err) {
    if (ordinal >= table->summary.data_block_count) {
        (void)tarn_fail(err, TARN_CORRUPT, "the index numbers it %zu of %llu", ordinal,
                        (unsigned long long)table->summary.data_block_count);
        return fail_block(table, offset, err);
    }
    table_stored stored;
    TARN_TRY(table_read_stored(table, offset, len, table->checked_blocks, ordinal, &stored, err));
    tarn_slice payload = stored.bytes;
    tarn_codec codec = stored.codec;
    lsm_cache_entry *pinned = NULL;
    tarn_status status = TARN_OK;
    if (codec != TARN_CODEC_NONE) {
        status = codec > TARN_CODEC_ZSTD
                     ? tarn_fail(err, TARN_CORRUPT, "there is no codec %u", (unsigned)codec)
                     : decompress(table, offset, payload, codec, &pinned, err);
        if (status == TARN_OK) payload = (tarn_slice){pinned->bytes, pinned->len};
    }
    if (status == TARN_OK) status = lsm_block_open(payload, ret_block, err);
    if (status == TARN_OK) {
        *ret_pinned = pinned;
        return TARN_OK;
    }
    lsm_cache_release(pinned);
    return table_fail_at(table, offset, status, err);
}

tarn_status table_read_partition(lsm_table *table, uint32_t i, lsm_index *ret_index,
                                 tarn_error *err) {
    uint64_t offset;
    uint64_t len;
    lsm_index_block(&table->top, i, &offset, &len);
    table_stored stored;
    bool was_checked = has_bit(table->checked_partitions, i);
    TARN_TRY(table_read_stored(table, offset, len, was_checked ? table->checked_partitions : NULL,
                               i, &stored, err));
    tarn_status status = lsm_index_open(stored.bytes, table->order, was_checked, ret_index, err);
    if (status != TARN_OK) return table_fail_at(table, offset, status, err);
    if (!was_checked) set_bit(table->checked_partitions, i);
    return TARN_OK;
}

// ---- opening ----

static bool take_number(tarn_slice value, uint64_t *ret_number) {
    return tarn_varint_decode(&value, ret_number) && value.len == 0;
}

typedef struct properties {
    uint64_t numbers[LSM_PROPERTY_END];
    tarn_slice texts[LSM_PROPERTY_END];
} properties;

static bool is_text(uint64_t property) {
    return property == LSM_PROPERTY_SMALLEST || property == LSM_PROPERTY_LARGEST ||
           property == LSM_PROPERTY_COMPARATOR || property == LSM_PROPERTY_MERGE;
}

static tarn_status decode_properties(tarn_slice payload, properties *p, tarn_error *err) {
    while (payload.len > 0) {
        uint64_t property = 0;
        uint64_t len = 0;
        bool is_whole = tarn_varint_decode(&payload, &property) &&
                        tarn_varint_decode(&payload, &len) && len <= payload.len;
        if (is_whole) {
            tarn_slice value = tarn_slice_head(payload, (size_t)len);
            payload = tarn_slice_skip(payload, (size_t)len);
            // What later versions add is passed over.
            if (property == 0 || property >= LSM_PROPERTY_END) continue;
            p->texts[property] = value;
            is_whole = is_text(property) || take_number(value, &p->numbers[property]);
        }
        if (!is_whole) return tarn_fail(err, TARN_CORRUPT, "the properties are cut off");
    }
    return TARN_OK;
}

static tarn_status check_name(const char *what, tarn_slice stored, tarn_slice ours,
                              tarn_error *err) {
    if (tarn_slice_equal(stored, ours)) return TARN_OK;
    return tarn_fail(err, TARN_INVALID,
                     "was written with the %s '" TARN_SLICE_FMT
                     "' and is opened with '" TARN_SLICE_FMT "'",
                     what, TARN_SLICE_ARG(stored), TARN_SLICE_ARG(ours));
}

static tarn_status read_properties(lsm_table *table, const uint8_t *footer, tarn_error *err) {
    const uint8_t *handle = footer + LSM_FOOTER_PROPERTIES;
    tarn_slice payload;
    properties p = {0};
    TARN_TRY(read_plain(table, handle, &payload, err));
    tarn_status status = decode_properties(payload, &p, err);
    if (status != TARN_OK) return table_fail_at(table, tarn_load_u64(handle), status, err);
    TARN_TRY(check_name("comparator", p.texts[LSM_PROPERTY_COMPARATOR],
                        lsm_comparator_name(table->order), err));
    table->merge_name = p.texts[LSM_PROPERTY_MERGE];
    table->filter_probes = (uint32_t)(p.numbers[LSM_PROPERTY_FILTER_PROBES] & UINT32_MAX);
    table->prefix_bytes = p.numbers[LSM_PROPERTY_PREFIX_BYTES];
    table->summary = (lsm_table_summary){
        .file_bytes = table->bytes.len,
        .entry_count = p.numbers[LSM_PROPERTY_ENTRIES],
        .delete_count = p.numbers[LSM_PROPERTY_DELETES],
        .merge_count = p.numbers[LSM_PROPERTY_MERGES],
        .range_count = p.numbers[LSM_PROPERTY_RANGES],
        .key_bytes = p.numbers[LSM_PROPERTY_KEY_BYTES],
        .value_bytes = p.numbers[LSM_PROPERTY_VALUE_BYTES],
        .data_block_count = p.numbers[LSM_PROPERTY_DATA_BLOCKS],
        .smallest_sequence = p.numbers[LSM_PROPERTY_SMALLEST_SEQUENCE],
        .largest_sequence = p.numbers[LSM_PROPERTY_LARGEST_SEQUENCE],
        .created_us = tarn_zigzag_decode(p.numbers[LSM_PROPERTY_CREATED_US]),
        .smallest = p.texts[LSM_PROPERTY_SMALLEST],
        .largest = p.texts[LSM_PROPERTY_LARGEST],
        .is_largest_exclusive = p.numbers[LSM_PROPERTY_LARGEST_EXCLUSIVE] != 0,
    };
    // A block takes at least a header's bytes, so the bitmap cannot be made large by a lie.
    if (table->summary.data_block_count > table->bytes.len / LSM_BLOCK_TRAILER_BYTES) {
        (void)tarn_fail(err, TARN_CORRUPT, "the properties count too many blocks");
        return fail_block(table, tarn_load_u64(handle), err);
    }
    return TARN_OK;
}

static tarn_status read_index(lsm_table *table, const uint8_t *footer, tarn_error *err) {
    const uint8_t *handle = footer + LSM_FOOTER_INDEX;
    if (tarn_load_u32(handle + 8) == 0) return TARN_OK;
    tarn_slice payload;
    TARN_TRY(read_plain(table, handle, &payload, err));
    tarn_status status = lsm_index_open(payload, table->order, false, &table->top, err);
    if (status != TARN_OK) return table_fail_at(table, tarn_load_u64(handle), status, err);
    table->partition_words = TARN_BITMAP_WORDS(table->top.count);
    table->block_words = TARN_BITMAP_WORDS(table->summary.data_block_count);
    table->checked_partitions =
        tarn_alloc_new(table->alloc, _Atomic uint64_t, table->partition_words);
    table->checked_blocks = tarn_alloc_new(table->alloc, _Atomic uint64_t, table->block_words);
    if (table->checked_partitions != NULL && table->checked_blocks != NULL) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a table");
}

static void *acquire_ranges(void *context, size_t size_bytes) {
    lsm_table *table = context;
    table->ranges_bytes = size_bytes;
    return table->alloc->acquire(table->alloc->context, size_bytes);
}

static bool take_text(tarn_slice *rest, tarn_slice *ret_text) {
    uint64_t len = 0;
    if (!tarn_varint_decode(rest, &len) || len > rest->len) return false;
    *ret_text = tarn_slice_head(*rest, (size_t)len);
    *rest = tarn_slice_skip(*rest, (size_t)len);
    return true;
}

static tarn_status decode_ranges(tarn_slice payload, lsm_range *ranges, size_t count,
                                 tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!take_text(&payload, &ranges[i].begin) || !take_text(&payload, &ranges[i].end) ||
            !tarn_varint_decode(&payload, &ranges[i].sequence) ||
            ranges[i].sequence > LSM_SEQUENCE_MAX) {
            return tarn_fail(err, TARN_CORRUPT, "range tombstone %zu of %zu is cut off", i, count);
        }
    }
    return payload.len == 0
               ? TARN_OK
               : tarn_fail(err, TARN_CORRUPT, "%zu bytes behind the range tombstones", payload.len);
}

static tarn_status read_ranges(lsm_table *table, const uint8_t *footer, tarn_error *err) {
    const uint8_t *handle = footer + LSM_FOOTER_RANGES;
    if (tarn_load_u32(handle + 8) == 0) return TARN_OK;
    tarn_slice payload;
    TARN_TRY(read_plain(table, handle, &payload, err));
    size_t count = (size_t)table->summary.range_count;
    // Each takes three bytes at least.
    if (count > payload.len / 3) {
        (void)tarn_fail(err, TARN_CORRUPT, "%zu bytes for %zu range tombstones", payload.len,
                        count);
        return fail_block(table, tarn_load_u64(handle), err);
    }
    lsm_range *ranges = tarn_alloc_new(table->alloc, lsm_range, count);
    if (ranges == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for range tombstones");
    tarn_status status = decode_ranges(payload, ranges, count, err);
    if (status != TARN_OK) {
        status = table_fail_at(table, tarn_load_u64(handle), status, err);
    } else {
        table->ranges =
            lsm_ranges_build(table->order, ranges, count, table->alloc, acquire_ranges, table);
        if (table->ranges == NULL) {
            status = tarn_fail(err, TARN_NO_MEMORY, "no memory for range tombstones");
        }
    }
    tarn_alloc_free(table->alloc, ranges, count);
    return status;
}

static tarn_status check_footer(const lsm_table *table, const uint8_t **ret_footer,
                                tarn_error *err) {
    if (table->bytes.len < LSM_FOOTER_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "%zu bytes are too few for a table", table->bytes.len);
    }
    uint64_t offset = table->bytes.len - LSM_FOOTER_BYTES;
    const uint8_t *footer = table->bytes.data + offset;
    if (tarn_load_u64(footer + LSM_FOOTER_MAGIC) != LSM_TABLE_MAGIC) {
        return tarn_fail(err, TARN_CORRUPT, "does not end as a table does");
    }
    uint32_t version = tarn_load_u32(footer + LSM_FOOTER_VERSION);
    if (version != LSM_TABLE_VERSION) {
        return tarn_fail(err, TARN_UNSUPPORTED, "table version %u; this program reads version %d",
                         version, LSM_TABLE_VERSION);
    }
    uint64_t file_id = tarn_load_u64(footer + LSM_FOOTER_FILE_ID);
    if (file_id != table->file_id) {
        return tarn_fail(err, TARN_CORRUPT, "is table %llu under the name of table %llu",
                         (unsigned long long)file_id, (unsigned long long)table->file_id);
    }
    uint32_t stored = tarn_load_u32(footer + LSM_FOOTER_CHECKSUM);
    uint32_t computed =
        lsm_block_checksum(file_id, offset, (tarn_slice){footer, LSM_FOOTER_CHECKSUM});
    if (stored != computed) {
        return tarn_fail(err, TARN_CORRUPT,
                         "footer at byte %llu: checksum is %08x, its bytes give %08x",
                         (unsigned long long)offset, stored, computed);
    }
    *ret_footer = footer;
    return TARN_OK;
}

static tarn_status open_parts(lsm_table *table, tarn_slice merge_name, tarn_error *err) {
    const uint8_t *footer = NULL;
    tarn_status status = check_footer(table, &footer, err);
    if (status == TARN_OK) {
        status = read_properties(table, footer, err);
        if (status == TARN_OK && table->summary.merge_count > 0) {
            status = check_name("merge operator", table->merge_name, merge_name, err);
        }
        if (status == TARN_INVALID) {
            tarn_error_prefix(err, TARN_SLICE_FMT ": ", TARN_SLICE_ARG(table->name));
        }
        if (status != TARN_OK) return status;
        memcpy(table->filter_handle, footer + LSM_FOOTER_FILTER, LSM_HANDLE_BYTES);
        TARN_TRY(read_index(table, footer, err));
        return read_ranges(table, footer, err);
    }
    tarn_error_prefix(err, TARN_SLICE_FMT ": ", TARN_SLICE_ARG(table->name));
    return status;
}

tarn_status lsm_table_open(const tarn_alloc *alloc, const lsm_table_source *source,
                           lsm_table **ret_table, tarn_error *err) {
    lsm_table *table = tarn_alloc_new(alloc, lsm_table, 1);
    if (table == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a table");
    table->alloc = alloc;
    table->bytes = source->bytes;
    table->file_id = source->file_id;
    table->order = source->order;
    table->cache = source->cache;
    size_t name_len =
        source->name.len < sizeof table->name_text ? source->name.len : sizeof table->name_text;
    if (name_len > 0) memcpy(table->name_text, source->name.data, name_len);
    table->name = (tarn_slice){table->name_text, name_len};
    tarn_status status = open_parts(table, source->merge_name, err);
    if (status != TARN_OK) {
        lsm_table_close(table);
        return status;
    }
    *ret_table = table;
    return TARN_OK;
}

void lsm_table_close(lsm_table *table) {
    if (table == NULL) return;
    if (table->ranges != NULL) {
        union {
            const lsm_ranges *kept;
            void *memory;
        } ranges = {table->ranges};
        table->alloc->release(table->alloc->context, ranges.memory, table->ranges_bytes);
    }
    tarn_alloc_free(table->alloc, table->checked_blocks, table->block_words);
    tarn_alloc_free(table->alloc, table->checked_partitions, table->partition_words);
    tarn_alloc_free(table->alloc, table, 1);
}

const lsm_table_summary *lsm_table_get_summary(const lsm_table *table) {
    return &table->summary;
}

const lsm_ranges *lsm_table_ranges(const lsm_table *table) {
    return table->ranges;
}

size_t lsm_table_memory(const lsm_table *table) {
    return sizeof *table + table->ranges_bytes + (table->block_words + table->partition_words) * 8;
}

size_t lsm_table_prefix_bytes(const lsm_table *table) {
    return table->prefix_bytes;
}

// The filter is checked as a whole when it is asked for the first time.
static tarn_status open_filter(lsm_table *table, tarn_error *err) {
    tarn_slice lines;
    TARN_TRY(read_plain(table, table->filter_handle, &lines, err));
    if (lines.len % LSM_FILTER_LINE_BYTES != 0 || table->filter_probes == 0 ||
        table->filter_probes > LSM_FILTER_PROBES_MAX) {
        (void)tarn_fail(err, TARN_CORRUPT, "a filter of %zu bytes with %u probes", lines.len,
                        table->filter_probes);
        return fail_block(table, tarn_load_u64(table->filter_handle), err);
    }
    // Release: pairs with the acquire in lsm_table_filter. All threads store the same.
    atomic_store_explicit(&table->filter_lines, lines.data, memory_order_release);
    return TARN_OK;
}

tarn_status lsm_table_filter(lsm_table *table, uint64_t hash, lsm_filter_answer *ret_answer,
                             tarn_error *err) {
    size_t len = tarn_load_u32(table->filter_handle + 8);
    if (len == 0) {
        *ret_answer = LSM_FILTER_NONE;
        return TARN_OK;
    }
    const uint8_t *lines = atomic_load_explicit(&table->filter_lines, memory_order_acquire);
    if (lines == NULL) {
        TARN_TRY(open_filter(table, err));
        lines = atomic_load_explicit(&table->filter_lines, memory_order_relaxed);
    }
    *ret_answer =
        lsm_filter_may_hold(lines, len - LSM_BLOCK_TRAILER_BYTES, table->filter_probes, hash)
            ? LSM_FILTER_MAYBE
            : LSM_FILTER_NO;
    return TARN_OK;
}

tarn_status lsm_table_offset_of(lsm_table *table, tarn_slice key, uint64_t *ret_offset,
                                tarn_error *err) {
    uint32_t partition = table->top.count == 0 ? 0 : lsm_index_seek(&table->top, key);
    if (partition == table->top.count) {
        *ret_offset = table->bytes.len;
        return TARN_OK;
    }
    lsm_index index;
    TARN_TRY(table_read_partition(table, partition, &index, err));
    uint32_t block = lsm_index_seek(&index, key);
    uint64_t len;
    lsm_index_block(&index, block < index.count ? block : index.count - 1, ret_offset, &len);
    return TARN_OK;
}

tarn_status lsm_table_verify(lsm_table *table, tarn_error *err) {
    lsm_filter_answer answer;
    table_forget_checks(table);
    TARN_TRY(lsm_table_filter(table, 0, &answer, err));
    uint64_t count = 0;
    tarn_buffer last = {.alloc = table->alloc};
    uint64_t last_trailer = 0;
    lsm_table_cursor cursor;
    lsm_table_cursor_init(&cursor, table);
    tarn_status status = lsm_table_cursor_seek_first(&cursor, err);
    while (status == TARN_OK && cursor.is_valid) {
        if (count > 0 && lsm_compare(table->order, tarn_buffer_slice(&last), last_trailer,
                                     cursor.key, cursor.trailer) >= 0) {
            status = tarn_fail(err, TARN_CORRUPT, TARN_SLICE_FMT ": entry %llu is out of order",
                               TARN_SLICE_ARG(table->name), (unsigned long long)count);
            break;
        }
        count++;
        tarn_buffer_clear(&last);
        if (!tarn_buffer_append(&last, cursor.key)) {
            status = tarn_fail(err, TARN_NO_MEMORY, "no memory for a key");
            break;
        }
        last_trailer = cursor.trailer;
        status = lsm_table_cursor_next(&cursor, err);
    }
    if (status == TARN_OK && count != table->summary.entry_count) {
        status =
            tarn_fail(err, TARN_CORRUPT, TARN_SLICE_FMT ": %llu entries, its properties say %llu",
                      TARN_SLICE_ARG(table->name), (unsigned long long)count,
                      (unsigned long long)table->summary.entry_count);
    }
    lsm_table_cursor_reset(&cursor);
    tarn_buffer_free(&last);
    return status;
}

void table_forget_checks(lsm_table *table) {
    for (size_t i = 0; table->checked_blocks != NULL && i < table->block_words; i++) {
        atomic_store_explicit(&table->checked_blocks[i], 0, memory_order_relaxed);
    }
    for (size_t i = 0; table->checked_partitions != NULL && i < table->partition_words; i++) {
        atomic_store_explicit(&table->checked_partitions[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&table->filter_lines, NULL, memory_order_relaxed);
}
