// Snapshots, partition names, manifests, the fold, conflicts, statistics and committables.
#include "format/binrow/binrow.h"
#include "lake/committable.h"
#include "lake/fold.h"
#include "lake/partition.h"
#include "lake/snapshot.h"
#include "lake/stats.h"
#include "lake/vectors.h"
#include "tests/lake/helpers.h"

static tarn_arena arena;

static int open_arena(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    return 0;
}

static int close_arena(void **state) {
    (void)state;
    tarn_arena_reset(&arena);
    return 0;
}

// ---- snapshots ----

TEST(a_snapshot_is_written_as_ever) {
    static const char golden[] =
        "{\n  \"version\": 3,\n  \"uuid\": \"u-1\",\n  \"id\": 6,\n  \"schemaId\": 2,\n"
        "  \"baseManifestList\": \"manifest-list-a-0\",\n  \"baseManifestListSize\": 10,\n"
        "  \"deltaManifestList\": \"manifest-list-a-1\",\n  \"deltaManifestListSize\": 11,\n"
        "  \"changelogManifestList\": null,\n  \"commitUser\": \"me\",\n"
        "  \"commitIdentifier\": 4,\n  \"commitKind\": \"APPEND\",\n"
        "  \"timeMillis\": 1756266273434,\n  \"totalRecordCount\": 16,\n"
        "  \"deltaRecordCount\": 3,\n  \"changelogRecordCount\": 0,\n  \"watermark\": -2,\n"
        "  \"properties\": {\n    \"cut\": \"17\"\n  },\n  \"nextRowId\": 0\n}";
    const tarn_option properties[] = {{TARN_LIT("cut"), TARN_LIT("17")}};
    lake_snapshot snapshot = {.view = {.id = 6,
                                       .schema_id = 2,
                                       .commit_user = TARN_LIT("me"),
                                       .commit_identifier = 4,
                                       .commit_kind = TARN_LIT("APPEND"),
                                       .total_row_count = 16,
                                       .delta_row_count = 3,
                                       .watermark_us = -1001, // rounded down
                                       .properties = properties,
                                       .property_count = 1},
                              .uuid = TARN_LIT("u-1"),
                              .base_list = TARN_LIT("manifest-list-a-0"),
                              .base_list_bytes = 10,
                              .delta_list = TARN_LIT("manifest-list-a-1"),
                              .delta_list_bytes = 11,
                              .time_ms = 1756266273434};
    tarn_buffer json = {0};
    assert_ok(lake_snapshot_encode(&snapshot, &json, &test_error));
    lake_snapshot again;
    assert_ok(lake_snapshot_decode(tarn_buffer_slice(&json), &arena, &again, &test_error));
    assert_int_equal(again.view.time_us, 1756266273434000);
    assert_int_equal(again.view.watermark_us, -2000);
    assert_true(
        tarn_slice_equal(tarn_snapshot_property(&again.view, TARN_LIT("cut")), TARN_LIT("17")));
    assert_int_equal(tarn_snapshot_property(&again.view, TARN_LIT("none")).len, 0);
    assert_true(tarn_buffer_append_byte(&json, 0));
    assert_string_equal((const char *)json.data, golden);
    tarn_buffer_free(&json);
}

TEST(unknown_keys_of_a_snapshot_are_ignored_and_missing_ones_named) {
    static const char json[] =
        "{\"id\":1,\"schemaId\":0,\"baseManifestList\":\"b\",\"deltaManifestList\":\"d\","
        "\"commitUser\":\"u\",\"commitIdentifier\":9223372036854775807,\"commitKind\":\"APPEND\","
        "\"timeMillis\":1,\"watermark\":-9223372036854775808,\"logOffsets\":{},\"later\":[1,{}]}";
    lake_snapshot snapshot;
    assert_ok(lake_snapshot_decode(TARN_LIT(json), &arena, &snapshot, &test_error));
    assert_int_equal(snapshot.view.commit_identifier, INT64_MAX);
    assert_int_equal(snapshot.view.watermark_us, TARN_NO_WATERMARK);
    assert_int_equal(snapshot.next_row_id, -1);
    assert_int_equal(lake_snapshot_decode(TARN_LIT("{\"id\":1}"), &arena, &snapshot, &test_error),
                     TARN_CORRUPT);
    assert_non_null(strstr(test_error.message, "\"schemaId\""));
    assert_int_equal(lake_snapshot_decode(TARN_LIT("{\"id\":"), &arena, &snapshot, &test_error),
                     TARN_CORRUPT);
    assert_non_null(strstr(test_error.message, "line 1"));
}

// ---- partitions ----

static lake_schema partitioned(tarn_type_id type, const char *option) {
    const test_column columns[] = {{"k=1", type, false}, {"n", TARN_TYPE_INTEGER, false}};
    const char *options[] = {option, NULL};
    test_definition d;
    lake_schema schema;
    assert_ok(lake_schema_new(define(&d, columns, 2, NULL, "k=1", options), 0, &arena, &schema,
                              &test_error));
    return schema;
}

static void assert_partition(const lake_schema *schema, const char *text, const char *expected) {
    tarn_type type = schema->fields[0].type.type;
    tarn_value value = tarn_value_null(type);
    if (text != NULL) assert_ok(tarn_value_parse(type, TEXT(text), &arena, &value, &test_error));
    tarn_buffer path = {0};
    assert_ok(lake_partition_path(schema, &value, &path, &test_error));
    assert_true(tarn_buffer_append_byte(&path, 0));
    assert_string_equal((const char *)path.data, expected);
    tarn_buffer_free(&path);
}

TEST(text_partitions_are_escaped) {
    lake_schema schema = partitioned(TARN_TYPE_TEXT, NULL);
    assert_partition(&schema, "plain", "k%3D1=plain");
    assert_partition(&schema, "a/b:c%d e", "k%3D1=a%2Fb%3Ac%25d e");
    assert_partition(&schema, "\"#'*?\\{[]^}\x7f\n",
                     "k%3D1=%22%23%27%2A%3F%5C%7B%5B%5D%5E%7D%7F%0A");
    assert_partition(&schema, "ü", "k%3D1=ü");
}

TEST(null_and_blank_partitions_share_a_directory) {
    lake_schema schema = partitioned(TARN_TYPE_TEXT, NULL);
    assert_partition(&schema, NULL, "k%3D1=__DEFAULT_PARTITION__");
    assert_partition(&schema, "", "k%3D1=__DEFAULT_PARTITION__");
    assert_partition(&schema, " \t\xE2\x80\x80", "k%3D1=__DEFAULT_PARTITION__");
    assert_partition(&schema, " x", "k%3D1= x");
    schema = partitioned(TARN_TYPE_TEXT, "partition.default-name=none");
    assert_partition(&schema, NULL, "k%3D1=none");
}

TEST(dates_are_day_numbers_unless_asked_otherwise) {
    lake_schema schema = partitioned(TARN_TYPE_DATE, NULL);
    assert_partition(&schema, "2024-01-01", "k%3D1=19723");
    assert_partition(&schema, "1969-12-31", "k%3D1=-1");
    schema = partitioned(TARN_TYPE_DATE, "partition.legacy-name=false");
    assert_partition(&schema, "2024-01-01", "k%3D1=2024-01-01");
}

TEST(other_partition_values_print_as_java_does) {
    lake_schema schema = partitioned(TARN_TYPE_TIMESTAMP, NULL);
    assert_partition(&schema, "2024-05-14 12:00:00", "k%3D1=2024-05-14T12%3A00");
    assert_partition(&schema, "2024-05-14 12:00:01", "k%3D1=2024-05-14T12%3A00%3A01");
    assert_partition(&schema, "2024-05-14 12:00:00.12", "k%3D1=2024-05-14T12%3A00%3A00.120");
    assert_partition(&schema, "1969-12-31 23:59:59.999999", "k%3D1=1969-12-31T23%3A59%3A59.999999");
    schema = partitioned(TARN_TYPE_BOOLEAN, NULL);
    assert_partition(&schema, "t", "k%3D1=true");
    schema = partitioned(TARN_TYPE_SMALLINT, NULL);
    assert_partition(&schema, "-7", "k%3D1=-7");
}

// ---- manifests ----

static lake_entry make_entry(lake_entry_kind kind, const char *name, int32_t level) {
    static const tarn_slice extras[] = {{(const uint8_t *)"x.index", 7}};
    static const int64_t counts[] = {3, LAKE_UNKNOWN};
    lake_entry entry = {
        .kind = kind,
        .partition = LAKE_EMPTY_ROW,
        .bucket = 1,
        .total_buckets = 2,
        .file = {.name = TEXT(name),
                 .file_bytes = 100,
                 .row_count = 10,
                 .min_key = LAKE_EMPTY_ROW,
                 .max_key = LAKE_EMPTY_ROW,
                 .key_stats = {.min = LAKE_EMPTY_ROW, .max = LAKE_EMPTY_ROW},
                 .value_stats = {LAKE_EMPTY_ROW, LAKE_EMPTY_ROW, counts, 2},
                 .min_sequence = 5,
                 .max_sequence = 9,
                 .schema_id = 3,
                 .level = level,
                 .extra_files = extras,
                 .extra_file_count = 1,
                 .created_ms = 123,
                 .delete_row_count = 0,
                 .source = LAKE_UNKNOWN,
                 .first_row_id = LAKE_UNKNOWN},
    };
    return entry;
}

static void encode_entries(const lake_entry *const *entries, size_t count, tarn_buffer *out) {
    lake_avro_options options = {.codec = TARN_CODEC_ZSTD};
    assert_ok(lake_manifest_encode(entries, count, &options, out, &test_error));
}

static tarn_status decode_entries(tarn_slice bytes, lake_entry **ret_entries, size_t *ret_count) {
    tarn_object *object = NULL;
    bool is_plain = false;
    assert_ok(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("manifest-x"), bytes, &object,
                                     &test_error));
    tarn_status status =
        lake_manifest_decode(object, &arena, ret_entries, ret_count, &is_plain, &test_error);
    tarn_object_close(object);
    if (status == TARN_OK) assert_true(is_plain);
    return status;
}

TEST(manifest_entries_come_back) {
    lake_entry a = make_entry(LAKE_ADD, "data-a-0.parquet", 0);
    lake_entry b = make_entry(LAKE_DELETE, "data-b-0.parquet", 5);
    const tarn_slice columns[] = {TARN_LIT("c")};
    b.file.value_stat_cols = columns;
    b.file.value_stat_col_count = 1;
    b.file.embedded_index = TARN_LIT("index bytes");
    b.file.source = 1;
    b.file.created_ms = LAKE_UNKNOWN;
    b.file.delete_row_count = LAKE_UNKNOWN;
    b.file.external_path = TARN_LIT("s3://elsewhere");
    const lake_entry *entries[] = {&a, &b};
    tarn_buffer bytes = {0};
    encode_entries(entries, 2, &bytes);
    lake_entry *again = NULL;
    size_t count = 0;
    assert_ok(decode_entries(tarn_buffer_slice(&bytes), &again, &count));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < 2; i++) {
        const lake_file *file = &again[i].file;
        assert_true(lake_entry_same(&again[i], entries[i]));
        assert_int_equal(again[i].kind, entries[i]->kind);
        assert_int_equal(again[i].total_buckets, 2);
        assert_int_equal(file->max_sequence, 9);
        assert_int_equal(file->schema_id, 3);
        assert_int_equal(file->value_stats.null_counts[0], 3);
        assert_int_equal(file->value_stats.null_counts[1], LAKE_UNKNOWN);
        assert_int_equal(file->created_ms, entries[i]->file.created_ms);
        assert_int_equal(file->delete_row_count, entries[i]->file.delete_row_count);
        assert_int_equal(file->source, entries[i]->file.source);
        assert_int_equal(file->value_stat_cols == NULL, i == 0);
    }
    tarn_buffer_free(&bytes);
}

TEST(a_name_that_leaves_the_directory_is_refused) {
    lake_entry entry = make_entry(LAKE_ADD, "../../etc/passwd", 0);
    const lake_entry *entries[] = {&entry};
    tarn_buffer bytes = {0};
    encode_entries(entries, 1, &bytes);
    lake_entry *again = NULL;
    size_t count = 0;
    assert_int_equal(decode_entries(tarn_buffer_slice(&bytes), &again, &count), TARN_CORRUPT);
    assert_non_null(strstr(test_error.message, "_FILE_NAME"));
    tarn_buffer_free(&bytes);
}

TEST(orc_manifests_are_named) {
    lake_entry *entries = NULL;
    size_t count = 0;
    assert_int_equal(decode_entries(TARN_LIT("ORC\x01 and more"), &entries, &count),
                     TARN_UNSUPPORTED);
    assert_non_null(strstr(test_error.message, "ORC"));
}

// ---- the fold ----

static void add(lake_fold *fold, lake_entry_kind kind, const char *name, int32_t level) {
    lake_entry *entry = tarn_arena_new(&arena, lake_entry, 1);
    *entry = make_entry(kind, name, level);
    assert_ok(lake_fold_add(fold, entry, &test_error));
}

static void assert_fold(const lake_fold *fold, size_t live, size_t pending) {
    const lake_entry **entries = NULL;
    size_t count = 0;
    assert_ok(lake_fold_entries(fold, &entries, &count, &test_error));
    assert_int_equal(fold->live_count, live);
    assert_int_equal(fold->pending_count, pending);
    assert_int_equal(count, live + pending);
}

TEST(a_deletion_cancels_its_file) {
    lake_fold fold;
    lake_fold_init(&fold, &arena);
    add(&fold, LAKE_ADD, "a", 0);
    add(&fold, LAKE_ADD, "b", 0);
    add(&fold, LAKE_DELETE, "a", 0);
    assert_fold(&fold, 1, 0);
}

TEST(a_file_that_changes_its_level_is_another_one) {
    lake_fold fold;
    lake_fold_init(&fold, &arena);
    add(&fold, LAKE_ADD, "a", 0);
    add(&fold, LAKE_DELETE, "a", 0);
    add(&fold, LAKE_ADD, "a", 5);
    assert_fold(&fold, 1, 0);
}

TEST(a_deletion_without_its_file_waits) {
    lake_fold fold;
    lake_fold_init(&fold, &arena);
    add(&fold, LAKE_DELETE, "a", 0);
    add(&fold, LAKE_ADD, "b", 0);
    assert_fold(&fold, 1, 1);
}

TEST(a_file_cannot_be_added_twice) {
    lake_fold fold;
    lake_fold_init(&fold, &arena);
    add(&fold, LAKE_ADD, "a", 0);
    lake_entry again = make_entry(LAKE_ADD, "a", 0);
    assert_int_equal(lake_fold_add(&fold, &again, &test_error), TARN_CONFLICT);
}

TEST(a_fold_of_many_agrees_with_a_list) {
    bool live[200] = {false};
    bool used[200] = {false};
    lake_fold fold;
    lake_fold_init(&fold, &arena);
    for (int step = 0; step < 2000; step++) {
        size_t n = test_random_below(200);
        char *name = tarn_arena_new(&arena, char, 16);
        (void)snprintf(name, 16, "f%zu", n);
        if (live[n]) {
            add(&fold, LAKE_DELETE, name, 0);
            live[n] = false;
        } else if (!used[n]) {
            add(&fold, LAKE_ADD, name, 0);
            live[n] = used[n] = true;
        }
    }
    size_t count = 0;
    for (size_t i = 0; i < 200; i++) count += live[i];
    assert_fold(&fold, count, 0);
}

// ---- conflicts ----

static tarn_slice int_key(int32_t number) {
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = number};
    tarn_buffer bytes = {0};
    tarn_slice key;
    assert_ok(tarn_binrow_serialize(&value, 1, &bytes, &test_error));
    assert_true(tarn_arena_copy(&arena, tarn_buffer_slice(&bytes), &key));
    tarn_buffer_free(&bytes);
    return key;
}

static lake_schema keyed_schema(void) {
    const test_column columns[] = {{"id", TARN_TYPE_INTEGER, false}};
    test_definition d;
    lake_schema schema;
    assert_ok(
        lake_schema_new(define(&d, columns, 1, "id", NULL, NULL), 0, &arena, &schema, &test_error));
    return schema;
}

static lake_entry *keyed_entry(lake_entry_kind kind, const char *name, int32_t level, int32_t min,
                               int32_t max) {
    lake_entry *entry = tarn_arena_new(&arena, lake_entry, 1);
    *entry = make_entry(kind, name, level);
    entry->file.min_key = int_key(min);
    entry->file.max_key = int_key(max);
    return entry;
}

static tarn_status conflict(const lake_entry **base, size_t base_count, const lake_entry **delta,
                            size_t delta_count) {
    lake_schema schema = keyed_schema();
    return lake_check_conflicts(&schema, (lake_entry_view){base, base_count},
                                (lake_entry_view){delta, delta_count}, false, &arena, &test_error);
}

TEST(deleting_what_another_commit_removed_is_a_conflict) {
    const lake_entry *base[] = {keyed_entry(LAKE_ADD, "a", 0, 1, 5)};
    const lake_entry *fine[] = {keyed_entry(LAKE_DELETE, "a", 0, 1, 5),
                                keyed_entry(LAKE_ADD, "c", 5, 1, 5)};
    const lake_entry *gone[] = {keyed_entry(LAKE_DELETE, "b", 0, 1, 5)};
    assert_ok(conflict(base, 1, fine, 2));
    assert_int_equal(conflict(base, 1, gone, 1), TARN_CONFLICT);
    assert_non_null(strstr(test_error.message, "'b'"));
}

TEST(overlapping_keys_of_a_level_are_a_conflict) {
    const lake_entry *base[] = {keyed_entry(LAKE_ADD, "a", 5, 1, 5)};
    const lake_entry *apart[] = {keyed_entry(LAKE_ADD, "b", 5, 6, 9)};
    const lake_entry *across[] = {keyed_entry(LAKE_ADD, "c", 5, 5, 9)};
    const lake_entry *fresh[] = {keyed_entry(LAKE_ADD, "d", 0, 1, 9)};
    assert_ok(conflict(base, 1, apart, 1));
    assert_ok(conflict(base, 1, fresh, 1)); // on level 0 every file is a run of its own
    assert_int_equal(conflict(base, 1, across, 1), TARN_CONFLICT);
    assert_non_null(strstr(test_error.message, "overlapping"));
}

TEST(another_number_of_buckets_is_a_conflict) {
    const lake_entry *base[] = {keyed_entry(LAKE_ADD, "a", 0, 1, 5)};
    lake_entry *entry = keyed_entry(LAKE_ADD, "b", 0, 1, 5);
    entry->total_buckets = 3;
    const lake_entry *delta[] = {entry};
    assert_int_equal(conflict(base, 1, delta, 1), TARN_CONFLICT);
    assert_non_null(strstr(test_error.message, "buckets"));
}

TEST(adding_a_file_again_is_a_conflict) {
    const lake_entry *base[] = {keyed_entry(LAKE_ADD, "a", 0, 1, 5)};
    assert_int_equal(conflict(base, 1, base, 1), TARN_CONFLICT);
}

// ---- statistics ----

static void assert_truncated(const char *min, const char *max, size_t length, const char *want_min,
                             const char *want_max) {
    lake_column_stats stats = {
        .min = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = TEXT(min)},
        .max = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = TEXT(max)},
    };
    assert_ok(lake_stats_truncate(&stats, length, &arena, &test_error));
    if (want_max == NULL) {
        assert_true(stats.min.is_null && stats.max.is_null);
        return;
    }
    assert_true(tarn_slice_equal(stats.min.bytes, TEXT(want_min)));
    assert_true(tarn_slice_equal(stats.max.bytes, TEXT(want_max)));
}

TEST(bounds_of_text_are_shortened_by_characters) {
    assert_truncated("abc", "abd", 16, "abc", "abd");
    assert_truncated("Two roads diverged in a wood", "Two roads diverged in a wood", 16,
                     "Two roads diverg", "Two roads diverh");
    assert_truncated("üüü", "üüü", 2, "üü", "üý");
    assert_truncated("a", "a\xF4\x8F\xBF\xBFz", 2, "a", "b");               // U+10FFFF cannot grow
    assert_truncated("a", "\xF4\x8F\xBF\xBF\xF4\x8F\xBF\xBF", 1, "", NULL); // nothing can
    assert_truncated("a", "\xED\x9F\xBFz", 1, "a", "\xEE\x80\x80");         // over the surrogates
    assert_truncated("a", "\xFFxyz", 2, "", NULL);                          // not text at all
}

TEST(bounds_of_bytes_are_shortened_by_bytes) {
    lake_column_stats stats = {
        .min = {.type = tarn_type_of(TARN_TYPE_BYTEA), .bytes = TARN_LIT("\x01\x02\x03")},
        .max = {.type = tarn_type_of(TARN_TYPE_BYTEA), .bytes = TARN_LIT("\x05\xFF\xFF")},
    };
    assert_ok(lake_stats_truncate(&stats, 2, &arena, &test_error));
    assert_true(tarn_slice_equal(stats.min.bytes, TARN_LIT("\x01\x02")));
    assert_true(tarn_slice_equal(stats.max.bytes, TARN_LIT("\x06")));
}

TEST(shortened_bounds_hold_the_originals) {
    for (int round = 0; round < 2000; round++) {
        char a[24];
        char b[24];
        size_t len = test_random_below(20);
        for (size_t i = 0; i < len; i++) a[i] = (char)('a' + test_random_below(26));
        a[len] = '\0';
        memcpy(b, a, sizeof b);
        if (len > 0) b[test_random_below(len)] = 'z';
        lake_column_stats stats = {
            .min = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = TEXT(a)},
            .max = {.type = tarn_type_of(TARN_TYPE_TEXT), .bytes = TEXT(b)},
        };
        assert_ok(lake_stats_truncate(&stats, 1 + test_random_below(16), &arena, &test_error));
        if (stats.max.is_null) continue;
        assert_true(tarn_slice_compare(stats.min.bytes, TEXT(a)) <= 0);
        assert_true(tarn_slice_compare(stats.max.bytes, TEXT(b)) >= 0);
    }
}

// ---- deletion vectors ----

static void assert_vector(tarn_slice bytes, uint32_t first, uint32_t second) {
    roaring_bitmap_t *bitmap = NULL;
    assert_ok(lake_vector_decode(bytes, &bitmap, &test_error));
    assert_true(roaring_bitmap_contains(bitmap, first));
    assert_true(roaring_bitmap_contains(bitmap, second));
    assert_int_equal(roaring_bitmap_get_cardinality(bitmap), first == second ? 1 : 2);
    roaring_bitmap_free(bitmap);
}

static const uint8_t VECTOR_32[] = {0, 0, 0, 0x18, 0x5e, 0x43, 0xf2, 0xd0, 0x3a, 0x30, 0,
                                    0, 1, 0, 0,    0,    0,    0,    1,    0,    0x10, 0,
                                    0, 0, 2, 0,    3,    0,    0xc8, 0x98, 0xf6, 0x3d};
static const uint8_t VECTOR_64[] = {
    0, 0, 0, 0x24, 0xd1, 0xd3, 0x39, 0x64, 1, 0, 0,    0, 0, 0, 0, 0, 0, 0, 0,    0,    0x3a, 0x30,
    0, 0, 1, 0,    0,    0,    0,    0,    1, 0, 0x10, 0, 0, 0, 2, 0, 3, 0, 0x7a, 0x81, 0x38, 0x47};

TEST(both_kinds_of_deletion_vectors_are_read) {
    assert_vector((tarn_slice){VECTOR_32, sizeof VECTOR_32}, 2, 3);
    assert_vector((tarn_slice){VECTOR_64, sizeof VECTOR_64}, 2, 3);
}

TEST(damaged_deletion_vectors_are_refused) {
    for (size_t len = 0; len < sizeof VECTOR_32; len++) {
        roaring_bitmap_t *bitmap = NULL;
        tarn_slice cut = {VECTOR_32, len};
        assert_int_equal(lake_vector_decode(cut, &bitmap, &test_error), TARN_CORRUPT);
    }
    for (size_t bit = 0; bit < sizeof VECTOR_64 * 8; bit++) {
        uint8_t bytes[sizeof VECTOR_64];
        roaring_bitmap_t *bitmap = NULL;
        memcpy(bytes, VECTOR_64, sizeof bytes);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        tarn_slice flipped = {bytes, sizeof bytes};
        assert_int_equal(lake_vector_decode(flipped, &bitmap, &test_error), TARN_CORRUPT);
    }
}

// ---- committables ----

static void make_committable(tarn_buffer *out) {
    lake_entry a = make_entry(LAKE_ADD, "data-a-0.parquet", 0);
    lake_entry b = make_entry(LAKE_DELETE, "data-b-0.parquet", 5);
    const lake_entry *entries[] = {&a, &b};
    assert_ok(lake_committable_encode(entries, 2, &tarn_alloc_libc, out, &test_error));
}

TEST(committables_come_back_also_several_together) {
    tarn_buffer bytes = {0};
    make_committable(&bytes);
    make_committable(&bytes);
    lake_entry *entries = NULL;
    size_t count = 0;
    assert_ok(lake_committable_decode(tarn_buffer_slice(&bytes), &tarn_alloc_libc, &arena, &entries,
                                      &count, &test_error));
    assert_int_equal(count, 4);
    assert_int_equal(entries[3].kind, LAKE_DELETE);
    assert_true(tarn_slice_equal(entries[2].file.name, TARN_LIT("data-a-0.parquet")));
    tarn_buffer_free(&bytes);
}

TEST(damaged_committables_are_refused) {
    tarn_buffer bytes = {0};
    make_committable(&bytes);
    lake_entry *entries = NULL;
    size_t count = 0;
    for (size_t len = 1; len < bytes.len; len++) {
        tarn_slice cut = {bytes.data, len};
        assert_int_equal(
            lake_committable_decode(cut, &tarn_alloc_libc, &arena, &entries, &count, &test_error),
            TARN_CORRUPT);
    }
    for (size_t i = 0; i < bytes.len; i++) {
        bytes.data[i] ^= 0x10;
        assert_int_not_equal(lake_committable_decode(tarn_buffer_slice(&bytes), &tarn_alloc_libc,
                                                     &arena, &entries, &count, &test_error),
                             TARN_OK);
        bytes.data[i] ^= 0x10;
    }
    tarn_buffer_free(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_is_written_as_ever),
        cmocka_unit_test(unknown_keys_of_a_snapshot_are_ignored_and_missing_ones_named),
        cmocka_unit_test(text_partitions_are_escaped),
        cmocka_unit_test(null_and_blank_partitions_share_a_directory),
        cmocka_unit_test(dates_are_day_numbers_unless_asked_otherwise),
        cmocka_unit_test(other_partition_values_print_as_java_does),
        cmocka_unit_test(manifest_entries_come_back),
        cmocka_unit_test(a_name_that_leaves_the_directory_is_refused),
        cmocka_unit_test(orc_manifests_are_named),
        cmocka_unit_test(a_deletion_cancels_its_file),
        cmocka_unit_test(a_file_that_changes_its_level_is_another_one),
        cmocka_unit_test(a_deletion_without_its_file_waits),
        cmocka_unit_test(a_file_cannot_be_added_twice),
        cmocka_unit_test(a_fold_of_many_agrees_with_a_list),
        cmocka_unit_test(deleting_what_another_commit_removed_is_a_conflict),
        cmocka_unit_test(overlapping_keys_of_a_level_are_a_conflict),
        cmocka_unit_test(another_number_of_buckets_is_a_conflict),
        cmocka_unit_test(adding_a_file_again_is_a_conflict),
        cmocka_unit_test(bounds_of_text_are_shortened_by_characters),
        cmocka_unit_test(bounds_of_bytes_are_shortened_by_bytes),
        cmocka_unit_test(shortened_bounds_hold_the_originals),
        cmocka_unit_test(both_kinds_of_deletion_vectors_are_read),
        cmocka_unit_test(damaged_deletion_vectors_are_refused),
        cmocka_unit_test(committables_come_back_also_several_together),
        cmocka_unit_test(damaged_committables_are_refused),
    };
    (void)test_seed(NULL);
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
