#include "lake/partition.h"

bool lake_partition_escape(tarn_slice text, tarn_buffer *out) {
    static const char special[] = "\"#%'*/:=?\\{[]^}";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        bool is_plain = byte >= 0x20 && byte != 0x7F && strchr(special, byte) == NULL;
        bool fits =
            is_plain ? tarn_buffer_append_byte(out, byte) : tarn_buffer_printf(out, "%%%02X", byte);
        if (!fits) return false;
    }
    return true;
}

// Bytes of the white space character at the front of `text` (Java's Character.isWhitespace), 0
// when there is none.
static size_t blank_len(tarn_slice text) {
    uint8_t first = text.data[0];
    if ((first >= 0x09 && first <= 0x0D) || (first >= 0x1C && first <= 0x20)) return 1;
    if (text.len < 3) return 0;
    uint32_t three = (uint32_t)first << 16 | (uint32_t)text.data[1] << 8 | text.data[2];
    bool is_blank = three == 0xE19A80 ||                                             // U+1680
                    (three >= 0xE28080 && three <= 0xE2808A && three != 0xE28087) || // U+2000..200A
                    three == 0xE280A8 || three == 0xE280A9 || // U+2028, U+2029
                    three == 0xE2819F || three == 0xE38080;   // U+205F, U+3000
    return is_blank ? 3 : 0;
}

static bool is_blank(tarn_slice text) {
    while (text.len > 0) {
        size_t len = blank_len(text);
        if (len == 0) return false;
        text = tarn_slice_skip(text, len);
    }
    return true;
}

// As Java's LocalDateTime.toString: seconds only when they or the fraction are not zero, then 3, 6
// or 9 digits of it, the fewest that lose nothing.
static bool format_local_date_time(int64_t seconds, int64_t nanos, tarn_buffer *out) {
    int64_t day = seconds / 86400;
    int64_t of_day = seconds % 86400;
    if (of_day < 0) {
        of_day += 86400;
        day--;
    }
    int64_t year = 0;
    int month = 0;
    int day_of_month = 0;
    tarn_civil_from_days((int32_t)day, &year, &month, &day_of_month);
    const char *sign = year > 9999 ? "+" : "";
    if (!tarn_buffer_printf(
            out, year < 0 ? "%s%05lld-%02d-%02dT%02d:%02d" : "%s%04lld-%02d-%02dT%02d:%02d", sign,
            (long long)year, month, day_of_month, (int)(of_day / 3600), (int)(of_day / 60 % 60))) {
        return false;
    }
    if (of_day % 60 == 0 && nanos == 0) return true;
    if (!tarn_buffer_printf(out, ":%02d", (int)(of_day % 60))) return false;
    if (nanos == 0) return true;
    if (nanos % 1000000 == 0) return tarn_buffer_printf(out, ".%03d", (int)(nanos / 1000000));
    if (nanos % 1000 == 0) return tarn_buffer_printf(out, ".%06d", (int)(nanos / 1000));
    return tarn_buffer_printf(out, ".%09d", (int)nanos);
}

static bool format_timestamp(int64_t value, int64_t per_second, tarn_buffer *out) {
    int64_t seconds = value / per_second;
    int64_t fraction = value % per_second;
    if (fraction < 0) {
        fraction += per_second;
        seconds--;
    }
    return format_local_date_time(seconds, fraction * (1000000000 / per_second), out);
}

static tarn_status format_value(const lake_schema *schema, const lake_field *field,
                                tarn_value value, tarn_buffer *text, tarn_error *err) {
    bool fits = false;
    switch ((tarn_type_id)value.type.id) {
    case TARN_TYPE_BOOLEAN:
        fits = tarn_buffer_printf(text, value.boolean ? "true" : "false");
        break;
    case TARN_TYPE_DATE:
        if (!schema->options.legacy_partition_names) return tarn_value_format(value, text, err);
        fits = tarn_buffer_printf(text, "%lld", (long long)value.i64);
        break;
    case TARN_TYPE_TIME:
        fits = tarn_buffer_printf(text, "%lld", (long long)(value.i64 / 1000));
        break;
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ: fits = format_timestamp(value.i64, 1000000, text); break;
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: fits = format_timestamp(value.i64, 1000000000, text); break;
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT:
    case TARN_TYPE_NUMERIC: return tarn_value_format(value, text, err);
    case TARN_TYPE_TEXT: fits = tarn_buffer_append(text, value.bytes); break;
    case TARN_TYPE_NULL:
    case TARN_TYPE_REAL:
    case TARN_TYPE_DOUBLE:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL:
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "partition key '" TARN_SLICE_FMT "' of type " TARN_SLICE_FMT,
                         TARN_SLICE_ARG(field->name), TARN_SLICE_ARG(field->type.text));
    }
    return fits ? TARN_OK : tarn_fail(err, TARN_NO_MEMORY, "the name of a partition");
}

tarn_status lake_partition_path(const lake_schema *schema, const tarn_value *values,
                                tarn_buffer *out, tarn_error *err) {
    tarn_buffer text = {.alloc = out->alloc};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < schema->partition.count && status == TARN_OK; i++) {
        const lake_field *field = &schema->fields[schema->partition.indices[i]];
        tarn_buffer_clear(&text);
        if (!values[i].is_null) status = format_value(schema, field, values[i], &text, err);
        if (status != TARN_OK) break;
        tarn_slice shown = tarn_buffer_slice(&text);
        // NULL, "" and blank text share a directory; the manifest keeps them apart.
        if (is_blank(shown)) shown = schema->options.default_partition;
        if ((i > 0 && !tarn_buffer_append_byte(out, '/')) ||
            !lake_partition_escape(field->name, out) || !tarn_buffer_append_byte(out, '=') ||
            !lake_partition_escape(shown, out)) {
            status = tarn_fail(err, TARN_NO_MEMORY, "the name of a partition");
        }
    }
    tarn_buffer_free(&text);
    return status;
}
