// embed.c - a warehouse inside a program: create a table and a view over it, append rows that the
// program has in Arrow arrays, and read the view.
//
//     cc embed.c $(pkg-config --cflags --libs tarn) -o embed && ./embed /tmp/embedded
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/tarn.h>

static void check(tarn_db_code code, const tarn_db_error *error) {
    if (code == TARN_DB_OK) return;
    fprintf(stderr, "%s%s%s\n", error->message, error->hint[0] ? "\nhint: " : "", error->hint);
    exit(1);
}

// The arrays below are static: there is nothing to release.
static void keep_schema(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static void keep_array(struct ArrowArray *array) {
    array->release = NULL;
}

// Three readings of two sensors, as columns.
static void append_readings(tarn_db *db) {
    static const int32_t offsets[] = {0, 4, 10, 14};
    static const char names[] = "roofcellarroof";
    static const double degrees[] = {21.5, 12.0, 23.5};
    const void *name_buffers[] = {NULL, offsets, names};
    const void *degree_buffers[] = {NULL, degrees};
    const void *no_buffers[] = {NULL};
    struct ArrowSchema fields[] = {
        {.format = "u", .name = "sensor", .release = keep_schema},
        {.format = "g", .name = "degrees", .release = keep_schema},
    };
    struct ArrowArray columns[] = {
        {.length = 3, .n_buffers = 3, .buffers = name_buffers, .release = keep_array},
        {.length = 3, .n_buffers = 2, .buffers = degree_buffers, .release = keep_array},
    };
    struct ArrowSchema *field_list[] = {&fields[0], &fields[1]};
    struct ArrowArray *column_list[] = {&columns[0], &columns[1]};
    struct ArrowSchema schema = {.format = "+s",
                                 .name = "",
                                 .n_children = 2,
                                 .children = field_list,
                                 .release = keep_schema};
    struct ArrowArray rows = {.length = 3,
                              .n_buffers = 1,
                              .n_children = 2,
                              .buffers = no_buffers,
                              .children = column_list,
                              .release = keep_array};
    tarn_db_error error;
    check(tarn_db_append(db, "readings", &schema, &rows, &error), &error);
}

static void print_warmest(tarn_db *db) {
    tarn_db_error error;
    struct ArrowArrayStream stream;
    check(tarn_db_query(db, "SELECT sensor, readings, warmest FROM by_sensor ORDER BY sensor",
                        &stream, &error),
          &error);
    for (;;) {
        struct ArrowArray rows;
        if (stream.get_next(&stream, &rows) != 0) {
            fprintf(stderr, "%s\n", stream.get_last_error(&stream));
            exit(1);
        }
        if (rows.release == NULL) break; // the end
        const int32_t *offsets = rows.children[0]->buffers[1];
        const char *names = rows.children[0]->buffers[2];
        const int64_t *counts = rows.children[1]->buffers[1];
        const double *warmest = rows.children[2]->buffers[1];
        for (int64_t i = 0; i < rows.length; i++) {
            printf("%.*s: %" PRId64 " readings, warmest %.1f\n", offsets[i + 1] - offsets[i],
                   names + offsets[i], counts[i], warmest[i]);
        }
        rows.release(&rows);
    }
    stream.release(&stream);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: embed DIRECTORY\n");
        return 2;
    }
    tarn_db *db = NULL;
    tarn_db_error error;
    check(tarn_db_open(argv[1], NULL, &db, &error), &error);
    check(tarn_db_execute(db,
                          "DROP MATERIALIZED VIEW IF EXISTS by_sensor;"
                          "DROP TABLE IF EXISTS readings;"
                          "CREATE TABLE readings (sensor text NOT NULL, degrees double precision);"
                          "CREATE MATERIALIZED VIEW by_sensor AS"
                          "  SELECT sensor, count(*) AS readings, max(degrees) AS warmest"
                          "  FROM readings GROUP BY sensor;",
                          &error),
          &error);
    append_readings(db);
    check(tarn_db_execute(db, "FLUSH", &error), &error);
    print_warmest(db);
    tarn_db_close(db);
    return 0;
}
