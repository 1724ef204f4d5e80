#include "format/parquet/storage.h"

#define NS_PER_DAY      INT64_C(86400000000000)
#define UNIX_JULIAN_DAY 2440588

// ---- plans ----

// The fewest bytes whose two's complement holds `precision` digits.
static int32_t decimal_bytes(int precision) {
    int32_t bytes = 1;
    tarn_int128 limit = tarn_power_of_ten(precision) - 1;
    while (bytes < 16 && limit >> (8 * bytes - 1) != 0) bytes++;
    return bytes;
}

static void plan_numeric(parquet_storage *storage) {
    parquet_element *element = &storage->element;
    int precision = storage->type.precision;
    element->converted = PARQUET_CONVERTED_DECIMAL;
    element->scale = storage->type.scale;
    element->precision = precision;
    element->logical = (parquet_logical){
        .kind = PARQUET_LOGICAL_DECIMAL, .scale = storage->type.scale, .precision = precision};
    if (precision <= 9) {
        element->type = PARQUET_INT32;
        storage->storing = PARQUET_STORE_I64_AS_I32;
    } else if (precision <= 18) {
        element->type = PARQUET_INT64;
    } else {
        element->type = PARQUET_FIXED;
        element->type_length = decimal_bytes(precision);
        storage->storing = PARQUET_STORE_I128_AS_FIXED;
    }
}

static void plan_smallint(parquet_storage *storage, int32_t bits) {
    parquet_element *element = &storage->element;
    element->type = PARQUET_INT32;
    element->converted = bits == 8 ? PARQUET_CONVERTED_INT_8 : PARQUET_CONVERTED_INT_16;
    element->logical =
        (parquet_logical){.kind = PARQUET_LOGICAL_INTEGER, .bit_width = bits, .is_signed = true};
    storage->storing = PARQUET_STORE_I16_AS_I32;
}

static void plan_time(parquet_storage *storage, bool is_millis) {
    parquet_element *element = &storage->element;
    element->logical.kind = PARQUET_LOGICAL_TIME;
    if (is_millis) {
        element->type = PARQUET_INT32;
        element->converted = PARQUET_CONVERTED_TIME_MILLIS;
        element->logical.unit = PARQUET_UNIT_MILLIS;
        element->logical.is_utc = true; // as Paimon has it
        storage->storing = PARQUET_STORE_I64_DIVIDED_AS_I32;
        storage->factor = 1000;
    } else {
        element->type = PARQUET_INT64;
        element->logical.unit = PARQUET_UNIT_MICROS;
    }
}

// A converted type would say "instant", so local timestamps have none.
static void plan_timestamp(parquet_storage *storage, bool is_utc, bool is_millis) {
    parquet_element *element = &storage->element;
    element->type = PARQUET_INT64;
    element->logical = (parquet_logical){
        .kind = PARQUET_LOGICAL_TIMESTAMP,
        .is_utc = is_utc,
        .unit = is_millis ? PARQUET_UNIT_MILLIS : PARQUET_UNIT_MICROS,
    };
    if (is_utc) {
        element->converted =
            is_millis ? PARQUET_CONVERTED_TIMESTAMP_MILLIS : PARQUET_CONVERTED_TIMESTAMP_MICROS;
    }
    if (is_millis) {
        storage->storing = PARQUET_STORE_I64_DIVIDED;
        storage->factor = 1000;
    }
}

static void plan_nanoseconds(parquet_storage *storage, bool is_utc, bool is_int96) {
    parquet_element *element = &storage->element;
    if (is_int96) {
        element->type = PARQUET_INT96;
        storage->storing = PARQUET_STORE_NS_AS_INT96;
        storage->has_order = false;
        return;
    }
    element->type = PARQUET_INT64;
    element->logical = (parquet_logical){
        .kind = PARQUET_LOGICAL_TIMESTAMP, .is_utc = is_utc, .unit = PARQUET_UNIT_NANOS};
}

static void plan_text(parquet_storage *storage, bool is_text) {
    storage->element.type = PARQUET_BYTE_ARRAY;
    storage->storing = PARQUET_STORE_STRING;
    if (is_text) {
        storage->element.converted = PARQUET_CONVERTED_UTF8;
        storage->element.logical.kind = PARQUET_LOGICAL_STRING;
    }
}

static void plan_plain(parquet_storage *storage, parquet_type type) {
    storage->element.type = (int32_t)type;
}

static bool is_nanoseconds(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
}

static tarn_status check_options(const tarn_field *field,
                                 const tarn_parquet_column_options *options, tarn_error *err) {
    tarn_type type = field->type;
    bool is_timestamp = type.id == TARN_TYPE_TIMESTAMP || type.id == TARN_TYPE_TIMESTAMPTZ;
    const char *problem = NULL;
    if (options->timestamp_millis && (!is_timestamp || type.precision > 3)) {
        problem = "milliseconds are for timestamps of up to three digits";
    } else if (options->time_millis && type.id != TARN_TYPE_TIME) {
        problem = "time in milliseconds is for time";
    } else if (options->int96 && !is_nanoseconds(type)) {
        problem = "INT96 is for timestamps of nanoseconds";
    } else if (options->integer_bits != 0 &&
               (options->integer_bits != 8 || type.id != TARN_TYPE_SMALLINT)) {
        problem = "the only other integer is a smallint of 8 bits";
    }
    if (problem == NULL) return TARN_OK;
    return tarn_fail(err, TARN_INVALID, "column '" TARN_SLICE_FMT "': %s",
                     TARN_SLICE_ARG(field->name), problem);
}

static tarn_status plan_type(parquet_storage *storage, const tarn_field *field,
                             const tarn_parquet_column_options *options, tarn_error *err) {
    switch ((tarn_type_id)field->type.id) {
    case TARN_TYPE_BOOLEAN: plan_plain(storage, PARQUET_BOOLEAN); break;
    case TARN_TYPE_SMALLINT: plan_smallint(storage, options->integer_bits == 8 ? 8 : 16); break;
    case TARN_TYPE_INTEGER: plan_plain(storage, PARQUET_INT32); break;
    case TARN_TYPE_BIGINT: plan_plain(storage, PARQUET_INT64); break;
    case TARN_TYPE_REAL: plan_plain(storage, PARQUET_FLOAT); break;
    case TARN_TYPE_DOUBLE: plan_plain(storage, PARQUET_DOUBLE); break;
    case TARN_TYPE_NUMERIC: plan_numeric(storage); break;
    case TARN_TYPE_DATE:
        plan_plain(storage, PARQUET_INT32);
        storage->element.converted = PARQUET_CONVERTED_DATE;
        storage->element.logical.kind = PARQUET_LOGICAL_DATE;
        break;
    case TARN_TYPE_TIME: plan_time(storage, options->time_millis); break;
    case TARN_TYPE_TIMESTAMP: plan_timestamp(storage, false, options->timestamp_millis); break;
    case TARN_TYPE_TIMESTAMPTZ: plan_timestamp(storage, true, options->timestamp_millis); break;
    case TARN_TYPE_TIMESTAMP_NS: plan_nanoseconds(storage, false, options->int96); break;
    case TARN_TYPE_TIMESTAMPTZ_NS: plan_nanoseconds(storage, true, options->int96); break;
    case TARN_TYPE_TEXT: plan_text(storage, true); break;
    case TARN_TYPE_BYTEA: plan_text(storage, false); break;
    case TARN_TYPE_NULL:
    case TARN_TYPE_INTERVAL:
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "column '" TARN_SLICE_FMT "': files do not hold values of type %s",
                         TARN_SLICE_ARG(field->name),
                         field->type.id == TARN_TYPE_NULL ? "unknown" : "interval");
    }
    return TARN_OK;
}

static uint32_t stored_width(const parquet_element *element) {
    switch (element->type) {
    case PARQUET_BOOLEAN: return 1;
    case PARQUET_INT32:
    case PARQUET_FLOAT: return 4;
    case PARQUET_INT64:
    case PARQUET_DOUBLE: return 8;
    case PARQUET_INT96: return 12;
    case PARQUET_FIXED: return (uint32_t)element->type_length;
    default: return 0;
    }
}

tarn_status parquet_storage_plan(const tarn_field *field,
                                 const tarn_parquet_column_options *options,
                                 parquet_storage *ret_storage, tarn_error *err) {
    static const tarn_parquet_column_options defaults = {0};
    if (options == NULL) options = &defaults;
    TARN_TRY(check_options(field, options, err));
    parquet_storage storage = {
        .type = field->type,
        .element = {.name = field->name,
                    .repetition = field->not_null ? PARQUET_REQUIRED : PARQUET_OPTIONAL,
                    .converted = PARQUET_ABSENT,
                    .field_id = field->id},
        .value_width = (uint32_t)tarn_type_width(field->type),
        .factor = 1,
        .has_order = true,
    };
    TARN_TRY(plan_type(&storage, field, options, err));
    storage.stored_width = stored_width(&storage.element);
    storage.column = parquet_column_describe(&storage.element, 0);
    TARN_TRY(parquet_conversion_plan(&storage.column, field->type, &storage.back, err));
    *ret_storage = storage;
    return TARN_OK;
}

// ---- values ----

static void i16_as_i32(const int16_t *restrict values, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) tarn_store_u32(out + 4 * i, (uint32_t)(int32_t)values[i]);
}

static void i64_as_i32(const int64_t *restrict values, size_t count, uint8_t *restrict out) {
    for (size_t i = 0; i < count; i++) tarn_store_u32(out + 4 * i, (uint32_t)values[i]);
}

static int64_t divide_down(int64_t value, int64_t divisor) {
    return value / divisor - (value % divisor < 0);
}

static void divided(const int64_t *values, size_t count, int64_t divisor, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        tarn_store_u64(out + 8 * i, (uint64_t)divide_down(values[i], divisor));
    }
}

static void divided_as_i32(const int64_t *values, size_t count, int64_t divisor, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        tarn_store_u32(out + 4 * i, (uint32_t)divide_down(values[i], divisor));
    }
}

static void ns_as_int96(const int64_t *values, size_t count, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        int64_t day = divide_down(values[i], NS_PER_DAY);
        int64_t rest = values[i] % NS_PER_DAY;
        tarn_store_u64(out + 12 * i, (uint64_t)(rest < 0 ? rest + NS_PER_DAY : rest));
        tarn_store_u32(out + 12 * i + 8, (uint32_t)(day + UNIX_JULIAN_DAY));
    }
}

static void i128_as_fixed(const tarn_int128 *values, size_t count, size_t width, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        tarn_uint128 value = (tarn_uint128)values[i];
        for (size_t j = width; j > 0; j--, value >>= 8) out[width * i + j - 1] = (uint8_t)value;
    }
}

void parquet_store(const parquet_storage *storage, const void *values, size_t count, uint8_t *out) {
    if (count == 0) return;
    switch (storage->storing) {
    case PARQUET_STORE_SAME: memcpy(out, values, count * storage->value_width); break;
    case PARQUET_STORE_I16_AS_I32: i16_as_i32(values, count, out); break;
    case PARQUET_STORE_I64_AS_I32: i64_as_i32(values, count, out); break;
    case PARQUET_STORE_I64_DIVIDED: divided(values, count, storage->factor, out); break;
    case PARQUET_STORE_I64_DIVIDED_AS_I32:
        divided_as_i32(values, count, storage->factor, out);
        break;
    case PARQUET_STORE_NS_AS_INT96: ns_as_int96(values, count, out); break;
    case PARQUET_STORE_I128_AS_FIXED:
        i128_as_fixed(values, count, storage->stored_width, out);
        break;
    case PARQUET_STORE_STRING: tarn_assert(false); break;
    }
}
