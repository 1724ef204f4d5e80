#include "format/csv/split.h"

#define NO_MARK SIZE_MAX

static const char problem_stray[] = "a quote inside an unquoted field";
static const char problem_return[] =
    "a carriage return inside an unquoted field: lines end with a line feed";
static const char problem_behind[] = "text behind the closing quote";
static const char problem_open[] = "the quoted field has no closing quote";

tarn_status csv_dialect_of(const tarn_csv_options *options, csv_dialect *ret_dialect,
                           tarn_error *err) {
    csv_dialect dialect = {.delimiter = options->delimiter == 0 ? ',' : options->delimiter,
                           .quote = options->quote == 0 ? '"' : options->quote,
                           .null_text = options->null_text};
    dialect.escape = options->escape == 0 ? dialect.quote : options->escape;
    const uint8_t all[] = {dialect.delimiter, dialect.quote, dialect.escape};
    for (size_t i = 0; i < sizeof all; i++) {
        if (all[i] == '\n' || all[i] == '\r') {
            return tarn_fail(err, TARN_INVALID,
                             "csv: delimiter, quote and escape cannot be line ends");
        }
    }
    if (dialect.delimiter == dialect.quote || dialect.delimiter == dialect.escape) {
        return tarn_fail(err, TARN_INVALID, "csv: the delimiter is the quote or escape too");
    }
    *ret_dialect = dialect;
    return TARN_OK;
}

// ---- marks ----

// flags[i] becomes 1 where bytes[i] means something.
static void flag_bytes(const uint8_t *restrict bytes, size_t len, const csv_dialect *dialect,
                       uint8_t *restrict flags) {
    const uint8_t delimiter = dialect->delimiter;
    const uint8_t quote = dialect->quote;
    const uint8_t escape = dialect->escape;
    for (size_t i = 0; i < len; i++) {
        flags[i] = (uint8_t)((bytes[i] == delimiter) | (bytes[i] == quote) | (bytes[i] == escape) |
                             (bytes[i] == '\n') | (bytes[i] == '\r'));
    }
}

// The positions of the flags that are set, counted from `base`. `flags` is a multiple of 8 long.
static size_t collect_flags(const uint8_t *restrict flags, size_t len, uint32_t base,
                            uint32_t *restrict marks) {
    size_t count = 0;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = tarn_load_u64(flags + i);
        while (word != 0) {
            marks[count++] = base + (uint32_t)i + (uint32_t)(__builtin_ctzll(word) / 8);
            word &= word - 1;
        }
    }
    return count;
}

// Scans on until there are marks or no bytes.
static bool find_marks(csv_splitter *s) {
    _Alignas(8) uint8_t flags[CSV_BLOCK_BYTES];
    s->mark_index = 0;
    s->mark_count = 0;
    while (s->mark_count == 0 && s->scanned < s->len) {
        size_t len = s->len - s->scanned;
        if (len > CSV_BLOCK_BYTES) len = CSV_BLOCK_BYTES;
        size_t padded = (len + 7) & ~(size_t)7;
        flag_bytes(s->bytes + s->scanned, len, &s->dialect, flags);
        memset(flags + len, 0, padded - len);
        s->mark_count = collect_flags(flags, padded, (uint32_t)s->scanned, s->marks);
        s->scanned += len;
    }
    return s->mark_count > 0;
}

static inline size_t next_mark(csv_splitter *s) {
    if (s->mark_index == s->mark_count && !find_marks(s)) return NO_MARK;
    return s->marks[s->mark_index++];
}

// Takes the next mark if it is at `position`.
static inline bool take_mark(csv_splitter *s, size_t position) {
    if (s->mark_index == s->mark_count && !find_marks(s)) return false;
    if (s->marks[s->mark_index] != position) return false;
    s->mark_index++;
    return true;
}

// ---- fields ----

// Where a field ended.
typedef enum field_end {
    FIELD_AT_DELIMITER,
    FIELD_AT_LINE_FEED,
    FIELD_AT_END, // of all bytes
    FIELD_PARTIAL,
    FIELD_MALFORMED,
} field_end;

void csv_splitter_init(csv_splitter *splitter, const csv_dialect *dialect) {
    splitter->dialect = *dialect;
    splitter->fields = NULL;
    splitter->field_capacity = 0;
    csv_splitter_set(splitter, NULL, 0, true);
}

void csv_splitter_set(csv_splitter *splitter, const uint8_t *bytes, size_t len, bool is_last) {
    tarn_assert(len <= UINT32_MAX);
    splitter->bytes = bytes;
    splitter->len = len;
    splitter->is_last = is_last;
    csv_splitter_seek(splitter, 0);
}

void csv_splitter_seek(csv_splitter *splitter, size_t begin) {
    splitter->scanned = begin;
    splitter->mark_index = 0;
    splitter->mark_count = 0;
}

static field_end malformed(csv_record *record, const char *problem, size_t at) {
    record->problem = problem;
    record->problem_at = at;
    return FIELD_MALFORMED;
}

// A field that starts at `begin` without a quote. *ret_end is behind its last byte.
static inline field_end split_unquoted(csv_splitter *s, size_t begin, csv_record *record,
                                       size_t *ret_end) {
    for (;;) {
        size_t mark = next_mark(s);
        if (mark == NO_MARK) {
            *ret_end = s->len;
            if (!s->is_last) return FIELD_PARTIAL;
            if (s->len > begin && s->bytes[s->len - 1] == '\r') (*ret_end)--;
            return FIELD_AT_END;
        }
        uint8_t byte = s->bytes[mark];
        if (byte == s->dialect.delimiter) {
            *ret_end = mark;
            return FIELD_AT_DELIMITER;
        }
        if (byte == '\n') {
            *ret_end = mark > begin && s->bytes[mark - 1] == '\r' ? mark - 1 : mark;
            return FIELD_AT_LINE_FEED;
        }
        if (byte == s->dialect.quote) return malformed(record, problem_stray, mark);
        // Files whose lines end with carriage returns alone would be one record, read as it seems.
        bool is_stray = byte == '\r' && mark + 1 < s->len && s->bytes[mark + 1] != '\n';
        if (is_stray) return malformed(record, problem_return, mark);
        // An escape outside quotes is a byte like any other.
    }
}

// What follows a closing quote at `quote`.
static field_end end_quoted(csv_splitter *s, size_t quote, csv_record *record) {
    size_t at = quote + 1;
    if (at < s->len && s->bytes[at] == '\r') {
        // Only as a part of the line end.
        if (at + 1 == s->len) return s->is_last ? FIELD_AT_END : FIELD_PARTIAL;
        if (s->bytes[at + 1] == '\n') {
            bool skipped = take_mark(s, at);
            tarn_assert(skipped);
            at++;
        }
    }
    if (at == s->len) return s->is_last ? FIELD_AT_END : FIELD_PARTIAL;
    uint8_t byte = s->bytes[at];
    if (byte != s->dialect.delimiter && byte != '\n') {
        return malformed(record, problem_behind, quote + 1);
    }
    bool taken = take_mark(s, at);
    tarn_assert(taken);
    return byte == '\n' ? FIELD_AT_LINE_FEED : FIELD_AT_DELIMITER;
}

// A field whose opening quote is at `begin`.
static field_end split_quoted(csv_splitter *s, size_t begin, csv_record *record, csv_field *field) {
    bool taken = take_mark(s, begin);
    tarn_assert(taken);
    field->quoted = true;
    field->begin = (uint32_t)begin + 1;
    for (;;) {
        size_t mark = next_mark(s);
        if (mark == NO_MARK) {
            return s->is_last ? malformed(record, problem_open, begin) : FIELD_PARTIAL;
        }
        uint8_t byte = s->bytes[mark];
        record->line_feeds += byte == '\n';
        if (byte != s->dialect.quote && byte != s->dialect.escape) continue;
        if (byte == s->dialect.escape) {
            if (mark + 1 == s->len && !s->is_last) return FIELD_PARTIAL;
            bool escapes = mark + 1 < s->len && (s->bytes[mark + 1] == s->dialect.quote ||
                                                 s->bytes[mark + 1] == s->dialect.escape);
            if (escapes) {
                field->escaped = true;
                taken = take_mark(s, mark + 1);
                tarn_assert(taken);
                continue;
            }
            if (byte != s->dialect.quote) continue;
        }
        field->len = (uint32_t)(mark - field->begin);
        return end_quoted(s, mark, record);
    }
}

// ---- records ----

static csv_split end_record(const csv_splitter *s, csv_record *record, const csv_field *last,
                            field_end how) {
    size_t end = (size_t)last->begin + last->len + last->quoted;
    record->end = end;
    record->next = s->len;
    if (how == FIELD_AT_LINE_FEED) {
        record->next = end + (s->bytes[end] == '\r' ? 2 : 1);
        record->line_feeds++;
    }
    return CSV_SPLIT_RECORD;
}

csv_split csv_splitter_next(csv_splitter *s, size_t begin, csv_record *ret_record) {
    if (begin == s->len) return s->is_last ? CSV_SPLIT_END : CSV_SPLIT_PARTIAL;
    *ret_record = (csv_record){.begin = begin, .fields = s->fields};
    for (;;) {
        csv_field field = {.begin = (uint32_t)begin};
        field_end how;
        if (begin < s->len && s->bytes[begin] == s->dialect.quote) {
            how = split_quoted(s, begin, ret_record, &field);
        } else {
            size_t end = begin;
            how = split_unquoted(s, begin, ret_record, &end);
            field.len = (uint32_t)(end - begin);
        }
        if (how == FIELD_PARTIAL) return CSV_SPLIT_PARTIAL;
        if (how == FIELD_MALFORMED) {
            ret_record->problem_field = ret_record->field_count;
            return CSV_SPLIT_MALFORMED;
        }
        if (ret_record->field_count < s->field_capacity) s->fields[ret_record->field_count] = field;
        ret_record->field_count++;
        if (how != FIELD_AT_DELIMITER) return end_record(s, ret_record, &field, how);
        begin = (size_t)field.begin + field.len + field.quoted + 1;
    }
}

size_t csv_unescape(const csv_dialect *dialect, const uint8_t *restrict field, size_t len,
                    uint8_t *restrict out) {
    size_t out_len = 0;
    for (size_t i = 0; i < len; i++) {
        bool escapes = field[i] == dialect->escape && i + 1 < len &&
                       (field[i + 1] == dialect->quote || field[i + 1] == dialect->escape);
        if (escapes) i++;
        out[out_len++] = field[i];
    }
    return out_len;
}
