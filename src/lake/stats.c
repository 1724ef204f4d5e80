#include "lake/stats.h"

#include "format/binrow/binrow.h"

// A serialised row without fields: arity 0, then eight zero bytes.
static const uint8_t EMPTY_ROW_BYTES[12];
const tarn_slice LAKE_EMPTY_ROW = {EMPTY_ROW_BYTES, sizeof EMPTY_ROW_BYTES};

// The length of the code point at the front of `text`, 0 when it is not UTF-8.
static size_t code_point_len(tarn_slice text) {
    uint8_t first = text.data[0];
    size_t len = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
    if (len == 0 || len > text.len || first > 0xF4) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((text.data[i] & 0xC0) != 0x80) return 0;
    }
    return len;
}

static uint32_t decode_code_point(const uint8_t *bytes, size_t len) {
    static const uint8_t first_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t point = bytes[0] & first_mask[len];
    for (size_t i = 1; i < len; i++) point = point << 6 | (bytes[i] & 0x3F);
    return point;
}

static size_t encode_code_point(uint32_t point, uint8_t out[4]) {
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (uint8_t)(lead[len] | point);
    return len;
}

// Bytes of the first `count` code points; SIZE_MAX when the text is not UTF-8.
static size_t prefix_len(tarn_slice text, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count && len < text.len; i++) {
        size_t step = code_point_len(tarn_slice_skip(text, len));
        if (step == 0) return SIZE_MAX;
        len += step;
    }
    return len;
}

// The next character, skipping the surrogates, which are none; 0 when there is no next.
static uint32_t next_code_point(uint32_t point) {
    if (point >= 0x10FFFF) return 0;
    return point == 0xD7FF ? 0xE000 : point + 1;
}

// Increases the last character of the prefix that can be, dropping those behind it. False when
// there is none. `bytes` has room for three bytes more.
static bool increase_text(uint8_t *bytes, size_t *len) {
    size_t end = *len;
    while (end > 0) {
        size_t begin = end - 1;
        while (begin > 0 && (bytes[begin] & 0xC0) == 0x80) begin--;
        uint32_t next = next_code_point(decode_code_point(bytes + begin, end - begin));
        if (next != 0) {
            *len = begin + encode_code_point(next, bytes + begin);
            return true;
        }
        end = begin;
    }
    return false;
}

static bool increase_bytes(uint8_t *bytes, size_t *len) {
    for (size_t end = *len; end > 0; end--) {
        if (bytes[end - 1] == 0xFF) continue;
        bytes[end - 1]++;
        *len = end;
        return true;
    }
    return false;
}

static void drop_bounds(lake_column_stats *stats) {
    stats->min = tarn_value_null(stats->min.type);
    stats->max = tarn_value_null(stats->max.type);
}

tarn_status lake_stats_truncate(lake_column_stats *stats, size_t length, tarn_arena *arena,
                                tarn_error *err) {
    if (stats->min.is_null || stats->max.is_null) {
        drop_bounds(stats);
        return TARN_OK;
    }
    if (!tarn_type_is_string(stats->min.type)) return TARN_OK;
    bool is_text = stats->min.type.id == TARN_TYPE_TEXT;
    tarn_slice min = stats->min.bytes;
    tarn_slice max = stats->max.bytes;
    size_t min_len = is_text ? prefix_len(min, length) : length;
    size_t max_len = is_text ? prefix_len(max, length) : length;
    if (min_len == SIZE_MAX || max_len == SIZE_MAX) {
        drop_bounds(stats);
        return TARN_OK;
    }
    if (min_len < min.len) stats->min.bytes = tarn_slice_head(min, min_len);
    if (max_len >= max.len) return TARN_OK;

    uint8_t *grown = tarn_arena_new(arena, uint8_t, max_len + 3);
    if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    memcpy(grown, max.data, max_len);
    if (is_text ? increase_text(grown, &max_len) : increase_bytes(grown, &max_len)) {
        stats->max.bytes = (tarn_slice){grown, max_len};
    } else {
        drop_bounds(stats);
    }
    return TARN_OK;
}

static tarn_status encode_row(const tarn_value *values, size_t count, tarn_arena *arena,
                              tarn_slice *ret_bytes, tarn_error *err) {
    tarn_buffer bytes = {0};
    tarn_status status = tarn_binrow_serialize(values, count, &bytes, err);
    if (status == TARN_OK && !tarn_arena_copy(arena, tarn_buffer_slice(&bytes), ret_bytes)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "statistics");
    }
    tarn_buffer_free(&bytes);
    return status;
}

tarn_status lake_stats_encode(const lake_schema *schema, const lake_columns *columns,
                              const lake_column_stats *stats, tarn_arena *arena,
                              lake_stats *ret_stats, tarn_error *err) {
    size_t count = columns->count;
    tarn_value *min = tarn_arena_new(arena, tarn_value, count);
    tarn_value *max = tarn_arena_new(arena, tarn_value, count);
    int64_t *null_counts = tarn_arena_new(arena, int64_t, count);
    if (min == NULL || max == NULL || null_counts == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "statistics");
    }
    for (size_t i = 0; i < count; i++) {
        tarn_type type = lake_type_stored(&schema->fields[columns->indices[i]].type);
        min[i] = stats[i].min;
        max[i] = stats[i].max;
        min[i].type = type;
        max[i].type = type;
        null_counts[i] = stats[i].null_count;
    }
    lake_stats encoded = {.null_counts = null_counts, .null_count_count = count};
    TARN_TRY(encode_row(min, count, arena, &encoded.min, err));
    TARN_TRY(encode_row(max, count, arena, &encoded.max, err));
    *ret_stats = encoded;
    return TARN_OK;
}
