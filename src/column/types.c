#include "column/value.h"

#define NUMERIC_SCALE_DEFAULT 10
#define FRACTION_DIGITS_US    6
#define FRACTION_DIGITS_NS    9
#define NUMERIC_DIGITS_I64    18 // 10^18 - 1 is the largest run of nines in an int64

static uint8_t default_precision(tarn_type_id id) {
    switch (id) {
    case TARN_TYPE_NUMERIC: return TARN_NUMERIC_PRECISION_MAX;
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ: return FRACTION_DIGITS_US;
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return FRACTION_DIGITS_NS;
    case TARN_TYPE_NULL:
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE:
    case TARN_TYPE_DATE:
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL: return 0;
    }
    return 0;
}

tarn_type tarn_type_of(tarn_type_id id) {
    tarn_assert((unsigned)id < TARN_TYPE_COUNT);
    return (tarn_type){.id = (uint8_t)id,
                       .precision = default_precision(id),
                       .scale = id == TARN_TYPE_NUMERIC ? NUMERIC_SCALE_DEFAULT : 0};
}

tarn_type tarn_type_numeric(int precision, int scale) {
    tarn_assert(precision >= 1 && precision <= TARN_NUMERIC_PRECISION_MAX);
    tarn_assert(scale >= 0 && scale <= precision);
    return (tarn_type){
        .id = TARN_TYPE_NUMERIC, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
}

bool tarn_type_equal(tarn_type a, tarn_type b) {
    if (a.id != b.id) return false;
    switch ((tarn_type_id)a.id) {
    case TARN_TYPE_NUMERIC: return a.precision == b.precision && a.scale == b.scale;
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return a.precision == b.precision;
    case TARN_TYPE_TEXT:
    case TARN_TYPE_BYTEA: return a.length == b.length;
    case TARN_TYPE_NULL:
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE:
    case TARN_TYPE_DATE:
    case TARN_TYPE_INTERVAL: return true;
    }
    return true;
}

// Looked up per column of every row by the row and key codecs: tables, not switches.
tarn_physical tarn_type_physical(tarn_type type) {
    static const uint8_t physicals[TARN_TYPE_COUNT] = {
        [TARN_TYPE_NULL] = TARN_PHYSICAL_BOOL,
        [TARN_TYPE_BOOLEAN] = TARN_PHYSICAL_BOOL,
        [TARN_TYPE_SMALLINT] = TARN_PHYSICAL_I16,
        [TARN_TYPE_INTEGER] = TARN_PHYSICAL_I32,
        [TARN_TYPE_BIGINT] = TARN_PHYSICAL_I64,
        [TARN_TYPE_REAL] = TARN_PHYSICAL_F32,
        [TARN_TYPE_DOUBLE] = TARN_PHYSICAL_F64,
        [TARN_TYPE_NUMERIC] = TARN_PHYSICAL_I128, // unless 64 bits hold its digits
        [TARN_TYPE_DATE] = TARN_PHYSICAL_I32,
        [TARN_TYPE_TIME] = TARN_PHYSICAL_I64,
        [TARN_TYPE_TIMESTAMP] = TARN_PHYSICAL_I64,
        [TARN_TYPE_TIMESTAMPTZ] = TARN_PHYSICAL_I64,
        [TARN_TYPE_TEXT] = TARN_PHYSICAL_STRING,
        [TARN_TYPE_BYTEA] = TARN_PHYSICAL_STRING,
        [TARN_TYPE_INTERVAL] = TARN_PHYSICAL_INTERVAL,
        [TARN_TYPE_TIMESTAMP_NS] = TARN_PHYSICAL_I64,
        [TARN_TYPE_TIMESTAMPTZ_NS] = TARN_PHYSICAL_I64,
    };
    tarn_assert(type.id < TARN_TYPE_COUNT);
    if (type.id == TARN_TYPE_NUMERIC && type.precision <= NUMERIC_DIGITS_I64) {
        return TARN_PHYSICAL_I64;
    }
    return (tarn_physical)physicals[type.id];
}

size_t tarn_type_width(tarn_type type) {
    return column_physical_width(tarn_type_physical(type));
}

bool tarn_type_is_string(tarn_type type) {
    return type.id == TARN_TYPE_TEXT || type.id == TARN_TYPE_BYTEA;
}

bool tarn_type_is_integer(tarn_type type) {
    return type.id == TARN_TYPE_SMALLINT || type.id == TARN_TYPE_INTEGER ||
           type.id == TARN_TYPE_BIGINT;
}

bool tarn_type_is_number(tarn_type type) {
    return tarn_type_is_integer(type) || type.id == TARN_TYPE_REAL || type.id == TARN_TYPE_DOUBLE ||
           type.id == TARN_TYPE_NUMERIC;
}

// "timestamp without time zone", or "timestamp(3) without time zone" where the precision is not
// the one that PostgreSQL assumes.
static bool format_time(const char *name, const char *zone, tarn_type type, tarn_buffer *out) {
    if (type.precision == FRACTION_DIGITS_US) return tarn_buffer_printf(out, "%s %s", name, zone);
    return tarn_buffer_printf(out, "%s(%u) %s", name, (unsigned)type.precision, zone);
}

static bool format_limited(const char *name, const char *limited, tarn_type type,
                           tarn_buffer *out) {
    if (type.length == 0) return tarn_buffer_printf(out, "%s", name);
    return tarn_buffer_printf(out, "%s(%u)", limited, (unsigned)type.length);
}

static bool format_type(tarn_type type, tarn_buffer *out) {
    switch ((tarn_type_id)type.id) {
    case TARN_TYPE_NULL: return tarn_buffer_append(out, TARN_LIT("unknown"));
    case TARN_TYPE_BOOLEAN: return tarn_buffer_append(out, TARN_LIT("boolean"));
    case TARN_TYPE_SMALLINT: return tarn_buffer_append(out, TARN_LIT("smallint"));
    case TARN_TYPE_INTEGER: return tarn_buffer_append(out, TARN_LIT("integer"));
    case TARN_TYPE_BIGINT: return tarn_buffer_append(out, TARN_LIT("bigint"));
    case TARN_TYPE_REAL: return tarn_buffer_append(out, TARN_LIT("real"));
    case TARN_TYPE_DOUBLE: return tarn_buffer_append(out, TARN_LIT("double precision"));
    case TARN_TYPE_NUMERIC:
        return tarn_buffer_printf(out, "numeric(%u,%u)", (unsigned)type.precision,
                                  (unsigned)type.scale);
    case TARN_TYPE_DATE: return tarn_buffer_append(out, TARN_LIT("date"));
    case TARN_TYPE_TIME: return format_time("time", "without time zone", type, out);
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMP_NS: return format_time("timestamp", "without time zone", type, out);
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_TIMESTAMPTZ_NS: return format_time("timestamp", "with time zone", type, out);
    case TARN_TYPE_TEXT: return format_limited("text", "character varying", type, out);
    case TARN_TYPE_BYTEA: return format_limited("bytea", "bytea", type, out);
    case TARN_TYPE_INTERVAL: return tarn_buffer_append(out, TARN_LIT("interval"));
    }
    return true;
}

tarn_status tarn_type_format(tarn_type type, tarn_buffer *out, tarn_error *err) {
    size_t start = out->len;
    if (format_type(type, out)) return TARN_OK;
    out->len = start;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the name of a type");
}
