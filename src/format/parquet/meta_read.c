#include "format/parquet/meta.h"
#include "format/parquet/thrift.h"

// The least bytes that an element of the lists below can take: it bounds what a lying count can
// make us allocate.
enum { ELEMENT_BYTES = 3, ROW_GROUP_BYTES = 6, CHUNK_BYTES = 3 };

// ---- schema ----

static int32_t read_unit(parquet_thrift *thrift, uint8_t type) {
    int32_t unit = PARQUET_UNIT_NONE;
    if (!parquet_thrift_is_struct(thrift, type)) return unit;
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        if (field.id >= PARQUET_UNIT_MILLIS && field.id <= PARQUET_UNIT_NANOS) {
            unit = (int32_t)field.id;
        }
        parquet_thrift_skip(thrift, field.type);
    }
    return unit;
}

static void read_decimal(parquet_thrift *thrift, parquet_logical *logical) {
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: logical->scale = parquet_thrift_i32(thrift, field.type); break;
        case 2: logical->precision = parquet_thrift_i32(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_time(parquet_thrift *thrift, parquet_logical *logical) {
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: logical->is_utc = parquet_thrift_bool(thrift, field.type); break;
        case 2: logical->unit = read_unit(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_integer(parquet_thrift *thrift, parquet_logical *logical) {
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: logical->bit_width = parquet_thrift_i32(thrift, field.type); break;
        case 2: logical->is_signed = parquet_thrift_bool(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_logical(parquet_thrift *thrift, uint8_t type, parquet_logical *logical) {
    if (!parquet_thrift_is_struct(thrift, type)) return;
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        logical->kind = (int32_t)field.id;
        if (!parquet_thrift_is_struct(thrift, field.type)) return;
        switch (field.id) {
        case PARQUET_LOGICAL_DECIMAL: read_decimal(thrift, logical); break;
        case PARQUET_LOGICAL_TIME:
        case PARQUET_LOGICAL_TIMESTAMP: read_time(thrift, logical); break;
        case PARQUET_LOGICAL_INTEGER: read_integer(thrift, logical); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_element(parquet_thrift *thrift, parquet_element *element) {
    *element = (parquet_element){
        .type = PARQUET_ABSENT,
        .repetition = PARQUET_ABSENT,
        .converted = PARQUET_ABSENT,
        .field_id = -1,
    };
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: element->type = parquet_thrift_i32(thrift, field.type); break;
        case 2: element->type_length = parquet_thrift_i32(thrift, field.type); break;
        case 3: element->repetition = parquet_thrift_i32(thrift, field.type); break;
        case 4: element->name = parquet_thrift_binary(thrift, field.type); break;
        case 5: element->child_count = parquet_thrift_i32(thrift, field.type); break;
        case 6: element->converted = parquet_thrift_i32(thrift, field.type); break;
        case 7: element->scale = parquet_thrift_i32(thrift, field.type); break;
        case 8: element->precision = parquet_thrift_i32(thrift, field.type); break;
        case 9: element->field_id = parquet_thrift_i32(thrift, field.type); break;
        case 10: read_logical(thrift, field.type, &element->logical); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

// ---- row groups ----

static void read_statistics(parquet_thrift *thrift, uint8_t type, parquet_statistics *stats) {
    if (!parquet_thrift_is_struct(thrift, type)) return;
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: stats->old_max = parquet_thrift_binary(thrift, field.type); break;
        case 2: stats->old_min = parquet_thrift_binary(thrift, field.type); break;
        case 3: stats->null_count = parquet_thrift_i64(thrift, field.type); break;
        case 5: stats->max = parquet_thrift_binary(thrift, field.type); break;
        case 6: stats->min = parquet_thrift_binary(thrift, field.type); break;
        case 7: stats->is_max_exact = parquet_thrift_bool(thrift, field.type) ? 1 : 0; break;
        case 8: stats->is_min_exact = parquet_thrift_bool(thrift, field.type) ? 1 : 0; break;
        case 9: stats->nan_count = parquet_thrift_i64(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_chunk_meta(parquet_thrift *thrift, uint8_t type, parquet_chunk_meta *chunk) {
    if (!parquet_thrift_is_struct(thrift, type)) return;
    chunk->has_meta = true;
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: chunk->type = parquet_thrift_i32(thrift, field.type); break;
        case 4: chunk->codec = parquet_thrift_i32(thrift, field.type); break;
        case 5: chunk->value_count = parquet_thrift_i64(thrift, field.type); break;
        case 6: chunk->uncompressed_bytes = parquet_thrift_i64(thrift, field.type); break;
        case 7: chunk->compressed_bytes = parquet_thrift_i64(thrift, field.type); break;
        case 9: chunk->data_page_offset = parquet_thrift_i64(thrift, field.type); break;
        case 11: chunk->dictionary_page_offset = parquet_thrift_i64(thrift, field.type); break;
        case 12: read_statistics(thrift, field.type, &chunk->statistics); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_chunk(parquet_thrift *thrift, parquet_chunk_meta *chunk) {
    *chunk = (parquet_chunk_meta){
        .type = PARQUET_ABSENT,
        .codec = PARQUET_ABSENT,
        .statistics = {.null_count = -1, .nan_count = -1, .is_max_exact = -1, .is_min_exact = -1},
    };
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: chunk->is_elsewhere = parquet_thrift_binary(thrift, field.type).len > 0; break;
        case 3: read_chunk_meta(thrift, field.type, chunk); break;
        case 8:
        case 9:
            chunk->is_encrypted = true;
            parquet_thrift_skip(thrift, field.type);
            break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static bool read_chunks(parquet_thrift *thrift, uint8_t type, tarn_arena *arena,
                        parquet_row_group *group) {
    uint8_t element_type;
    size_t count = parquet_thrift_list(thrift, type, CHUNK_BYTES, &element_type);
    group->chunks = tarn_arena_new(arena, parquet_chunk_meta, count);
    if (group->chunks == NULL) return false;
    for (size_t i = 0; i < count && parquet_thrift_is_struct(thrift, element_type); i++) {
        read_chunk(thrift, &group->chunks[i]);
    }
    group->chunk_count = count;
    return true;
}

static bool read_row_group(parquet_thrift *thrift, tarn_arena *arena, parquet_row_group *group) {
    bool has_memory = true;
    parquet_thrift_field field = {0};
    while (has_memory && parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: has_memory = read_chunks(thrift, field.type, arena, group); break;
        case 3: group->row_count = parquet_thrift_i64(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
    return has_memory;
}

// ---- the footer ----

static bool read_elements(parquet_thrift *thrift, uint8_t type, tarn_arena *arena,
                          parquet_footer *footer) {
    uint8_t element_type;
    size_t count = parquet_thrift_list(thrift, type, ELEMENT_BYTES, &element_type);
    footer->elements = tarn_arena_new(arena, parquet_element, count);
    if (footer->elements == NULL) return false;
    for (size_t i = 0; i < count && parquet_thrift_is_struct(thrift, element_type); i++) {
        read_element(thrift, &footer->elements[i]);
    }
    footer->element_count = count;
    return true;
}

static bool read_row_groups(parquet_thrift *thrift, uint8_t type, tarn_arena *arena,
                            parquet_footer *footer) {
    uint8_t element_type;
    size_t count = parquet_thrift_list(thrift, type, ROW_GROUP_BYTES, &element_type);
    footer->row_groups = tarn_arena_new(arena, parquet_row_group, count);
    if (footer->row_groups == NULL) return false;
    for (size_t i = 0; i < count && parquet_thrift_is_struct(thrift, element_type); i++) {
        if (!read_row_group(thrift, arena, &footer->row_groups[i])) return false;
    }
    footer->row_group_count = count;
    return true;
}

static bool read_orders(parquet_thrift *thrift, uint8_t type, tarn_arena *arena,
                        parquet_footer *footer) {
    enum { TYPE_ORDER = 1 };
    uint8_t element_type;
    size_t count = parquet_thrift_list(thrift, type, 1, &element_type);
    footer->has_type_order = tarn_arena_new(arena, uint8_t, count);
    if (footer->has_type_order == NULL) return false;
    for (size_t i = 0; i < count && parquet_thrift_is_struct(thrift, element_type); i++) {
        parquet_thrift_field field = {0};
        while (parquet_thrift_next_field(thrift, &field)) {
            if (field.id == TYPE_ORDER) footer->has_type_order[i] = 1;
            parquet_thrift_skip(thrift, field.type);
        }
    }
    footer->order_count = count;
    return true;
}

tarn_status parquet_footer_decode(tarn_slice bytes, tarn_arena *arena, parquet_footer *ret_footer,
                                  tarn_error *err) {
    parquet_footer footer = {0};
    parquet_thrift thrift = parquet_thrift_from(bytes);
    parquet_thrift_field field = {0};
    bool has_memory = true;
    bool is_encrypted = false;
    while (has_memory && parquet_thrift_next_field(&thrift, &field)) {
        switch (field.id) {
        case 2: has_memory = read_elements(&thrift, field.type, arena, &footer); break;
        case 3: footer.row_count = parquet_thrift_i64(&thrift, field.type); break;
        case 4: has_memory = read_row_groups(&thrift, field.type, arena, &footer); break;
        case 7: has_memory = read_orders(&thrift, field.type, arena, &footer); break;
        case 8:
            is_encrypted = true;
            parquet_thrift_skip(&thrift, field.type);
            break;
        default: parquet_thrift_skip(&thrift, field.type);
        }
    }
    if (!has_memory) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the footer");
    if (thrift.problem != NULL) {
        return tarn_fail(err, TARN_CORRUPT, "footer %s at byte %zu of %zu", thrift.problem,
                         thrift.problem_offset, bytes.len);
    }
    if (is_encrypted) return tarn_fail(err, TARN_UNSUPPORTED, "encrypted columns");
    *ret_footer = footer;
    return TARN_OK;
}

// ---- page headers ----

static void read_data_header(parquet_thrift *thrift, parquet_page_header *header) {
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: header->value_count = parquet_thrift_i32(thrift, field.type); break;
        case 2: header->encoding = parquet_thrift_i32(thrift, field.type); break;
        case 3: header->definition_encoding = parquet_thrift_i32(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_dictionary_header(parquet_thrift *thrift, parquet_page_header *header) {
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: header->value_count = parquet_thrift_i32(thrift, field.type); break;
        case 2: header->encoding = parquet_thrift_i32(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

static void read_data_header_v2(parquet_thrift *thrift, parquet_page_header *header) {
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(thrift, &field)) {
        switch (field.id) {
        case 1: header->value_count = parquet_thrift_i32(thrift, field.type); break;
        case 2: header->null_count = parquet_thrift_i32(thrift, field.type); break;
        case 3: header->row_count = parquet_thrift_i32(thrift, field.type); break;
        case 4: header->encoding = parquet_thrift_i32(thrift, field.type); break;
        case 5: header->definition_bytes = parquet_thrift_i32(thrift, field.type); break;
        case 6: header->repetition_bytes = parquet_thrift_i32(thrift, field.type); break;
        case 7: header->is_compressed = parquet_thrift_bool(thrift, field.type); break;
        default: parquet_thrift_skip(thrift, field.type);
        }
    }
}

// The struct that describes the page; a header may hold several, only its type's own counts.
static void read_body_header(parquet_thrift *thrift, const parquet_thrift_field *field,
                             parquet_page_header *header) {
    static const int32_t owner[] = {PARQUET_PAGE_DATA, PARQUET_PAGE_INDEX, PARQUET_PAGE_DICTIONARY,
                                    PARQUET_PAGE_DATA_V2};
    if (header->type != owner[field->id - 5] || header->type == PARQUET_PAGE_INDEX) {
        parquet_thrift_skip(thrift, field->type);
        return;
    }
    if (!parquet_thrift_is_struct(thrift, field->type)) return;
    header->has_body = true;
    switch (header->type) {
    case PARQUET_PAGE_DATA_V2: read_data_header_v2(thrift, header); break;
    case PARQUET_PAGE_DICTIONARY: read_dictionary_header(thrift, header); break;
    default: read_data_header(thrift, header);
    }
}

parquet_header_result parquet_page_header_decode(tarn_slice bytes, parquet_page_header *ret_header,
                                                 size_t *ret_len, tarn_error *err) {
    parquet_page_header header = {
        .type = PARQUET_ABSENT,
        .encoding = PARQUET_ABSENT,
        .definition_encoding = PARQUET_RLE,
        .is_compressed = true,
    };
    parquet_thrift thrift = parquet_thrift_from(bytes);
    parquet_thrift_field field = {0};
    while (parquet_thrift_next_field(&thrift, &field)) {
        switch (field.id) {
        case 1: header.type = parquet_thrift_i32(&thrift, field.type); break;
        case 2: header.uncompressed_bytes = parquet_thrift_i32(&thrift, field.type); break;
        case 3: header.compressed_bytes = parquet_thrift_i32(&thrift, field.type); break;
        case 4:
            header.crc = (uint32_t)parquet_thrift_i32(&thrift, field.type);
            header.has_crc = true;
            break;
        case 5:
        case 6:
        case 7:
        case 8: read_body_header(&thrift, &field, &header); break;
        default: parquet_thrift_skip(&thrift, field.type);
        }
    }
    if (thrift.is_cut) return PARQUET_HEADER_CUT;
    const char *problem = thrift.problem;
    if (problem == NULL &&
        (header.uncompressed_bytes < 0 || header.compressed_bytes < 0 || header.value_count < 0)) {
        problem = "has a negative size";
    }
    if (problem != NULL) {
        (void)tarn_fail(err, TARN_CORRUPT, "page header %s", problem);
        return PARQUET_HEADER_BAD;
    }
    *ret_header = header;
    *ret_len = thrift.consumed_bytes;
    return PARQUET_HEADER_OK;
}
