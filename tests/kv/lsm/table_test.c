#include "kv/lsm/table.h"

#include <stdio.h>

#include "kv/lsm/filter.h"
#include "tests/test.h"

static tarn_error err;

// ---- a table and what should be in it ----

typedef struct model_entry {
    char key[64];
    size_t key_len;
    uint64_t trailer;
    char value[96];
    size_t value_len;
} model_entry;

enum { ENTRIES_MAX = 3000 };
static model_entry model[ENTRIES_MAX];
static size_t model_count;
static lsm_order model_order;

static tarn_slice key_of(const model_entry *entry) {
    return (tarn_slice){(const uint8_t *)entry->key, entry->key_len};
}

static tarn_slice value_of(const model_entry *entry) {
    return (tarn_slice){(const uint8_t *)entry->value, entry->value_len};
}

static int compare_entries(const void *a, const void *b) {
    const model_entry *x = a;
    const model_entry *y = b;
    return lsm_compare(model_order, key_of(x), x->trailer, key_of(y), y->trailer);
}

static int compare_backwards(void *context, tarn_slice a, tarn_slice b) {
    (void)context;
    return tarn_slice_compare(b, a);
}

static const tarn_kv_comparator backwards = {"backwards", compare_backwards, NULL};

static size_t random_key(char key[64], unsigned shape) {
    size_t n = test_random_below(700);
    switch (shape) {
    case 0: return (size_t)snprintf(key, 64, "%016zu", n);
    case 1:
        return (size_t)snprintf(key, 64, "user:%03zu:and-a-long-field-name-%zu", n / 10, n % 10);
    case 2:
        memset(key, 0, 64);
        key[0] = (char)(n % 3);
        return 1 + n % 13;
    default: key[0] = (char)n; return 1 + (size_t)snprintf(key + 1, 63, "%zu", n);
    }
}

static void fill_model(lsm_order order, unsigned shape, size_t count, size_t value_max) {
    model_order = order;
    model_count = count;
    for (size_t i = 0; i < count; i++) {
        model_entry *entry = &model[i];
        static const kv_change_kind kinds[] = {KV_PUT, KV_PUT, KV_DELETE, KV_MERGE};
        entry->key_len = random_key(entry->key, shape);
        entry->trailer = lsm_trailer(i + 1, kinds[test_random_below(4)]);
        entry->value_len = test_random_below(value_max + 1);
        memset(entry->value, (int)(i % 7), sizeof entry->value);
    }
    qsort(model, model_count, sizeof model[0], compare_entries);
}

typedef struct built {
    lsm_table_writer *writer;
    lsm_table_summary summary;
    lsm_table *table;
    lsm_cache *cache;
    uint8_t *copy; // of the file's bytes, which may be damaged
    size_t len;
} built;

static lsm_table_options default_options(void) {
    return (lsm_table_options){
        .file_id = 7, .order = model_order, .block_bytes = 300, .filter_bits = 10};
}

static built build(const lsm_table_options *options, const lsm_range *ranges, size_t range_count) {
    built b = {0};
    assert_int_equal(lsm_table_writer_new(&tarn_alloc_libc, options, NULL, &b.writer, &err),
                     TARN_OK);
    for (size_t i = 0; i < model_count; i++) {
        assert_int_equal(lsm_table_writer_add(b.writer, key_of(&model[i]), model[i].trailer,
                                              value_of(&model[i]), &err),
                         TARN_OK);
    }
    for (size_t i = 0; i < range_count; i++) {
        assert_int_equal(lsm_table_writer_add_range(b.writer, &ranges[i], &err), TARN_OK);
    }
    assert_int_equal(lsm_table_writer_finish(b.writer, &b.summary, &err), TARN_OK);
    tarn_slice bytes = lsm_table_writer_bytes(b.writer);
    assert_int_equal(bytes.len, b.summary.file_bytes);
    b.len = bytes.len;
    b.copy = malloc(bytes.len);
    memcpy(b.copy, bytes.data, bytes.len);
    return b;
}

static tarn_status open_built(built *b) {
    lsm_table_source source = {.bytes = {b->copy, b->len},
                               .name = TARN_LIT("000007.sst"),
                               .file_id = 7,
                               .order = model_order,
                               .cache = b->cache};
    return lsm_table_open(&tarn_alloc_libc, &source, &b->table, &err);
}

static void drop(built *b) {
    lsm_table_close(b->table);
    lsm_table_writer_free(b->writer);
    lsm_cache_free(b->cache);
    free(b->copy);
}

static void expect(const lsm_table_cursor *cursor, size_t position) {
    if (position >= model_count) {
        assert_false(cursor->is_valid);
        return;
    }
    assert_true(cursor->is_valid);
    assert_true(tarn_slice_equal(cursor->key, key_of(&model[position])));
    assert_int_equal(cursor->trailer, model[position].trailer);
    assert_true(tarn_slice_equal(cursor->value, value_of(&model[position])));
}

static void walk(lsm_table *table) {
    lsm_table_cursor cursor;
    lsm_table_cursor_init(&cursor, table);
    assert_int_equal(lsm_table_cursor_seek_first(&cursor, &err), TARN_OK);
    for (size_t i = 0; i < model_count; i++) {
        expect(&cursor, i);
        assert_int_equal(lsm_table_cursor_next(&cursor, &err), TARN_OK);
    }
    expect(&cursor, model_count);
    assert_int_equal(lsm_table_cursor_seek_last(&cursor, &err), TARN_OK);
    for (size_t i = model_count; i-- > 0;) {
        expect(&cursor, i);
        assert_int_equal(lsm_table_cursor_prev(&cursor, &err), TARN_OK);
    }
    assert_false(cursor.is_valid);
    lsm_table_cursor_reset(&cursor);
}

static void seek_anywhere(lsm_table *table, unsigned shape) {
    lsm_table_cursor cursor;
    lsm_table_cursor_init(&cursor, table);
    for (int round = 0; round < 500; round++) {
        model_entry wanted = {.trailer = lsm_trailer_newest(test_random_below(model_count + 2))};
        wanted.key_len = random_key(wanted.key, round % 8 == 0 ? (unsigned)round % 4 : shape);
        size_t position = 0;
        while (position < model_count && compare_entries(&model[position], &wanted) < 0) position++;
        assert_int_equal(lsm_table_cursor_seek(&cursor, key_of(&wanted), wanted.trailer, &err),
                         TARN_OK);
        expect(&cursor, position);
        assert_int_equal(
            lsm_table_cursor_seek_before(&cursor, key_of(&wanted), wanted.trailer, &err), TARN_OK);
        expect(&cursor, position == 0 ? SIZE_MAX : position - 1);
    }
    lsm_table_cursor_reset(&cursor);
}

TEST(a_table_holds_what_was_written_in_order) {
    static const tarn_codec codecs[] = {TARN_CODEC_NONE, TARN_CODEC_LZ4, TARN_CODEC_ZSTD,
                                        TARN_CODEC_SNAPPY};
    for (unsigned round = 0; round < 48; round++) {
        lsm_order order = {round % 6 == 5 ? &backwards : NULL};
        unsigned shape = round % 4;
        fill_model(order, shape, 1 + test_random_below(round % 2 == 0 ? 40 : ENTRIES_MAX),
                   round % 3 == 0 ? 6 : 90);
        lsm_table_options options = default_options();
        options.codec = codecs[round / 4 % 4];
        options.block_bytes = round % 5 == 0 ? 1 : 300 + test_random_below(5000);
        built b = build(&options, NULL, 0);
        if (round % 3 > 0) {
            assert_int_equal(
                lsm_cache_new(&tarn_alloc_libc, round % 3 == 1 ? 4000 : 1 << 20, &b.cache, &err),
                TARN_OK);
        }
        assert_int_equal(open_built(&b), TARN_OK);
        walk(b.table);
        seek_anywhere(b.table, shape);
        assert_int_equal(lsm_table_verify(b.table, &err), TARN_OK);
        const lsm_table_summary *summary = lsm_table_get_summary(b.table);
        assert_int_equal(summary->entry_count, model_count);
        assert_true(tarn_slice_equal(summary->smallest, key_of(&model[0])));
        assert_true(tarn_slice_equal(summary->largest, key_of(&model[model_count - 1])));
        drop(&b);
    }
}

TEST(a_filter_never_denies_and_seldom_lies) {
    fill_model((lsm_order){NULL}, 0, ENTRIES_MAX, 4);
    lsm_table_options options = default_options();
    options.prefix_bytes = 14;
    built b = build(&options, NULL, 0);
    assert_int_equal(open_built(&b), TARN_OK);
    lsm_filter_answer answer;
    for (size_t i = 0; i < model_count; i++) {
        assert_int_equal(
            lsm_table_filter(b.table, lsm_filter_hash(key_of(&model[i])), &answer, &err), TARN_OK);
        assert_int_equal(answer, LSM_FILTER_MAYBE);
        tarn_slice prefix = tarn_slice_head(key_of(&model[i]), 14);
        assert_int_equal(lsm_table_filter(b.table, lsm_filter_hash(prefix), &answer, &err),
                         TARN_OK);
        assert_int_equal(answer, LSM_FILTER_MAYBE);
    }
    size_t lies = 0;
    for (size_t i = 0; i < 10000; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "missing-%zu", i);
        tarn_slice slice = {(const uint8_t *)key, (size_t)len};
        assert_int_equal(lsm_table_filter(b.table, lsm_filter_hash(slice), &answer, &err), TARN_OK);
        lies += answer == LSM_FILTER_MAYBE;
    }
    assert_in_range(lies, 0, 250); // 10 bits a key: about 1 in 100
    drop(&b);
}

TEST(range_tombstones_widen_the_bounds) {
    fill_model((lsm_order){NULL}, 0, 20, 4);
    const lsm_range ranges[] = {{TARN_LIT("0"), TARN_LIT("00000000000001"), 9},
                                {TARN_LIT("5"), TARN_LIT("7"), 12}};
    lsm_table_options options = default_options();
    built b = build(&options, ranges, 2);
    assert_int_equal(open_built(&b), TARN_OK);
    const lsm_table_summary *summary = lsm_table_get_summary(b.table);
    assert_true(tarn_slice_equal(summary->smallest, TARN_LIT("0")));
    assert_true(tarn_slice_equal(summary->largest, TARN_LIT("7")));
    assert_true(summary->is_largest_exclusive);
    assert_int_equal(lsm_ranges_cover(lsm_table_ranges(b.table), TARN_LIT("6"), 100), 12);
    assert_int_equal(lsm_ranges_cover(lsm_table_ranges(b.table), TARN_LIT("7"), 100), 0);
    drop(&b);

    model_count = 0;
    const lsm_range open_range = {TARN_LIT("b"), {NULL, 0}, 3};
    b = build(&options, &open_range, 1);
    assert_int_equal(open_built(&b), TARN_OK);
    assert_int_equal(lsm_table_get_summary(b.table)->largest.len, 0);
    assert_true(lsm_table_get_summary(b.table)->is_largest_exclusive);
    walk(b.table);
    drop(&b);
}

TEST(another_comparator_or_merge_operator_is_refused) {
    fill_model((lsm_order){&backwards}, 0, 200, 4);
    lsm_table_options options = default_options();
    options.merge_name = TARN_LIT("sum");
    built b = build(&options, NULL, 0);
    assert_int_equal(open_built(&b), TARN_INVALID);
    assert_string_equal(err.message, "000007.sst: was written with the merge operator 'sum' and is "
                                     "opened with ''");
    model_order = (lsm_order){NULL};
    assert_int_equal(open_built(&b), TARN_INVALID);
    assert_string_equal(err.message, "000007.sst: was written with the comparator 'backwards' and "
                                     "is opened with ''");
    drop(&b);
}

// Flips a bit of every byte, one after the other: verify finds it and names the file; reading
// before that gives an error or what was written.
TEST(every_flipped_bit_is_found) {
    fill_model((lsm_order){NULL}, 1, 60, 20);
    const lsm_range range = {TARN_LIT("a"), TARN_LIT("b"), 5};
    lsm_table_options options = default_options();
    options.codec = TARN_CODEC_LZ4;
    built b = build(&options, &range, 1);
    for (size_t i = 0; i < b.len; i++) {
        uint8_t mask = (uint8_t)(1 << test_random_below(8));
        b.copy[i] ^= mask;
        tarn_status status = open_built(&b);
        if (status == TARN_OK) {
            lsm_table_cursor cursor;
            lsm_table_cursor_init(&cursor, b.table);
            size_t position = 0;
            status = lsm_table_cursor_seek_first(&cursor, &err);
            while (status == TARN_OK && cursor.is_valid) {
                expect(&cursor, position++);
                status = lsm_table_cursor_next(&cursor, &err);
            }
            lsm_table_cursor_reset(&cursor);
            status = lsm_table_verify(b.table, &err);
            lsm_table_close(b.table);
            b.table = NULL;
        }
        b.copy[i] ^= mask;
        // Nothing but the zeros that bring the filter to a line of the cache is unchecked.
        if (status == TARN_OK) {
            assert_int_equal(b.copy[i], 0);
            continue;
        }
        assert_true(status == TARN_CORRUPT || status == TARN_UNSUPPORTED);
        assert_memory_equal(err.message, "000007.sst: ", 12);
    }
    drop(&b);
}

TEST(every_truncation_is_refused) {
    fill_model((lsm_order){NULL}, 0, 60, 20);
    lsm_table_options options = default_options();
    built b = build(&options, NULL, 0);
    size_t whole = b.len;
    for (b.len = 0; b.len < whole; b.len++) assert_int_equal(open_built(&b), TARN_CORRUPT);
    drop(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_holds_what_was_written_in_order),
        cmocka_unit_test(a_filter_never_denies_and_seldom_lies),
        cmocka_unit_test(range_tombstones_widen_the_bounds),
        cmocka_unit_test(another_comparator_or_merge_operator_is_refused),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
