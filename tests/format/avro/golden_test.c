// Files that other writers made: tests/golden/avro (made by make.py there) and real tables.

#include <ftw.h>
#include <sys/stat.h>

#include "format/avro/avro.h"
#include "tests/format/files.h"

#define ARENA_BYTES ((size_t)64 << 20)

typedef struct loaded {
    tarn_buffer bytes;
    tarn_arena arena;
    tarn_avro_file file;
} loaded;

static void load(const char *path, loaded *ret) {
    *ret = (loaded){0};
    assert_true(test_load_file(path, &ret->bytes));
    tarn_arena_init(&ret->arena, &tarn_alloc_libc, ARENA_BYTES);
    tarn_object *object = test_object(path, tarn_buffer_slice(&ret->bytes));
    tarn_error err = {0};
    tarn_status status = tarn_avro_read(object, 16 << 20, &ret->arena, &ret->file, &err);
    if (status != TARN_OK) print_message("%s\n", err.message);
    assert_int_equal(status, TARN_OK);
    tarn_object_close(object);
}

static void unload(loaded *l) {
    tarn_arena_reset(&l->arena);
    tarn_buffer_free(&l->bytes);
}

static const tarn_avro_value *field(const tarn_avro_value *record, const char *name,
                                    tarn_avro_kind kind) {
    const tarn_avro_value *value = tarn_avro_field(record, tarn_slice_from_cstr(name));
    assert_non_null(value);
    assert_int_equal(value->kind, kind);
    return value;
}

static void assert_text(const tarn_avro_value *value, const char *text) {
    assert_true(tarn_slice_equal(value->bytes, tarn_slice_from_cstr(text)));
}

// ---- everything-*.avro: twenty records, by the formulas of make.py ----

static void check_scalars(const tarn_avro_value *record, int64_t i) {
    int64_t sign = i % 2 == 0 ? 1 : -1;
    assert_int_equal(field(record, "flag", TARN_AVRO_BOOLEAN)->boolean, i % 2);
    assert_int_equal(field(record, "small", TARN_AVRO_INT)->i64, sign * i * 1000);
    assert_int_equal(field(record, "large", TARN_AVRO_LONG)->i64, sign * (((int64_t)1 << 62) + i));
    assert_true(field(record, "ratio", TARN_AVRO_FLOAT)->f64 == (double)i / 2);
    assert_true(field(record, "precise", TARN_AVRO_DOUBLE)->f64 == (double)-i / 4);
    assert_int_equal(field(record, "at", TARN_AVRO_LONG)->i64, 1700000000000 + i);
    assert_int_equal(field(record, "suit", TARN_AVRO_INT)->i64, i % 2);
}

static void check_bytes(const tarn_avro_value *record, int64_t i) {
    const tarn_avro_value *blob = field(record, "blob", TARN_AVRO_BYTES);
    assert_int_equal(blob->bytes.len, i % 5);
    for (size_t j = 0; j < blob->bytes.len; j++) assert_int_equal(blob->bytes.data[j], j);
    const tarn_avro_value *mac = field(record, "mac", TARN_AVRO_BYTES);
    assert_int_equal(mac->bytes.len, 6);
    assert_int_equal(mac->bytes.data[5], i);
    const tarn_avro_value *text = field(record, "text", TARN_AVRO_STRING);
    assert_int_equal(text->bytes.len, 2 * i);
    char expected[32];
    (void)snprintf(expected, sizeof expected, "text %lld", (long long)i);
    switch (i % 3) {
    case 0: (void)field(record, "maybe", TARN_AVRO_NULL); break;
    case 1: assert_text(field(record, "maybe", TARN_AVRO_STRING), expected); break;
    default: assert_int_equal(field(record, "maybe", TARN_AVRO_LONG)->i64, i); break;
    }
}

static void check_nested(const tarn_avro_value *record, int64_t i) {
    const tarn_avro_value *numbers = field(record, "numbers", TARN_AVRO_ARRAY);
    assert_int_equal(numbers->count, i % 4);
    for (size_t j = 0; j < numbers->count; j++) {
        assert_int_equal(numbers->items[j].kind, j % 2 == 1 ? TARN_AVRO_NULL : TARN_AVRO_LONG);
        if (j % 2 == 0) assert_int_equal(numbers->items[j].i64, (int64_t)j * i);
    }
    const tarn_avro_value *attributes = field(record, "attributes", TARN_AVRO_MAP);
    assert_int_equal(attributes->count, i % 3);
    for (size_t j = 0; j < attributes->count; j++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key%zu", j);
        assert_true(tarn_slice_equal(attributes->names[j], tarn_slice_from_cstr(key)));
        assert_int_equal(attributes->items[j].i64, 1);
    }
    if (i % 2 == 0) {
        (void)field(record, "list", TARN_AVRO_NULL);
        return;
    }
    const tarn_avro_value *node = field(record, "list", TARN_AVRO_RECORD);
    assert_int_equal(field(node, "value", TARN_AVRO_INT)->i64, i);
    const tarn_avro_value *next = field(node, "next", TARN_AVRO_RECORD);
    assert_int_equal(field(next, "value", TARN_AVRO_INT)->i64, i + 1);
    (void)field(next, "next", TARN_AVRO_NULL);
}

TEST(files_of_fastavro_are_read_with_every_codec) {
    static const char *const paths[] = {
        "tests/golden/avro/everything-null.avro",
        "tests/golden/avro/everything-deflate.avro",
        "tests/golden/avro/everything-zstandard.avro",
    };
    for (size_t p = 0; p < 3; p++) {
        loaded l;
        load(paths[p], &l);
        assert_int_equal(l.file.datum_count, 20);
        for (size_t i = 0; i < 20; i++) {
            const tarn_avro_value *record = &l.file.data[i];
            assert_int_equal(record->kind, TARN_AVRO_RECORD);
            check_scalars(record, (int64_t)i);
            check_bytes(record, (int64_t)i);
            check_nested(record, (int64_t)i);
            assert_null(tarn_avro_field(record, TARN_LIT("unknown")));
        }
        unload(&l);
    }
}

TEST(a_union_may_be_on_top) {
    loaded l;
    load("tests/golden/avro/union-on-top.avro", &l);
    assert_int_equal(l.file.datum_count, 3);
    assert_text(field(&l.file.data[0], "name", TARN_AVRO_STRING), "one");
    assert_int_equal(l.file.data[1].kind, TARN_AVRO_NULL);
    assert_null(tarn_avro_field(&l.file.data[1], TARN_LIT("name")));
    (void)field(&l.file.data[2], "name", TARN_AVRO_NULL);
    unload(&l);
}

TEST(a_file_without_records_is_empty) {
    loaded l;
    load("tests/golden/avro/no-records.avro", &l);
    assert_int_equal(l.file.datum_count, 0);
    assert_true(tarn_slice_starts_with(l.file.schema_json, TARN_LIT("{\"")));
    unload(&l);
}

TEST(manifests_of_pypaimon_are_read) {
    loaded l;
    load("tests/golden/avro/pypaimon-manifest.avro", &l);
    assert_int_equal(l.file.datum_count, 2);
    const tarn_avro_value *file = field(&l.file.data[1], "_FILE", TARN_AVRO_RECORD);
    assert_int_equal(field(file, "_ROW_COUNT", TARN_AVRO_LONG)->i64, 1);
    assert_int_equal(field(file, "_FILE_SIZE", TARN_AVRO_LONG)->i64, 937);
    assert_text(field(file, "_FILE_NAME", TARN_AVRO_STRING),
                "data-f8ade632-202d-4b7f-8b75-25099639b948-0.parquet");
    const tarn_avro_value *stats = field(file, "_KEY_STATS", TARN_AVRO_RECORD);
    assert_int_equal(field(stats, "_MIN_VALUES", TARN_AVRO_BYTES)->bytes.len, 12);
    assert_int_equal(field(file, "_VALUE_STATS_COLS", TARN_AVRO_ARRAY)->count, 0);
    (void)field(file, "_EXTERNAL_PATH", TARN_AVRO_NULL);
    unload(&l);

    load("tests/golden/avro/pypaimon-manifest-list.avro", &l);
    assert_int_equal(l.file.datum_count, 1);
    assert_int_equal(field(&l.file.data[0], "_FILE_SIZE", TARN_AVRO_LONG)->i64, 2369);
    unload(&l);
}

// ---- the manifests of tables that Apache Paimon wrote ----

static size_t manifests_read;

static int read_manifest(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    if (kind != FTW_F || strstr(path, "/manifest/") == NULL) return 0;
    if (path[place->base] == '.') return 0; // checksum files of Hadoop
    loaded l;
    load(path, &l);
    for (size_t i = 0; i < l.file.datum_count; i++) {
        (void)field(&l.file.data[i], "_VERSION", TARN_AVRO_INT);
    }
    unload(&l);
    manifests_read++;
    return 0;
}

TEST(every_manifest_of_real_tables_is_read) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/paimon-tables", test_shared_data());
    struct stat info;
    if (stat(path, &info) != 0) {
        print_message("%s is absent\n", path);
        skip();
    }
    assert_int_equal(nftw(path, read_manifest, 16, FTW_PHYS), 0);
    assert_true(manifests_read > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_fastavro_are_read_with_every_codec),
        cmocka_unit_test(a_union_may_be_on_top),
        cmocka_unit_test(a_file_without_records_is_empty),
        cmocka_unit_test(manifests_of_pypaimon_are_read),
        cmocka_unit_test(every_manifest_of_real_tables_is_read),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
