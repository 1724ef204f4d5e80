// \d and its kin. What there is comes from the system tables, like everything else: all rows are
// fetched, and chosen and sorted here.
#include "cli/shell.h"

#include <stdlib.h>

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory to describe relations");
}

// ---- fetching ----

// All values of a result as text; NULL is a slice without data.
typedef struct text_rows {
    tarn_arena *arena;
    tarn_slice *cells;
    size_t column_count;
    size_t row_count;
    size_t capacity; // rows
} text_rows;

static tarn_slice cell(const text_rows *rows, size_t row, size_t column) {
    return rows->cells[row * rows->column_count + column];
}

static tarn_status grow(text_rows *rows, tarn_error *err) {
    size_t capacity = rows->capacity == 0 ? 64 : rows->capacity * 2;
    tarn_slice *cells = tarn_arena_new(rows->arena, tarn_slice, capacity * rows->column_count);
    if (cells == NULL) return no_memory(err);
    size_t used = rows->row_count * rows->column_count;
    if (used > 0) memcpy(cells, rows->cells, used * sizeof *cells);
    rows->cells = cells;
    rows->capacity = capacity;
    return TARN_OK;
}

static tarn_status add_row(text_rows *rows, const tarn_chunk *chunk, size_t row, tarn_buffer *text,
                           tarn_error *err) {
    if (rows->row_count == rows->capacity) TARN_TRY(grow(rows, err));
    tarn_assert(rows->cells != NULL);
    for (size_t i = 0; i < rows->column_count; i++) {
        tarn_slice *at = &rows->cells[rows->row_count * rows->column_count + i];
        tarn_value value = tarn_vector_get(&chunk->columns[i], row);
        *at = (tarn_slice){0};
        if (value.is_null) continue;
        tarn_buffer_clear(text);
        TARN_TRY(tarn_value_format(value, text, err));
        if (!tarn_arena_copy(rows->arena, tarn_buffer_slice(text), at)) return no_memory(err);
    }
    rows->row_count++;
    return TARN_OK;
}

static tarn_status add_batch(text_rows *rows, const tarn_chunk *chunk, tarn_error *err) {
    tarn_buffer text = {0};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < tarn_chunk_count(chunk) && status == TARN_OK; i++) {
        status = add_row(rows, chunk, tarn_chunk_row(chunk, i), &text, err);
    }
    tarn_buffer_free(&text);
    return status;
}

static tarn_status fetch(cli_shell *shell, tarn_slice query, tarn_arena *arena, text_rows *ret_rows,
                         tarn_error *err) {
    const cli_engine *engine = shell->engine;
    void *result = NULL;
    TARN_TRY(engine->execute(engine->context, query, &result, err));
    text_rows rows = {.arena = arena, .column_count = engine->schema(result)->field_count};
    tarn_status status = TARN_OK;
    for (;;) {
        tarn_batch *batch = NULL;
        status = engine->next(result, &batch, err);
        if (status != TARN_OK || batch == NULL) break;
        status = add_batch(&rows, &batch->chunk, err);
        tarn_batch_unref(batch);
        if (status != TARN_OK) break;
    }
    engine->free_result(result);
    if (status == TARN_OK) *ret_rows = rows;
    return status;
}

// ---- printing ----

typedef struct text_table {
    tarn_chunk_builder *builder;
    cli_printer *printer;
    tarn_field fields[4];
    tarn_schema schema;
    cli_style style;
} text_table;

static void close_table(text_table *table) {
    cli_printer_free(table->printer);
    tarn_chunk_builder_free(table->builder);
}

static tarn_status open_table(text_table *table, cli_shell *shell, const char *const *names,
                              size_t count, tarn_slice title, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        table->fields[i] = (tarn_field){
            .name = tarn_slice_from_cstr(names[i]), .type = tarn_type_of(TARN_TYPE_TEXT), .id = -1};
    }
    table->schema = (tarn_schema){table->fields, count};
    table->style = shell->style;
    TARN_TRY(tarn_chunk_builder_new(&tarn_alloc_libc, &table->schema, &table->builder, err));
    return cli_printer_new(&table->style, &table->schema, title, cli_shell_results(shell),
                           &table->printer, err);
}

static tarn_status flush_table(text_table *table, tarn_error *err) {
    if (tarn_chunk_builder_count(table->builder) == 0) return TARN_OK;
    tarn_batch *batch = NULL;
    TARN_TRY(
        tarn_batch_new(&tarn_alloc_libc, tarn_chunk_builder_chunk(table->builder), &batch, err));
    tarn_status status = cli_printer_push(table->printer, batch, err);
    tarn_batch_unref(batch);
    tarn_chunk_builder_clear(table->builder);
    return status;
}

static tarn_status put_row(text_table *table, const tarn_slice *cells, tarn_error *err) {
    tarn_value values[4] = {0};
    for (size_t i = 0; i < table->schema.field_count; i++) {
        values[i] = (tarn_value){.type = table->fields[i].type, .bytes = cells[i]};
    }
    TARN_TRY(tarn_chunk_builder_append(table->builder, values, TARN_ROW_INSERT, err));
    return tarn_chunk_builder_is_full(table->builder) ? flush_table(table, err) : TARN_OK;
}

static tarn_status end_table(text_table *table, const tarn_slice *footer, tarn_error *err) {
    TARN_TRY(flush_table(table, err));
    return cli_printer_end(table->printer, footer, err);
}

// ---- relations ----

enum { RELATION_SCHEMA, RELATION_NAME, RELATION_TYPE, RELATION_COLUMNS };

static tarn_slice kind_of(tarn_slice type) {
    static const char *const kinds[][2] = {{"BASE TABLE", "table"},
                                           {"MATERIALIZED VIEW", "materialized view"},
                                           {"SOURCE", "source"},
                                           {"SYSTEM TABLE", "system table"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (tarn_slice_equal(type, tarn_slice_from_cstr(kinds[i][0]))) {
            return tarn_slice_from_cstr(kinds[i][1]);
        }
    }
    return type;
}

static int compare_relations(const void *a, const void *b) {
    const tarn_slice *left = a;
    const tarn_slice *right = b;
    int order = tarn_slice_compare(left[RELATION_SCHEMA], right[RELATION_SCHEMA]);
    return order != 0 ? order : tarn_slice_compare(left[RELATION_NAME], right[RELATION_NAME]);
}

static tarn_status fetch_relations(cli_shell *shell, tarn_arena *arena, text_rows *ret_rows,
                                   tarn_error *err) {
    TARN_TRY(fetch(shell,
                   TARN_LIT("SELECT table_schema, table_name, table_type "
                            "FROM information_schema.tables"),
                   arena, ret_rows, err));
    if (ret_rows->row_count > 1) {
        qsort(ret_rows->cells, ret_rows->row_count, RELATION_COLUMNS * sizeof(tarn_slice),
              compare_relations);
    }
    return TARN_OK;
}

// ---- patterns: '*' and '?' as in psql; letters are folded unless quoted ----

typedef struct name_pattern {
    tarn_slice schema_name; // empty: whatever is not a system schema
    tarn_slice name;        // empty: all
} name_pattern;

static bool matches(tarn_slice pattern, tarn_slice name) {
    // The last '*' is where to try again, one character of the name further.
    size_t p = 0;
    size_t n = 0;
    size_t star = SIZE_MAX;
    size_t star_name = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            star_name = n;
        } else if (p < pattern.len && (pattern.data[p] == '?' || pattern.data[p] == name.data[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++star_name;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') p++;
    return p == pattern.len;
}

static tarn_status parse_pattern(tarn_slice text, tarn_arena *arena, name_pattern *ret_pattern,
                                 tarn_error *err) {
    uint8_t *folded = tarn_arena_new(arena, uint8_t, text.len + 1);
    if (folded == NULL) return no_memory(err);
    name_pattern pattern = {0};
    bool quoted = false;
    size_t len = 0;
    size_t begin = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.data[i];
        if (byte == '"') {
            quoted = !quoted;
        } else if (byte == '.' && !quoted) {
            pattern.schema_name = (tarn_slice){folded + begin, len - begin};
            begin = len;
        } else {
            bool upper = !quoted && byte >= 'A' && byte <= 'Z';
            folded[len++] = upper ? (uint8_t)(byte + ('a' - 'A')) : byte;
        }
    }
    pattern.name = (tarn_slice){folded + begin, len - begin};
    *ret_pattern = pattern;
    return TARN_OK;
}

static bool is_system_schema(tarn_slice name) {
    return tarn_slice_equal(name, TARN_LIT("tarn")) ||
           tarn_slice_equal(name, TARN_LIT("information_schema"));
}

static bool is_chosen(const text_rows *relations, size_t row, const name_pattern *pattern) {
    tarn_slice schema_name = cell(relations, row, RELATION_SCHEMA);
    bool schema_fits = pattern->schema_name.len == 0 ? !is_system_schema(schema_name)
                                                     : matches(pattern->schema_name, schema_name);
    return schema_fits &&
           (pattern->name.len == 0 || matches(pattern->name, cell(relations, row, RELATION_NAME)));
}

// ---- \d, \dt, \dv, \ds ----

static tarn_status list(cli_shell *shell, const char *kind, tarn_slice text, tarn_arena *arena,
                        tarn_error *err) {
    static const char *const headers[] = {"Schema", "Name", "Type"};
    text_rows relations;
    name_pattern pattern;
    TARN_TRY(parse_pattern(text, arena, &pattern, err));
    TARN_TRY(fetch_relations(shell, arena, &relations, err));
    text_table table = {0};
    size_t count = 0;
    tarn_status status = open_table(&table, shell, headers, 3, TARN_LIT("List of relations"), err);
    for (size_t i = 0; i < relations.row_count && status == TARN_OK; i++) {
        tarn_slice type = kind_of(cell(&relations, i, RELATION_TYPE));
        bool kind_fits = kind == NULL || tarn_slice_equal(type, tarn_slice_from_cstr(kind));
        if (!kind_fits || !is_chosen(&relations, i, &pattern)) continue;
        const tarn_slice cells[] = {cell(&relations, i, RELATION_SCHEMA),
                                    cell(&relations, i, RELATION_NAME), type};
        status = put_row(&table, cells, err);
        count++;
    }
    if (status == TARN_OK && count > 0) status = end_table(&table, NULL, err);
    close_table(&table);
    if (status != TARN_OK || count > 0) return status;
    if (text.len == 0) return tarn_fail(err, TARN_INVALID, "Did not find any relations.");
    return tarn_fail(err, TARN_INVALID, "Did not find any relation named \"" TARN_SLICE_FMT "\".",
                     TARN_SLICE_ARG(text));
}

tarn_status cli_list_relations(cli_shell *shell, const char *kind, tarn_slice pattern,
                               tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_status status = list(shell, kind, pattern, &arena, err);
    tarn_arena_reset(&arena);
    return status;
}

// ---- \d NAME ----

enum { COLUMN_SCHEMA, COLUMN_TABLE, COLUMN_NAME, COLUMN_TYPE, COLUMN_NULLABLE, COLUMN_KEY };
enum { JOB_NAME, JOB_STATE, JOB_VERSION, JOB_ERROR, JOB_DEFINITION };

// What the description needs, fetched once for all the relations it is about.
typedef struct catalog_rows {
    text_rows relations;
    text_rows columns;
    text_rows jobs;
} catalog_rows;

static tarn_status fetch_catalog(cli_shell *shell, tarn_arena *arena, catalog_rows *ret_catalog,
                                 tarn_error *err) {
    TARN_TRY(fetch_relations(shell, arena, &ret_catalog->relations, err));
    TARN_TRY(fetch(shell,
                   TARN_LIT("SELECT table_schema, table_name, column_name, data_type, "
                            "is_nullable, is_key FROM information_schema.columns"),
                   arena, &ret_catalog->columns, err));
    return fetch(shell, TARN_LIT("SELECT name, state, version, error, definition FROM tarn.jobs"),
                 arena, &ret_catalog->jobs, err);
}

static tarn_status make_footer(const catalog_rows *catalog, tarn_slice name, tarn_arena *arena,
                               tarn_slice *ret_footer, tarn_error *err) {
    const text_rows *jobs = &catalog->jobs;
    for (size_t i = 0; i < jobs->row_count; i++) {
        if (!tarn_slice_equal(cell(jobs, i, JOB_NAME), name)) continue;
        tarn_slice error = cell(jobs, i, JOB_ERROR);
        bool fits = tarn_arena_printf(arena, ret_footer,
                                      "Definition:\n" TARN_SLICE_FMT "\nJob: " TARN_SLICE_FMT
                                      ", version " TARN_SLICE_FMT "%s" TARN_SLICE_FMT "\n",
                                      TARN_SLICE_ARG(cell(jobs, i, JOB_DEFINITION)),
                                      TARN_SLICE_ARG(cell(jobs, i, JOB_STATE)),
                                      TARN_SLICE_ARG(cell(jobs, i, JOB_VERSION)),
                                      error.len > 0 ? "\nError: " : "", TARN_SLICE_ARG(error));
        return fits ? TARN_OK : no_memory(err);
    }
    *ret_footer = (tarn_slice){0};
    return TARN_OK;
}

// "Materialized view "public.totals""
static tarn_status make_title(const tarn_slice *relation, tarn_arena *arena, tarn_slice *ret_title,
                              tarn_error *err) {
    tarn_slice kind = kind_of(relation[RELATION_TYPE]);
    int first = kind.len == 0 ? ' ' : kind.data[0] - ('a' - 'A');
    bool fits = tarn_arena_printf(
        arena, ret_title, "%c" TARN_SLICE_FMT " \"" TARN_SLICE_FMT "." TARN_SLICE_FMT "\"", first,
        TARN_SLICE_ARG(tarn_slice_skip(kind, kind.len == 0 ? 0 : 1)),
        TARN_SLICE_ARG(relation[RELATION_SCHEMA]), TARN_SLICE_ARG(relation[RELATION_NAME]));
    return fits ? TARN_OK : no_memory(err);
}

static tarn_status put_columns(text_table *table, const text_rows *columns,
                               const tarn_slice *relation, tarn_error *err) {
    for (size_t i = 0; i < columns->row_count; i++) {
        if (!tarn_slice_equal(cell(columns, i, COLUMN_SCHEMA), relation[RELATION_SCHEMA]) ||
            !tarn_slice_equal(cell(columns, i, COLUMN_TABLE), relation[RELATION_NAME])) {
            continue;
        }
        bool nullable = tarn_slice_equal(cell(columns, i, COLUMN_NULLABLE), TARN_LIT("YES"));
        bool is_key = tarn_slice_equal(cell(columns, i, COLUMN_KEY), TARN_LIT("t"));
        const tarn_slice cells[] = {cell(columns, i, COLUMN_NAME), cell(columns, i, COLUMN_TYPE),
                                    nullable ? TARN_LIT("") : TARN_LIT("not null"),
                                    is_key ? TARN_LIT("key") : TARN_LIT("")};
        TARN_TRY(put_row(table, cells, err));
    }
    return TARN_OK;
}

static tarn_status describe_one(cli_shell *shell, const catalog_rows *catalog,
                                const tarn_slice *relation, tarn_arena *arena, tarn_error *err) {
    static const char *const headers[] = {"Column", "Type", "Nullable", "Key"};
    tarn_slice title;
    tarn_slice footer;
    TARN_TRY(make_title(relation, arena, &title, err));
    TARN_TRY(make_footer(catalog, relation[RELATION_NAME], arena, &footer, err));
    text_table table = {0};
    tarn_status status = open_table(&table, shell, headers, 4, title, err);
    if (status == TARN_OK) status = put_columns(&table, &catalog->columns, relation, err);
    if (status == TARN_OK) status = end_table(&table, &footer, err);
    close_table(&table);
    return status;
}

static tarn_status not_found(const text_rows *relations, tarn_slice text, tarn_slice name,
                             tarn_arena *arena, tarn_error *err) {
    (void)tarn_fail(err, TARN_INVALID, "Did not find any relation named \"" TARN_SLICE_FMT "\".",
                    TARN_SLICE_ARG(text));
    tarn_slice *names = tarn_arena_new(arena, tarn_slice, relations->row_count + 1);
    if (names == NULL) return TARN_INVALID; // then without a hint
    for (size_t i = 0; i < relations->row_count; i++) names[i] = cell(relations, i, RELATION_NAME);
    ptrdiff_t nearest = tarn_nearest_name(name, names, relations->row_count);
    if (nearest >= 0) {
        tarn_error_hint(err, "Perhaps you meant \"" TARN_SLICE_FMT "\".",
                        TARN_SLICE_ARG(names[nearest]));
    }
    return TARN_INVALID;
}

static tarn_status describe(cli_shell *shell, tarn_slice text, tarn_arena *arena, tarn_error *err) {
    catalog_rows catalog;
    name_pattern pattern;
    TARN_TRY(parse_pattern(text, arena, &pattern, err));
    TARN_TRY(fetch_catalog(shell, arena, &catalog, err));
    bool found = false;
    for (size_t i = 0; i < catalog.relations.row_count; i++) {
        if (!is_chosen(&catalog.relations, i, &pattern)) continue;
        found = true;
        TARN_TRY(describe_one(shell, &catalog, &catalog.relations.cells[i * RELATION_COLUMNS],
                              arena, err));
    }
    return found ? TARN_OK : not_found(&catalog.relations, text, pattern.name, arena, err);
}

tarn_status cli_describe(cli_shell *shell, tarn_slice pattern, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_status status = describe(shell, pattern, &arena, err);
    tarn_arena_reset(&arena);
    return status;
}

// ---- completion ----

void cli_list_names(cli_shell *shell, tarn_arena *arena, tarn_slice **ret_names,
                    size_t *ret_count) {
    text_rows columns = {0};
    *ret_names = NULL;
    *ret_count = 0;
    tarn_status status =
        fetch(shell, TARN_LIT("SELECT table_name, column_name FROM information_schema.columns"),
              arena, &columns, NULL);
    if (status != TARN_OK) return;
    *ret_names = columns.cells; // tables are named once per column, which does no harm
    *ret_count = columns.row_count * columns.column_count;
}
