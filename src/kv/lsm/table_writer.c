#include "base/alloc.h"
#include "base/varint.h"
#include "kv/lsm/filter.h"
#include "kv/lsm/table_format.h"

enum {
    PARTITION_BLOCKS = TARN_TUNABLE(128, 3),  // data blocks per index partition
    WRITE_BYTES = TARN_TUNABLE(1 << 20, 512), // what is collected before it goes to the file
};

typedef struct handle {
    uint64_t offset;
    uint64_t len; // with the trailer
} handle;

struct lsm_table_writer {
    const tarn_alloc *alloc;
    lsm_table_options options;
    tarn_file *file; // NULL: everything stays in `out`
    tarn_buffer out; // not yet in the file
    uint64_t flushed_bytes;
    lsm_block_builder block;
    lsm_index_builder partition;
    lsm_index_builder top;
    tarn_buffer partitions; // finished ones, to be written behind the data
    tarn_buffer payload;    // of the block at hand
    tarn_buffer hashes;     // of uint64_t, for the filter
    uint64_t last_hash, last_prefix_hash;
    tarn_buffer last_key;
    tarn_buffer smallest, largest;
    tarn_buffer ranges; // encoded: begin, end, sequence
    lsm_table_summary summary;
    bool has_last, has_last_prefix;
    bool has_pending; // a data block is written, and its index entry waits for the next key
    uint64_t pending_begin, pending_end;
};

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a table");
}

tarn_status lsm_table_writer_new(const tarn_alloc *alloc, const lsm_table_options *options,
                                 tarn_file *file, lsm_table_writer **ret_writer, tarn_error *err) {
    lsm_table_writer *writer = tarn_alloc_new(alloc, lsm_table_writer, 1);
    if (writer == NULL) return fail_memory(err);
    writer->alloc = alloc;
    writer->options = *options;
    writer->file = file;
    lsm_block_builder_init(&writer->block, alloc, options->order);
    lsm_index_builder_init(&writer->partition, alloc, options->order);
    lsm_index_builder_init(&writer->top, alloc, options->order);
    tarn_buffer *const buffers[] = {&writer->out,     &writer->partitions, &writer->payload,
                                    &writer->hashes,  &writer->last_key,   &writer->smallest,
                                    &writer->largest, &writer->ranges};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) buffers[i]->alloc = alloc;
    writer->summary.smallest_sequence = UINT64_MAX;
    writer->summary.created_us = options->created_us;
    *ret_writer = writer;
    return TARN_OK;
}

void lsm_table_writer_free(lsm_table_writer *writer) {
    if (writer == NULL) return;
    lsm_block_builder_reset(&writer->block);
    lsm_index_builder_reset(&writer->partition);
    lsm_index_builder_reset(&writer->top);
    tarn_buffer *const buffers[] = {&writer->out,     &writer->partitions, &writer->payload,
                                    &writer->hashes,  &writer->last_key,   &writer->smallest,
                                    &writer->largest, &writer->ranges};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) tarn_buffer_free(buffers[i]);
    tarn_alloc_free(writer->alloc, writer, 1);
}

static uint64_t position(const lsm_table_writer *writer) {
    return writer->flushed_bytes + writer->out.len;
}

static tarn_status flush(lsm_table_writer *writer, size_t above_bytes, tarn_error *err) {
    if (writer->file == NULL || writer->out.len <= above_bytes) return TARN_OK;
    TARN_TRY(tarn_file_append(writer->file, tarn_buffer_slice(&writer->out), err));
    writer->flushed_bytes += writer->out.len;
    tarn_buffer_clear(&writer->out);
    return TARN_OK;
}

static tarn_status put(tarn_buffer *buffer, tarn_slice bytes, tarn_error *err) {
    if (bytes.len == 0) return TARN_OK;
    return tarn_buffer_append(buffer, bytes) ? TARN_OK : fail_memory(err);
}

static tarn_status replace(tarn_buffer *buffer, tarn_slice bytes, tarn_error *err) {
    tarn_buffer_clear(buffer);
    return put(buffer, bytes, err);
}

// Writes a block as it is stored, with its trailer.
static tarn_status put_block(lsm_table_writer *writer, tarn_slice stored, tarn_codec codec,
                             handle *ret_handle, tarn_error *err) {
    handle h = {position(writer), stored.len + LSM_BLOCK_TRAILER_BYTES};
    if (h.len > UINT32_MAX) return tarn_fail(err, TARN_INVALID, "block of a table is too large");
    size_t begin = writer->out.len;
    if (!tarn_buffer_reserve(&writer->out, h.len)) return fail_memory(err);
    TARN_TRY(put(&writer->out, stored, err));
    writer->out.data[writer->out.len++] = (uint8_t)codec;
    tarn_slice checked = {writer->out.data + begin, writer->out.len - begin};
    tarn_store_u32(writer->out.data + writer->out.len,
                   lsm_block_checksum(writer->options.file_id, h.offset, checked));
    writer->out.len += 4;
    *ret_handle = h;
    return TARN_OK;
}

// Compresses when that gains an eighth. A compressed block begins with its length before.
static tarn_status put_data_block(lsm_table_writer *writer, tarn_slice payload, handle *ret_handle,
                                  tarn_error *err) {
    tarn_codec codec = writer->options.codec;
    if (codec == TARN_CODEC_NONE) {
        return put_block(writer, payload, TARN_CODEC_NONE, ret_handle, err);
    }
    tarn_buffer packed = {.alloc = writer->alloc};
    uint8_t len[4];
    tarn_store_u32(len, (uint32_t)payload.len);
    tarn_status status = put(&packed, (tarn_slice){len, sizeof len}, err);
    if (status == TARN_OK) status = tarn_compress(codec, 0, payload, &packed, err);
    if (status == TARN_OK && packed.len <= payload.len - payload.len / 8) {
        status = put_block(writer, tarn_buffer_slice(&packed), codec, ret_handle, err);
    } else if (status == TARN_OK) {
        status = put_block(writer, payload, TARN_CODEC_NONE, ret_handle, err);
    }
    tarn_buffer_free(&packed);
    return status;
}

// ---- index ----

static tarn_status finish_partition(lsm_table_writer *writer, tarn_slice last_key,
                                    tarn_error *err) {
    uint64_t begin = writer->partitions.len;
    TARN_TRY(lsm_index_builder_finish(&writer->partition, &writer->partitions, err));
    // Room for the trailer, which needs the partition's place in the file.
    if (!tarn_buffer_reserve(&writer->partitions, LSM_BLOCK_TRAILER_BYTES)) return fail_memory(err);
    memset(writer->partitions.data + writer->partitions.len, 0, LSM_BLOCK_TRAILER_BYTES);
    writer->partitions.len += LSM_BLOCK_TRAILER_BYTES;
    // Offsets are relative to the first partition until all data are written.
    return lsm_index_builder_add(&writer->top, last_key, begin, writer->partitions.len, err);
}

// A short key that is not less than `last` and less than `next`, in place in last_key.
static void shorten_last_key(lsm_table_writer *writer, tarn_slice next) {
    tarn_slice last = tarn_buffer_slice(&writer->last_key);
    if (!lsm_order_is_bytewise(writer->options.order)) return;
    size_t common = lsm_common_prefix(last, next);
    if (common >= last.len || common >= next.len) return;
    if (last.data[common] + 1 >= next.data[common]) return;
    writer->last_key.data[common]++;
    writer->last_key.len = common + 1;
}

// Adds the index entry of the block written last, now that the next key, if any, is known.
static tarn_status index_pending(lsm_table_writer *writer, const tarn_slice *next,
                                 tarn_error *err) {
    if (!writer->has_pending) return TARN_OK;
    if (next != NULL) shorten_last_key(writer, *next);
    writer->has_pending = false;
    tarn_slice key = tarn_buffer_slice(&writer->last_key);
    TARN_TRY(lsm_index_builder_add(&writer->partition, key, writer->pending_begin,
                                   writer->pending_end, err));
    if (writer->partition.count < PARTITION_BLOCKS &&
        lsm_index_builder_fits(&writer->partition, writer->pending_end + INT32_MAX)) {
        return TARN_OK;
    }
    return finish_partition(writer, key, err);
}

static tarn_status finish_block(lsm_table_writer *writer, tarn_error *err) {
    if (writer->block.count == 0) return TARN_OK;
    tarn_buffer_clear(&writer->payload);
    TARN_TRY(lsm_block_builder_finish(&writer->block, &writer->payload, err));
    handle h;
    TARN_TRY(put_data_block(writer, tarn_buffer_slice(&writer->payload), &h, err));
    writer->summary.data_block_count++;
    writer->has_pending = true;
    writer->pending_begin = h.offset;
    writer->pending_end = h.offset + h.len;
    return flush(writer, WRITE_BYTES, err);
}

// ---- entries ----

static tarn_status put_hash(lsm_table_writer *writer, uint64_t hash, uint64_t *last, bool *has_last,
                            tarn_error *err) {
    if (*has_last && *last == hash) return TARN_OK;
    *last = hash;
    *has_last = true;
    return put(&writer->hashes, (tarn_slice){(const uint8_t *)&hash, sizeof hash}, err);
}

static tarn_status add_to_filter(lsm_table_writer *writer, tarn_slice key, tarn_error *err) {
    if (writer->options.filter_bits == 0) return TARN_OK;
    size_t prefix_bytes = writer->options.prefix_bytes;
    if (prefix_bytes > 0 && key.len >= prefix_bytes) {
        TARN_TRY(put_hash(writer, lsm_filter_hash(tarn_slice_head(key, prefix_bytes)),
                          &writer->last_prefix_hash, &writer->has_last_prefix, err));
    }
    return put_hash(writer, lsm_filter_hash(key), &writer->last_hash, &writer->has_last, err);
}

static void count_sequence(lsm_table_summary *summary, uint64_t sequence) {
    if (sequence < summary->smallest_sequence) summary->smallest_sequence = sequence;
    if (sequence > summary->largest_sequence) summary->largest_sequence = sequence;
}

tarn_status lsm_table_writer_add(lsm_table_writer *writer, tarn_slice key, uint64_t trailer,
                                 tarn_slice value, tarn_error *err) {
    lsm_table_summary *summary = &writer->summary;
    TARN_TRY(index_pending(writer, &key, err));
    if (summary->entry_count == 0) TARN_TRY(replace(&writer->smallest, key, err));
    TARN_TRY(lsm_block_builder_add(&writer->block, key, trailer, value, err));
    TARN_TRY(add_to_filter(writer, key, err));
    summary->entry_count++;
    summary->key_bytes += key.len;
    summary->value_bytes += value.len;
    summary->delete_count += lsm_trailer_kind(trailer) == KV_DELETE;
    summary->merge_count += lsm_trailer_kind(trailer) == KV_MERGE;
    count_sequence(summary, lsm_trailer_sequence(trailer));
    TARN_TRY(replace(&writer->last_key, key, err));
    if (lsm_block_builder_bytes(&writer->block) >= writer->options.block_bytes) {
        return finish_block(writer, err);
    }
    return TARN_OK;
}

// ---- range tombstones ----

static tarn_status put_varint(tarn_buffer *out, uint64_t value, tarn_error *err) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    return put(out, (tarn_slice){bytes, tarn_varint_encode(bytes, value)}, err);
}

static tarn_status put_text(tarn_buffer *out, tarn_slice text, tarn_error *err) {
    TARN_TRY(put_varint(out, text.len, err));
    return put(out, text, err);
}

static void widen_bounds(lsm_table_writer *writer, const lsm_range *range) {
    lsm_order order = writer->options.order;
    lsm_table_summary *summary = &writer->summary;
    bool is_first = summary->range_count == 0;
    if (is_first || lsm_compare_bounds(order, range->begin, summary->smallest) < 0) {
        summary->smallest = range->begin;
    }
    if (!is_first && summary->largest.len == 0) return; // unbounded already
    if (is_first || range->end.len == 0 ||
        lsm_compare_keys(order, range->end, summary->largest) > 0) {
        summary->largest = range->end;
    }
}

tarn_status lsm_table_writer_add_range(lsm_table_writer *writer, const lsm_range *range,
                                       tarn_error *err) {
    tarn_assert(range->end.len == 0 ||
                lsm_compare_bounds(writer->options.order, range->begin, range->end) < 0);
    TARN_TRY(put_text(&writer->ranges, range->begin, err));
    TARN_TRY(put_text(&writer->ranges, range->end, err));
    TARN_TRY(put_varint(&writer->ranges, range->sequence, err));
    writer->summary.range_count++;
    count_sequence(&writer->summary, range->sequence);
    return TARN_OK;
}

// The bounds of the tombstones, from their encoded form: it does not move any more.
static void bound_ranges(lsm_table_writer *writer) {
    uint64_t count = writer->summary.range_count;
    tarn_slice rest = tarn_buffer_slice(&writer->ranges);
    writer->summary.range_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        lsm_range range = {0};
        uint64_t len = 0;
        bool is_whole = tarn_varint_decode(&rest, &len);
        range.begin = tarn_slice_head(rest, is_whole ? (size_t)len : 0);
        rest = tarn_slice_skip(rest, range.begin.len);
        is_whole = is_whole && tarn_varint_decode(&rest, &len);
        range.end = tarn_slice_head(rest, is_whole ? (size_t)len : 0);
        rest = tarn_slice_skip(rest, range.end.len);
        is_whole = is_whole && tarn_varint_decode(&rest, &range.sequence);
        tarn_assert(is_whole);
        widen_bounds(writer, &range);
        writer->summary.range_count++;
    }
}

// Bounds over entries and tombstones together.
static void find_bounds(lsm_table_writer *writer) {
    lsm_order order = writer->options.order;
    lsm_table_summary *summary = &writer->summary;
    tarn_slice first = tarn_buffer_slice(&writer->smallest);
    tarn_slice last = tarn_buffer_slice(&writer->largest);
    if (summary->range_count == 0) {
        summary->smallest = first;
        summary->largest = last;
        return;
    }
    bound_ranges(writer);
    summary->is_largest_exclusive = true;
    if (summary->entry_count == 0) return;
    if (lsm_compare_bounds(order, first, summary->smallest) < 0) summary->smallest = first;
    if (summary->largest.len > 0 && lsm_compare_keys(order, last, summary->largest) >= 0) {
        summary->largest = last;
        summary->is_largest_exclusive = false;
    }
}

// ---- finishing ----

static tarn_status put_filter(lsm_table_writer *writer, handle *ret_handle, tarn_error *err) {
    size_t count = writer->hashes.len / sizeof(uint64_t);
    if (count == 0) return TARN_OK;
    // Lines of the cache are to be lines of the file.
    size_t padding = (size_t)(-position(writer) & (LSM_FILTER_LINE_BYTES - 1));
    size_t len = lsm_filter_bytes(count, writer->options.filter_bits);
    tarn_buffer lines = {.alloc = writer->alloc};
    if (!tarn_buffer_reserve(&lines, len) || !tarn_buffer_reserve(&writer->out, padding)) {
        tarn_buffer_free(&lines);
        return fail_memory(err);
    }
    memset(writer->out.data + writer->out.len, 0, padding);
    writer->out.len += padding;
    memset(lines.data, 0, len);
    lines.len = len;
    uint32_t probes = lsm_filter_probes(writer->options.filter_bits);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash;
        memcpy(&hash, writer->hashes.data + i * sizeof hash, sizeof hash);
        lsm_filter_add(lines.data, len, probes, hash);
    }
    tarn_status status =
        put_block(writer, tarn_buffer_slice(&lines), TARN_CODEC_NONE, ret_handle, err);
    tarn_buffer_free(&lines);
    return status;
}

static tarn_status put_index(lsm_table_writer *writer, handle *ret_handle, tarn_error *err) {
    if (writer->summary.entry_count == 0) return TARN_OK;
    if (writer->partition.count > 0) {
        TARN_TRY(finish_partition(writer, tarn_buffer_slice(&writer->last_key), err));
    }
    // Every partition is written anew at its place, which its checksum depends on.
    uint64_t base = position(writer);
    tarn_buffer_clear(&writer->payload);
    lsm_index_builder_move(&writer->top, base);
    TARN_TRY(lsm_index_builder_finish(&writer->top, &writer->payload, err));
    lsm_index top;
    TARN_TRY(lsm_index_open(tarn_buffer_slice(&writer->payload), writer->options.order, true, &top,
                            err));
    for (uint32_t i = 0; i < top.count; i++) {
        uint64_t offset;
        uint64_t len;
        lsm_index_block(&top, i, &offset, &len);
        tarn_slice partition = {writer->partitions.data + (offset - base),
                                len - LSM_BLOCK_TRAILER_BYTES};
        handle h;
        TARN_TRY(put_block(writer, partition, TARN_CODEC_NONE, &h, err));
        tarn_assert(h.offset == offset);
        tarn_assert(h.len == len);
        TARN_TRY(flush(writer, WRITE_BYTES, err));
    }
    return put_block(writer, tarn_buffer_slice(&writer->payload), TARN_CODEC_NONE, ret_handle, err);
}

static tarn_status put_number(tarn_buffer *out, lsm_property property, uint64_t value,
                              tarn_error *err) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    TARN_TRY(put_varint(out, property, err));
    return put_text(out, (tarn_slice){bytes, tarn_varint_encode(bytes, value)}, err);
}

static tarn_status put_name(tarn_buffer *out, lsm_property property, tarn_slice text,
                            tarn_error *err) {
    TARN_TRY(put_varint(out, property, err));
    return put_text(out, text, err);
}

static tarn_status put_properties(lsm_table_writer *writer, handle *ret_handle, tarn_error *err) {
    const lsm_table_summary *s = &writer->summary;
    const lsm_table_options *options = &writer->options;
    const struct {
        lsm_property property;
        uint64_t value;
    } numbers[] = {
        {LSM_PROPERTY_ENTRIES, s->entry_count},
        {LSM_PROPERTY_DELETES, s->delete_count},
        {LSM_PROPERTY_MERGES, s->merge_count},
        {LSM_PROPERTY_RANGES, s->range_count},
        {LSM_PROPERTY_KEY_BYTES, s->key_bytes},
        {LSM_PROPERTY_VALUE_BYTES, s->value_bytes},
        {LSM_PROPERTY_DATA_BLOCKS, s->data_block_count},
        {LSM_PROPERTY_SMALLEST_SEQUENCE, s->smallest_sequence},
        {LSM_PROPERTY_LARGEST_SEQUENCE, s->largest_sequence},
        {LSM_PROPERTY_CREATED_US, tarn_zigzag_encode(s->created_us)},
        {LSM_PROPERTY_FILTER_PROBES, lsm_filter_probes(options->filter_bits)},
        {LSM_PROPERTY_PREFIX_BYTES, options->prefix_bytes},
        {LSM_PROPERTY_LARGEST_EXCLUSIVE, s->is_largest_exclusive},
    };
    tarn_buffer_clear(&writer->payload);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        TARN_TRY(put_number(&writer->payload, numbers[i].property, numbers[i].value, err));
    }
    TARN_TRY(put_name(&writer->payload, LSM_PROPERTY_SMALLEST, s->smallest, err));
    TARN_TRY(put_name(&writer->payload, LSM_PROPERTY_LARGEST, s->largest, err));
    TARN_TRY(put_name(&writer->payload, LSM_PROPERTY_COMPARATOR,
                      lsm_comparator_name(options->order), err));
    TARN_TRY(put_name(&writer->payload, LSM_PROPERTY_MERGE, options->merge_name, err));
    return put_block(writer, tarn_buffer_slice(&writer->payload), TARN_CODEC_NONE, ret_handle, err);
}

static void store_handle(uint8_t *at, handle h) {
    tarn_store_u64(at, h.offset);
    tarn_store_u32(at + 8, (uint32_t)h.len);
}

tarn_status lsm_table_writer_finish(lsm_table_writer *writer, lsm_table_summary *ret_summary,
                                    tarn_error *err) {
    tarn_assert(!lsm_table_writer_is_empty(writer));
    handle properties = {0, 0};
    handle index = {0, 0};
    handle filter = {0, 0};
    handle ranges = {0, 0};
    TARN_TRY(replace(&writer->largest, tarn_buffer_slice(&writer->last_key), err));
    TARN_TRY(finish_block(writer, err));
    TARN_TRY(index_pending(writer, NULL, err));
    find_bounds(writer);
    TARN_TRY(put_index(writer, &index, err));
    TARN_TRY(put_filter(writer, &filter, err));
    if (writer->summary.range_count > 0) {
        TARN_TRY(
            put_block(writer, tarn_buffer_slice(&writer->ranges), TARN_CODEC_NONE, &ranges, err));
    }
    TARN_TRY(put_properties(writer, &properties, err));
    uint8_t footer[LSM_FOOTER_BYTES] = {0};
    store_handle(footer + LSM_FOOTER_PROPERTIES, properties);
    store_handle(footer + LSM_FOOTER_INDEX, index);
    store_handle(footer + LSM_FOOTER_FILTER, filter);
    store_handle(footer + LSM_FOOTER_RANGES, ranges);
    tarn_store_u64(footer + LSM_FOOTER_FILE_ID, writer->options.file_id);
    tarn_store_u32(footer + LSM_FOOTER_VERSION, LSM_TABLE_VERSION);
    tarn_store_u32(footer + LSM_FOOTER_CHECKSUM,
                   lsm_block_checksum(writer->options.file_id, position(writer),
                                      (tarn_slice){footer, LSM_FOOTER_CHECKSUM}));
    tarn_store_u64(footer + LSM_FOOTER_MAGIC, LSM_TABLE_MAGIC);
    TARN_TRY(put(&writer->out, (tarn_slice){footer, sizeof footer}, err));
    writer->summary.file_bytes = position(writer);
    TARN_TRY(flush(writer, 0, err));
    *ret_summary = writer->summary;
    return TARN_OK;
}

uint64_t lsm_table_writer_size(const lsm_table_writer *writer) {
    return position(writer) + lsm_block_builder_bytes(&writer->block) + writer->ranges.len;
}

bool lsm_table_writer_is_empty(const lsm_table_writer *writer) {
    return writer->summary.entry_count == 0 && writer->summary.range_count == 0;
}

tarn_slice lsm_table_writer_bytes(const lsm_table_writer *writer) {
    return tarn_buffer_slice(&writer->out);
}
