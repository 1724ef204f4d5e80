#include "cli/complete.h"

#include <stdlib.h>

// In the order in which people need them; sorted when shown.
static const char *const words[] = {
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "WITH",
    "AS",
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "UNION ALL",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "LIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "COALESCE",
    "INTERVAL",
    "TUMBLE",
    "HOP",
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "INSERT INTO",
    "VALUES",
    "COPY",
    "FORMAT",
    "HEADER",
    "CREATE TABLE",
    "CREATE SOURCE",
    "CREATE MATERIALIZED VIEW",
    "PRIMARY KEY",
    "WATERMARK FOR",
    "EMIT ON WINDOW CLOSE",
    "FOR SYSTEM_VERSION AS OF",
    "FOR SYSTEM_TIME AS OF",
    "DROP TABLE",
    "DROP SOURCE",
    "DROP MATERIALIZED VIEW",
    "IF EXISTS",
    "IF NOT EXISTS",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "FLUSH",
    "CALL compact",
    "SHOW",
    "SET",
    "DESC",
    "ASC",
    "NULLS FIRST",
    "NULLS LAST",
    "TRUE",
    "FALSE",
    "NULL",
};
#define WORD_COUNT (sizeof words / sizeof words[0])

static uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool is_word_byte(uint8_t byte) {
    return byte == '_' || byte == '.' || byte >= 0x80 || (byte >= '0' && byte <= '9') ||
           (lower(byte) >= 'a' && lower(byte) <= 'z');
}

static tarn_slice last_word(tarn_slice line) {
    size_t begin = line.len;
    while (begin > 0 && is_word_byte(line.data[begin - 1])) begin--;
    return tarn_slice_skip(line, begin);
}

// How many bytes two names share at the front, whatever their case.
static size_t shared_len(tarn_slice a, tarn_slice b) {
    size_t len = 0;
    while (len < a.len && len < b.len && lower(a.data[len]) == lower(b.data[len])) len++;
    return len;
}

static int compare(const void *a, const void *b) {
    return tarn_slice_compare(*(const tarn_slice *)a, *(const tarn_slice *)b);
}

static size_t remove_doubles(tarn_slice *sorted, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !tarn_slice_equal(sorted[kept - 1], sorted[i])) sorted[kept++] = sorted[i];
    }
    return kept;
}

// Who types in lower case gets lower case.
static bool copy_addition(tarn_slice word, tarn_slice tail, tarn_arena *arena,
                          tarn_slice *ret_addition) {
    uint8_t *copy = tarn_arena_new(arena, uint8_t, tail.len + 1);
    if (copy == NULL) return false;
    uint8_t last = word.len == 0 ? 0 : word.data[word.len - 1];
    bool wants_lower = last >= 'a' && last <= 'z';
    for (size_t i = 0; i < tail.len; i++) {
        copy[i] = wants_lower ? lower(tail.data[i]) : tail.data[i];
    }
    *ret_addition = (tarn_slice){copy, tail.len};
    return true;
}

bool cli_complete(tarn_slice line, const tarn_slice *names, size_t name_count, tarn_arena *arena,
                  cli_completion *ret_completion) {
    tarn_slice word = last_word(line);
    *ret_completion = (cli_completion){.word = word};
    if (word.len == 0) return true;
    tarn_slice *found = tarn_arena_new(arena, tarn_slice, name_count + WORD_COUNT);
    if (found == NULL) return false;
    size_t count = 0;
    for (size_t i = 0; i < name_count; i++) {
        if (shared_len(names[i], word) == word.len) found[count++] = names[i];
    }
    for (size_t i = 0; i < WORD_COUNT && line.data[0] != '\\'; i++) {
        tarn_slice candidate = tarn_slice_from_cstr(words[i]);
        if (shared_len(candidate, word) == word.len) found[count++] = candidate;
    }
    if (count == 0) return true;
    qsort(found, count, sizeof *found, compare);
    count = remove_doubles(found, count);
    size_t common = found[0].len;
    for (size_t i = 1; i < count; i++) {
        size_t shared = shared_len(found[0], found[i]);
        if (shared < common) common = shared;
    }
    ret_completion->candidates = found;
    ret_completion->count = count;
    tarn_slice tail = tarn_slice_skip(tarn_slice_head(found[0], common), word.len);
    // A name keeps its letters: only quoted ones have capitals.
    return copy_addition(word, tail, arena, &ret_completion->addition);
}
