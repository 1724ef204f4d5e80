// to_char of numbers. The pattern is a list of slots: digits of the number fill the slots of 9 and
// 0 from the right; the sign floats to the first digit unless the pattern anchors it.

#include <math.h>

#include "expr/decimal.h"
#include "expr/tables.h"
#include "expr/text.h"

#define SLOTS_MAX 128

typedef enum slot_kind {
    SLOT_DIGIT, // 9 or 0
    SLOT_POINT,
    SLOT_GROUP,
    SLOT_SIGN,  // S
    SLOT_MINUS, // MI
    SLOT_PLUS,  // PL
    SLOT_BOTH,  // SG
    SLOT_CURRENCY,
    SLOT_ORDINAL, // th
    SLOT_TEXT,    // one byte
} slot_kind;

typedef struct slot {
    slot_kind kind;
    uint8_t byte; // of text; '9' or '0' of digits; 't' or 'T' of ordinals
} slot;

typedef struct number_pattern {
    slot slots[SLOTS_MAX];
    size_t slot_count;
    int whole_digits;    // slots before the point, those behind V included
    int fraction_digits; // slots behind the point
    int first_zero;      // the first 0 slot before the point, or whole_digits
    int last_zero;       // fraction slots up to the last 0
    int shift;           // of V: powers of ten
    bool has_point;
    bool fills;        // not FM
    bool has_own_sign; // S, MI, SG or PR
    bool brackets;     // PR
    bool has_roman;
    bool roman_is_lower;
} number_pattern;

static tarn_status fail_pattern(const expr_frame *frame, tarn_slice text, const char *why) {
    (void)tarn_fail(frame->err, TARN_UNSUPPORTED, "number format \"" TARN_SLICE_FMT "\": %s",
                    TARN_SLICE_ARG(text), why);
    tarn_error_locate(frame->err, "0A000", 0);
    return TARN_UNSUPPORTED;
}

// Takes a keyword in upper or lower case.
static bool take(tarn_slice *text, const char *word) {
    size_t len = strlen(word);
    if (text->len < len) return false;
    for (size_t i = 0; i < len; i++) {
        if (expr_upper_point(text->data[i]) != (uint8_t)word[i]) return false;
    }
    *text = tarn_slice_skip(*text, len);
    return true;
}

static bool add_slot(number_pattern *p, slot_kind kind, uint8_t byte) {
    if (p->slot_count == SLOTS_MAX) return false;
    p->slots[p->slot_count++] = (slot){kind, byte};
    return true;
}

static bool add_digit(number_pattern *p, uint8_t digit, bool behind_v) {
    if (p->has_point) {
        p->fraction_digits++;
        if (digit == '0') p->last_zero = p->fraction_digits;
    } else {
        if (digit == '0' && p->first_zero < 0) p->first_zero = p->whole_digits;
        p->whole_digits++;
        p->shift += behind_v;
    }
    return add_slot(p, SLOT_DIGIT, digit);
}

// "text": until the closing quote.
static bool add_quoted(number_pattern *p, tarn_slice *rest) {
    while (rest->len > 0 && rest->data[0] != '"') {
        if (rest->data[0] == '\\' && rest->len > 1) *rest = tarn_slice_skip(*rest, 1);
        if (!add_slot(p, SLOT_TEXT, rest->data[0])) return false;
        *rest = tarn_slice_skip(*rest, 1);
    }
    if (rest->len > 0) *rest = tarn_slice_skip(*rest, 1);
    return true;
}

// One keyword from the front. False: too many of them.
static bool read_keyword(number_pattern *p, tarn_slice *rest, bool *behind_v) {
    uint8_t first = rest->data[0];
    if (take(rest, "9") || take(rest, "0")) return add_digit(p, first, *behind_v);
    if (take(rest, ".") || take(rest, "D")) {
        p->has_point = true;
        return add_slot(p, SLOT_POINT, '.');
    }
    if (take(rest, ",") || take(rest, "G")) return add_slot(p, SLOT_GROUP, ',');
    if (take(rest, "FM")) {
        p->fills = false;
        return true;
    }
    if (take(rest, "V")) {
        *behind_v = true;
        return true;
    }
    if (take(rest, "PR")) {
        p->brackets = true;
        p->has_own_sign = true;
        return true;
    }
    if (take(rest, "RN")) {
        p->has_roman = true;
        p->roman_is_lower = first == 'r';
        return true;
    }
    if (take(rest, "PL")) return add_slot(p, SLOT_PLUS, 0);
    if (take(rest, "TH")) return add_slot(p, SLOT_ORDINAL, first);
    if (take(rest, "L")) return add_slot(p, SLOT_CURRENCY, 0);
    if (take(rest, "SG") || take(rest, "MI") || take(rest, "S")) {
        bool is_both = first == 'S' || first == 's';
        uint8_t second = rest->data[-1];
        p->has_own_sign = true;
        if (!is_both) return add_slot(p, SLOT_MINUS, 0);
        bool is_plain = second == 'S' || second == 's';
        return add_slot(p, is_plain ? SLOT_SIGN : SLOT_BOTH, 0);
    }
    if (take(rest, "\"")) return add_quoted(p, rest);
    if (first == '\\' && rest->len > 1) *rest = tarn_slice_skip(*rest, 1);
    first = rest->data[0];
    *rest = tarn_slice_skip(*rest, 1);
    return add_slot(p, SLOT_TEXT, first);
}

static tarn_status read_pattern(const expr_frame *frame, tarn_slice text, number_pattern *p) {
    *p = (number_pattern){.fills = true, .first_zero = -1};
    bool behind_v = false;
    for (tarn_slice rest = text; rest.len > 0;) {
        if (take(&rest, "EEEE")) return fail_pattern(frame, text, "EEEE is not supported");
        if (!read_keyword(p, &rest, &behind_v)) return fail_pattern(frame, text, "it is too long");
    }
    if (p->first_zero < 0) p->first_zero = p->whole_digits;
    return TARN_OK;
}

// ---- the number as digits ----

typedef struct number_digits {
    bool negative;
    char whole[330]; // without leading zeros; "" for a number below 1
    char fraction[SLOTS_MAX];
    bool is_decimal; // the argument itself has a fraction: no ordinal then
} number_digits;

// `text` is "123.45" or "NaN".
static void split_digits(const char *text, number_digits *digits) {
    digits->negative = text[0] == '-';
    text += digits->negative;
    const char *point = strchr(text, '.');
    size_t len = point == NULL ? strlen(text) : (size_t)(point - text);
    while (len > 0 && *text == '0') {
        text++;
        len--;
    }
    (void)snprintf(digits->whole, sizeof digits->whole, "%.*s", (int)len, text);
    (void)snprintf(digits->fraction, sizeof digits->fraction, "%s", point == NULL ? "" : point + 1);
}

static void digits_of_double(double value, int exact_digits, int shift, int *fraction_digits,
                             number_digits *digits) {
    char text[500];
    if (isnan(value) || isinf(value)) {
        (void)snprintf(text, sizeof text, "%s",
                       isnan(value) ? "NaN"
                       : value < 0  ? "-Infinity"
                                    : "Infinity");
    } else {
        value *= pow(10, shift);
        // No more digits than a double has.
        int whole = snprintf(text, sizeof text, "%.0f", fabs(value));
        int room = whole >= exact_digits ? 0 : exact_digits - whole;
        if (*fraction_digits > room) *fraction_digits = room;
        (void)snprintf(text, sizeof text, "%.*f", *fraction_digits, value);
    }
    split_digits(text, digits);
}

static void digits_of_decimal(tarn_int128 value, int scale, int shift, int fraction_digits,
                              number_digits *digits) {
    int kept = fraction_digits + shift; // digits behind the point that show
    if (kept < scale) {
        value = expr_decimal_round(value, scale - kept);
        scale = kept;
    }
    char reversed[80];
    size_t len = 0;
    for (int i = kept; i > scale && len < 60; i--) reversed[len++] = '0';
    for (tarn_uint128 rest = expr_magnitude(value); rest > 0; rest /= 10) {
        reversed[len++] = (char)('0' + (int)(rest % 10));
    }
    while (len < (size_t)fraction_digits) reversed[len++] = '0';
    digits->negative = value < 0;
    size_t whole = len - (size_t)fraction_digits;
    for (size_t i = 0; i < whole; i++) digits->whole[i] = reversed[len - 1 - i];
    digits->whole[whole] = '\0';
    for (size_t i = whole; i < len; i++) digits->fraction[i - whole] = reversed[len - 1 - i];
    digits->fraction[len - whole] = '\0';
}

// ---- writing ----

typedef struct number_writer {
    const number_pattern *pattern;
    const number_digits *digits;
    uint8_t *out;
    size_t len;
    int whole_slot;
    int fraction_slot;
    int last_digit; // fraction digits that show
    bool overflows; // too many digits: # in each slot
    bool has_begun; // the first digit is out, and the floating sign before it
    bool behind_point;
} number_writer;

static void put(number_writer *w, char byte) {
    w->out[w->len++] = (uint8_t)byte;
}

// The sign stands right before the first digit or the point.
static void begin(number_writer *w) {
    if (w->has_begun) return;
    w->has_begun = true;
    const number_pattern *p = w->pattern;
    if (p->brackets) {
        if (w->digits->negative) {
            put(w, '<');
        } else if (p->fills) {
            put(w, ' ');
        }
        return;
    }
    bool anchored = false; // an S before the digits floats with them
    for (size_t i = 0; i < p->slot_count && p->slots[i].kind != SLOT_DIGIT; i++) {
        anchored |= p->slots[i].kind == SLOT_SIGN;
    }
    if (anchored) {
        put(w, w->digits->negative ? '-' : '+');
    } else if (!p->has_own_sign) {
        if (w->digits->negative) {
            put(w, '-');
        } else if (p->fills) {
            put(w, ' ');
        }
    }
}

static void put_whole(number_writer *w) {
    const number_pattern *p = w->pattern;
    int digit_count = (int)strlen(w->digits->whole);
    // A lone zero shows where nothing follows the point.
    bool is_lone_zero = digit_count == 0 && !p->has_point;
    int first_digit = p->whole_digits - (is_lone_zero ? 1 : digit_count);
    int at = w->whole_slot++;
    if (w->overflows) {
        begin(w);
        put(w, '#');
    } else if (at >= p->whole_digits - digit_count) {
        begin(w);
        put(w, w->digits->whole[at - (p->whole_digits - digit_count)]);
    } else if (at >= p->first_zero || at >= first_digit) {
        begin(w);
        put(w, '0');
    } else if (p->fills) {
        put(w, ' ');
    }
}

static void put_fraction(number_writer *w) {
    int at = w->fraction_slot++;
    if (w->overflows) {
        put(w, '#');
    } else if (at < w->last_digit) {
        put(w, w->digits->fraction[at]);
    }
}

static void put_ordinal(number_writer *w, bool is_upper) {
    const char *whole = w->digits->whole;
    size_t len = strlen(whole);
    if (w->digits->negative || w->overflows || w->pattern->has_point) return;
    char last = '0';
    if (len > 0) last = whole[len - 1];
    if (len > 1 && whole[len - 2] == '1') last = '0';
    const char *ending = last == '1' ? "st" : last == '2' ? "nd" : last == '3' ? "rd" : "th";
    for (; *ending != '\0'; ending++) {
        char letter = *ending;
        if (is_upper) letter = (char)expr_upper_point((uint8_t)letter);
        put(w, letter);
    }
}

static void put_slot(number_writer *w, const slot *s) {
    const number_pattern *p = w->pattern;
    bool negative = w->digits->negative;
    switch (s->kind) {
    case SLOT_DIGIT:
        if (w->behind_point) {
            put_fraction(w);
        } else {
            put_whole(w);
        }
        break;
    case SLOT_POINT:
        begin(w);
        put(w, '.');
        w->behind_point = true;
        break;
    case SLOT_GROUP:
        if (w->has_begun) {
            put(w, ',');
        } else if (p->fills) {
            put(w, ' ');
        }
        break;
    case SLOT_SIGN:
        if (w->has_begun) put(w, negative ? '-' : '+');
        break;
    case SLOT_MINUS:
        if (negative) {
            put(w, '-');
        } else if (p->fills) {
            put(w, ' ');
        }
        break;
    case SLOT_PLUS:
        if (!negative) {
            put(w, '+');
        } else if (p->fills) {
            put(w, ' ');
        }
        break;
    case SLOT_BOTH: put(w, negative ? '-' : '+'); break;
    case SLOT_CURRENCY: put(w, ' '); break;
    case SLOT_ORDINAL: put_ordinal(w, s->byte == 'T'); break;
    case SLOT_TEXT: put(w, (char)s->byte); break;
    }
}

// NOLINTNEXTLINE(readability-non-const-parameter): the writer writes to `out`
static size_t write_number(const number_pattern *p, const number_digits *digits, uint8_t *out) {
    number_writer w = {.pattern = p, .digits = digits, .out = out};
    w.overflows = (int)strlen(digits->whole) > p->whole_digits;
    w.last_digit = (int)strlen(digits->fraction);
    if (!p->fills) {
        while (w.last_digit > p->last_zero && digits->fraction[w.last_digit - 1] == '0') {
            w.last_digit--;
        }
    }
    for (size_t i = 0; i < p->slot_count; i++) put_slot(&w, &p->slots[i]);
    if (p->brackets) {
        if (digits->negative) {
            put(&w, '>');
        } else if (p->fills) {
            put(&w, ' ');
        }
    }
    return w.len;
}

#define ROMAN_WIDTH 15

static size_t write_roman(const number_pattern *p, const number_digits *digits, uint8_t *out) {
    static const struct {
        int value;
        const char *text;
    } numerals[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"},
                    {90, "XC"},  {50, "L"},   {40, "XL"}, {10, "X"},   {9, "IX"},
                    {5, "V"},    {4, "IV"},   {1, "I"}};
    size_t digit_count = strlen(digits->whole);
    long value = digit_count > 4 ? 0 : strtol(digits->whole, NULL, 10);
    char text[ROMAN_WIDTH + 1] = "";
    if (digits->negative || value < 1 || value > 3999) {
        memset(out, '#', ROMAN_WIDTH);
        return ROMAN_WIDTH;
    }
    for (size_t i = 0; value > 0; i++) {
        for (; value >= numerals[i].value; value -= numerals[i].value) {
            strncat(text, numerals[i].text, sizeof text - strlen(text) - 1);
        }
    }
    size_t len = strlen(text);
    size_t blanks = p->fills ? ROMAN_WIDTH - len : 0;
    memset(out, ' ', blanks);
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = (uint8_t)text[i];
        out[blanks + i] = p->roman_is_lower ? (uint8_t)expr_lower_point(byte) : byte;
    }
    return blanks + len;
}

static void digits_of(const expr_frame *frame, size_t row, number_pattern *p,
                      number_digits *digits) {
    const tarn_vector *arg = &frame->args[0];
    tarn_value value = tarn_vector_get(arg, row * expr_stride(arg));
    *digits = (number_digits){0};
    switch ((tarn_type_id)arg->type.id) {
    case TARN_TYPE_REAL:
        digits_of_double(value.f64, 6, p->shift, &p->fraction_digits, digits);
        break;
    case TARN_TYPE_DOUBLE:
        digits_of_double(value.f64, 15, p->shift, &p->fraction_digits, digits);
        break;
    case TARN_TYPE_NUMERIC: {
        expr_numeric_arg numeric = expr_numeric_of(arg);
        digits_of_decimal(expr_numeric_at(&numeric, row), numeric.scale, p->shift,
                          p->fraction_digits, digits);
        break;
    }
    default: digits_of_decimal(value.i64, 0, p->shift, p->fraction_digits, digits);
    }
}

static tarn_status to_char_rows(const expr_frame *frame) {
    expr_text_arg patterns = expr_text_of(&frame->args[1]);
    EXPR_FOR_ROWS(frame, row) {
        number_pattern pattern;
        number_digits digits;
        TARN_TRY(read_pattern(frame, expr_text_at(&patterns, row), &pattern));
        digits_of(frame, row, &pattern, &digits);
        uint8_t *out;
        TARN_TRY(expr_text_room(frame, SLOTS_MAX * 2 + 8, &out));
        size_t len = pattern.has_roman ? write_roman(&pattern, &digits, out)
                                       : write_number(&pattern, &digits, out);
        TARN_TRY(expr_text_copy(frame, row, (tarn_slice){out, len}));
    }
    return TARN_OK;
}

// ---- the table ----

#define TO_CHAR(type)                                                                   \
    EXPR_FUNCTION("to_char", type ", text", "text", "formatted by a pattern of digits", \
                  .kernel = to_char_rows)

static const tarn_function functions[] = {
    TO_CHAR("integer"),          TO_CHAR("bigint"),  TO_CHAR("real"),
    TO_CHAR("double precision"), TO_CHAR("numeric"),
};
const expr_function_table expr_to_char_number_functions = {functions,
                                                           sizeof functions / sizeof functions[0]};
