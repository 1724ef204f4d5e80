#include "format/parquet/footer.h"

#include "format/parquet/thrift.h"

#define CREATED_BY "tarn version " TARN_VERSION " (build 0)"

static int32_t codec_id(tarn_codec codec) {
    switch (codec) {
    case TARN_CODEC_NONE: return PARQUET_CODEC_UNCOMPRESSED;
    case TARN_CODEC_SNAPPY: return PARQUET_CODEC_SNAPPY;
    case TARN_CODEC_GZIP: return PARQUET_CODEC_GZIP;
    case TARN_CODEC_LZ4: return PARQUET_CODEC_LZ4_RAW;
    case TARN_CODEC_ZSTD: return PARQUET_CODEC_ZSTD;
    case TARN_CODEC_DEFLATE: break; // refused when the writer is made
    }
    tarn_assert(false);
    return PARQUET_CODEC_UNCOMPRESSED;
}

// ---- the schema ----

static void put_logical(parquet_thrift_writer *writer, const parquet_logical *logical) {
    if (logical->kind == PARQUET_LOGICAL_NONE) return;
    parquet_thrift_begin_struct(writer, 10);
    parquet_thrift_begin_struct(writer, logical->kind);
    switch (logical->kind) {
    case PARQUET_LOGICAL_DECIMAL:
        parquet_thrift_put_i32(writer, 1, logical->scale);
        parquet_thrift_put_i32(writer, 2, logical->precision);
        break;
    case PARQUET_LOGICAL_TIME:
    case PARQUET_LOGICAL_TIMESTAMP:
        parquet_thrift_put_bool(writer, 1, logical->is_utc);
        parquet_thrift_begin_struct(writer, 2);
        parquet_thrift_put_empty(writer, logical->unit);
        parquet_thrift_end_struct(writer);
        break;
    case PARQUET_LOGICAL_INTEGER:
        parquet_thrift_put_i8(writer, 1, (int8_t)logical->bit_width);
        parquet_thrift_put_bool(writer, 2, logical->is_signed);
        break;
    default: break; // the others have no fields
    }
    parquet_thrift_end_struct(writer);
    parquet_thrift_end_struct(writer);
}

static void put_element(parquet_thrift_writer *writer, const parquet_element *element) {
    parquet_thrift_begin_element(writer);
    parquet_thrift_put_i32(writer, 1, element->type);
    if (element->type == PARQUET_FIXED) parquet_thrift_put_i32(writer, 2, element->type_length);
    parquet_thrift_put_i32(writer, 3, element->repetition);
    parquet_thrift_put_binary(writer, 4, element->name);
    if (element->converted != PARQUET_ABSENT) {
        parquet_thrift_put_i32(writer, 6, element->converted);
    }
    if (element->logical.kind == PARQUET_LOGICAL_DECIMAL) {
        parquet_thrift_put_i32(writer, 7, element->scale);
        parquet_thrift_put_i32(writer, 8, element->precision);
    }
    if (element->field_id >= 0) parquet_thrift_put_i32(writer, 9, element->field_id);
    put_logical(writer, &element->logical);
    parquet_thrift_end_struct(writer);
}

static void put_schema(parquet_thrift_writer *writer, const parquet_file_entry *file) {
    parquet_thrift_put_list(writer, 2, PARQUET_THRIFT_STRUCT, file->column_count + 1);
    parquet_thrift_begin_element(writer);
    parquet_thrift_put_binary(writer, 4, file->root_name);
    parquet_thrift_put_i32(writer, 5, (int32_t)file->column_count);
    parquet_thrift_end_struct(writer);
    for (size_t i = 0; i < file->column_count; i++) {
        put_element(writer, &file->columns[i].storage.element);
    }
}

// ---- row groups ----

static void put_statistics(parquet_thrift_writer *writer, const parquet_chunk_entry *chunk) {
    parquet_thrift_begin_struct(writer, 12);
    parquet_thrift_put_i64(writer, 3, chunk->null_count);
    const parquet_stored_bound *min = &chunk->min;
    const parquet_stored_bound *max = &chunk->max;
    if (max->is_there) parquet_thrift_put_binary(writer, 5, (tarn_slice){max->bytes, max->len});
    if (min->is_there) parquet_thrift_put_binary(writer, 6, (tarn_slice){min->bytes, min->len});
    if (max->is_there) parquet_thrift_put_bool(writer, 7, max->is_exact);
    if (min->is_there) parquet_thrift_put_bool(writer, 8, min->is_exact);
    if (chunk->has_nan_count) parquet_thrift_put_i64(writer, 9, chunk->nan_count);
    parquet_thrift_end_struct(writer);
}

static void put_page_encoding(parquet_thrift_writer *writer, int32_t page_type, int32_t encoding,
                              size_t count) {
    parquet_thrift_begin_element(writer);
    parquet_thrift_put_i32(writer, 1, page_type);
    parquet_thrift_put_i32(writer, 2, encoding);
    parquet_thrift_put_i32(writer, 3, (int32_t)count);
    parquet_thrift_end_struct(writer);
}

static void put_encodings(parquet_thrift_writer *writer, const parquet_chunk_entry *chunk) {
    bool has_dictionary = chunk->dictionary_page_offset > 0;
    bool is_other = chunk->encoding != PARQUET_PLAIN && !has_dictionary;
    parquet_thrift_put_list(writer, 2, PARQUET_THRIFT_I32, has_dictionary || is_other ? 3 : 2);
    parquet_thrift_put_element_i64(writer, PARQUET_PLAIN);
    parquet_thrift_put_element_i64(writer, PARQUET_RLE);
    if (has_dictionary || is_other) parquet_thrift_put_element_i64(writer, chunk->encoding);
}

static void put_chunk_meta(parquet_thrift_writer *writer, const parquet_file_entry *file,
                           const parquet_element *element, const parquet_chunk_entry *chunk) {
    parquet_thrift_begin_struct(writer, 3);
    parquet_thrift_put_i32(writer, 1, element->type);
    put_encodings(writer, chunk);
    parquet_thrift_put_list(writer, 3, PARQUET_THRIFT_BINARY, 1);
    parquet_thrift_put_element_binary(writer, element->name);
    parquet_thrift_put_i32(writer, 4, codec_id(file->codec));
    parquet_thrift_put_i64(writer, 5, (int64_t)chunk->row_count);
    parquet_thrift_put_i64(writer, 6, (int64_t)chunk->uncompressed_bytes);
    parquet_thrift_put_i64(writer, 7, (int64_t)chunk->compressed_bytes);
    parquet_thrift_put_i64(writer, 9, (int64_t)chunk->data_page_offset);
    bool has_dictionary = chunk->dictionary_page_offset > 0;
    if (has_dictionary) parquet_thrift_put_i64(writer, 11, (int64_t)chunk->dictionary_page_offset);
    put_statistics(writer, chunk);
    parquet_thrift_put_list(writer, 13, PARQUET_THRIFT_STRUCT, has_dictionary ? 2 : 1);
    if (has_dictionary) put_page_encoding(writer, PARQUET_PAGE_DICTIONARY, PARQUET_PLAIN, 1);
    put_page_encoding(writer, PARQUET_PAGE_DATA, chunk->encoding, chunk->page_count);
    parquet_thrift_end_struct(writer);
}

static uint64_t first_offset(const parquet_chunk_entry *chunk) {
    return chunk->dictionary_page_offset > 0 ? chunk->dictionary_page_offset
                                             : chunk->data_page_offset;
}

static void put_chunk(parquet_thrift_writer *writer, const parquet_file_entry *file,
                      const parquet_element *element, const parquet_chunk_entry *chunk) {
    parquet_thrift_begin_element(writer);
    parquet_thrift_put_i64(writer, 2, (int64_t)first_offset(chunk));
    put_chunk_meta(writer, file, element, chunk);
    if (chunk->offset_index_bytes > 0) {
        parquet_thrift_put_i64(writer, 4, (int64_t)chunk->offset_index_offset);
        parquet_thrift_put_i32(writer, 5, (int32_t)chunk->offset_index_bytes);
    }
    if (chunk->column_index_bytes > 0) {
        parquet_thrift_put_i64(writer, 6, (int64_t)chunk->column_index_offset);
        parquet_thrift_put_i32(writer, 7, (int32_t)chunk->column_index_bytes);
    }
    parquet_thrift_end_struct(writer);
}

static void put_row_group(parquet_thrift_writer *writer, const parquet_file_entry *file,
                          const parquet_row_group_entry *group, size_t ordinal) {
    uint64_t uncompressed_bytes = 0;
    uint64_t compressed_bytes = 0;
    parquet_thrift_begin_element(writer);
    parquet_thrift_put_list(writer, 1, PARQUET_THRIFT_STRUCT, file->column_count);
    for (size_t i = 0; i < file->column_count; i++) {
        put_chunk(writer, file, &file->columns[i].storage.element, &group->chunks[i]);
        uncompressed_bytes += group->chunks[i].uncompressed_bytes;
        compressed_bytes += group->chunks[i].compressed_bytes;
    }
    parquet_thrift_put_i64(writer, 2, (int64_t)uncompressed_bytes);
    parquet_thrift_put_i64(writer, 3, (int64_t)group->row_count);
    if (file->column_count > 0) {
        parquet_thrift_put_i64(writer, 5, (int64_t)first_offset(&group->chunks[0]));
    }
    parquet_thrift_put_i64(writer, 6, (int64_t)compressed_bytes);
    if (ordinal <= INT16_MAX) parquet_thrift_put_i16(writer, 7, (int16_t)ordinal);
    parquet_thrift_end_struct(writer);
}

bool parquet_footer_encode(const parquet_file_entry *file, tarn_buffer *out) {
    parquet_thrift_writer writer = parquet_thrift_write_to(out);
    parquet_thrift_put_i32(&writer, 1, 1);
    put_schema(&writer, file);
    parquet_thrift_put_i64(&writer, 3, (int64_t)file->row_count);
    parquet_thrift_put_list(&writer, 4, PARQUET_THRIFT_STRUCT, file->row_group_count);
    size_t ordinal = 0;
    for (const parquet_row_group_entry *group = file->row_groups; group != NULL;
         group = group->next) {
        put_row_group(&writer, file, group, ordinal++);
    }
    tarn_assert(ordinal == file->row_group_count);
    parquet_thrift_put_binary(&writer, 6, TARN_LIT(CREATED_BY));
    parquet_thrift_put_list(&writer, 7, PARQUET_THRIFT_STRUCT, file->column_count);
    for (size_t i = 0; i < file->column_count; i++) {
        parquet_thrift_begin_element(&writer);
        parquet_thrift_put_empty(&writer, 1); // the type's own order
        parquet_thrift_end_struct(&writer);
    }
    parquet_thrift_end_struct(&writer);
    return !writer.failed;
}

// ---- the page index ----

bool parquet_chunk_has_column_index(const parquet_chunk_entry *chunk) {
    for (size_t i = 0; i < chunk->page_count; i++) {
        if (chunk->pages[i].has_values && !chunk->pages[i].has_bounds) return false;
    }
    return chunk->page_count > 0;
}

bool parquet_column_index_encode(const parquet_chunk_entry *chunk, tarn_buffer *out) {
    parquet_thrift_writer writer = parquet_thrift_write_to(out);
    size_t count = chunk->page_count;
    parquet_thrift_put_list(&writer, 1, PARQUET_THRIFT_TRUE, count);
    for (size_t i = 0; i < count; i++) {
        parquet_thrift_put_element_bool(&writer, !chunk->pages[i].has_values);
    }
    parquet_thrift_put_list(&writer, 2, PARQUET_THRIFT_BINARY, count);
    for (size_t i = 0; i < count; i++) {
        parquet_thrift_put_element_binary(&writer, chunk->pages[i].min);
    }
    parquet_thrift_put_list(&writer, 3, PARQUET_THRIFT_BINARY, count);
    for (size_t i = 0; i < count; i++) {
        parquet_thrift_put_element_binary(&writer, chunk->pages[i].max);
    }
    parquet_thrift_put_i32(&writer, 4, chunk->boundary_order);
    parquet_thrift_put_list(&writer, 5, PARQUET_THRIFT_I64, count);
    for (size_t i = 0; i < count; i++) {
        parquet_thrift_put_element_i64(&writer, chunk->pages[i].null_count);
    }
    parquet_thrift_end_struct(&writer);
    return !writer.failed;
}

bool parquet_offset_index_encode(const parquet_chunk_entry *chunk, tarn_buffer *out) {
    parquet_thrift_writer writer = parquet_thrift_write_to(out);
    parquet_thrift_put_list(&writer, 1, PARQUET_THRIFT_STRUCT, chunk->page_count);
    for (size_t i = 0; i < chunk->page_count; i++) {
        const parquet_page_entry *page = &chunk->pages[i];
        parquet_thrift_begin_element(&writer);
        parquet_thrift_put_i64(&writer, 1, (int64_t)page->offset);
        parquet_thrift_put_i32(&writer, 2, (int32_t)page->bytes);
        parquet_thrift_put_i64(&writer, 3, (int64_t)page->first_row);
        parquet_thrift_end_struct(&writer);
    }
    parquet_thrift_end_struct(&writer);
    return !writer.failed;
}
