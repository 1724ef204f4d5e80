// lake_tool.c - tables from the command line, for checks against other implementations.
//
//     lake_tool ROOT create TABLE COLUMNS PRIMARY PARTITION [OPTION=VALUE ...]
//     lake_tool ROOT write TABLE        rows from stdin: "+I|1|abc" a line, "commit" commits them
//     lake_tool ROOT read TABLE [ID]    rows as "1|abc" a line, sorted by nobody
//     lake_tool ROOT compact TABLE
//
// COLUMNS is "name:type,..." with PostgreSQL's short type names; PRIMARY and PARTITION are comma
// lists, possibly empty. \N is NULL.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lake/lake.h"
#include "os/os.h"

#define COLUMNS_MAX    64
#define LINE_MAX_BYTES 65536

static tarn_error error;

static void check(tarn_status status) {
    if (status == TARN_OK) return;
    (void)fprintf(stderr, "%s: %s\n", tarn_status_name(status), error.message);
    exit(1);
}

static tarn_slice slice(const char *text) {
    return tarn_slice_from_cstr(text);
}

static tarn_type parse_type(const char *name, size_t len) {
    static const struct {
        const char *name;
        tarn_type_id id;
        uint8_t precision;
    } types[] = {
        {"boolean", TARN_TYPE_BOOLEAN, 0},
        {"smallint", TARN_TYPE_SMALLINT, 0},
        {"integer", TARN_TYPE_INTEGER, 0},
        {"bigint", TARN_TYPE_BIGINT, 0},
        {"real", TARN_TYPE_REAL, 0},
        {"double", TARN_TYPE_DOUBLE, 0},
        {"date", TARN_TYPE_DATE, 0},
        {"time", TARN_TYPE_TIME, 3},
        {"timestamp", TARN_TYPE_TIMESTAMP, 6},
        {"timestamp3", TARN_TYPE_TIMESTAMP, 3},
        {"timestamptz", TARN_TYPE_TIMESTAMPTZ, 6},
        {"text", TARN_TYPE_TEXT, 0},
        {"bytea", TARN_TYPE_BYTEA, 0},
        {"numeric10_2", TARN_TYPE_NUMERIC, 10},
        {"numeric30_5", TARN_TYPE_NUMERIC, 30},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strlen(types[i].name) != len || strncmp(types[i].name, name, len) != 0) continue;
        if (types[i].id == TARN_TYPE_NUMERIC) {
            return tarn_type_numeric(types[i].precision, types[i].precision == 10 ? 2 : 5);
        }
        tarn_type type = tarn_type_of(types[i].id);
        if (types[i].precision > 0) type.precision = types[i].precision;
        return type;
    }
    (void)fprintf(stderr, "unknown type '%.*s'\n", (int)len, name);
    exit(1);
}

static size_t split(const char *list, tarn_slice *names) {
    size_t count = 0;
    while (*list != '\0' && count < COLUMNS_MAX) {
        size_t len = strcspn(list, ",");
        names[count++] = (tarn_slice){(const uint8_t *)list, len};
        list += len + (list[len] == ',');
    }
    return count;
}

static void create(tarn_store *store, char **argv, int argc) {
    tarn_field fields[COLUMNS_MAX];
    tarn_slice columns[COLUMNS_MAX];
    tarn_slice primary[COLUMNS_MAX];
    tarn_slice partition[COLUMNS_MAX];
    tarn_option options[COLUMNS_MAX];
    size_t count = split(argv[1], columns);
    for (size_t i = 0; i < count; i++) {
        const char *name = (const char *)columns[i].data;
        size_t name_len = strcspn(name, ":");
        fields[i] =
            (tarn_field){.name = {columns[i].data, name_len},
                         .type = parse_type(name + name_len + 1, columns[i].len - name_len - 1),
                         .id = -1};
    }
    size_t option_count = 0;
    for (int i = 4; i < argc && option_count < COLUMNS_MAX; i++) {
        size_t key_len = strcspn(argv[i], "=");
        options[option_count++] =
            (tarn_option){{(const uint8_t *)argv[i], key_len}, slice(argv[i] + key_len + 1)};
    }
    tarn_table_definition definition = {
        .schema = {fields, count},
        .primary_keys = primary,
        .primary_key_count = split(argv[2], primary),
        .partition_keys = partition,
        .partition_key_count = split(argv[3], partition),
        .options = options,
        .option_count = option_count,
    };
    check(tarn_table_create(store, slice(argv[0]), &definition, &tarn_alloc_libc, &error));
}

static tarn_row_kind parse_kind(const char *line) {
    for (tarn_row_kind kind = TARN_ROW_INSERT; kind <= TARN_ROW_DELETE; kind++) {
        if (strncmp(line, tarn_row_kind_name(kind), 2) == 0) return kind;
    }
    (void)fprintf(stderr, "no row kind in '%s'\n", line);
    exit(1);
}

static void parse_row(const tarn_schema *schema, const char *line, tarn_arena *arena,
                      tarn_value *values) {
    const char *at = line + 2;
    for (size_t i = 0; i < schema->field_count; i++) {
        if (*at++ != '|') {
            (void)fprintf(stderr, "too few columns in '%s'\n", line);
            exit(1);
        }
        size_t len = strcspn(at, "|");
        values[i] = tarn_value_null(schema->fields[i].type);
        if (len != 2 || strncmp(at, "\\N", 2) != 0) {
            check(tarn_value_parse(schema->fields[i].type, (tarn_slice){(const uint8_t *)at, len},
                                   arena, &values[i], &error));
        }
        at += len;
    }
}

static void commit(tarn_table *table, tarn_table_writer *writer) {
    tarn_buffer committable = {0};
    int64_t id = 0;
    check(tarn_table_writer_prepare(writer, &committable, &error));
    tarn_table_commit_request request = {.commit_user = TARN_LIT("lake_tool"),
                                         .commit_identifier = INT64_MAX,
                                         .committable = tarn_buffer_slice(&committable),
                                         .watermark_us = TARN_NO_WATERMARK};
    check(tarn_table_commit(table, &request, &id, &error));
    tarn_buffer_free(&committable);
}

static void flush(tarn_table_writer *writer, tarn_chunk_builder *builder) {
    if (tarn_chunk_builder_count(builder) == 0) return;
    check(tarn_table_writer_append(writer, tarn_chunk_builder_chunk(builder), &error));
    tarn_chunk_builder_clear(builder);
}

static void write_table(tarn_table *table) {
    static char line[LINE_MAX_BYTES];
    const tarn_schema *schema = &tarn_table_definition_of(table)->schema;
    tarn_table_writer *writer = NULL;
    tarn_chunk_builder *builder = NULL;
    tarn_value values[COLUMNS_MAX];
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    check(tarn_table_writer_new(table, NULL, &writer, &error));
    check(tarn_chunk_builder_new(&tarn_alloc_libc, schema, &builder, &error));
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "commit") == 0) {
            flush(writer, builder);
            commit(table, writer);
            continue;
        }
        tarn_arena_clear(&arena);
        parse_row(schema, line, &arena, values);
        check(tarn_chunk_builder_append(builder, values, parse_kind(line), &error));
        if (tarn_chunk_builder_is_full(builder)) flush(writer, builder);
    }
    tarn_chunk_builder_free(builder);
    tarn_table_writer_free(writer);
    tarn_arena_reset(&arena);
}

static void print_row(const tarn_chunk *chunk, size_t row) {
    tarn_buffer text = {0};
    for (size_t c = 0; c < chunk->column_count; c++) {
        tarn_value value = tarn_vector_get(&chunk->columns[c], row);
        tarn_buffer_clear(&text);
        if (!value.is_null) check(tarn_value_format(value, &text, &error));
        if (c > 0) (void)putchar('|');
        (void)printf("%.*s", value.is_null ? 2 : (int)text.len,
                     value.is_null ? "\\N" : (const char *)text.data);
    }
    (void)putchar('\n');
    tarn_buffer_free(&text);
}

static void read_table(tarn_table *table, int64_t snapshot_id) {
    tarn_table_scan *scan = NULL;
    tarn_table_scan_options options = {.snapshot_id = snapshot_id};
    check(tarn_table_scan_new(table, &options, &scan, &error));
    for (size_t i = 0; i < tarn_table_scan_split_count(scan); i++) {
        tarn_split_reader *reader = NULL;
        const tarn_chunk *chunk = NULL;
        check(tarn_split_reader_new(scan, i, &tarn_alloc_libc, &reader, &error));
        for (;;) {
            check(tarn_split_reader_next(reader, &chunk, &error));
            if (chunk == NULL) break;
            for (size_t r = 0; r < tarn_chunk_count(chunk); r++) {
                print_row(chunk, tarn_chunk_row(chunk, r));
            }
        }
        tarn_split_reader_free(reader);
    }
    tarn_table_scan_free(scan);
}

int main(int argc, char **argv) {
    tarn_store *store = NULL;
    tarn_table *table = NULL;
    if (argc < 4) {
        (void)fprintf(stderr, "usage: lake_tool ROOT create|write|read|compact TABLE ...\n");
        return 2;
    }
    check(tarn_store_open_local(tarn_os_posix(), &tarn_alloc_libc, slice(argv[1]), &store, &error));
    if (strcmp(argv[2], "create") == 0 && argc >= 7) {
        create(store, argv + 3, argc - 3);
    } else {
        check(tarn_table_open(store, slice(argv[3]), &tarn_alloc_libc, &table, &error));
        if (strcmp(argv[2], "write") == 0) {
            write_table(table);
        } else if (strcmp(argv[2], "read") == 0) {
            read_table(table, argc > 4 ? strtoll(argv[4], NULL, 10) : 0);
        } else if (strcmp(argv[2], "compact") == 0) {
            tarn_compact_result result;
            check(tarn_table_compact(table, TARN_LIT("lake_tool"), NULL, 0, &result, &error));
        } else {
            (void)fprintf(stderr, "unknown command '%s'\n", argv[2]);
            return 2;
        }
        tarn_table_close(table);
    }
    tarn_store_close(store);
    return 0;
}
