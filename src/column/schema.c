#include "column/column.h"

#define NAME_BYTES_MAX ((size_t)128) // longer names get no hint
#define EDITS_TOO_MANY SIZE_MAX
#define EDITS_MAX      ((size_t)3)
#define BYTES_PER_EDIT ((size_t)3) // a name of n bytes may differ in n / 3 of them, at least 1

ptrdiff_t tarn_schema_find(const tarn_schema *schema, tarn_slice name) {
    for (size_t i = 0; i < schema->field_count; i++) {
        if (tarn_slice_equal(schema->fields[i].name, name)) return (ptrdiff_t)i;
    }
    return -1;
}

tarn_status tarn_schema_copy(const tarn_schema *schema, tarn_arena *arena, tarn_schema *ret_schema,
                             tarn_error *err) {
    tarn_field *fields = tarn_arena_new(arena, tarn_field, schema->field_count);
    bool copied = fields != NULL;
    for (size_t i = 0; copied && i < schema->field_count; i++) {
        fields[i] = schema->fields[i];
        copied = tarn_arena_copy(arena, schema->fields[i].name, &fields[i].name);
    }
    if (!copied) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a schema of %zu fields",
                         schema->field_count);
    }
    *ret_schema = (tarn_schema){fields, schema->field_count};
    return TARN_OK;
}

static uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static size_t min_of(size_t a, size_t b) {
    return a < b ? a : b;
}

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, letters of
// either case being the same. Three rows of the usual matrix are alive at a time.
static size_t count_edits(tarn_slice a, tarn_slice b) {
    if (a.len > NAME_BYTES_MAX || b.len > NAME_BYTES_MAX) return EDITS_TOO_MANY;
    size_t rows[3][NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        const size_t *before = rows[(i + 1) % 3]; // of i - 2
        const size_t *above = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = lower(a.data[i - 1]) == lower(b.data[j - 1]);
            row[j] = min_of(above[j - 1] + !same, 1 + min_of(above[j], row[j - 1]));
            bool swapped = i > 1 && j > 1 && lower(a.data[i - 1]) == lower(b.data[j - 2]) &&
                           lower(a.data[i - 2]) == lower(b.data[j - 1]);
            if (swapped) row[j] = min_of(row[j], before[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

ptrdiff_t tarn_nearest_name(tarn_slice name, const tarn_slice *candidates, size_t count) {
    size_t allowed = min_of(EDITS_MAX, name.len / BYTES_PER_EDIT);
    if (allowed == 0) allowed = 1;
    ptrdiff_t nearest = -1;
    size_t nearest_edits = allowed + 1;
    for (size_t i = 0; i < count; i++) {
        size_t edits = count_edits(name, candidates[i]);
        if (edits >= nearest_edits || edits >= name.len) continue; // nothing would be left of it
        nearest_edits = edits;
        nearest = (ptrdiff_t)i;
    }
    return nearest;
}
