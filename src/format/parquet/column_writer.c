#include "format/parquet/column_writer.h"

#include "base/bitmap.h"
#include "format/parquet/bits.h"
#include "format/parquet/gather.h"

#define NO_CODE UINT32_MAX

// When this many values have been seen, a dictionary that holds most of them is no use.
#define TRIAL_VALUES TARN_TUNABLE((uint64_t)16384, (uint64_t)16)

tarn_status parquet_column_writer_init(parquet_column_writer *writer, const tarn_alloc *alloc,
                                       const tarn_field *field,
                                       const tarn_parquet_column_options *options,
                                       size_t dictionary_bytes, tarn_error *err) {
    parquet_storage storage;
    TARN_TRY(parquet_storage_plan(field, options, &storage, err));
    *writer = (parquet_column_writer){
        .alloc = alloc,
        .storage = storage,
        .may_use_dictionary =
            field->type.id != TARN_TYPE_BOOLEAN && !(options != NULL && options->no_dictionary),
        .validity = {.alloc = alloc},
        .codes = {.alloc = alloc},
        .plain = {.alloc = alloc},
        .map = {.alloc = alloc},
    };
    writer->uses_dictionary = writer->may_use_dictionary;
    parquet_dictionary_init(&writer->dictionary, alloc, storage.stored_width, dictionary_bytes);
    return TARN_OK;
}

void parquet_column_writer_free(parquet_column_writer *writer) {
    if (writer->alloc == NULL) return; // never initialised
    tarn_buffer_free(&writer->validity);
    tarn_buffer_free(&writer->codes);
    tarn_buffer_free(&writer->plain);
    tarn_buffer_free(&writer->map);
    parquet_dictionary_free(&writer->dictionary);
}

static tarn_status fail_memory(const parquet_column_writer *writer, tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "column '" TARN_SLICE_FMT "': no memory for its rows",
                     TARN_SLICE_ARG(writer->storage.element.name));
}

// ---- nulls ----

// The rows that are not null, in `present`; returns how many.
static size_t list_present(const tarn_vector *vector, const uint32_t *rows, size_t count,
                           uint32_t *restrict present) {
    size_t present_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = rows == NULL ? (uint32_t)i : rows[i];
        present[present_count] = row;
        present_count += tarn_bitmap_get(vector->validity, row);
    }
    return present_count;
}

static bool reserve_validity(parquet_column_writer *writer, size_t count) {
    size_t needed = (TARN_BITMAP_WORDS(writer->row_count + count) + 1) * sizeof(uint64_t);
    if (needed > writer->validity.len) {
        size_t more = needed - writer->validity.len;
        if (!tarn_buffer_reserve(&writer->validity, more)) return false;
        memset(writer->validity.data + writer->validity.len, 0, more);
        writer->validity.len = needed;
    }
    return true;
}

// Appends a bit per row. `some_null` says whether the vector's bitmap must be looked at.
static void append_validity(parquet_column_writer *writer, const tarn_vector *vector,
                            const uint32_t *rows, size_t count, size_t present_count) {
    uint64_t *words = (uint64_t *)(void *)writer->validity.data;
    size_t at = (size_t)writer->row_count;
    if (present_count == count || present_count == 0) {
        parquet_bits_fill(words, at, count, present_count > 0);
    } else if (rows == NULL) {
        tarn_slice bits = {(const uint8_t *)vector->validity,
                           TARN_BITMAP_WORDS(count) * sizeof(uint64_t)};
        parquet_bits_copy(words, at, bits, 0, count);
    } else {
        parquet_bits_fill(words, at, count, false);
        for (size_t i = 0; i < count; i++) {
            if (tarn_bitmap_get(vector->validity, rows[i])) tarn_bitmap_set(words, at + i);
        }
    }
}

// ---- values ----

bool parquet_column_writer_give_up_dictionary(parquet_column_writer *writer) {
    tarn_assert(writer->uses_dictionary);
    const uint32_t *codes = (const uint32_t *)(const void *)writer->codes.data;
    size_t count = writer->codes.len / sizeof *codes;
    if (!parquet_dictionary_decode(&writer->dictionary, codes, count, &writer->plain)) {
        return false;
    }
    tarn_buffer_clear(&writer->codes);
    parquet_dictionary_clear(&writer->dictionary);
    writer->mapped_id = 0;
    writer->uses_dictionary = false;
    return true;
}

static bool append_plain_strings(parquet_column_writer *writer, const tarn_string *strings,
                                 size_t count) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += 4 + (size_t)strings[i].len;
    if (!tarn_buffer_reserve(&writer->plain, bytes)) return false;
    uint8_t *to = writer->plain.data + writer->plain.len;
    for (size_t i = 0; i < count; i++) {
        tarn_slice string = tarn_string_slice(&strings[i]);
        tarn_store_u32(to, strings[i].len);
        if (string.len > 0) memcpy(to + 4, string.data, string.len);
        to += 4 + string.len;
    }
    writer->plain.len += bytes;
    return true;
}

static bool append_plain(parquet_column_writer *writer, const void *stored, size_t count) {
    if (writer->storage.stored_width == 0) return append_plain_strings(writer, stored, count);
    size_t bytes = count * writer->storage.stored_width;
    return tarn_buffer_append(&writer->plain, (tarn_slice){stored, bytes});
}

static bool append_codes(parquet_column_writer *writer, const uint32_t *codes, size_t count) {
    tarn_slice bytes = {(const uint8_t *)codes, count * sizeof *codes};
    return tarn_buffer_append(&writer->codes, bytes);
}

static size_t stored_step(const parquet_column_writer *writer) {
    uint32_t width = writer->storage.stored_width;
    return width == 0 ? sizeof(tarn_string) : width;
}

// Values in vector form, without nulls.
static bool append_values(parquet_column_writer *writer, const void *values, size_t count,
                          const parquet_append_scratch *scratch) {
    const uint8_t *stored = values;
    if (writer->storage.storing != PARQUET_STORE_SAME &&
        writer->storage.storing != PARQUET_STORE_STRING) {
        parquet_store(&writer->storage, values, count, scratch->stored);
        stored = scratch->stored;
    }
    size_t done = 0;
    if (writer->uses_dictionary) {
        done = parquet_dictionary_encode(&writer->dictionary, stored, count, scratch->codes);
        if (!append_codes(writer, scratch->codes, done)) return false;
        if (done == count) return true;
        if (!parquet_column_writer_give_up_dictionary(writer)) return false;
    }
    return append_plain(writer, stored + done * stored_step(writer), count - done);
}

// ---- dictionary vectors ----

// Makes the map of the dictionary's codes to ours, of which nothing is known yet.
static bool start_map(parquet_column_writer *writer, const tarn_dictionary *dictionary) {
    size_t bytes = (size_t)dictionary->count * sizeof(uint32_t);
    tarn_buffer_clear(&writer->map);
    if (!tarn_buffer_reserve(&writer->map, bytes + 1)) return false;
    memset(writer->map.data, 0xFF, bytes); // NO_CODE
    writer->map.len = bytes;
    writer->mapped_id = dictionary->id;
    return true;
}

// Returns how many rows could be mapped: fewer than `count` at the first new value.
static size_t map_known(const uint32_t *restrict map, const uint32_t *restrict indices,
                        const uint32_t *restrict rows, size_t count, uint32_t *restrict codes) {
    for (size_t i = 0; i < count; i++) {
        uint32_t code = map[indices[rows == NULL ? i : rows[i]]];
        if (code == NO_CODE) return i;
        codes[i] = code;
    }
    return count;
}

// Each value of a dictionary is looked up once, not once per row. Returns false when memory is
// exhausted; *ret_done < count when the dictionary had to be given up.
static bool append_mapped(parquet_column_writer *writer, const tarn_vector *vector,
                          const uint32_t *rows, size_t count, const parquet_append_scratch *scratch,
                          size_t *ret_done) {
    const tarn_dictionary *dictionary = vector->dictionary;
    if (writer->mapped_id != dictionary->id && !start_map(writer, dictionary)) return false;
    uint32_t *map = (uint32_t *)(void *)writer->map.data;
    const tarn_string *values = dictionary->data;
    size_t done = 0;
    bool has_room = true;
    while (done < count && has_room) {
        const uint32_t *rest = rows == NULL ? NULL : rows + done;
        const uint32_t *indices = vector->indices + (rows == NULL ? done : 0);
        done += map_known(map, indices, rest, count - done, scratch->codes + done);
        if (done == count) break;
        uint32_t index = vector->indices[rows == NULL ? done : rows[done]];
        has_room =
            parquet_dictionary_encode(&writer->dictionary, &values[index], 1, &map[index]) > 0;
        if (!has_room) map[index] = NO_CODE;
    }
    *ret_done = done;
    if (!append_codes(writer, scratch->codes, done)) return false;
    return has_room || parquet_column_writer_give_up_dictionary(writer);
}

// ---- vectors ----

static bool append_constant(parquet_column_writer *writer, const tarn_vector *vector, size_t count,
                            const parquet_append_scratch *scratch) {
    size_t width = writer->storage.value_width;
    for (size_t i = 0; i < count; i++) memcpy(scratch->dense + width * i, vector->data, width);
    return append_values(writer, scratch->dense, count, scratch);
}

static void gather_coded(const tarn_vector *vector, size_t width, const uint32_t *rows,
                         size_t count, const parquet_append_scratch *scratch) {
    for (size_t i = 0; i < count; i++) {
        scratch->codes[i] = vector->indices[rows == NULL ? i : rows[i]];
    }
    parquet_gather(vector->dictionary->data, width, scratch->codes, count, scratch->dense);
}

// `rows` NULL: the first `count`.
static bool append_present(parquet_column_writer *writer, const tarn_vector *vector,
                           const uint32_t *rows, size_t count,
                           const parquet_append_scratch *scratch) {
    size_t width = writer->storage.value_width;
    switch (vector->kind) {
    case TARN_VECTOR_CONSTANT: return append_constant(writer, vector, count, scratch);
    case TARN_VECTOR_FLAT:
        if (rows == NULL) return append_values(writer, vector->data, count, scratch);
        parquet_gather(vector->data, width, rows, count, scratch->dense);
        return append_values(writer, scratch->dense, count, scratch);
    case TARN_VECTOR_DICTIONARY: break;
    }
    size_t done = 0;
    if (writer->uses_dictionary && writer->storage.storing == PARQUET_STORE_STRING) {
        if (!append_mapped(writer, vector, rows, count, scratch, &done)) return false;
        if (done == count) return true;
    }
    tarn_vector rest = *vector;
    if (rows == NULL) {
        rest.indices += done;
    } else {
        rows += done;
    }
    gather_coded(&rest, width, rows, count - done, scratch);
    return append_values(writer, scratch->dense, count - done, scratch);
}

static bool is_dictionary_hopeless(const parquet_column_writer *writer) {
    return writer->uses_dictionary && writer->value_count >= TRIAL_VALUES &&
           writer->dictionary.count > writer->value_count / 4 * 3;
}

tarn_status parquet_column_writer_append(parquet_column_writer *writer, const tarn_vector *vector,
                                         const uint32_t *rows, size_t count,
                                         const parquet_append_scratch *scratch, tarn_error *err) {
    tarn_assert(count <= TARN_CHUNK_ROWS);
    tarn_assert(tarn_type_physical(vector->type) == tarn_type_physical(writer->storage.type));
    size_t present_count = count;
    const uint32_t *present = rows;
    if (vector->validity != NULL && vector->kind == TARN_VECTOR_CONSTANT) {
        if (!tarn_bitmap_get(vector->validity, 0)) present_count = 0;
    } else if (vector->validity != NULL) {
        present_count = list_present(vector, rows, count, scratch->rows);
        if (present_count < count) present = scratch->rows;
    }
    if (writer->storage.column.is_optional) {
        if (!reserve_validity(writer, count)) return fail_memory(writer, err);
        append_validity(writer, vector, rows, count, present_count);
    } else if (present_count < count) {
        return tarn_fail(err, TARN_INVALID,
                         "null in column '" TARN_SLICE_FMT "', which is not null",
                         TARN_SLICE_ARG(writer->storage.element.name));
    }
    if (present_count > 0 && !append_present(writer, vector, present, present_count, scratch)) {
        return fail_memory(writer, err);
    }
    writer->row_count += count;
    writer->value_count += present_count;
    if (is_dictionary_hopeless(writer) && !parquet_column_writer_give_up_dictionary(writer)) {
        return fail_memory(writer, err);
    }
    return TARN_OK;
}

// ---- sizes ----

size_t parquet_column_writer_memory_bytes(const parquet_column_writer *writer) {
    return writer->validity.len + writer->codes.len + writer->plain.len +
           writer->dictionary.values.len + writer->dictionary.plain_bytes;
}

size_t parquet_column_writer_encoded_bytes(const parquet_column_writer *writer) {
    size_t bytes = writer->validity.len / 8 + writer->plain.len + writer->dictionary.plain_bytes;
    if (writer->uses_dictionary && writer->dictionary.count > 0) {
        unsigned width = parquet_bits_width(writer->dictionary.count - 1);
        bytes += parquet_bits_bytes(writer->value_count, width);
    }
    if (writer->storage.type.id == TARN_TYPE_BOOLEAN) bytes /= 8;
    return bytes;
}
