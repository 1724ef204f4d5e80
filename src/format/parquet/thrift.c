#include "format/parquet/thrift.h"

#include "base/varint.h"

// Parquet's own structs nest five deep; unknown ones may go a little further.
#define SKIP_DEPTH_MAX 16

// ---- reading ----

parquet_thrift parquet_thrift_from(tarn_slice input) {
    return (parquet_thrift){.rest = input};
}

void parquet_thrift_fail(parquet_thrift *thrift, const char *problem) {
    if (thrift->problem == NULL) {
        thrift->problem = problem;
        thrift->problem_offset = thrift->consumed_bytes;
    }
    thrift->rest = (tarn_slice){thrift->rest.data, 0};
}

static void fail_cut(parquet_thrift *thrift) {
    if (thrift->problem == NULL) thrift->is_cut = true;
    parquet_thrift_fail(thrift, "ends inside a value");
}

static uint8_t take_byte(parquet_thrift *thrift) {
    if (thrift->rest.len == 0) {
        fail_cut(thrift);
        return 0;
    }
    uint8_t byte = thrift->rest.data[0];
    thrift->rest = tarn_slice_skip(thrift->rest, 1);
    thrift->consumed_bytes++;
    return byte;
}

static uint64_t take_varint(parquet_thrift *thrift) {
    size_t before = thrift->rest.len;
    uint64_t value;
    if (!tarn_varint_decode(&thrift->rest, &value)) {
        if (before < TARN_VARINT_MAX_BYTES) {
            fail_cut(thrift);
        } else {
            parquet_thrift_fail(thrift, "has an integer of more than 64 bits");
        }
        return 0;
    }
    thrift->consumed_bytes += before - thrift->rest.len;
    return value;
}

bool parquet_thrift_next_field(parquet_thrift *thrift, parquet_thrift_field *field) {
    uint8_t header = take_byte(thrift);
    if (thrift->problem != NULL || header == 0) return false;
    uint8_t delta = header >> 4;
    int64_t id = delta > 0 ? field->id + delta : tarn_zigzag_decode(take_varint(thrift));
    if (id < INT16_MIN || id > INT16_MAX) {
        parquet_thrift_fail(thrift, "has a field id out of range");
    }
    field->id = id;
    field->type = header & 0x0F;
    return thrift->problem == NULL;
}

int64_t parquet_thrift_i64(parquet_thrift *thrift, uint8_t type) {
    if (type == PARQUET_THRIFT_I8) return (int8_t)take_byte(thrift);
    if (type < PARQUET_THRIFT_I8 || type > PARQUET_THRIFT_I64) {
        parquet_thrift_fail(thrift, "has another type where an integer belongs");
        return 0;
    }
    return tarn_zigzag_decode(take_varint(thrift));
}

int32_t parquet_thrift_i32(parquet_thrift *thrift, uint8_t type) {
    int64_t value = parquet_thrift_i64(thrift, type);
    if (value < INT32_MIN || value > INT32_MAX) {
        parquet_thrift_fail(thrift, "has an integer of more than 32 bits");
        return 0;
    }
    return (int32_t)value;
}

bool parquet_thrift_bool(parquet_thrift *thrift, uint8_t type) {
    if (type != PARQUET_THRIFT_TRUE && type != PARQUET_THRIFT_FALSE) {
        parquet_thrift_fail(thrift, "has another type where a boolean belongs");
    }
    return type == PARQUET_THRIFT_TRUE;
}

tarn_slice parquet_thrift_binary(parquet_thrift *thrift, uint8_t type) {
    if (type != PARQUET_THRIFT_BINARY) {
        parquet_thrift_fail(thrift, "has another type where text belongs");
        return (tarn_slice){0};
    }
    uint64_t len = take_varint(thrift);
    if (len > thrift->rest.len) {
        fail_cut(thrift);
        return (tarn_slice){0};
    }
    tarn_slice value = tarn_slice_head(thrift->rest, (size_t)len);
    thrift->rest = tarn_slice_skip(thrift->rest, (size_t)len);
    thrift->consumed_bytes += (size_t)len;
    return value;
}

size_t parquet_thrift_list(parquet_thrift *thrift, uint8_t type, size_t element_bytes,
                           uint8_t *ret_element_type) {
    *ret_element_type = 0;
    if (type != PARQUET_THRIFT_LIST && type != PARQUET_THRIFT_SET) {
        parquet_thrift_fail(thrift, "has another type where a list belongs");
        return 0;
    }
    uint8_t header = take_byte(thrift);
    uint64_t count = header >> 4;
    if (count == 15) count = take_varint(thrift);
    if (count > thrift->rest.len / element_bytes) {
        fail_cut(thrift);
        return 0;
    }
    *ret_element_type = header & 0x0F;
    return (size_t)count;
}

bool parquet_thrift_is_struct(parquet_thrift *thrift, uint8_t type) {
    if (type != PARQUET_THRIFT_STRUCT) {
        parquet_thrift_fail(thrift, "has another type where a struct belongs");
    }
    return type == PARQUET_THRIFT_STRUCT;
}

static void skip_bytes(parquet_thrift *thrift, uint64_t len) {
    if (len > thrift->rest.len) {
        fail_cut(thrift);
        return;
    }
    thrift->rest = tarn_slice_skip(thrift->rest, (size_t)len);
    thrift->consumed_bytes += (size_t)len;
}

static void skip_value(parquet_thrift *thrift, uint8_t type, bool is_element, int depth);

static void skip_list(parquet_thrift *thrift, uint8_t type, int depth) {
    uint8_t element_type;
    size_t count = parquet_thrift_list(thrift, type, 1, &element_type);
    for (size_t i = 0; i < count && thrift->problem == NULL; i++) {
        skip_value(thrift, element_type, true, depth + 1);
    }
}

static void skip_map(parquet_thrift *thrift, int depth) {
    uint64_t count = take_varint(thrift);
    if (count == 0) return;
    uint8_t types = take_byte(thrift);
    for (uint64_t i = 0; i < count && thrift->problem == NULL; i++) {
        skip_value(thrift, types >> 4, true, depth + 1);
        skip_value(thrift, types & 0x0F, true, depth + 1);
    }
}

static void skip_value(parquet_thrift *thrift, uint8_t type, bool is_element, int depth) {
    if (depth > SKIP_DEPTH_MAX) {
        parquet_thrift_fail(thrift, "is nested too deeply");
        return;
    }
    switch (type) {
    case PARQUET_THRIFT_TRUE:
    case PARQUET_THRIFT_FALSE:
        if (is_element) skip_bytes(thrift, 1);
        return;
    case PARQUET_THRIFT_I8: skip_bytes(thrift, 1); return;
    case PARQUET_THRIFT_I16:
    case PARQUET_THRIFT_I32:
    case PARQUET_THRIFT_I64: (void)take_varint(thrift); return; // sticky failure
    case PARQUET_THRIFT_DOUBLE: skip_bytes(thrift, 8); return;
    case PARQUET_THRIFT_BINARY: skip_bytes(thrift, take_varint(thrift)); return;
    case PARQUET_THRIFT_LIST:
    case PARQUET_THRIFT_SET: skip_list(thrift, type, depth); return;
    case PARQUET_THRIFT_MAP: skip_map(thrift, depth); return;
    case PARQUET_THRIFT_STRUCT: {
        parquet_thrift_field field = {0};
        while (parquet_thrift_next_field(thrift, &field)) {
            skip_value(thrift, field.type, false, depth + 1);
        }
        return;
    }
    default: parquet_thrift_fail(thrift, "has a value of an unknown type");
    }
}

void parquet_thrift_skip(parquet_thrift *thrift, uint8_t type) {
    skip_value(thrift, type, false, 0);
}

// ---- writing ----

parquet_thrift_writer parquet_thrift_write_to(tarn_buffer *out) {
    return (parquet_thrift_writer){.out = out};
}

static void put_byte(parquet_thrift_writer *writer, uint8_t byte) {
    if (!tarn_buffer_append_byte(writer->out, byte)) writer->failed = true;
}

static void put_varint(parquet_thrift_writer *writer, uint64_t value) {
    uint8_t bytes[TARN_VARINT_MAX_BYTES];
    size_t len = tarn_varint_encode(bytes, value);
    if (!tarn_buffer_append(writer->out, (tarn_slice){bytes, len})) writer->failed = true;
}

static void put_field(parquet_thrift_writer *writer, int id, uint8_t type) {
    int delta = id - writer->previous_ids[writer->depth];
    tarn_assert(delta > 0); // Parquet's ids are small, and we write them in order
    tarn_assert(delta < 16);
    put_byte(writer, (uint8_t)(delta << 4 | type));
    writer->previous_ids[writer->depth] = id;
}

void parquet_thrift_put_i32(parquet_thrift_writer *writer, int id, int32_t value) {
    put_field(writer, id, PARQUET_THRIFT_I32);
    put_varint(writer, tarn_zigzag_encode(value));
}

void parquet_thrift_put_i64(parquet_thrift_writer *writer, int id, int64_t value) {
    put_field(writer, id, PARQUET_THRIFT_I64);
    put_varint(writer, tarn_zigzag_encode(value));
}

void parquet_thrift_put_i16(parquet_thrift_writer *writer, int id, int16_t value) {
    put_field(writer, id, PARQUET_THRIFT_I16);
    put_varint(writer, tarn_zigzag_encode(value));
}

void parquet_thrift_put_i8(parquet_thrift_writer *writer, int id, int8_t value) {
    put_field(writer, id, PARQUET_THRIFT_I8);
    put_byte(writer, (uint8_t)value);
}

void parquet_thrift_put_bool(parquet_thrift_writer *writer, int id, bool value) {
    put_field(writer, id, value ? PARQUET_THRIFT_TRUE : PARQUET_THRIFT_FALSE);
}

void parquet_thrift_put_binary(parquet_thrift_writer *writer, int id, tarn_slice value) {
    put_field(writer, id, PARQUET_THRIFT_BINARY);
    parquet_thrift_put_element_binary(writer, value);
}

void parquet_thrift_put_list(parquet_thrift_writer *writer, int id, uint8_t element_type,
                             size_t count) {
    put_field(writer, id, PARQUET_THRIFT_LIST);
    if (count < 15) {
        put_byte(writer, (uint8_t)(count << 4 | element_type));
    } else {
        put_byte(writer, 0xF0 | element_type);
        put_varint(writer, count);
    }
}

void parquet_thrift_put_element_i64(parquet_thrift_writer *writer, int64_t value) {
    put_varint(writer, tarn_zigzag_encode(value));
}

void parquet_thrift_put_element_bool(parquet_thrift_writer *writer, bool value) {
    put_byte(writer, value ? PARQUET_THRIFT_TRUE : PARQUET_THRIFT_FALSE);
}

void parquet_thrift_put_element_binary(parquet_thrift_writer *writer, tarn_slice value) {
    put_varint(writer, value.len);
    if (!tarn_buffer_append(writer->out, value)) writer->failed = true;
}

void parquet_thrift_begin_element(parquet_thrift_writer *writer) {
    writer->depth++;
    tarn_assert(writer->depth < PARQUET_THRIFT_DEPTH_MAX);
    writer->previous_ids[writer->depth] = 0;
}

void parquet_thrift_begin_struct(parquet_thrift_writer *writer, int id) {
    put_field(writer, id, PARQUET_THRIFT_STRUCT);
    parquet_thrift_begin_element(writer);
}

void parquet_thrift_end_struct(parquet_thrift_writer *writer) {
    put_byte(writer, 0);
    if (writer->depth > 0) writer->depth--;
}

void parquet_thrift_put_empty(parquet_thrift_writer *writer, int id) {
    parquet_thrift_begin_struct(writer, id);
    parquet_thrift_end_struct(writer);
}
