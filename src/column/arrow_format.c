#include "column/arrow.h"

// ---- writing ----

void arrow_format_write(tarn_type type, char out[ARROW_FORMAT_MAX]) {
    static const char *const formats[] = {
        [TARN_TYPE_NULL] = "n",
        [TARN_TYPE_BOOLEAN] = "b",
        [TARN_TYPE_SMALLINT] = "s",
        [TARN_TYPE_INTEGER] = "i",
        [TARN_TYPE_BIGINT] = "l",
        [TARN_TYPE_REAL] = "f",
        [TARN_TYPE_DOUBLE] = "g",
        [TARN_TYPE_NUMERIC] = "d",
        [TARN_TYPE_DATE] = "tdD",
        [TARN_TYPE_TIME] = "ttu",
        [TARN_TYPE_TIMESTAMP] = "tsu:",
        [TARN_TYPE_TIMESTAMPTZ] = "tsu:UTC",
        [TARN_TYPE_TEXT] = "u",
        [TARN_TYPE_BYTEA] = "z",
        [TARN_TYPE_INTERVAL] = "tin",
        [TARN_TYPE_TIMESTAMP_NS] = "tsn:",
        [TARN_TYPE_TIMESTAMPTZ_NS] = "tsn:UTC",
    };
    if (type.id == TARN_TYPE_NUMERIC) {
        (void)snprintf(out, ARROW_FORMAT_MAX, "d:%u,%u", (unsigned)type.precision,
                       (unsigned)type.scale); // always fits
    } else {
        (void)snprintf(out, ARROW_FORMAT_MAX, "%s", formats[type.id]);
    }
}

// ---- reading ----

static arrow_type plain(arrow_layout layout, tarn_type_id id) {
    return (arrow_type){
        .layout = layout, .type = tarn_type_of(id), .multiply_by = 1, .divide_by = 1};
}

// One letter says it all.
static bool read_letter(char letter, arrow_type *ret_type) {
    switch (letter) {
    case 'n': *ret_type = plain(ARROW_NONE, TARN_TYPE_NULL); return true;
    case 'b': *ret_type = plain(ARROW_BITS, TARN_TYPE_BOOLEAN); return true;
    case 'c': *ret_type = plain(ARROW_I8, TARN_TYPE_SMALLINT); return true;
    case 'C': *ret_type = plain(ARROW_U8, TARN_TYPE_SMALLINT); return true;
    case 's': *ret_type = plain(ARROW_I16, TARN_TYPE_SMALLINT); return true;
    case 'S': *ret_type = plain(ARROW_U16, TARN_TYPE_INTEGER); return true;
    case 'i': *ret_type = plain(ARROW_I32, TARN_TYPE_INTEGER); return true;
    case 'I': *ret_type = plain(ARROW_U32, TARN_TYPE_BIGINT); return true;
    case 'l': *ret_type = plain(ARROW_I64, TARN_TYPE_BIGINT); return true;
    case 'L': *ret_type = plain(ARROW_U64, TARN_TYPE_BIGINT); return true;
    case 'f': *ret_type = plain(ARROW_F32, TARN_TYPE_REAL); return true;
    case 'g': *ret_type = plain(ARROW_F64, TARN_TYPE_DOUBLE); return true;
    case 'u': *ret_type = plain(ARROW_BYTES_32, TARN_TYPE_TEXT); return true;
    case 'U': *ret_type = plain(ARROW_BYTES_64, TARN_TYPE_TEXT); return true;
    case 'z': *ret_type = plain(ARROW_BYTES_32, TARN_TYPE_BYTEA); return true;
    case 'Z': *ret_type = plain(ARROW_BYTES_64, TARN_TYPE_BYTEA); return true;
    default: return false;
    }
}

// A decimal number without sign, moving *at behind it.
static bool read_number(const char **at, unsigned long limit, unsigned long *ret_number) {
    unsigned long number = 0;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9' && number <= limit; (*at)++) {
        number = number * 10 + (unsigned long)(**at - '0');
    }
    *ret_number = number;
    return *at != start && number <= limit;
}

// "d:precision,scale" or, with 128 bits said, "d:precision,scale,128"
static bool read_decimal(const char *at, arrow_type *ret_type) {
    unsigned long precision;
    unsigned long scale;
    if (!read_number(&at, TARN_NUMERIC_PRECISION_MAX, &precision) || *at++ != ',') return false;
    if (!read_number(&at, precision, &scale) || precision == 0) return false;
    if (*at != '\0' && strcmp(at, ",128") != 0) return false;
    *ret_type = plain(ARROW_I128, TARN_TYPE_NUMERIC);
    ret_type->type = tarn_type_numeric((int)precision, (int)scale);
    return true;
}

static bool read_fixed_bytes(const char *at, arrow_type *ret_type) {
    unsigned long bytes;
    if (!read_number(&at, INT32_MAX, &bytes) || *at != '\0') return false;
    *ret_type = plain(ARROW_BYTES_FIXED, TARN_TYPE_BYTEA);
    ret_type->fixed_bytes = bytes;
    return true;
}

typedef struct time_unit {
    uint8_t digits;      // of the fraction of a second
    int64_t multiply_by; // to microseconds
    int64_t divide_by;
} time_unit;

static bool read_unit(char letter, time_unit *ret_unit) {
    switch (letter) {
    case 's': *ret_unit = (time_unit){0, 1000000, 1}; return true;
    case 'm': *ret_unit = (time_unit){3, 1000, 1}; return true;
    case 'u': *ret_unit = (time_unit){6, 1, 1}; return true;
    case 'n': *ret_unit = (time_unit){9, 1, 1000}; return true;
    default: return false;
    }
}

static bool read_date(const char *unit, arrow_type *ret_type) {
    if (strcmp(unit, "D") == 0) {
        *ret_type = plain(ARROW_I32, TARN_TYPE_DATE);
        return true;
    }
    if (strcmp(unit, "m") != 0) return false;
    *ret_type = plain(ARROW_I64, TARN_TYPE_DATE);
    ret_type->divide_by = COLUMN_DAY_US / 1000;
    return true;
}

static bool read_time(const char *letters, arrow_type *ret_type) {
    time_unit unit;
    if (!read_unit(letters[0], &unit) || letters[1] != '\0') return false;
    *ret_type = plain(unit.digits <= 3 ? ARROW_I32 : ARROW_I64, TARN_TYPE_TIME);
    ret_type->type.precision = unit.digits > 6 ? 6 : unit.digits;
    ret_type->multiply_by = unit.multiply_by;
    ret_type->divide_by = unit.divide_by;
    return true;
}

// The time zone is for display: values are UTC, so any zone makes an instant.
static bool read_timestamp(const char *letters, arrow_type *ret_type) {
    time_unit unit;
    if (!read_unit(letters[0], &unit) || letters[1] != ':') return false;
    bool has_zone = letters[2] != '\0';
    if (unit.digits == 9) {
        *ret_type = plain(ARROW_I64, has_zone ? TARN_TYPE_TIMESTAMPTZ_NS : TARN_TYPE_TIMESTAMP_NS);
        return true;
    }
    *ret_type = plain(ARROW_I64, has_zone ? TARN_TYPE_TIMESTAMPTZ : TARN_TYPE_TIMESTAMP);
    ret_type->type.precision = unit.digits;
    ret_type->multiply_by = unit.multiply_by;
    return true;
}

bool arrow_format_read(const char *format, arrow_type *ret_type) {
    if (format[0] != '\0' && format[1] == '\0') return read_letter(format[0], ret_type);
    if (strncmp(format, "d:", 2) == 0) return read_decimal(format + 2, ret_type);
    if (strncmp(format, "w:", 2) == 0) return read_fixed_bytes(format + 2, ret_type);
    if (strncmp(format, "td", 2) == 0) return read_date(format + 2, ret_type);
    if (strncmp(format, "tt", 2) == 0) return read_time(format + 2, ret_type);
    if (strncmp(format, "ts", 2) == 0) return read_timestamp(format + 2, ret_type);
    if (strcmp(format, "tin") != 0) return false;
    *ret_type = plain(ARROW_INTERVAL, TARN_TYPE_INTERVAL);
    return true;
}

// ---- schemas ----

tarn_status arrow_check_struct(const struct ArrowSchema *arrow, tarn_error *err) {
    if (arrow->release == NULL) {
        return tarn_fail(err, TARN_INVALID, "the Arrow schema has been released");
    }
    if (arrow->format == NULL || strcmp(arrow->format, "+s") != 0 || arrow->dictionary != NULL) {
        return tarn_fail(err, TARN_INVALID, "the Arrow schema is \"%s\", not a struct of columns",
                         arrow->format == NULL ? "" : arrow->format);
    }
    if (arrow->n_children < 0 || (arrow->n_children > 0 && arrow->children == NULL)) {
        return tarn_fail(err, TARN_INVALID,
                         "the Arrow schema has %lld children and no list of them",
                         (long long)arrow->n_children);
    }
    return TARN_OK;
}

static bool is_index(const arrow_type *type) {
    return type->layout >= ARROW_I8 && type->layout <= ARROW_U64 &&
           tarn_type_is_integer(type->type);
}

tarn_status arrow_read_field(const struct ArrowSchema *field, size_t index, arrow_type *ret_type,
                             tarn_error *err) {
    if (field == NULL || field->release == NULL || field->format == NULL) {
        return tarn_fail(err, TARN_INVALID, "column %zu of the Arrow schema is missing", index + 1);
    }
    const char *name = field->name == NULL ? "" : field->name;
    const char *format = field->format;
    arrow_type type;
    bool known = arrow_format_read(format, &type);
    if (field->dictionary != NULL) {
        if (!known || !is_index(&type)) {
            return tarn_fail(err, TARN_INVALID,
                             "column '%s': a dictionary cannot be indexed by Arrow type \"%s\"",
                             name, format);
        }
        format = field->dictionary->format == NULL ? "" : field->dictionary->format;
        known = field->dictionary->dictionary == NULL && arrow_format_read(format, &type) &&
                type.layout != ARROW_NONE;
    }
    if (!known) {
        return tarn_fail(err, TARN_UNSUPPORTED, "column '%s': Arrow type \"%s\" is not supported",
                         name, format);
    }
    *ret_type = type;
    return TARN_OK;
}
