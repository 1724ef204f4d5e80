// From the rows of a column to the pages of its chunk.

#include "base/bitmap.h"
#include "format/parquet/bits.h"
#include "format/parquet/column_writer.h"
#include "format/parquet/crc32.h"
#include "format/parquet/delta.h"
#include "format/parquet/hybrid.h"
#include "format/parquet/meta.h"
#include "format/parquet/thrift.h"

// One chunk while it is written.
typedef struct chunk_job {
    parquet_column_writer *writer;
    parquet_sink *sink;
    parquet_chunk_entry *entry;
    unsigned code_width;
    uint64_t next_row;
    uint64_t next_value;
    const uint8_t *next_plain; // where next_value lies in PLAIN form
    parquet_bounds bounds;
    parquet_bounds page_bounds; // of the last page that has any
    bool is_ascending;          // of the bounds of the pages so far
    bool is_descending;
    size_t page_capacity;
} chunk_job;

// The rows of one page.
typedef struct page_rows {
    uint64_t row_count;
    uint64_t value_count;
    size_t plain_bytes; // without a dictionary
} page_rows;

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a page");
}

static const uint32_t *codes_of(const parquet_column_writer *writer) {
    return (const uint32_t *)(const void *)writer->codes.data;
}

static bool is_integer(const parquet_column_writer *writer) {
    int32_t type = writer->storage.element.type;
    return type == PARQUET_INT32 || type == PARQUET_INT64;
}

static int64_t load_integer(const parquet_column_writer *writer, const uint8_t *stored) {
    return writer->storage.stored_width == 4 ? (int32_t)tarn_load_u32(stored)
                                             : (int64_t)tarn_load_u64(stored);
}

// ---- choosing the encoding ----

// The i-th value, from the dictionary or not.
static const uint8_t *stored_at(const parquet_column_writer *writer, uint64_t i) {
    size_t width = writer->storage.stored_width;
    if (!writer->uses_dictionary) return writer->plain.data + width * i;
    return writer->dictionary.values.data + width * codes_of(writer)[i];
}

// About how many bytes the integers would take as differences, from some blocks of them.
static uint64_t estimate_delta(const parquet_column_writer *writer) {
    enum { SAMPLES = 32 };
    int64_t values[PARQUET_DELTA_BLOCK + 1];
    uint64_t block_count = (writer->value_count - 1) / PARQUET_DELTA_BLOCK;
    tarn_assert(block_count > 0);
    uint64_t step = block_count <= SAMPLES ? 1 : block_count / SAMPLES;
    uint64_t sampled_bytes = 0;
    uint64_t sampled_count = 0;
    for (uint64_t block = 0; block < block_count; block += step) {
        for (uint64_t i = 0; i <= PARQUET_DELTA_BLOCK; i++) {
            values[i] = load_integer(writer, stored_at(writer, block * PARQUET_DELTA_BLOCK + i));
        }
        sampled_bytes += parquet_delta_block_bytes(values);
        sampled_count += PARQUET_DELTA_BLOCK;
    }
    return sampled_bytes * writer->value_count / sampled_count;
}

// The same for PLAIN; strings weigh as much as those of the dictionary do on average.
static uint64_t estimate_plain(const parquet_column_writer *writer) {
    if (!writer->uses_dictionary) return writer->plain.len;
    const parquet_dictionary *dictionary = &writer->dictionary;
    tarn_assert(dictionary->count > 0); // there are values
    return dictionary->plain_bytes * writer->value_count / dictionary->count;
}

// Small chunks are not worth a thought: PLAIN, or a dictionary if values repeat.
static int32_t choose_encoding(const parquet_column_writer *writer) {
    if (writer->value_count == 0) return PARQUET_PLAIN;
    uint64_t plain_bytes = estimate_plain(writer);
    uint64_t delta_bytes = UINT64_MAX;
    if (is_integer(writer) && writer->value_count > 2 * (uint64_t)PARQUET_DELTA_BLOCK) {
        delta_bytes = estimate_delta(writer);
    }
    if (writer->uses_dictionary) {
        unsigned width = parquet_bits_width(writer->dictionary.count - 1);
        uint64_t coded_bytes =
            writer->dictionary.plain_bytes + parquet_bits_bytes(writer->value_count, width);
        // Readers gain from a dictionary beyond its size; the others must be clearly smaller.
        if (coded_bytes < plain_bytes && coded_bytes / 10 * 7 <= delta_bytes) {
            return PARQUET_RLE_DICTIONARY;
        }
    }
    return delta_bytes < plain_bytes / 10 * 9 ? PARQUET_DELTA_BINARY_PACKED : PARQUET_PLAIN;
}

// ---- writing pages ----

static tarn_status emit(chunk_job *job, const parquet_thrift_writer *header, tarn_slice body,
                        size_t unpacked_len, tarn_error *err) {
    parquet_sink *sink = job->sink;
    if (header->failed) return fail_memory(err);
    TARN_TRY(tarn_store_writer_append(sink->out, tarn_buffer_slice(&sink->header), err));
    TARN_TRY(tarn_store_writer_append(sink->out, body, err));
    job->entry->compressed_bytes += sink->header.len + body.len;
    job->entry->uncompressed_bytes += sink->header.len + unpacked_len;
    return TARN_OK;
}

static tarn_status pack_page(parquet_sink *sink, tarn_slice *ret_body, tarn_error *err) {
    if (sink->page.len > INT32_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "page of %zu bytes, the format allows 2 GiB",
                         sink->page.len);
    }
    *ret_body = tarn_buffer_slice(&sink->page);
    if (sink->codec == TARN_CODEC_NONE) return TARN_OK;
    tarn_buffer_clear(&sink->packed);
    TARN_TRY(tarn_compress(sink->codec, sink->level, *ret_body, &sink->packed, err));
    if (sink->packed.len > INT32_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "page of %zu bytes, the format allows 2 GiB",
                         sink->packed.len);
    }
    *ret_body = tarn_buffer_slice(&sink->packed);
    return TARN_OK;
}

// The part of a page header that all types share.
static parquet_thrift_writer start_header(parquet_sink *sink, int32_t page_type, tarn_slice body) {
    tarn_buffer_clear(&sink->header);
    parquet_thrift_writer header = parquet_thrift_write_to(&sink->header);
    parquet_thrift_put_i32(&header, 1, page_type);
    parquet_thrift_put_i32(&header, 2, (int32_t)sink->page.len);
    parquet_thrift_put_i32(&header, 3, (int32_t)body.len);
    parquet_thrift_put_i32(&header, 4, (int32_t)parquet_crc32(0, body));
    return header;
}

static tarn_status write_dictionary(chunk_job *job, tarn_error *err) {
    parquet_sink *sink = job->sink;
    const parquet_dictionary *dictionary = &job->writer->dictionary;
    job->entry->dictionary_page_offset = tarn_store_writer_position(sink->out);
    tarn_buffer_clear(&sink->page);
    if (!parquet_dictionary_put_plain(dictionary, &sink->page)) return fail_memory(err);
    tarn_slice body;
    TARN_TRY(pack_page(sink, &body, err));
    parquet_thrift_writer header = start_header(sink, PARQUET_PAGE_DICTIONARY, body);
    parquet_thrift_begin_struct(&header, 7);
    parquet_thrift_put_i32(&header, 1, (int32_t)dictionary->count);
    parquet_thrift_put_i32(&header, 2, PARQUET_PLAIN);
    parquet_thrift_end_struct(&header);
    parquet_thrift_end_struct(&header);
    return emit(job, &header, body, sink->page.len, err);
}

// ---- the rows of a page ----

static uint64_t count_values(const chunk_job *job, uint64_t row_count) {
    if (!job->writer->storage.column.is_optional) return row_count;
    const uint64_t *words = (const uint64_t *)(const void *)job->writer->validity.data;
    return parquet_bits_count(words, (size_t)job->next_row, (size_t)row_count);
}

static size_t plain_bytes(const chunk_job *job, uint64_t value_count) {
    uint32_t width = job->writer->storage.stored_width;
    if (width > 0) return (size_t)value_count * width;
    size_t bytes = 0;
    for (uint64_t i = 0; i < value_count; i++) {
        bytes += 4 + (size_t)tarn_load_u32(job->next_plain + bytes);
    }
    return bytes;
}

// As many rows as fit a page, at least one.
static page_rows choose_rows(const chunk_job *job) {
    const parquet_column_writer *writer = job->writer;
    uint64_t left = writer->row_count - job->next_row;
    page_rows rows = {.row_count = left < job->sink->page_rows ? left : job->sink->page_rows};
    for (;; rows.row_count = (rows.row_count + 1) / 2) {
        rows.value_count = count_values(job, rows.row_count);
        if (writer->uses_dictionary) {
            rows.plain_bytes = parquet_bits_bytes((size_t)rows.value_count, job->code_width);
        } else {
            rows.plain_bytes = plain_bytes(job, rows.value_count);
        }
        if (rows.plain_bytes <= job->sink->page_bytes || rows.row_count == 1) return rows;
    }
}

// ---- bounds of a page ----

// Stored values, through the reader's conversion, as it will see them.
static bool add_stored(chunk_job *job, parquet_bounds *bounds, const uint8_t *stored,
                       size_t count) {
    enum { STEP = 1024 };
    const parquet_storage *storage = &job->writer->storage;
    tarn_buffer *values = &job->sink->values;
    tarn_buffer_clear(values);
    if (!tarn_buffer_reserve(values, (size_t)STEP * storage->value_width)) return false;
    for (size_t done = 0; done < count; done += STEP) {
        size_t step = count - done < STEP ? count - done : STEP;
        const uint8_t *from = stored + done * storage->stored_width;
        tarn_status status = parquet_convert(&storage->back, from, step, values->data, NULL);
        tarn_assert(status == TARN_OK); // we stored them
        parquet_bounds_add(bounds, storage->type, values->data, step);
    }
    return true;
}

// Each of the dictionary's values that the page uses, once.
static bool add_used(chunk_job *job, parquet_bounds *bounds, const uint32_t *codes, size_t count) {
    const parquet_dictionary *dictionary = &job->writer->dictionary;
    const parquet_storage *storage = &job->writer->storage;
    tarn_buffer *bits = &job->sink->bits;
    tarn_buffer *used = &job->sink->packed; // free until the page is compressed
    size_t word_count = TARN_BITMAP_WORDS(dictionary->count);
    size_t step = storage->stored_width;
    tarn_buffer_clear(bits);
    tarn_buffer_clear(used);
    if (!tarn_buffer_reserve(bits, word_count * sizeof(uint64_t)) ||
        !tarn_buffer_reserve(used,
                             (count < dictionary->count ? count : dictionary->count) * step)) {
        return false;
    }
    uint64_t *words = (uint64_t *)(void *)bits->data;
    memset(words, 0, word_count * sizeof *words);
    for (size_t i = 0; i < count; i++) tarn_bitmap_set(words, codes[i]);
    const tarn_string *strings = (const tarn_string *)(const void *)dictionary->values.data;
    size_t used_count = 0;
    for (size_t word = 0; word < word_count; word++) {
        for (uint64_t left = words[word]; left != 0; left &= left - 1) {
            size_t code = 64 * word + (size_t)__builtin_ctzll(left);
            if (step == 0) {
                parquet_bounds_add_string(bounds, storage->type, tarn_string_slice(&strings[code]));
            } else {
                memcpy(used->data + step * used_count, dictionary->values.data + step * code, step);
            }
            used_count++;
        }
    }
    return step == 0 || add_stored(job, bounds, used->data, used_count);
}

// Every value of the page: floats, of which NaN must be counted.
static bool add_coded(chunk_job *job, parquet_bounds *bounds, const uint32_t *codes, size_t count) {
    tarn_buffer *values = &job->sink->packed; // free until the page is compressed
    tarn_buffer_clear(values);
    return parquet_dictionary_decode(&job->writer->dictionary, codes, count, values) &&
           add_stored(job, bounds, values->data, count);
}

static bool find_bounds(chunk_job *job, const page_rows *rows, parquet_bounds *bounds) {
    const parquet_storage *storage = &job->writer->storage;
    size_t count = (size_t)rows->value_count;
    if (job->writer->uses_dictionary) {
        const uint32_t *codes = codes_of(job->writer) + job->next_value;
        bool is_float = storage->type.id == TARN_TYPE_REAL || storage->type.id == TARN_TYPE_DOUBLE;
        return is_float ? add_coded(job, bounds, codes, count)
                        : add_used(job, bounds, codes, count);
    }
    if (storage->stored_width == 0) {
        parquet_bounds_add_plain_strings(bounds, storage->type, job->next_plain, count);
        return true;
    }
    return add_stored(job, bounds, job->next_plain, count);
}

// ---- data pages ----

static bool put_levels(chunk_job *job, const page_rows *rows) {
    parquet_sink *sink = job->sink;
    if (!job->writer->storage.column.is_optional) return true;
    // Page boundaries fall anywhere in the bitmap: the levels start at a word again.
    const tarn_buffer *validity = &job->writer->validity;
    size_t bytes = (TARN_BITMAP_WORDS((size_t)rows->row_count) + 1) * sizeof(uint64_t);
    tarn_buffer_clear(&sink->bits);
    if (!tarn_buffer_reserve(&sink->bits, bytes)) return false;
    memset(sink->bits.data, 0, bytes);
    uint64_t *words = (uint64_t *)(void *)sink->bits.data;
    parquet_bits_copy(words, 0, tarn_buffer_slice(validity), (size_t)job->next_row,
                      (size_t)rows->row_count);
    size_t len_at = sink->page.len;
    if (!tarn_buffer_append(&sink->page, TARN_LIT("\0\0\0\0"))) return false;
    if (!parquet_hybrid_encode_bits(words, (size_t)rows->row_count, &sink->page)) return false;
    tarn_store_u32(sink->page.data + len_at, (uint32_t)(sink->page.len - len_at - 4));
    return true;
}

static bool put_booleans(const uint8_t *values, size_t count, tarn_buffer *page) {
    size_t bytes = parquet_bits_bytes(count, 1);
    if (!tarn_buffer_reserve(page, bytes)) return false;
    uint8_t *to = page->data + page->len;
    memset(to, 0, bytes);
    for (size_t i = 0; i < count; i++) to[i / 8] |= (uint8_t)((values[i] != 0) << i % 8);
    page->len += bytes;
    return true;
}

static bool put_delta(chunk_job *job, size_t count) {
    tarn_buffer *values = &job->sink->values;
    tarn_buffer_clear(values);
    if (!tarn_buffer_reserve(values, count * sizeof(int64_t) + 1)) return false;
    int64_t *numbers = (int64_t *)(void *)values->data;
    size_t width = job->writer->storage.stored_width;
    for (size_t i = 0; i < count; i++) {
        numbers[i] = load_integer(job->writer, job->next_plain + width * i);
    }
    return parquet_delta_encode(numbers, count, width == 4, &job->sink->page);
}

static bool put_values(chunk_job *job, const page_rows *rows) {
    tarn_buffer *page = &job->sink->page;
    size_t count = (size_t)rows->value_count;
    switch (job->entry->encoding) {
    case PARQUET_RLE_DICTIONARY:
        return tarn_buffer_append_byte(page, (uint8_t)job->code_width) &&
               parquet_hybrid_encode(codes_of(job->writer) + job->next_value, count,
                                     job->code_width, page);
    case PARQUET_DELTA_BINARY_PACKED: return put_delta(job, count);
    default:
        if (job->writer->storage.type.id == TARN_TYPE_BOOLEAN) {
            return put_booleans(job->next_plain, count, page);
        }
        return tarn_buffer_append(page, (tarn_slice){job->next_plain, rows->plain_bytes});
    }
}

// What the page index will say of the page, and what the chunk's statistics gain from it.
static bool describe_page(chunk_job *job, const page_rows *rows, uint64_t offset,
                          const parquet_bounds *bounds) {
    parquet_chunk_entry *entry = job->entry;
    parquet_stored_bound min;
    parquet_stored_bound max;
    parquet_bounds_store(&job->writer->storage, bounds, &min, &max);
    parquet_page_entry page = {
        .offset = offset,
        .bytes = (uint32_t)(tarn_store_writer_position(job->sink->out) - offset),
        .first_row = job->next_row,
        .null_count = (int64_t)(rows->row_count - rows->value_count),
        .has_values = rows->value_count > 0,
        .has_bounds = min.is_there && max.is_there,
    };
    if (page.has_bounds &&
        (!tarn_arena_copy(job->sink->arena, (tarn_slice){min.bytes, min.len}, &page.min) ||
         !tarn_arena_copy(job->sink->arena, (tarn_slice){max.bytes, max.len}, &page.max))) {
        return false;
    }
    entry->pages[entry->page_count++] = page;
    entry->null_count += page.null_count;
    if (bounds->has_values) {
        const parquet_bounds *before = &job->page_bounds;
        if (before->has_values) {
            int min_order = tarn_value_compare(before->min, bounds->min);
            int max_order = tarn_value_compare(before->max, bounds->max);
            job->is_ascending &= min_order <= 0 && max_order <= 0;
            job->is_descending &= min_order >= 0 && max_order >= 0;
        }
        job->page_bounds = *bounds;
    }
    parquet_bounds_add_all(&job->bounds, bounds);
    return true;
}

static bool reserve_page_entry(chunk_job *job) {
    parquet_chunk_entry *entry = job->entry;
    if (entry->page_count < job->page_capacity) return true;
    size_t capacity = job->page_capacity == 0 ? 8 : 2 * job->page_capacity;
    parquet_page_entry *pages = tarn_arena_new(job->sink->arena, parquet_page_entry, capacity);
    if (pages == NULL) return false;
    if (entry->page_count > 0) memcpy(pages, entry->pages, entry->page_count * sizeof *pages);
    entry->pages = pages;
    job->page_capacity = capacity;
    return true;
}

static tarn_status write_page(chunk_job *job, tarn_error *err) {
    parquet_sink *sink = job->sink;
    page_rows rows = choose_rows(job);
    parquet_bounds bounds = {0};
    tarn_buffer_clear(&sink->page);
    if (!reserve_page_entry(job) || !find_bounds(job, &rows, &bounds) || !put_levels(job, &rows) ||
        !put_values(job, &rows)) {
        return fail_memory(err);
    }
    tarn_slice body;
    TARN_TRY(pack_page(sink, &body, err));
    parquet_thrift_writer header = start_header(sink, PARQUET_PAGE_DATA, body);
    parquet_thrift_begin_struct(&header, 5);
    parquet_thrift_put_i32(&header, 1, (int32_t)rows.row_count);
    parquet_thrift_put_i32(&header, 2, job->entry->encoding);
    parquet_thrift_put_i32(&header, 3, PARQUET_RLE);
    parquet_thrift_put_i32(&header, 4, PARQUET_RLE);
    parquet_thrift_end_struct(&header);
    parquet_thrift_end_struct(&header);
    uint64_t offset = tarn_store_writer_position(sink->out);
    TARN_TRY(emit(job, &header, body, sink->page.len, err));
    if (!describe_page(job, &rows, offset, &bounds)) return fail_memory(err);

    job->next_row += rows.row_count;
    job->next_value += rows.value_count;
    if (!job->writer->uses_dictionary && rows.plain_bytes > 0) job->next_plain += rows.plain_bytes;
    return TARN_OK;
}

// ---- the chunk ----

static tarn_status write_pages(chunk_job *job, tarn_error *err) {
    if (job->writer->uses_dictionary) TARN_TRY(write_dictionary(job, err));
    job->entry->data_page_offset = tarn_store_writer_position(job->sink->out);
    while (job->next_row < job->writer->row_count) TARN_TRY(write_page(job, err));
    return TARN_OK;
}

// Text of the file's bounds is copied into the writer's arena: the row group goes away.
static bool keep_bound(tarn_arena *arena, tarn_value *kept, tarn_value bound) {
    *kept = bound;
    return !tarn_type_is_string(bound.type) || tarn_arena_copy(arena, bound.bytes, &kept->bytes);
}

static bool keep_file_bounds(chunk_job *job) {
    parquet_bounds *file = &job->writer->file_bounds;
    const parquet_bounds *chunk = &job->bounds;
    file->nan_count += chunk->nan_count;
    job->writer->file_null_count += (uint64_t)job->entry->null_count;
    if (!chunk->has_values) return true;
    bool is_first = !file->has_values;
    file->has_values = true;
    if ((is_first || tarn_value_compare(chunk->min, file->min) < 0) &&
        !keep_bound(job->sink->arena, &file->min, chunk->min)) {
        return false;
    }
    return !(is_first || tarn_value_compare(chunk->max, file->max) > 0) ||
           keep_bound(job->sink->arena, &file->max, chunk->max);
}

static void forget_rows(parquet_column_writer *writer) {
    tarn_buffer_clear(&writer->validity);
    tarn_buffer_clear(&writer->codes);
    tarn_buffer_clear(&writer->plain);
    parquet_dictionary_clear(&writer->dictionary);
    writer->mapped_id = 0;
    writer->row_count = 0;
    writer->value_count = 0;
    writer->uses_dictionary = writer->may_use_dictionary;
}

tarn_status parquet_column_writer_flush(parquet_column_writer *writer, parquet_sink *sink,
                                        parquet_chunk_entry *ret_entry, tarn_error *err) {
    tarn_type_id type_id = (tarn_type_id)writer->storage.type.id;
    parquet_chunk_entry entry = {
        .encoding = choose_encoding(writer),
        .row_count = writer->row_count,
        .has_nan_count = type_id == TARN_TYPE_REAL || type_id == TARN_TYPE_DOUBLE,
    };
    if (writer->uses_dictionary && entry.encoding != PARQUET_RLE_DICTIONARY &&
        !parquet_column_writer_give_up_dictionary(writer)) {
        return fail_memory(err);
    }
    // Width 0 is legal for a dictionary of one value, but not every reader expects it.
    unsigned width =
        parquet_bits_width(writer->dictionary.count > 1 ? writer->dictionary.count - 1 : 1);
    chunk_job job = {.writer = writer,
                     .sink = sink,
                     .entry = &entry,
                     .code_width = width,
                     .next_plain = writer->plain.data,
                     .is_ascending = true,
                     .is_descending = true};
    tarn_status status = write_pages(&job, err);
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, "column '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(writer->storage.element.name));
        return status;
    }
    enum { UNORDERED, ASCENDING, DESCENDING };
    entry.boundary_order = job.is_ascending    ? ASCENDING
                           : job.is_descending ? DESCENDING
                                               : UNORDERED;
    entry.nan_count = (int64_t)job.bounds.nan_count;
    parquet_bounds_store(&writer->storage, &job.bounds, &entry.min, &entry.max);
    if (!keep_file_bounds(&job)) return fail_memory(err);
    forget_rows(writer);
    *ret_entry = entry;
    return TARN_OK;
}
