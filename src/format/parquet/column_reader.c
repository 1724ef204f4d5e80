#include "format/parquet/column_reader.h"

#include "base/alloc.h"
#include "base/bitmap.h"
#include "format/parquet/bits.h"
#include "format/parquet/gather.h"

// Strings that DELTA_BYTE_ARRAY puts together for one vector.
#define JOINED_BYTES_MAX ((size_t)1 << 30)

// ---- memory ----

// Strings, and INT32 that become something else, pass through `stored`.
static size_t stored_width(const parquet_column_reader *reader) {
    switch (reader->column->physical) {
    case PARQUET_BYTE_ARRAY:
    case PARQUET_FIXED: return sizeof(tarn_string);
    case PARQUET_INT32: return reader->conversion.kind == PARQUET_TO_SAME ? 0 : sizeof(int32_t);
    default: return 0;
    }
}

static bool make_room(parquet_column_reader *reader, tarn_arena *arena) {
    const size_t count = TARN_CHUNK_ROWS + 1;
    const size_t out_width = reader->conversion.out_width;
    const bool is_optional = reader->column->is_optional;
    const size_t kept_width = stored_width(reader);
    reader->arena = arena;
    reader->values = tarn_arena_alloc_raw(arena, out_width, count);
    reader->codes = tarn_arena_new_raw(arena, uint32_t, count);
    if (is_optional) {
        size_t dense_width = out_width < sizeof(uint32_t) ? sizeof(uint32_t) : out_width;
        reader->dense = tarn_arena_alloc_raw(arena, dense_width, count);
        reader->validity = tarn_arena_new_raw(arena, uint64_t, TARN_BITMAP_WORDS(count) + 1);
    }
    if (kept_width > 0) reader->stored = tarn_arena_alloc_raw(arena, kept_width, count);
    return reader->values != NULL && reader->codes != NULL &&
           (!is_optional || (reader->dense != NULL && reader->validity != NULL)) &&
           (kept_width == 0 || reader->stored != NULL);
}

tarn_status parquet_column_reader_init(parquet_column_reader *reader,
                                       const parquet_column_request *request, tarn_error *err) {
    const tarn_alloc *alloc = request->alloc;
    parquet_conversion conversion;
    TARN_TRY(parquet_conversion_plan(request->column, request->type, &conversion, err));
    *reader = (parquet_column_reader){
        .alloc = alloc,
        .column = request->column,
        .type = request->type,
        .conversion = conversion,
        .is_string = tarn_type_is_string(request->type),
        .flat_strings = request->flat_strings,
        .dictionary_values = {.alloc = alloc},
        .level_bytes = {.alloc = alloc},
        .previous_bytes = {.alloc = alloc},
    };
    tarn_arena_init(&reader->bytes_arena, alloc, JOINED_BYTES_MAX);
    parquet_pages_init(&reader->pages, alloc, request->object, request->window_bytes);
    if (make_room(reader, request->arena)) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory to read a column");
}

static void free_memories(const tarn_alloc *alloc, parquet_page_memory *memory) {
    while (memory != NULL) {
        parquet_page_memory *next = memory->next;
        tarn_buffer_free(&memory->bytes);
        tarn_alloc_free(alloc, memory, 1);
        memory = next;
    }
}

static void drop_dictionary(parquet_column_reader *reader) {
    tarn_dictionary_unref(reader->dictionary);
    reader->dictionary = NULL;
    reader->dictionary_count = 0;
    reader->has_dictionary = false;
}

void parquet_column_reader_free(parquet_column_reader *reader) {
    if (reader->alloc == NULL) return; // never initialised
    drop_dictionary(reader);
    tarn_buffer_free(&reader->dictionary_values);
    tarn_buffer_free(&reader->level_bytes);
    tarn_buffer_free(&reader->previous_bytes);
    free_memories(reader->alloc, reader->current);
    free_memories(reader->alloc, reader->held);
    free_memories(reader->alloc, reader->spare);
    tarn_arena_reset(&reader->bytes_arena);
    parquet_pages_free(&reader->pages);
}

// The current vector may still view the page's memory: then it is kept and another one taken.
static tarn_status renew_page_memory(parquet_column_reader *reader, tarn_error *err) {
    if (reader->current != NULL && !reader->is_page_viewed) return TARN_OK;
    if (reader->current != NULL) {
        reader->current->next = reader->held;
        reader->held = reader->current;
        reader->current = NULL;
        reader->is_page_viewed = false;
    }
    parquet_page_memory *memory = reader->spare;
    if (memory != NULL) {
        reader->spare = memory->next;
        memory->next = NULL;
    } else {
        memory = tarn_alloc_new(reader->alloc, parquet_page_memory, 1);
        if (memory == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a page");
        memory->bytes.alloc = reader->alloc;
    }
    reader->current = memory;
    return TARN_OK;
}

// What the next delta byte array builds on may lie in the arena: it is saved first.
static tarn_status clear_joined_bytes(parquet_column_reader *reader, tarn_error *err) {
    tarn_string *previous = &reader->page.previous;
    tarn_buffer *saved = &reader->previous_bytes;
    tarn_slice bytes = tarn_string_slice(previous);
    if (previous->len > TARN_STRING_INLINE_BYTES && bytes.data != saved->data) {
        tarn_buffer_clear(saved);
        if (!tarn_buffer_append(saved, bytes)) {
            return tarn_fail(err, TARN_NO_MEMORY, "string of %zu bytes", bytes.len);
        }
        *previous = tarn_string_view(tarn_buffer_slice(saved));
    }
    tarn_arena_clear(&reader->bytes_arena);
    return TARN_OK;
}

static void release_held_pages(parquet_column_reader *reader) {
    while (reader->held != NULL) {
        parquet_page_memory *memory = reader->held;
        reader->held = memory->next;
        memory->next = reader->spare;
        reader->spare = memory;
    }
    reader->is_page_viewed = false;
}

// ---- dictionaries ----

static tarn_status load_string_dictionary(parquet_column_reader *reader, tarn_slice body,
                                          uint32_t count, tarn_error *err) {
    void *values;
    TARN_TRY(
        tarn_dictionary_new(reader->alloc, reader->type, count, &values, &reader->dictionary, err));
    uint8_t *bytes = tarn_arena_new_raw(&reader->dictionary->arena, uint8_t, body.len + 1);
    if (bytes == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "dictionary of %zu bytes", body.len);
    }
    if (body.len > 0) memcpy(bytes, body.data, body.len);
    body.data = bytes;
    if (reader->column->physical == PARQUET_BYTE_ARRAY) {
        return parquet_strings_plain(&body, count, reader->conversion.is_text, values, err);
    }
    return parquet_convert(&reader->conversion, body.data, count, values, err);
}

static tarn_status load_value_dictionary(parquet_column_reader *reader, tarn_slice body,
                                         uint32_t count, tarn_error *err) {
    tarn_buffer *out = &reader->dictionary_values;
    tarn_buffer_clear(out);
    if (!tarn_buffer_reserve(out, (size_t)count * reader->conversion.out_width + 1)) {
        return tarn_fail(err, TARN_NO_MEMORY, "dictionary of %u values", count);
    }
    if (reader->column->physical != PARQUET_BYTE_ARRAY) {
        return parquet_convert(&reader->conversion, body.data, count, out->data, err);
    }
    for (uint32_t done = 0; done < count;) {
        uint32_t step = count - done;
        if (step > TARN_CHUNK_ROWS) step = (uint32_t)TARN_CHUNK_ROWS;
        tarn_string *strings = (tarn_string *)(void *)reader->stored;
        TARN_TRY(parquet_strings_plain(&body, step, false, strings, err));
        TARN_TRY(parquet_convert(&reader->conversion, reader->stored, step,
                                 out->data + (size_t)done * reader->conversion.out_width, err));
        done += step;
    }
    return TARN_OK;
}

static tarn_status load_dictionary(parquet_column_reader *reader, const parquet_page_header *header,
                                   tarn_error *err) {
    if (reader->has_dictionary) {
        return tarn_fail(err, TARN_CORRUPT, "chunk has more than one dictionary");
    }
    if (header->encoding != PARQUET_PLAIN && header->encoding != PARQUET_PLAIN_DICTIONARY) {
        return tarn_fail(err, TARN_UNSUPPORTED, "dictionary of encoding %d", header->encoding);
    }
    if (reader->column->physical == PARQUET_BOOLEAN) {
        return tarn_fail(err, TARN_UNSUPPORTED, "dictionary of BOOLEAN values");
    }
    TARN_TRY(renew_page_memory(reader, err));
    parquet_page_body body;
    TARN_TRY(parquet_pages_body(&reader->pages, header, true, &reader->current->bytes, &body, err));
    size_t least_bytes =
        reader->column->physical == PARQUET_BYTE_ARRAY ? 4 : reader->conversion.width;
    uint32_t count = (uint32_t)header->value_count;
    if (count > body.values.len / least_bytes) {
        return tarn_fail(err, TARN_CORRUPT, "dictionary of %u values in %zu bytes", count,
                         body.values.len);
    }
    if (reader->is_string) {
        TARN_TRY(load_string_dictionary(reader, body.values, count, err));
    } else {
        TARN_TRY(load_value_dictionary(reader, body.values, count, err));
    }
    reader->dictionary_count = count;
    reader->has_dictionary = true;
    return TARN_OK;
}

// ---- data pages ----

static uint8_t reverse_bits(uint8_t byte) {
    byte = (uint8_t)((byte & 0x0F) << 4 | byte >> 4);
    byte = (uint8_t)((byte & 0x33) << 2 | (byte >> 2 & 0x33));
    return (uint8_t)((byte & 0x55) << 1 | (byte >> 1 & 0x55));
}

// BIT_PACKED levels have no length and their bits the other way round.
static tarn_status start_ancient_levels(parquet_column_reader *reader, uint32_t row_count,
                                        tarn_error *err) {
    parquet_page *page = &reader->page;
    size_t len = parquet_bits_bytes(row_count, 1);
    if (len > page->values.len) return tarn_fail(err, TARN_CORRUPT, "page ends inside its levels");
    tarn_buffer *turned = &reader->level_bytes;
    tarn_buffer_clear(turned);
    if (!tarn_buffer_reserve(turned, len + 1)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %u levels", row_count);
    }
    for (size_t i = 0; i < len; i++) turned->data[i] = reverse_bits(page->values.data[i]);
    turned->len = len;
    page->levels = (parquet_hybrid){
        .width = 1, .is_packed = true, .run_left = row_count, .packed = tarn_buffer_slice(turned)};
    page->values = tarn_slice_skip(page->values, len);
    return TARN_OK;
}

static tarn_status start_levels(parquet_column_reader *reader, const parquet_page_header *header,
                                tarn_slice levels, tarn_error *err) {
    parquet_page *page = &reader->page;
    page->has_levels = reader->column->is_optional;
    if (!page->has_levels) return TARN_OK;
    if (header->type == PARQUET_PAGE_DATA_V2) {
        parquet_hybrid_init(&page->levels, levels, 1);
        return TARN_OK;
    }
    if (header->definition_encoding == PARQUET_BIT_PACKED) {
        return start_ancient_levels(reader, (uint32_t)header->value_count, err);
    }
    if (header->definition_encoding != PARQUET_RLE) {
        return tarn_fail(err, TARN_UNSUPPORTED, "levels of encoding %d",
                         header->definition_encoding);
    }
    size_t len = page->values.len < 4 ? 0 : tarn_load_u32(page->values.data);
    if (page->values.len < 4 || len > page->values.len - 4) {
        return tarn_fail(err, TARN_CORRUPT, "page ends inside its levels");
    }
    tarn_slice rest = tarn_slice_skip(page->values, 4);
    parquet_hybrid_init(&page->levels, tarn_slice_head(rest, len), 1);
    page->values = tarn_slice_skip(rest, len);
    return TARN_OK;
}

static tarn_status load_data_page(parquet_column_reader *reader, const parquet_page_header *header,
                                  tarn_error *err) {
    if (header->type == PARQUET_PAGE_DATA_V2 &&
        (header->row_count != header->value_count || header->null_count < 0 ||
         header->null_count > header->value_count)) {
        return tarn_fail(err, TARN_CORRUPT, "flat page of %d values, %d rows and %d nulls",
                         header->value_count, header->row_count, header->null_count);
    }
    TARN_TRY(renew_page_memory(reader, err));
    parquet_page_body body;
    TARN_TRY(parquet_pages_body(&reader->pages, header, !reader->is_string, &reader->current->bytes,
                                &body, err));
    reader->page = (parquet_page){.encoding = header->encoding, .values = body.values};
    TARN_TRY(start_levels(reader, header, body.levels, err));
    reader->page.rows_left = (uint32_t)header->value_count;
    return TARN_OK;
}

// Finds the next data page; loads dictionaries on the way. Pages of up to *skippable rows are
// passed without being unpacked, and *skippable is reduced.
static tarn_status next_data_page(parquet_column_reader *reader, uint64_t *skippable,
                                  tarn_error *err) {
    reader->page.rows_left = 0;
    while (reader->page.rows_left == 0) {
        parquet_page_header header;
        bool found;
        TARN_TRY(parquet_pages_next(&reader->pages, &header, &found, err));
        if (!found) {
            return tarn_fail(err, TARN_CORRUPT, "chunk ends %llu rows early",
                             (unsigned long long)reader->rows_left);
        }
        switch (header.type) {
        case PARQUET_PAGE_DICTIONARY: TARN_TRY(load_dictionary(reader, &header, err)); break;
        case PARQUET_PAGE_DATA:
        case PARQUET_PAGE_DATA_V2:
            if (*skippable > 0 && (uint64_t)header.value_count <= *skippable) {
                *skippable -= (uint64_t)header.value_count;
                if (*skippable == 0) return TARN_OK;
                break;
            }
            TARN_TRY(load_data_page(reader, &header, err));
            break;
        default: break; // index pages and what may come are no business of ours
        }
    }
    return TARN_OK;
}

// ---- vectors ----

// A vector that began as indices goes on flat when the writer gave up its dictionary.
static void flatten_codes(parquet_column_reader *reader, size_t count) {
    tarn_string *out = (tarn_string *)(void *)reader->values;
    const tarn_string *values = reader->dictionary->data;
    for (size_t i = 0; i < count; i++) {
        uint32_t code = reader->codes[i];
        // Null rows have index 0, which an empty dictionary lacks.
        out[i] = code < reader->dictionary_count ? values[code] : (tarn_string){0};
    }
}

// Takes `count` rows of the current page as rows `at` and following of the vector.
static tarn_status read_rows(parquet_column_reader *reader, size_t at, size_t count, bool is_coded,
                             size_t *null_count, tarn_error *err) {
    parquet_page *page = &reader->page;
    size_t value_count = count;
    if (page->has_levels) {
        bool is_run = parquet_hybrid_is_run_of(&page->levels, count, 1);
        TARN_TRY(parquet_hybrid_decode_bits(&page->levels, count, reader->validity, at, err));
        if (!is_run) value_count = parquet_bits_count(reader->validity, at, count);
        *null_count += count - value_count;
    }
    size_t width = is_coded ? sizeof(uint32_t) : reader->conversion.out_width;
    uint8_t *rows = is_coded ? (uint8_t *)reader->codes : reader->values;
    uint8_t *out = value_count == count ? rows + at * width : reader->dense;
    if (is_coded && value_count > 0) {
        TARN_TRY(parquet_values_codes(reader, value_count, (uint32_t *)(void *)out, err));
    } else {
        TARN_TRY(parquet_values_decode(reader, value_count, out, err));
    }
    if (value_count < count) {
        memset(out + value_count * width, 0, width); // what null rows get is never garbage
        parquet_spread(out, width, reader->validity, at, count, rows + at * width);
    }
    page->rows_left -= (uint32_t)count;
    reader->rows_left -= count;
    return TARN_OK;
}

static tarn_status read_vector(parquet_column_reader *reader, size_t row_count,
                               tarn_vector *ret_vector, tarn_error *err) {
    tarn_assert(row_count <= TARN_CHUNK_ROWS);
    tarn_assert(row_count <= reader->rows_left);
    release_held_pages(reader);
    TARN_TRY(clear_joined_bytes(reader, err));
    bool is_coded = false;
    size_t null_count = 0;
    for (size_t done = 0; done < row_count;) {
        uint64_t skippable = 0;
        if (reader->page.rows_left == 0) TARN_TRY(next_data_page(reader, &skippable, err));
        size_t step = row_count - done;
        if (step > reader->page.rows_left) step = reader->page.rows_left;
        bool may_code = reader->is_string && !reader->flat_strings && reader->has_dictionary &&
                        parquet_page_is_coded(&reader->page);
        if (done == 0) is_coded = may_code;
        if (is_coded && !may_code) {
            flatten_codes(reader, done);
            is_coded = false;
        }
        TARN_TRY(read_rows(reader, done, step, is_coded, &null_count, err));
        done += step;
    }
    *ret_vector = (tarn_vector){
        .type = reader->type,
        .kind = is_coded ? TARN_VECTOR_DICTIONARY : TARN_VECTOR_FLAT,
        .data = is_coded ? NULL : reader->values,
        .validity = null_count > 0 ? reader->validity : NULL,
        .indices = is_coded ? reader->codes : NULL,
        .dictionary = is_coded ? reader->dictionary : NULL,
    };
    return TARN_OK;
}

static tarn_status skip_rows(parquet_column_reader *reader, uint64_t row_count, tarn_error *err) {
    tarn_assert(row_count <= reader->rows_left);
    while (row_count > 0) {
        release_held_pages(reader);
        TARN_TRY(clear_joined_bytes(reader, err));
        if (reader->page.rows_left == 0) {
            uint64_t left = row_count;
            TARN_TRY(next_data_page(reader, &left, err));
            reader->rows_left -= row_count - left;
            row_count = left;
            if (row_count == 0) break;
        }
        size_t step = TARN_CHUNK_ROWS;
        if (step > reader->page.rows_left) step = reader->page.rows_left;
        if (step > row_count) step = (size_t)row_count;
        size_t value_count = step;
        if (reader->page.has_levels) {
            TARN_TRY(
                parquet_hybrid_decode_bits(&reader->page.levels, step, reader->validity, 0, err));
            value_count = parquet_bits_count(reader->validity, 0, step);
        }
        TARN_TRY(parquet_values_skip(reader, value_count, err));
        reader->page.rows_left -= (uint32_t)step;
        reader->rows_left -= step;
        row_count -= step;
    }
    return TARN_OK;
}

// ---- what the scan calls; failures say where ----

static tarn_status locate(const parquet_column_reader *reader, tarn_status status,
                          tarn_error *err) {
    if (status != TARN_OK) {
        tarn_error_prefix(err, "column '" TARN_SLICE_FMT "', page at offset %llu: ",
                          TARN_SLICE_ARG(reader->column->name),
                          (unsigned long long)reader->pages.page_offset);
    }
    return status;
}

tarn_status parquet_column_reader_start(parquet_column_reader *reader,
                                        const parquet_chunk_meta *chunk, uint64_t row_count,
                                        uint64_t limit_offset, tarn_error *err) {
    release_held_pages(reader);
    drop_dictionary(reader);
    reader->page = (parquet_page){0};
    reader->rows_left = row_count;
    return locate(reader, parquet_pages_start(&reader->pages, chunk, limit_offset, err), err);
}

tarn_status parquet_column_reader_skip(parquet_column_reader *reader, uint64_t row_count,
                                       tarn_error *err) {
    return locate(reader, skip_rows(reader, row_count, err), err);
}

tarn_status parquet_column_reader_read(parquet_column_reader *reader, size_t row_count,
                                       tarn_vector *ret_vector, tarn_error *err) {
    return locate(reader, read_vector(reader, row_count, ret_vector, err), err);
}
