// Tables and manifests as version 1 wrote them are read, and are what is written today.
#include <stdio.h>

#include "kv/lsm/manifest_format.h"
#include "tests/format/files.h"

static tarn_error err;

#define TABLE_PATH    "tests/golden/kv/table-v1.sst"
#define MANIFEST_PATH "tests/golden/kv/manifest-v1"

// The example of docs/formats/kv-sstable.md.
static void write_table(tarn_buffer *out) {
    const lsm_table_options options = {
        .file_id = 1, .block_bytes = 4096, .filter_bits = 10, .created_us = 1700000000000000};
    const lsm_range range = {TARN_LIT("b"), TARN_LIT("c"), 4};
    lsm_table_writer *writer = NULL;
    lsm_table_summary summary;
    assert_int_equal(lsm_table_writer_new(&tarn_alloc_libc, &options, NULL, &writer, &err),
                     TARN_OK);
    assert_int_equal(lsm_table_writer_add(writer, TARN_LIT("apple"), lsm_trailer(3, KV_PUT),
                                          TARN_LIT("red"), &err),
                     TARN_OK);
    assert_int_equal(lsm_table_writer_add(writer, TARN_LIT("apple"), lsm_trailer(1, KV_PUT),
                                          TARN_LIT("green"), &err),
                     TARN_OK);
    assert_int_equal(lsm_table_writer_add(writer, TARN_LIT("apricot"), lsm_trailer(2, KV_DELETE),
                                          TARN_LIT(""), &err),
                     TARN_OK);
    assert_int_equal(lsm_table_writer_add_range(writer, &range, &err), TARN_OK);
    assert_int_equal(lsm_table_writer_finish(writer, &summary, &err), TARN_OK);
    assert_true(tarn_buffer_append(out, lsm_table_writer_bytes(writer)));
    lsm_table_writer_free(writer);
}

// The example of docs/formats/kv-manifest.md.
static void write_manifest(tarn_buffer *out) {
    lsm_edit_family families[] = {{0, 0}, {0, 4}};
    lsm_edit_file files[] = {{0, 0, 1, 300}};
    const lsm_edit edits[] = {
        {.next_file_id = 1, .log_sequence = 1, .families = &families[0], .family_count = 1},
        {.next_file_id = 2,
         .log_sequence = 5,
         .families = &families[1],
         .family_count = 1,
         .added = files,
         .added_count = 1},
    };
    uint8_t header[LSM_MANIFEST_HEADER_BYTES] = {0};
    tarn_store_u64(header, LSM_MANIFEST_MAGIC);
    tarn_store_u32(header + 8, LSM_MANIFEST_VERSION);
    assert_true(tarn_buffer_append(out, (tarn_slice){header, sizeof header}));
    for (size_t i = 0; i < 2; i++) {
        tarn_buffer body = {0};
        assert_int_equal(lsm_edit_encode(&edits[i], &body, &err), TARN_OK);
        assert_int_equal(lsm_manifest_put_record(tarn_buffer_slice(&body), out->len, out, &err),
                         TARN_OK);
        tarn_buffer_free(&body);
    }
}

static void compare_with_file(const char *path, const tarn_buffer *written) {
    tarn_buffer stored = {0};
    assert_true(test_load_file(path, &stored));
    assert_int_equal(written->len, stored.len);
    assert_memory_equal(written->data, stored.data, stored.len);
    tarn_buffer_free(&stored);
}

TEST(tables_are_written_as_ever) {
    tarn_buffer written = {0};
    write_table(&written);
    // The tiny build groups other numbers of entries.
    if (TARN_TUNABLE(1, 0) != 0) compare_with_file(TABLE_PATH, &written);
    tarn_buffer_free(&written);
}

TEST(manifests_are_written_as_ever) {
    tarn_buffer written = {0};
    write_manifest(&written);
    compare_with_file(MANIFEST_PATH, &written);
    tarn_buffer_free(&written);
}

static void expect(const lsm_table_cursor *cursor, tarn_slice key, uint64_t trailer,
                   tarn_slice value) {
    assert_true(cursor->is_valid);
    assert_true(tarn_slice_equal(cursor->key, key));
    assert_int_equal(cursor->trailer, trailer);
    assert_true(tarn_slice_equal(cursor->value, value));
}

TEST(tables_of_version_1_are_read) {
    tarn_buffer stored = {0};
    lsm_table *table = NULL;
    lsm_table_cursor cursor;
    assert_true(test_load_file(TABLE_PATH, &stored));
    lsm_table_source source = {
        .bytes = tarn_buffer_slice(&stored), .name = TARN_LIT(TABLE_PATH), .file_id = 1};
    assert_int_equal(lsm_table_open(&tarn_alloc_libc, &source, &table, &err), TARN_OK);
    assert_int_equal(lsm_table_verify(table, &err), TARN_OK);
    lsm_table_cursor_init(&cursor, table);
    assert_int_equal(lsm_table_cursor_seek_first(&cursor, &err), TARN_OK);
    expect(&cursor, TARN_LIT("apple"), lsm_trailer(3, KV_PUT), TARN_LIT("red"));
    assert_int_equal(lsm_table_cursor_next(&cursor, &err), TARN_OK);
    expect(&cursor, TARN_LIT("apple"), lsm_trailer(1, KV_PUT), TARN_LIT("green"));
    assert_int_equal(lsm_table_cursor_next(&cursor, &err), TARN_OK);
    expect(&cursor, TARN_LIT("apricot"), lsm_trailer(2, KV_DELETE), TARN_LIT(""));
    assert_int_equal(lsm_table_cursor_next(&cursor, &err), TARN_OK);
    assert_false(cursor.is_valid);
    assert_int_equal(lsm_ranges_cover(lsm_table_ranges(table), TARN_LIT("bee"), 9), 4);
    lsm_table_cursor_reset(&cursor);
    lsm_table_close(table);
    tarn_buffer_free(&stored);
}

static tarn_status replay(tarn_slice bytes, lsm_edit *ret_state, size_t *ret_whole_len) {
    static tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_status status = lsm_manifest_replay(bytes, &arena, ret_state, ret_whole_len, &err);
    if (status == TARN_OK && ret_state->added_count > 0) {
        assert_int_equal(ret_state->added[0].bytes, 300);
    }
    tarn_arena_reset(&arena);
    return status;
}

TEST(a_manifest_of_version_1_is_read) {
    tarn_buffer stored = {0};
    lsm_edit sum;
    size_t whole_len;
    assert_true(test_load_file(MANIFEST_PATH, &stored));
    assert_int_equal(replay(tarn_buffer_slice(&stored), &sum, &whole_len), TARN_OK);
    assert_int_equal(whole_len, stored.len);
    assert_int_equal(sum.next_file_id, 2);
    assert_int_equal(sum.log_sequence, 5);
    assert_int_equal(sum.added_count, 1);
    tarn_buffer_free(&stored);
}

// A crash cuts the last record off; anything else is damage.
TEST(a_manifest_is_read_to_its_torn_tail_and_not_over_damage) {
    tarn_buffer stored = {0};
    lsm_edit sum;
    size_t whole_len;
    assert_true(test_load_file(MANIFEST_PATH, &stored));
    size_t first_end = LSM_MANIFEST_HEADER_BYTES + LSM_MANIFEST_RECORD_BYTES +
                       tarn_load_u32(stored.data + LSM_MANIFEST_HEADER_BYTES);
    for (size_t len = 0; len < stored.len; len++) {
        tarn_status status = replay((tarn_slice){stored.data, len}, &sum, &whole_len);
        assert_int_equal(status, len < first_end ? TARN_CORRUPT : TARN_OK);
        if (status != TARN_OK) continue;
        assert_int_equal(whole_len, first_end);
        assert_int_equal(sum.added_count, 0);
    }
    for (size_t i = 0; i < first_end; i++) {
        stored.data[i] ^= 0x10;
        tarn_status status = replay(tarn_buffer_slice(&stored), &sum, &whole_len);
        assert_true(status == TARN_CORRUPT || status == TARN_UNSUPPORTED);
        stored.data[i] ^= 0x10;
    }
    tarn_buffer_free(&stored);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_written_as_ever),
        cmocka_unit_test(manifests_are_written_as_ever),
        cmocka_unit_test(tables_of_version_1_are_read),
        cmocka_unit_test(a_manifest_of_version_1_is_read),
        cmocka_unit_test(a_manifest_is_read_to_its_torn_tail_and_not_over_damage),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
