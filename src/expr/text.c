// Text: lengths, parts, cases, joining.

#include "expr/text.h"

#include "expr/tables.h"

// ---- lengths and numbers ----

static tarn_status char_length_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) out[row] = (int32_t)expr_utf8_length(expr_text_at(&arg, row));
    return TARN_OK;
}

static tarn_status octet_length_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) out[row] = (int32_t)expr_text_at(&arg, row).len;
    return TARN_OK;
}

static tarn_status bit_length_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        size_t len = expr_text_at(&arg, row).len;
        if (len > INT32_MAX / 8) return expr_fail(frame->err, "22003", "integer out of range");
        out[row] = (int32_t)(len * 8);
    }
    return TARN_OK;
}

static tarn_status ascii_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        out[row] = text.len == 0 ? 0 : (int32_t)expr_utf8_decode(text);
    }
    return TARN_OK;
}

static tarn_status chr_rows(const expr_frame *frame) {
    const int32_t *points = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        int32_t point = points[row * stride];
        if (point == 0) return expr_fail(frame->err, "54000", "null character not permitted");
        if (point < 0) return expr_fail(frame->err, "22023", "character number must be positive");
        if (point > 0x10FFFF) {
            return expr_fail(frame->err, "54000", "requested character too large for encoding: %d",
                             point);
        }
        if (point >= 0xD800 && point <= 0xDFFF) {
            return expr_fail(frame->err, "54000", "requested character not valid for encoding: %d",
                             point);
        }
        uint8_t bytes[4];
        expr_text_put(frame, row, (tarn_slice){bytes, expr_utf8_encode((uint32_t)point, bytes)});
    }
    return TARN_OK;
}

// ---- case ----

static tarn_status map_rows(const expr_frame *frame, size_t (*map)(tarn_slice, uint8_t *)) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        uint8_t small[TARN_STRING_INLINE_BYTES * 2];
        uint8_t *bytes = small;
        if (text.len > TARN_STRING_INLINE_BYTES) {
            TARN_TRY(expr_text_room(frame, text.len * 2, &bytes));
        }
        tarn_slice mapped = {bytes, map(text, bytes)};
        if (bytes == small) {
            TARN_TRY(expr_text_copy(frame, row, mapped));
        } else {
            expr_text_put(frame, row, mapped);
        }
    }
    return TARN_OK;
}

static size_t capitalize(tarn_slice text, uint8_t *out) {
    size_t len = 0;
    bool in_word = false;
    while (text.len > 0) {
        size_t step = expr_utf8_step(text);
        uint32_t point = expr_utf8_decode(text);
        bool is_broken = step == 1 && text.data[0] >= 0x80;
        if (is_broken) {
            out[len++] = text.data[0];
        } else {
            uint32_t mapped = in_word ? expr_lower_point(point) : expr_upper_point(point);
            len += expr_utf8_encode(mapped, out + len);
        }
        in_word = !is_broken && expr_is_alphanumeric(point);
        text = tarn_slice_skip(text, step);
    }
    return len;
}

static tarn_status lower_rows(const expr_frame *frame) {
    return map_rows(frame, expr_lower);
}
static tarn_status upper_rows(const expr_frame *frame) {
    return map_rows(frame, expr_upper);
}
static tarn_status initcap_rows(const expr_frame *frame) {
    return map_rows(frame, capitalize);
}

// ---- parts ----

// Characters (or bytes) [from, from + count) counted from 1, where `from` may lie before the text.
static tarn_slice part_of(tarn_slice text, int64_t from, int64_t count, bool in_bytes) {
    int64_t end = from + count;
    if (from < 1) from = 1;
    if (end <= from) return tarn_slice_head(text, 0);
    size_t skipped = in_bytes
                         ? (size_t)(from - 1 < (int64_t)text.len ? from - 1 : (int64_t)text.len)
                         : expr_utf8_offset(text, (size_t)(from - 1));
    tarn_slice rest = tarn_slice_skip(text, skipped);
    size_t wanted = (size_t)(end - from);
    size_t kept =
        in_bytes ? (wanted < rest.len ? wanted : rest.len) : expr_utf8_offset(rest, wanted);
    return tarn_slice_head(rest, kept);
}

static tarn_status substr_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    bool in_bytes = frame->args[0].type.id == TARN_TYPE_BYTEA;
    const int32_t *starts = frame->args[1].data;
    size_t start_stride = expr_stride(&frame->args[1]);
    const int32_t *counts = frame->arg_count == 3 ? frame->args[2].data : NULL;
    size_t count_stride = counts == NULL ? 0 : expr_stride(&frame->args[2]);
    EXPR_FOR_ROWS(frame, row) {
        int64_t count = counts == NULL ? (int64_t)1 << 40 : counts[row * count_stride];
        if (count < 0) {
            return expr_fail(frame->err, "22011", "negative substring length not allowed");
        }
        expr_text_put(
            frame, row,
            part_of(expr_text_at(&arg, row), starts[row * start_stride], count, in_bytes));
    }
    return TARN_OK;
}

// `text` with `count` characters from `from` on, counted from 1, replaced. Text behind the part is
// kept even where it overlaps what stands in front, as a negative count makes it.
static tarn_status overlay_row(const expr_frame *frame, size_t row, tarn_slice text,
                               tarn_slice part, int32_t from, int32_t count) {
    if (from <= 0) {
        return expr_fail(frame->err, "22011", "negative substring length not allowed");
    }
    int64_t next = (int64_t)from + count;
    if (next != (int32_t)next) return expr_fail(frame->err, "22003", "integer out of range");
    tarn_slice head = tarn_slice_head(text, expr_utf8_offset(text, (size_t)from - 1));
    tarn_slice tail =
        tarn_slice_skip(text, next < 1 ? 0 : expr_utf8_offset(text, (size_t)next - 1));
    uint8_t *bytes;
    size_t len = head.len + part.len + tail.len;
    TARN_TRY(expr_text_room(frame, len, &bytes));
    if (head.len > 0) memcpy(bytes, head.data, head.len);
    if (part.len > 0) memcpy(bytes + head.len, part.data, part.len);
    if (tail.len > 0) memcpy(bytes + head.len + part.len, tail.data, tail.len);
    expr_text_put(frame, row, (tarn_slice){bytes, len});
    return TARN_OK;
}

static tarn_status overlay_rows(const expr_frame *frame) {
    expr_text_arg texts = expr_text_of(&frame->args[0]);
    expr_text_arg parts = expr_text_of(&frame->args[1]);
    const int32_t *froms = frame->args[2].data;
    size_t from_stride = expr_stride(&frame->args[2]);
    const int32_t *counts = frame->arg_count == 4 ? frame->args[3].data : NULL;
    size_t count_stride = counts == NULL ? 0 : expr_stride(&frame->args[3]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice part = expr_text_at(&parts, row);
        int32_t count =
            counts == NULL ? (int32_t)expr_utf8_length(part) : counts[row * count_stride];
        TARN_TRY(overlay_row(frame, row, expr_text_at(&texts, row), part, froms[row * from_stride],
                             count));
    }
    return TARN_OK;
}

// The first `count` characters; without the last -count when negative.
static size_t split_at(tarn_slice text, int32_t count) {
    if (count >= 0) return expr_utf8_offset(text, (size_t)count);
    size_t dropped = (size_t) - (int64_t)count;
    size_t length = expr_utf8_length(text);
    return dropped >= length ? 0 : expr_utf8_offset(text, length - dropped);
}

static tarn_status left_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    const int32_t *counts = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        expr_text_put(frame, row, tarn_slice_head(text, split_at(text, counts[row * stride])));
    }
    return TARN_OK;
}

static tarn_status right_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    const int32_t *counts = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        int64_t count = counts[row * stride];
        int64_t length = (int64_t)expr_utf8_length(text);
        int64_t skipped = count >= 0 ? length - count : -count;
        if (skipped < 0) skipped = 0;
        expr_text_put(frame, row, tarn_slice_skip(text, expr_utf8_offset(text, (size_t)skipped)));
    }
    return TARN_OK;
}

// Where `needle` begins in `text`, or -1.
static ptrdiff_t find_bytes(tarn_slice text, tarn_slice needle) {
    if (needle.len == 0) return 0;
    if (needle.len > text.len) return -1;
    const uint8_t *found = memmem(text.data, text.len, needle.data, needle.len);
    return found == NULL ? -1 : found - text.data;
}

static tarn_status strpos_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    expr_text_arg needles = expr_text_of(&frame->args[1]);
    int32_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        ptrdiff_t at = find_bytes(text, expr_text_at(&needles, row));
        out[row] = at < 0 ? 0 : (int32_t)expr_utf8_length(tarn_slice_head(text, (size_t)at)) + 1;
    }
    return TARN_OK;
}

static tarn_status starts_with_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    expr_text_arg prefixes = expr_text_of(&frame->args[1]);
    uint8_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        out[row] = tarn_slice_starts_with(expr_text_at(&arg, row), expr_text_at(&prefixes, row));
    }
    return TARN_OK;
}

static size_t count_fields(tarn_slice text, tarn_slice delimiter) {
    size_t count = 1;
    for (;;) {
        ptrdiff_t at = find_bytes(text, delimiter);
        if (at < 0) return count;
        text = tarn_slice_skip(text, (size_t)at + delimiter.len);
        count++;
    }
}

static tarn_slice nth_field(tarn_slice text, tarn_slice delimiter, int64_t n) {
    tarn_slice nothing = tarn_slice_head(text, 0);
    if (delimiter.len == 0) return n == 1 || n == -1 ? text : nothing;
    if (n < 0) n += (int64_t)count_fields(text, delimiter) + 1;
    if (n < 1) return nothing;
    for (;; n--) {
        ptrdiff_t at = find_bytes(text, delimiter);
        if (n == 1) return at < 0 ? text : tarn_slice_head(text, (size_t)at);
        if (at < 0) return nothing;
        text = tarn_slice_skip(text, (size_t)at + delimiter.len);
    }
}

static tarn_status split_part_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    expr_text_arg delimiters = expr_text_of(&frame->args[1]);
    const int32_t *fields = frame->args[2].data;
    size_t stride = expr_stride(&frame->args[2]);
    EXPR_FOR_ROWS(frame, row) {
        int32_t n = fields[row * stride];
        if (n == 0) return expr_fail(frame->err, "22023", "field position must not be zero");
        expr_text_put(frame, row,
                      nth_field(expr_text_at(&arg, row), expr_text_at(&delimiters, row), n));
    }
    return TARN_OK;
}

// ---- trimming ----

static bool has_character(tarn_slice set, tarn_slice character) {
    while (set.len > 0) {
        size_t step = expr_utf8_step(set);
        if (tarn_slice_equal(tarn_slice_head(set, step), character)) return true;
        set = tarn_slice_skip(set, step);
    }
    return false;
}

static tarn_slice trim_left(tarn_slice text, tarn_slice set) {
    while (text.len > 0) {
        size_t step = expr_utf8_step(text);
        if (!has_character(set, tarn_slice_head(text, step))) break;
        text = tarn_slice_skip(text, step);
    }
    return text;
}

static tarn_slice trim_right(tarn_slice text, tarn_slice set) {
    while (text.len > 0) {
        size_t step = 1;
        while (step < text.len && (text.data[text.len - step] & 0xC0) == 0x80) step++;
        if (!has_character(set, tarn_slice_skip(text, text.len - step))) break;
        text.len -= step;
    }
    return text;
}

static tarn_status trim_rows(const expr_frame *frame, bool left, bool right) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    expr_text_arg sets = {0};
    if (frame->arg_count == 2) sets = expr_text_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        tarn_slice set = frame->arg_count == 2 ? expr_text_at(&sets, row) : TARN_LIT(" ");
        if (left) text = trim_left(text, set);
        if (right) text = trim_right(text, set);
        expr_text_put(frame, row, text);
    }
    return TARN_OK;
}

static tarn_status btrim_rows(const expr_frame *frame) {
    return trim_rows(frame, true, true);
}
static tarn_status ltrim_rows(const expr_frame *frame) {
    return trim_rows(frame, true, false);
}
static tarn_status rtrim_rows(const expr_frame *frame) {
    return trim_rows(frame, false, true);
}

// ---- joining ----

static tarn_status append_rows(const expr_frame *frame) {
    expr_text_arg a = expr_text_of(&frame->args[0]);
    expr_text_arg b = expr_text_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice left = expr_text_at(&a, row);
        tarn_slice right = expr_text_at(&b, row);
        uint8_t *bytes;
        TARN_TRY(expr_text_room(frame, left.len + right.len, &bytes));
        if (left.len > 0) memcpy(bytes, left.data, left.len);
        if (right.len > 0) memcpy(bytes + left.len, right.data, right.len);
        expr_text_put(frame, row, (tarn_slice){bytes, left.len + right.len});
    }
    return TARN_OK;
}

// Arguments from `first` on that are not NULL, with `separator` between them.
static tarn_status join_row(const expr_frame *frame, size_t row, size_t first,
                            tarn_slice separator) {
    size_t len = 0;
    for (size_t a = first; a < frame->arg_count; a++) {
        if (tarn_vector_is_null(&frame->args[a], row)) continue;
        expr_text_arg arg = expr_text_of(&frame->args[a]);
        len += expr_text_at(&arg, row).len + separator.len;
    }
    uint8_t *bytes;
    TARN_TRY(expr_text_room(frame, len, &bytes));
    size_t used = 0;
    bool is_first = true;
    for (size_t a = first; a < frame->arg_count; a++) {
        if (tarn_vector_is_null(&frame->args[a], row)) continue;
        if (!is_first && separator.len > 0) {
            memcpy(bytes + used, separator.data, separator.len);
            used += separator.len;
        }
        is_first = false;
        expr_text_arg arg = expr_text_of(&frame->args[a]);
        tarn_slice text = expr_text_at(&arg, row);
        if (text.len > 0) memcpy(bytes + used, text.data, text.len);
        used += text.len;
    }
    expr_text_put(frame, row, (tarn_slice){bytes, used});
    return TARN_OK;
}

static tarn_status concat_rows(const expr_frame *frame) {
    EXPR_FOR_ROWS(frame, row) TARN_TRY(join_row(frame, row, 0, (tarn_slice){0}));
    return TARN_OK;
}

static tarn_status concat_ws_rows(const expr_frame *frame) {
    expr_text_arg separators = expr_text_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        if (tarn_vector_is_null(&frame->args[0], row)) {
            TARN_TRY(expr_set_null(frame, row));
        } else {
            TARN_TRY(join_row(frame, row, 1, expr_text_at(&separators, row)));
        }
    }
    return TARN_OK;
}

static tarn_status repeat_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    const int32_t *counts = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        size_t count = counts[row * stride] > 0 ? (size_t)counts[row * stride] : 0;
        uint8_t *bytes;
        TARN_TRY(expr_text_room(frame, text.len * count, &bytes));
        for (size_t i = 0; i < count && text.len > 0; i++) {
            memcpy(bytes + i * text.len, text.data, text.len);
        }
        expr_text_put(frame, row, (tarn_slice){bytes, text.len * count});
    }
    return TARN_OK;
}

static tarn_status reverse_rows(const expr_frame *frame) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice text = expr_text_at(&arg, row);
        uint8_t *bytes;
        TARN_TRY(expr_text_room(frame, text.len, &bytes));
        size_t end = text.len;
        for (tarn_slice rest = text; rest.len > 0;) {
            size_t step = expr_utf8_step(rest);
            end -= step;
            memcpy(bytes + end, rest.data, step);
            rest = tarn_slice_skip(rest, step);
        }
        expr_text_put(frame, row, (tarn_slice){bytes, text.len});
    }
    return TARN_OK;
}

// ---- padding ----

// `count` characters of `fill`, again and again.
static size_t write_fill(uint8_t *out, tarn_slice fill, size_t count) {
    size_t used = 0;
    tarn_slice rest = fill;
    for (; count > 0; count--) {
        if (rest.len == 0) rest = fill;
        size_t step = expr_utf8_step(rest);
        memcpy(out + used, rest.data, step);
        used += step;
        rest = tarn_slice_skip(rest, step);
    }
    return used;
}

static tarn_status pad_row(const expr_frame *frame, size_t row, tarn_slice text, int32_t length,
                           tarn_slice fill, bool at_start) {
    size_t wanted = length > 0 ? (size_t)length : 0;
    size_t has = expr_utf8_length(text);
    if (has >= wanted || fill.len == 0) {
        expr_text_put(frame, row, tarn_slice_head(text, expr_utf8_offset(text, wanted)));
        return TARN_OK;
    }
    size_t missing = wanted - has;
    uint8_t *bytes;
    TARN_TRY(expr_text_room(frame, text.len + missing * 4, &bytes));
    size_t used = 0;
    if (at_start) used = write_fill(bytes, fill, missing);
    if (text.len > 0) memcpy(bytes + used, text.data, text.len);
    used += text.len;
    if (!at_start) used += write_fill(bytes + used, fill, missing);
    expr_text_put(frame, row, (tarn_slice){bytes, used});
    return TARN_OK;
}

static tarn_status pad_rows(const expr_frame *frame, bool at_start) {
    expr_text_arg arg = expr_text_of(&frame->args[0]);
    const int32_t *lengths = frame->args[1].data;
    size_t stride = expr_stride(&frame->args[1]);
    expr_text_arg fills = {0};
    if (frame->arg_count == 3) fills = expr_text_of(&frame->args[2]);
    EXPR_FOR_ROWS(frame, row) {
        tarn_slice fill = frame->arg_count == 3 ? expr_text_at(&fills, row) : TARN_LIT(" ");
        TARN_TRY(
            pad_row(frame, row, expr_text_at(&arg, row), lengths[row * stride], fill, at_start));
    }
    return TARN_OK;
}

static tarn_status lpad_rows(const expr_frame *frame) {
    return pad_rows(frame, true);
}
static tarn_status rpad_rows(const expr_frame *frame) {
    return pad_rows(frame, false);
}

// ---- replacing ----

static tarn_status replace_row(const expr_frame *frame, size_t row, tarn_slice text,
                               tarn_slice from, tarn_slice to) {
    if (from.len == 0 || find_bytes(text, from) < 0) {
        expr_text_put(frame, row, text);
        return TARN_OK;
    }
    size_t count = count_fields(text, from) - 1;
    uint8_t *bytes;
    TARN_TRY(expr_text_room(frame, text.len - count * from.len + count * to.len, &bytes));
    size_t used = 0;
    for (;;) {
        ptrdiff_t at = find_bytes(text, from);
        size_t kept = at < 0 ? text.len : (size_t)at;
        if (kept > 0) memcpy(bytes + used, text.data, kept);
        used += kept;
        if (at < 0) break;
        if (to.len > 0) memcpy(bytes + used, to.data, to.len);
        used += to.len;
        text = tarn_slice_skip(text, kept + from.len);
    }
    expr_text_put(frame, row, (tarn_slice){bytes, used});
    return TARN_OK;
}

static tarn_status replace_rows(const expr_frame *frame) {
    expr_text_arg texts = expr_text_of(&frame->args[0]);
    expr_text_arg froms = expr_text_of(&frame->args[1]);
    expr_text_arg tos = expr_text_of(&frame->args[2]);
    EXPR_FOR_ROWS(frame, row) {
        TARN_TRY(replace_row(frame, row, expr_text_at(&texts, row), expr_text_at(&froms, row),
                             expr_text_at(&tos, row)));
    }
    return TARN_OK;
}

// Which character of `set`, or -1.
static ptrdiff_t character_index(tarn_slice set, tarn_slice character) {
    for (ptrdiff_t index = 0; set.len > 0; index++) {
        size_t step = expr_utf8_step(set);
        if (tarn_slice_equal(tarn_slice_head(set, step), character)) return index;
        set = tarn_slice_skip(set, step);
    }
    return -1;
}

static tarn_status translate_row(const expr_frame *frame, size_t row, tarn_slice text,
                                 tarn_slice from, tarn_slice to) {
    uint8_t *bytes;
    TARN_TRY(expr_text_room(frame, text.len * 4, &bytes));
    size_t used = 0;
    size_t to_length = expr_utf8_length(to);
    while (text.len > 0) {
        tarn_slice character = tarn_slice_head(text, expr_utf8_step(text));
        text = tarn_slice_skip(text, character.len);
        ptrdiff_t index = character_index(from, character);
        if (index >= 0 && (size_t)index >= to_length) continue; // deleted
        if (index >= 0) {
            tarn_slice rest = tarn_slice_skip(to, expr_utf8_offset(to, (size_t)index));
            character = tarn_slice_head(rest, expr_utf8_step(rest));
        }
        memcpy(bytes + used, character.data, character.len);
        used += character.len;
    }
    expr_text_put(frame, row, (tarn_slice){bytes, used});
    return TARN_OK;
}

static tarn_status translate_rows(const expr_frame *frame) {
    expr_text_arg texts = expr_text_of(&frame->args[0]);
    expr_text_arg froms = expr_text_of(&frame->args[1]);
    expr_text_arg tos = expr_text_of(&frame->args[2]);
    EXPR_FOR_ROWS(frame, row) {
        TARN_TRY(translate_row(frame, row, expr_text_at(&texts, row), expr_text_at(&froms, row),
                               expr_text_at(&tos, row)));
    }
    return TARN_OK;
}

// ---- the table ----

#define FUNCTION(name, arguments, result, text, kernel_name) \
    EXPR_FUNCTION(name, arguments, result, text, .kernel = (kernel_name))
#define SUBSTRING(name)                                                                        \
    FUNCTION(name, "text, integer", "text", "from a character on", substr_rows),               \
        FUNCTION(name, "text, integer, integer", "text", "a number of characters from one on", \
                 substr_rows),                                                                 \
        FUNCTION(name, "bytea, integer", "bytea", "from a byte on", substr_rows),              \
        FUNCTION(name, "bytea, integer, integer", "bytea", "a number of bytes from one on",    \
                 substr_rows)

static const tarn_function functions[] = {
    FUNCTION("length", "text", "integer", "number of characters", char_length_rows),
    FUNCTION("length", "bytea", "integer", "number of bytes", octet_length_rows),
    FUNCTION("char_length", "text", "integer", "number of characters", char_length_rows),
    FUNCTION("character_length", "text", "integer", "number of characters", char_length_rows),
    FUNCTION("octet_length", "text", "integer", "number of bytes", octet_length_rows),
    FUNCTION("octet_length", "bytea", "integer", "number of bytes", octet_length_rows),
    FUNCTION("bit_length", "text", "integer", "number of bits", bit_length_rows),
    FUNCTION("bit_length", "bytea", "integer", "number of bits", bit_length_rows),
    FUNCTION("lower", "text", "text", "in lower case", lower_rows),
    FUNCTION("upper", "text", "text", "in upper case", upper_rows),
    FUNCTION("initcap", "text", "text", "each word with a capital first", initcap_rows),
    SUBSTRING("substr"),
    SUBSTRING("substring"),
    FUNCTION("overlay", "text, text, integer", "text",
             "with as many characters from one on replaced by the second text as it has",
             overlay_rows),
    FUNCTION("overlay", "text, text, integer, integer", "text",
             "with a number of characters from one on replaced by the second text", overlay_rows),
    FUNCTION("left", "text, integer", "text", "the first characters; all but the last if negative",
             left_rows),
    FUNCTION("right", "text, integer", "text", "the last characters; all but the first if negative",
             right_rows),
    FUNCTION("strpos", "text, text", "integer", "where the second text begins in the first, or 0",
             strpos_rows),
    FUNCTION("position", "text, text", "integer", "where the second text begins in the first, or 0",
             strpos_rows),
    FUNCTION("replace", "text, text, text", "text", "every occurrence replaced", replace_rows),
    FUNCTION("translate", "text, text, text", "text", "characters replaced one by one",
             translate_rows),
    FUNCTION("btrim", "text", "text", "without spaces at both ends", btrim_rows),
    FUNCTION("btrim", "text, text", "text", "without the given characters at both ends",
             btrim_rows),
    FUNCTION("ltrim", "text", "text", "without spaces at the start", ltrim_rows),
    FUNCTION("ltrim", "text, text", "text", "without the given characters at the start",
             ltrim_rows),
    FUNCTION("rtrim", "text", "text", "without spaces at the end", rtrim_rows),
    FUNCTION("rtrim", "text, text", "text", "without the given characters at the end", rtrim_rows),
    FUNCTION("lpad", "text, integer", "text",
             "filled with spaces at the start, or cut, to a length", lpad_rows),
    FUNCTION("lpad", "text, integer, text", "text", "filled at the start, or cut, to a length",
             lpad_rows),
    FUNCTION("rpad", "text, integer", "text", "filled with spaces at the end, or cut, to a length",
             rpad_rows),
    FUNCTION("rpad", "text, integer, text", "text", "filled at the end, or cut, to a length",
             rpad_rows),
    FUNCTION("repeat", "text, integer", "text", "repeated a number of times", repeat_rows),
    FUNCTION("reverse", "text", "text", "characters in reverse order", reverse_rows),
    FUNCTION("||", "text, text", "text", "one text after the other", append_rows),
    FUNCTION("||", "bytea, bytea", "bytea", "one after the other", append_rows),
    FUNCTION("||", "text, anynontext", "text", "one text after the other", append_rows),
    FUNCTION("||", "anynontext, text", "text", "one text after the other", append_rows),
    EXPR_FUNCTION("concat", "variadic any", "text",
                  "all arguments one after the other, NULLs left out", .kernel = concat_rows,
                  .flags = EXPR_TAKES_NULLS | EXPR_NEVER_NULL),
    EXPR_FUNCTION("concat_ws", "text, variadic any", "text",
                  "all further arguments with the first between them, NULLs left out",
                  .kernel = concat_ws_rows, .flags = EXPR_TAKES_NULLS),
    FUNCTION("split_part", "text, text, integer", "text",
             "the n-th field between delimiters, from the end if negative", split_part_rows),
    FUNCTION("starts_with", "text, text", "boolean",
             "whether the first text begins with the second", starts_with_rows),
    FUNCTION("ascii", "text", "integer", "code point of the first character", ascii_rows),
    FUNCTION("chr", "integer", "text", "the character of a code point", chr_rows),
};
const expr_function_table expr_text_functions = {functions, sizeof functions / sizeof functions[0]};
