// Reads, and copies, a Parquet file on one thread.
//
//     parquet_bench read FILE [REPEATS]        every column of every row, into sums
//     parquet_bench copy FROM TO [CODEC]       what tarn can read, written again
//     parquet_bench write FROM TO [REPEATS]    rows in memory written with zstd; TO.<n> are made
//
// Paths are absolute. A file that exists is not overwritten.
//
// Prints one JSON line per run. `checksum` depends on every value, so that no work can be left out:
// numbers are added up, and for strings their lengths are.
#include <inttypes.h>

#include "format/parquet/parquet.h"
#include "os/os.h"

typedef struct bench_source {
    tarn_store *store;
    tarn_object *object;
    tarn_parquet_file *file;
    size_t *columns;
    size_t column_count;
} bench_source;

static uint64_t add_strings(const tarn_vector *vector, size_t count) {
    uint64_t sum = 0;
    if (vector->kind == TARN_VECTOR_DICTIONARY) {
        const tarn_string *values = vector->dictionary->data;
        for (size_t i = 0; i < count; i++) sum += values[vector->indices[i]].len;
    } else {
        const tarn_string *values = vector->data;
        for (size_t i = 0; i < count; i++) sum += values[i].len;
    }
    return sum;
}

static uint64_t add_i64(const int64_t *values, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)values[i];
    return sum;
}

static uint64_t add_vector(const tarn_vector *vector, size_t count) {
    if (vector->validity != NULL) {
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            if (!tarn_vector_is_null(vector, i)) sum += (uint64_t)tarn_vector_get(vector, i).i64;
        }
        return sum;
    }
    if (tarn_type_is_string(vector->type)) return add_strings(vector, count);
    if (tarn_type_physical(vector->type) == TARN_PHYSICAL_I64) return add_i64(vector->data, count);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)tarn_vector_get(vector, i).i64;
    return sum;
}

// Below the root of the file system.
static tarn_slice object_path(const char *path) {
    return tarn_slice_from_cstr(path[0] == '/' ? path + 1 : path);
}

static tarn_status open_source(const char *path, bench_source *source, tarn_error *err) {
    TARN_TRY(tarn_store_open_local(tarn_os_posix(), &tarn_alloc_libc, TARN_LIT("/"), &source->store,
                                   err));
    TARN_TRY(tarn_store_open(source->store, object_path(path), &source->object, err));
    TARN_TRY(tarn_parquet_open(&tarn_alloc_libc, source->object, &source->file, err));
    const tarn_schema *schema = tarn_parquet_schema(source->file);
    static size_t columns[1000];
    source->columns = columns;
    for (size_t i = 0; i < schema->field_count && i < 1000; i++) {
        tarn_type_id id = (tarn_type_id)schema->fields[i].type.id;
        if (id != TARN_TYPE_NULL && id != TARN_TYPE_INTERVAL) columns[source->column_count++] = i;
    }
    return TARN_OK;
}

static void close_source(bench_source *source) {
    tarn_parquet_close(source->file);
    tarn_object_close(source->object);
    tarn_store_close(source->store);
}

static void print_run(const char *name, uint64_t rows, uint64_t bytes, int64_t started_ns,
                      uint64_t checksum) {
    int64_t ns = tarn_os_monotonic_ns(tarn_os_posix()) - started_ns;
    (void)printf("{\"name\": \"%s\", \"n\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"ns\": %" PRId64
                 ", \"checksum\": \"%" PRIu64 "\"}\n",
                 name, rows, bytes, ns, checksum);
    (void)fflush(stdout);
}

// ---- reading ----

static tarn_status read_once(const char *path, tarn_error *err) {
    int64_t started_ns = tarn_os_monotonic_ns(tarn_os_posix());
    bench_source source = {0};
    TARN_TRY(open_source(path, &source, err));
    tarn_parquet_scan_options options = {.columns = source.columns,
                                         .column_count = source.column_count};
    tarn_parquet_scan *scan = NULL;
    TARN_TRY(tarn_parquet_scan_new(source.file, &options, &scan, err));
    uint64_t rows = 0;
    uint64_t checksum = 0;
    for (;;) {
        const tarn_chunk *chunk = NULL;
        TARN_TRY(tarn_parquet_scan_next(scan, &chunk, NULL, err));
        if (chunk == NULL) break;
        rows += chunk->row_count;
        for (size_t i = 0; i < chunk->column_count; i++) {
            checksum += add_vector(&chunk->columns[i], chunk->row_count);
        }
    }
    tarn_parquet_scan_free(scan);
    print_run("read", rows, tarn_object_size(source.object), started_ns, checksum);
    close_source(&source);
    return TARN_OK;
}

// ---- writing ----

static tarn_status new_writer(const bench_source *source, const char *to, tarn_codec codec,
                              tarn_store_writer **ret_out, tarn_parquet_writer **ret_writer,
                              tarn_error *err) {
    static tarn_field fields[1000];
    static tarn_parquet_column_options columns[1000];
    const tarn_schema *schema = tarn_parquet_schema(source->file);
    for (size_t i = 0; i < source->column_count; i++) {
        fields[i] = schema->fields[source->columns[i]];
    }
    tarn_schema projected = {.fields = fields, .field_count = source->column_count};
    tarn_parquet_writer_options options = {.codec = codec, .columns = columns};
    TARN_TRY(tarn_store_create(source->store, object_path(to), ret_out, err));
    return tarn_parquet_writer_new(&tarn_alloc_libc, &projected, &options, *ret_out, ret_writer,
                                   err);
}

static tarn_status finish_writer(tarn_parquet_writer *writer, tarn_store_writer *out,
                                 tarn_parquet_summary *summary, tarn_error *err) {
    TARN_TRY(tarn_parquet_writer_finish(writer, summary, err));
    tarn_parquet_writer_free(writer);
    return tarn_store_writer_finish(out, err);
}

static tarn_status copy(const char *from, const char *to, tarn_codec codec, tarn_error *err) {
    int64_t started_ns = tarn_os_monotonic_ns(tarn_os_posix());
    bench_source source = {0};
    TARN_TRY(open_source(from, &source, err));
    tarn_parquet_scan_options options = {.columns = source.columns,
                                         .column_count = source.column_count};
    tarn_parquet_scan *scan = NULL;
    tarn_store_writer *out = NULL;
    tarn_parquet_writer *writer = NULL;
    tarn_parquet_summary summary;
    TARN_TRY(tarn_parquet_scan_new(source.file, &options, &scan, err));
    TARN_TRY(new_writer(&source, to, codec, &out, &writer, err));
    for (;;) {
        const tarn_chunk *chunk = NULL;
        TARN_TRY(tarn_parquet_scan_next(scan, &chunk, NULL, err));
        if (chunk == NULL) break;
        TARN_TRY(tarn_parquet_writer_append(writer, chunk, err));
    }
    tarn_parquet_scan_free(scan);
    TARN_TRY(finish_writer(writer, out, &summary, err));
    print_run("copy", summary.row_count, summary.file_bytes, started_ns, summary.row_count);
    close_source(&source);
    return TARN_OK;
}

// All rows of the source, as batches.
static tarn_status load_rows(const bench_source *source, tarn_batch ***ret_batches,
                             size_t *ret_count, tarn_error *err) {
    tarn_parquet_scan_options options = {.columns = source->columns,
                                         .column_count = source->column_count};
    tarn_parquet_scan *scan = NULL;
    TARN_TRY(tarn_parquet_scan_new(source->file, &options, &scan, err));
    static tarn_batch *batches[1 << 16];
    for (;;) {
        const tarn_chunk *chunk = NULL;
        TARN_TRY(tarn_parquet_scan_next(scan, &chunk, NULL, err));
        if (chunk == NULL) break;
        if (*ret_count == sizeof batches / sizeof batches[0]) {
            return tarn_fail(err, TARN_UNSUPPORTED, "more than %zu chunks", *ret_count);
        }
        TARN_TRY(tarn_batch_new(&tarn_alloc_libc, chunk, &batches[(*ret_count)++], err));
    }
    tarn_parquet_scan_free(scan);
    *ret_batches = batches;
    return TARN_OK;
}

static tarn_status write_repeatedly(const char *from, const char *to, int repeats,
                                    tarn_error *err) {
    bench_source source = {0};
    tarn_batch **batches = NULL;
    size_t batch_count = 0;
    TARN_TRY(open_source(from, &source, err));
    TARN_TRY(load_rows(&source, &batches, &batch_count, err));
    for (int i = 0; i < repeats; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s.%d", to, i);
        int64_t started_ns = tarn_os_monotonic_ns(tarn_os_posix());
        tarn_store_writer *out = NULL;
        tarn_parquet_writer *writer = NULL;
        tarn_parquet_summary summary;
        TARN_TRY(new_writer(&source, path, TARN_CODEC_ZSTD, &out, &writer, err));
        for (size_t j = 0; j < batch_count; j++) {
            TARN_TRY(tarn_parquet_writer_append(writer, &batches[j]->chunk, err));
        }
        TARN_TRY(finish_writer(writer, out, &summary, err));
        print_run("write", summary.row_count, summary.file_bytes, started_ns, summary.row_count);
    }
    for (size_t i = 0; i < batch_count; i++) tarn_batch_unref(batches[i]);
    close_source(&source);
    return TARN_OK;
}

// ---- the command line ----

static tarn_status codec_of(const char *name, tarn_codec *ret_codec, tarn_error *err) {
    static const tarn_codec codecs[] = {TARN_CODEC_NONE, TARN_CODEC_SNAPPY, TARN_CODEC_GZIP,
                                        TARN_CODEC_LZ4, TARN_CODEC_ZSTD};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (strcmp(tarn_codec_name(codecs[i]), name) == 0) {
            *ret_codec = codecs[i];
            return TARN_OK;
        }
    }
    return tarn_fail(err, TARN_INVALID, "no codec '%s'", name);
}

static tarn_status run(int argc, char **argv, tarn_error *err) {
    tarn_codec codec = TARN_CODEC_ZSTD;
    if (argc >= 3 && strcmp(argv[1], "read") == 0) {
        long repeats = argc > 3 ? strtol(argv[3], NULL, 10) : 5;
        for (long i = 0; i < repeats; i++) TARN_TRY(read_once(argv[2], err));
        return TARN_OK;
    }
    if (argc >= 4 && strcmp(argv[1], "copy") == 0) {
        if (argc > 4) TARN_TRY(codec_of(argv[4], &codec, err));
        return copy(argv[2], argv[3], codec, err);
    }
    if (argc >= 4 && strcmp(argv[1], "write") == 0) {
        long repeats = argc > 4 ? strtol(argv[4], NULL, 10) : 5;
        return write_repeatedly(argv[2], argv[3], (int)repeats, err);
    }
    return tarn_fail(err, TARN_INVALID,
                     "usage: parquet_bench read FILE [REPEATS] | copy FROM TO [CODEC] | write FROM "
                     "TO [REPEATS]");
}

int main(int argc, char **argv) {
    tarn_error err;
    if (run(argc, argv, &err) == TARN_OK) return 0;
    (void)fprintf(stderr, "%s\n", err.message);
    return 1;
}
