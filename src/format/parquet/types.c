#include "format/parquet/types.h"

// ---- what a column means ----

// INTERVAL has a converted type only; this stands for it among the logical ones.
#define LOGICAL_INTERVAL (-2)

static parquet_logical from_converted(const parquet_element *element) {
    parquet_logical logical = {0};
    int32_t converted = element->converted;
    if (converted >= PARQUET_CONVERTED_UINT_8 && converted <= PARQUET_CONVERTED_INT_64) {
        logical.kind = PARQUET_LOGICAL_INTEGER;
        logical.is_signed = converted >= PARQUET_CONVERTED_INT_8;
        logical.bit_width = 8 << (converted - (logical.is_signed ? PARQUET_CONVERTED_INT_8
                                                                 : PARQUET_CONVERTED_UINT_8));
        return logical;
    }
    logical.is_utc = true;
    switch (converted) {
    case PARQUET_CONVERTED_UTF8: logical.kind = PARQUET_LOGICAL_STRING; break;
    case PARQUET_CONVERTED_ENUM: logical.kind = PARQUET_LOGICAL_ENUM; break;
    case PARQUET_CONVERTED_DECIMAL:
        logical.kind = PARQUET_LOGICAL_DECIMAL;
        logical.precision = element->precision;
        logical.scale = element->scale;
        break;
    case PARQUET_CONVERTED_DATE: logical.kind = PARQUET_LOGICAL_DATE; break;
    case PARQUET_CONVERTED_TIME_MILLIS:
    case PARQUET_CONVERTED_TIME_MICROS:
        logical.kind = PARQUET_LOGICAL_TIME;
        logical.unit =
            converted == PARQUET_CONVERTED_TIME_MILLIS ? PARQUET_UNIT_MILLIS : PARQUET_UNIT_MICROS;
        break;
    case PARQUET_CONVERTED_TIMESTAMP_MILLIS:
    case PARQUET_CONVERTED_TIMESTAMP_MICROS:
        logical.kind = PARQUET_LOGICAL_TIMESTAMP;
        logical.unit = converted == PARQUET_CONVERTED_TIMESTAMP_MILLIS ? PARQUET_UNIT_MILLIS
                                                                       : PARQUET_UNIT_MICROS;
        break;
    case PARQUET_CONVERTED_JSON: logical.kind = PARQUET_LOGICAL_JSON; break;
    case PARQUET_CONVERTED_BSON: logical.kind = PARQUET_LOGICAL_BSON; break;
    case PARQUET_CONVERTED_INTERVAL: logical.kind = LOGICAL_INTERVAL; break;
    default: break;
    }
    return logical;
}

static tarn_type with_precision(tarn_type_id id, int precision) {
    tarn_type type = tarn_type_of(id);
    type.precision = (uint8_t)precision;
    return type;
}

static int unit_digits(int32_t unit) {
    return unit == PARQUET_UNIT_MILLIS ? 3 : unit == PARQUET_UNIT_MICROS ? 6 : 9;
}

static void describe_decimal(parquet_column *column) {
    int32_t precision = column->logical.precision;
    int32_t scale = column->logical.scale;
    if (precision < 1 || precision > 38) {
        column->refusal = "is a decimal of other than 1 to 38 digits";
    } else if (scale < 0 || scale > precision) {
        column->refusal = "is a decimal whose scale is not within its precision";
    } else {
        column->type = tarn_type_numeric(precision, scale);
    }
}

static void describe_int32(parquet_column *column) {
    const parquet_logical *logical = &column->logical;
    column->type = tarn_type_of(TARN_TYPE_INTEGER);
    switch (logical->kind) {
    case PARQUET_LOGICAL_DATE: column->type = tarn_type_of(TARN_TYPE_DATE); break;
    case PARQUET_LOGICAL_TIME:
        if (logical->unit == PARQUET_UNIT_MILLIS) column->type = with_precision(TARN_TYPE_TIME, 3);
        break;
    case PARQUET_LOGICAL_INTEGER:
        if (logical->bit_width == 8 || (logical->bit_width == 16 && logical->is_signed)) {
            column->type = tarn_type_of(TARN_TYPE_SMALLINT);
        } else if (logical->bit_width == 32 && !logical->is_signed) {
            column->type = tarn_type_of(TARN_TYPE_BIGINT);
        }
        break;
    case PARQUET_LOGICAL_DECIMAL: describe_decimal(column); break;
    default: break; // unknown annotations fall back to the physical type
    }
}

static void describe_int64(parquet_column *column) {
    const parquet_logical *logical = &column->logical;
    column->type = tarn_type_of(TARN_TYPE_BIGINT);
    switch (logical->kind) {
    case PARQUET_LOGICAL_TIME:
        if (logical->unit == PARQUET_UNIT_MICROS || logical->unit == PARQUET_UNIT_NANOS) {
            column->type = with_precision(TARN_TYPE_TIME, 6);
        }
        break;
    case PARQUET_LOGICAL_TIMESTAMP:
        if (logical->unit == PARQUET_UNIT_NANOS) {
            column->type = with_precision(
                logical->is_utc ? TARN_TYPE_TIMESTAMPTZ_NS : TARN_TYPE_TIMESTAMP_NS, 9);
        } else if (logical->unit != PARQUET_UNIT_NONE) {
            column->type =
                with_precision(logical->is_utc ? TARN_TYPE_TIMESTAMPTZ : TARN_TYPE_TIMESTAMP,
                               unit_digits(logical->unit));
        }
        break;
    case PARQUET_LOGICAL_DECIMAL: describe_decimal(column); break;
    default: break;
    }
}

static void describe_bytes(parquet_column *column) {
    column->type = tarn_type_of(TARN_TYPE_BYTEA);
    switch (column->logical.kind) {
    case PARQUET_LOGICAL_STRING:
    case PARQUET_LOGICAL_ENUM:
    case PARQUET_LOGICAL_JSON:
        if (column->physical == PARQUET_BYTE_ARRAY) column->type = tarn_type_of(TARN_TYPE_TEXT);
        break;
    case PARQUET_LOGICAL_DECIMAL: describe_decimal(column); break;
    case PARQUET_LOGICAL_FLOAT16:
        if (column->type_length == 2) column->type = tarn_type_of(TARN_TYPE_REAL);
        break;
    case LOGICAL_INTERVAL:
        if (column->type_length == 12) column->type = tarn_type_of(TARN_TYPE_INTERVAL);
        break;
    default: break;
    }
}

static void describe_type(parquet_column *column) {
    switch (column->physical) {
    case PARQUET_BOOLEAN: column->type = tarn_type_of(TARN_TYPE_BOOLEAN); break;
    case PARQUET_INT32: describe_int32(column); break;
    case PARQUET_INT64: describe_int64(column); break;
    case PARQUET_INT96: column->type = with_precision(TARN_TYPE_TIMESTAMP_NS, 9); break;
    case PARQUET_FLOAT: column->type = tarn_type_of(TARN_TYPE_REAL); break;
    case PARQUET_DOUBLE: column->type = tarn_type_of(TARN_TYPE_DOUBLE); break;
    case PARQUET_BYTE_ARRAY:
    case PARQUET_FIXED: describe_bytes(column); break;
    }
}

parquet_column parquet_column_describe(const parquet_element *element, size_t leaf) {
    parquet_column column = {.name = element->name, .leaf = leaf};
    column.type = tarn_type_of(TARN_TYPE_NULL);
    if (element->repetition == PARQUET_REPEATED) {
        column.refusal = "is nested";
    } else if (element->type < 0 || element->type >= PARQUET_TYPE_COUNT) {
        column.refusal = "has an unknown physical type";
    } else if (element->type == PARQUET_FIXED && element->type_length <= 0) {
        column.refusal = "has values of no length";
    }
    if (column.refusal != NULL) return column;

    bool is_converted = element->logical.kind == PARQUET_LOGICAL_NONE;
    column.physical = (parquet_type)element->type;
    column.type_length = column.physical == PARQUET_FIXED ? (uint32_t)element->type_length : 0;
    column.logical = is_converted ? from_converted(element) : element->logical;
    column.is_optional = element->repetition == PARQUET_OPTIONAL;
    column.is_zone_open = column.physical == PARQUET_INT96 || is_converted;
    describe_type(&column);
    return column;
}

// ---- how to read it as a type ----

static const uint32_t physical_width[PARQUET_TYPE_COUNT] = {
    [PARQUET_BOOLEAN] = 1, [PARQUET_INT32] = 4,
    [PARQUET_INT64] = 8,   [PARQUET_INT96] = 12,
    [PARQUET_FLOAT] = 4,   [PARQUET_DOUBLE] = 8,
    [PARQUET_FIXED] = 0,   [PARQUET_BYTE_ARRAY] = sizeof(tarn_string),
};

static bool is_unsigned(const parquet_column *column, int32_t bits) {
    return column->logical.kind == PARQUET_LOGICAL_INTEGER && !column->logical.is_signed &&
           column->logical.bit_width == bits;
}

// smallint to integer to bigint.
static bool plan_integer(const parquet_column *column, tarn_type type, parquet_conversion *plan) {
    if (!tarn_type_is_integer(type) || type.id < column->type.id) return false;
    if (column->physical == PARQUET_INT64) {
        plan->kind = is_unsigned(column, 64) ? PARQUET_U64_TO_I64 : PARQUET_TO_SAME;
    } else if (type.id == TARN_TYPE_BIGINT) {
        plan->kind = is_unsigned(column, 32) ? PARQUET_U32_TO_I64 : PARQUET_I32_TO_I64;
    } else {
        plan->kind = type.id == TARN_TYPE_SMALLINT ? PARQUET_I32_TO_I16 : PARQUET_TO_SAME;
    }
    return true;
}

static bool plan_float(const parquet_column *column, tarn_type type, parquet_conversion *plan) {
    if (type.id == column->type.id) {
        plan->kind = column->physical == PARQUET_FIXED ? PARQUET_F16_TO_F32 : PARQUET_TO_SAME;
        return true;
    }
    plan->kind = column->physical == PARQUET_FIXED ? PARQUET_F16_TO_F64 : PARQUET_F32_TO_F64;
    return type.id == TARN_TYPE_DOUBLE && column->type.id == TARN_TYPE_REAL;
}

static bool plan_numeric(const parquet_column *column, tarn_type type, parquet_conversion *plan) {
    if (type.id != TARN_TYPE_NUMERIC || type.scale != column->type.scale ||
        type.precision < column->type.precision) {
        return false;
    }
    bool is_wide = tarn_type_physical(type) == TARN_PHYSICAL_I128;
    switch (column->physical) {
    case PARQUET_INT32: plan->kind = is_wide ? PARQUET_I32_TO_I128 : PARQUET_I32_TO_I64; break;
    case PARQUET_INT64: plan->kind = is_wide ? PARQUET_I64_TO_I128 : PARQUET_TO_SAME; break;
    case PARQUET_FIXED: plan->kind = is_wide ? PARQUET_FIXED_TO_I128 : PARQUET_FIXED_TO_I64; break;
    default: plan->kind = is_wide ? PARQUET_STRING_TO_I128 : PARQUET_STRING_TO_I64; break;
    }
    return true;
}

static bool plan_time(const parquet_column *column, tarn_type type, parquet_conversion *plan) {
    plan->factor = 1000;
    switch (column->logical.unit) {
    case PARQUET_UNIT_MILLIS: plan->kind = PARQUET_I32_TIMES; break;
    case PARQUET_UNIT_NANOS: plan->kind = PARQUET_I64_DIVIDE; break;
    default: plan->kind = PARQUET_TO_SAME; break;
    }
    return type.id == TARN_TYPE_TIME;
}

static bool is_nanoseconds(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
}

static bool is_instant(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMPTZ || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
}

static bool plan_timestamp(const parquet_column *column, tarn_type type, parquet_conversion *plan) {
    if (!is_nanoseconds(type) && type.id != TARN_TYPE_TIMESTAMP &&
        type.id != TARN_TYPE_TIMESTAMPTZ) {
        return false;
    }
    if (is_instant(type) != is_instant(column->type) && !column->is_zone_open) return false;
    if (column->physical == PARQUET_INT96) {
        plan->kind = is_nanoseconds(type) ? PARQUET_INT96_TO_NS : PARQUET_INT96_TO_US;
        return true;
    }
    int missing_digits = (is_nanoseconds(type) ? 9 : 6) - unit_digits(column->logical.unit);
    plan->kind = missing_digits == 0 ? PARQUET_TO_SAME : PARQUET_I64_TIMES;
    plan->factor = missing_digits == 6 ? 1000000 : 1000;
    return missing_digits >= 0;
}

static bool plan_kind(const parquet_column *column, tarn_type type, parquet_conversion *plan) {
    switch ((tarn_type_id)column->type.id) {
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT: return plan_integer(column, type, plan);
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE: return plan_float(column, type, plan);
    case TARN_TYPE_NUMERIC: return plan_numeric(column, type, plan);
    case TARN_TYPE_TIME: return plan_time(column, type, plan);
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return plan_timestamp(column, type, plan);
    case TARN_TYPE_INTERVAL:
        plan->kind = PARQUET_FIXED_TO_INTERVAL;
        return type.id == TARN_TYPE_INTERVAL;
    case TARN_TYPE_TEXT: plan->is_text = true; return type.id == TARN_TYPE_TEXT;
    case TARN_TYPE_BYTEA:
        if (column->physical == PARQUET_FIXED) plan->kind = PARQUET_FIXED_TO_STRING;
        return type.id == TARN_TYPE_BYTEA;
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_DATE: return type.id == column->type.id;
    case TARN_TYPE_NULL: return false;
    }
    return false;
}

static tarn_status refuse_type(const parquet_column *column, tarn_type type, tarn_error *err) {
    tarn_buffer types = {.limit_bytes = 256};
    if (tarn_type_format(column->type, &types, NULL) != TARN_OK ||
        !tarn_buffer_append(&types, TARN_LIT(" as ")) ||
        tarn_type_format(type, &types, NULL) != TARN_OK) {
        tarn_buffer_clear(&types); // the names only serve the message
    }
    tarn_status status = tarn_fail(err, TARN_UNSUPPORTED,
                                   "column '" TARN_SLICE_FMT "' cannot be read: " TARN_SLICE_FMT
                                   " would not be a widening",
                                   TARN_SLICE_ARG(column->name), TARN_SLICE_ARG(types));
    tarn_buffer_free(&types);
    return status;
}

tarn_status parquet_conversion_plan(const parquet_column *column, tarn_type type,
                                    parquet_conversion *ret_conversion, tarn_error *err) {
    if (column->type.id == TARN_TYPE_NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "column '" TARN_SLICE_FMT "' %s, which tarn does "
                         "not read",
                         TARN_SLICE_ARG(column->name), column->refusal);
    }
    parquet_conversion plan = {.kind = PARQUET_TO_SAME, .factor = 1};
    if (!plan_kind(column, type, &plan)) return refuse_type(column, type, err);
    plan.width =
        column->physical == PARQUET_FIXED ? column->type_length : physical_width[column->physical];
    plan.out_width = (uint32_t)tarn_type_width(type);
    *ret_conversion = plan;
    return TARN_OK;
}
