// Pages made by hand: what no current writer writes, and what none should.

#include "format/parquet/column_reader.h"

#include "format/parquet/crc32.h"
#include "format/parquet/thrift.h"
#include "tests/format/parquet/helpers.h"

// A column chunk that is put together page by page, and the column it belongs to.
typedef struct chunk_maker {
    tarn_buffer bytes;
    parquet_element element;
    parquet_chunk_meta meta;
    uint64_t row_count;
} chunk_maker;

static chunk_maker make_chunk(parquet_type type, int32_t repetition) {
    chunk_maker maker = {
        .element = {.name = TARN_LIT("c"),
                    .type = (int32_t)type,
                    .repetition = repetition,
                    .converted = PARQUET_ABSENT},
        .meta = {.type = (int32_t)type, .data_page_offset = 4, .has_meta = true},
    };
    assert_true(tarn_buffer_append(&maker.bytes, PARQUET_MAGIC));
    return maker;
}

typedef struct page_maker {
    int32_t type;
    int32_t encoding;
    int32_t level_encoding;
    int32_t row_count;
    int32_t level_bytes; // v2
    size_t unpacked_len; // 0: as stored
    bool has_wrong_crc;
    bool is_stored_whole; // v2: is_compressed = false
} page_maker;

static void put_page_details(parquet_thrift_writer *header, const page_maker *page) {
    switch (page->type) {
    case PARQUET_PAGE_DICTIONARY:
        parquet_thrift_begin_struct(header, 7);
        parquet_thrift_put_i32(header, 1, page->row_count);
        parquet_thrift_put_i32(header, 2, page->encoding);
        break;
    case PARQUET_PAGE_DATA_V2:
        parquet_thrift_begin_struct(header, 8);
        parquet_thrift_put_i32(header, 1, page->row_count);
        parquet_thrift_put_i32(header, 2, 0);
        parquet_thrift_put_i32(header, 3, page->row_count);
        parquet_thrift_put_i32(header, 4, page->encoding);
        parquet_thrift_put_i32(header, 5, page->level_bytes);
        parquet_thrift_put_i32(header, 6, 0);
        if (page->is_stored_whole) parquet_thrift_put_bool(header, 7, false);
        break;
    case PARQUET_PAGE_DATA:
        parquet_thrift_begin_struct(header, 5);
        parquet_thrift_put_i32(header, 1, page->row_count);
        parquet_thrift_put_i32(header, 2, page->encoding);
        parquet_thrift_put_i32(header, 3, page->level_encoding);
        parquet_thrift_put_i32(header, 4, PARQUET_RLE);
        break;
    default: parquet_thrift_begin_struct(header, 6); break;
    }
    parquet_thrift_end_struct(header);
}

static void add_page(chunk_maker *maker, page_maker page, tarn_slice body) {
    parquet_thrift_writer header = parquet_thrift_write_to(&maker->bytes);
    size_t unpacked_len = page.unpacked_len == 0 ? body.len : page.unpacked_len;
    parquet_thrift_put_i32(&header, 1, page.type);
    parquet_thrift_put_i32(&header, 2, (int32_t)unpacked_len);
    parquet_thrift_put_i32(&header, 3, (int32_t)body.len);
    uint32_t crc = parquet_crc32(0, body) ^ (page.has_wrong_crc ? 1 : 0);
    parquet_thrift_put_i32(&header, 4, (int32_t)crc);
    put_page_details(&header, &page);
    parquet_thrift_end_struct(&header);
    assert_true(tarn_buffer_append(&maker->bytes, body));
    if (page.type == PARQUET_PAGE_DATA || page.type == PARQUET_PAGE_DATA_V2) {
        maker->row_count += (uint64_t)page.row_count;
    }
}

static const page_maker plain_page = {.encoding = PARQUET_PLAIN, .level_encoding = PARQUET_RLE};

static void add_plain(chunk_maker *maker, int32_t row_count, tarn_slice body) {
    page_maker page = plain_page;
    page.row_count = row_count;
    add_page(maker, page, body);
}

// Reads all rows as `type` (id NULL: the column's own) and compares their text.
static tarn_status read_chunk(chunk_maker *maker, tarn_type type, tarn_buffer *text,
                              tarn_error *err) {
    tarn_object *object = test_object("pages", tarn_buffer_slice(&maker->bytes));
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    parquet_column column = parquet_column_describe(&maker->element, 0);
    const parquet_column_request request = {
        .alloc = &tarn_alloc_libc,
        .arena = &arena,
        .object = object,
        .column = &column,
        .type = type.id == TARN_TYPE_NULL ? column.type : type,
        .window_bytes = 1 + test_random_below(100),
    };
    maker->meta.compressed_bytes = (int64_t)maker->bytes.len - maker->meta.data_page_offset;
    parquet_column_reader reader = {0};
    tarn_status status = parquet_column_reader_init(&reader, &request, err);
    if (status == TARN_OK) {
        status = parquet_column_reader_start(&reader, &maker->meta, maker->row_count,
                                             maker->bytes.len, err);
    }
    for (uint64_t left = maker->row_count; status == TARN_OK && left > 0;) {
        size_t step = left < TARN_CHUNK_ROWS ? (size_t)left : TARN_CHUNK_ROWS;
        tarn_vector vector;
        status = parquet_column_reader_read(&reader, step, &vector, err);
        if (status != TARN_OK) break;
        tarn_chunk chunk = {.row_count = step, .column_count = 1, .columns = &vector};
        append_chunk(text, &chunk);
        left -= step;
    }
    parquet_column_reader_free(&reader);
    tarn_arena_reset(&arena);
    tarn_object_close(object);
    return status;
}

static const tarn_type own_type = {.id = TARN_TYPE_NULL};

static void assert_reads_as(chunk_maker *maker, tarn_type type, const char *expected) {
    tarn_buffer text = {0};
    tarn_error err;
    if (read_chunk(maker, type, &text, &err) != TARN_OK) fail_msg("%s", err.message);
    assert_true(tarn_buffer_append_byte(&text, '\0'));
    assert_string_equal((const char *)text.data, expected);
    tarn_buffer_free(&text);
    tarn_buffer_free(&maker->bytes);
}

static void assert_reads(chunk_maker *maker, const char *expected) {
    assert_reads_as(maker, own_type, expected);
}

static void assert_fails(chunk_maker *maker, tarn_status status, const char *message) {
    tarn_buffer text = {0};
    tarn_error err;
    assert_int_equal(read_chunk(maker, own_type, &text, &err), status);
    if (strstr(err.message, message) == NULL) fail_msg("'%s' not in '%s'", message, err.message);
    assert_non_null(strstr(err.message, "column 'c', page at offset "));
    tarn_buffer_free(&text);
    tarn_buffer_free(&maker->bytes);
}

// ---- what old writers wrote ----

TEST(ancient_levels_have_their_bits_the_other_way_round) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_OPTIONAL);
    page_maker page = {
        .encoding = PARQUET_PLAIN, .level_encoding = PARQUET_BIT_PACKED, .row_count = 5};
    add_page(&maker, page, TARN_LIT("\xd8\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0")); // 1 1 0 1 1
    assert_reads(&maker, "1\n2\n\\N\n3\n4\n");
}

TEST(the_old_name_of_the_dictionary_encoding_is_known) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    page_maker dictionary = {
        .type = PARQUET_PAGE_DICTIONARY, .encoding = PARQUET_PLAIN_DICTIONARY, .row_count = 2};
    page_maker page = {.encoding = PARQUET_PLAIN_DICTIONARY, .row_count = 4};
    add_page(&maker, dictionary, TARN_LIT("\x07\0\0\0\x09\0\0\0"));
    add_page(&maker, page, TARN_LIT("\1\3\2"));
    assert_reads(&maker, "7\n9\n7\n7\n");
}

TEST(pages_of_other_types_are_passed_over) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    page_maker index = {.type = PARQUET_PAGE_INDEX};
    add_page(&maker, index, TARN_LIT("whatever"));
    add_plain(&maker, 1, TARN_LIT("\1\0\0\0"));
    assert_reads(&maker, "1\n");
}

TEST(pages_of_nulls_may_have_nothing_behind_their_levels) {
    chunk_maker maker = make_chunk(PARQUET_BYTE_ARRAY, PARQUET_OPTIONAL);
    page_maker page = {
        .encoding = PARQUET_RLE_DICTIONARY, .level_encoding = PARQUET_RLE, .row_count = 3};
    add_page(&maker, page, TARN_LIT("\2\0\0\0\6\0")); // 3 times 0; no width, no dictionary
    assert_reads(&maker, "\\N\n\\N\n\\N\n");
}

static void pack_lz4(tarn_slice bytes, bool with_frame, tarn_buffer *out) {
    tarn_buffer packed = {0};
    assert_int_equal(tarn_compress(TARN_CODEC_LZ4, 0, bytes, &packed, NULL), TARN_OK);
    uint8_t frame[8];
    tarn_store_u32_be(frame, (uint32_t)bytes.len);
    tarn_store_u32_be(frame + 4, (uint32_t)packed.len);
    if (with_frame) assert_true(tarn_buffer_append(out, (tarn_slice){frame, sizeof frame}));
    assert_true(tarn_buffer_append(out, tarn_buffer_slice(&packed)));
    tarn_buffer_free(&packed);
}

TEST(the_old_lz4_is_framed_as_hadoop_does_or_raw) {
    for (int block_count = 0; block_count < 3; block_count++) { // 0: raw
        chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
        maker.meta.codec = PARQUET_CODEC_LZ4;
        tarn_buffer packed = {0};
        pack_lz4(TARN_LIT("\1\0\0\0\2\0\0\0"), block_count > 0, &packed);
        if (block_count == 2) pack_lz4(TARN_LIT("\3\0\0\0"), true, &packed);
        page_maker page = plain_page;
        page.row_count = block_count == 2 ? 3 : 2;
        page.unpacked_len = 4 * (size_t)page.row_count;
        add_page(&maker, page, tarn_buffer_slice(&packed));
        assert_reads(&maker, block_count == 2 ? "1\n2\n3\n" : "1\n2\n");
        tarn_buffer_free(&packed);
    }
}

TEST(a_version_2_page_may_be_stored_whole_in_a_compressed_chunk) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_OPTIONAL);
    maker.meta.codec = PARQUET_CODEC_ZSTD;
    page_maker page = {.type = PARQUET_PAGE_DATA_V2,
                       .encoding = PARQUET_PLAIN,
                       .row_count = 2,
                       .level_bytes = 2,
                       .is_stored_whole = true};
    add_page(&maker, page, TARN_LIT("\3\1\5\0\0\0")); // levels 1 0
    assert_reads(&maker, "5\n\\N\n");
}

// ---- values that need care ----

TEST(unsigned_values_widen_and_those_beyond_bigint_are_refused) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    maker.element.converted = PARQUET_CONVERTED_UINT_8 + 2; // 32 bits
    add_plain(&maker, 2, TARN_LIT("\xff\xff\xff\xff\1\0\0\0"));
    assert_reads(&maker, "4294967295\n1\n");

    maker = make_chunk(PARQUET_INT64, PARQUET_REQUIRED);
    maker.element.converted = PARQUET_CONVERTED_UINT_64;
    add_plain(&maker, 1, TARN_LIT("\0\0\0\0\0\0\0\x80"));
    assert_fails(&maker, TARN_UNSUPPORTED, "larger than bigint's");
}

TEST(a_value_outside_its_annotation_is_corrupt) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    maker.element.converted = PARQUET_CONVERTED_INT_16;
    add_plain(&maker, 1, TARN_LIT("\0\0\1\0"));
    assert_fails(&maker, TARN_CORRUPT, "does not fit smallint");
}

TEST(half_floats_become_real) {
    chunk_maker maker = make_chunk(PARQUET_FIXED, PARQUET_REQUIRED);
    maker.element.type_length = 2;
    maker.element.logical.kind = PARQUET_LOGICAL_FLOAT16;
    // 1, -2, the least above zero, the greatest, infinity, -0
    add_plain(&maker, 6, TARN_LIT("\x00\x3c\x00\xc0\x01\x00\xff\x7b\x00\x7c\x00\x80"));
    assert_reads(&maker, "3f800000\nc0000000\n33800000\n477fe000\n7f800000\n80000000\n");
}

TEST(decimals_may_be_byte_arrays_of_any_length) {
    chunk_maker maker = make_chunk(PARQUET_BYTE_ARRAY, PARQUET_REQUIRED);
    maker.element.converted = PARQUET_CONVERTED_DECIMAL;
    maker.element.precision = 10;
    maker.element.scale = 2;
    add_plain(&maker, 3,
              TARN_LIT("\1\0\0\0\x85\2\0\0\0\1\0\x14\0\0\0\xff\xff\xff\xff\xff\xff\xff"
                       "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"));
    assert_reads(&maker, "-123\n256\n-2\n");

    maker = make_chunk(PARQUET_BYTE_ARRAY, PARQUET_REQUIRED);
    maker.element.converted = PARQUET_CONVERTED_DECIMAL;
    maker.element.precision = 10;
    add_plain(&maker, 1, TARN_LIT("\x09\0\0\0\1\0\0\0\0\0\0\0\0"));
    assert_fails(&maker, TARN_CORRUPT, "more digits than its type");
}

TEST(int96_may_have_negative_nanoseconds_of_the_day) {
    // Julian day 2440588 is 1970-01-01.
    chunk_maker maker = make_chunk(PARQUET_INT96, PARQUET_REQUIRED);
    add_plain(&maker, 2,
              TARN_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\x8c\x3d\x25\0"
                       "\xe8\3\0\0\0\0\0\0\x8d\x3d\x25\0"));
    assert_reads(&maker, "-1\n86400000001000\n");
}

TEST(int96_is_read_as_microseconds_when_it_has_no_finer_ones) {
    chunk_maker maker = make_chunk(PARQUET_INT96, PARQUET_REQUIRED);
    add_plain(&maker, 1, TARN_LIT("\xe8\3\0\0\0\0\0\0\x8d\x3d\x25\0"));
    assert_reads_as(&maker, tarn_type_of(TARN_TYPE_TIMESTAMP), "86400000001\n");
}

TEST(timestamps_that_do_not_fit_their_unit_are_refused) {
    chunk_maker maker = make_chunk(PARQUET_INT64, PARQUET_REQUIRED);
    maker.element.logical =
        (parquet_logical){.kind = PARQUET_LOGICAL_TIMESTAMP, .unit = PARQUET_UNIT_MILLIS};
    add_plain(&maker, 1, TARN_LIT("\0\0\0\0\0\0\0\x40"));
    assert_fails(&maker, TARN_UNSUPPORTED, "a timestamp is out of range");
}

TEST(text_that_is_not_utf_8_is_corrupt) {
    static const char *const bad[] = {"\x80xxx", "\xc0\x80xx", "\xed\xa0\x80x", "\xf4\x90\x80\x80",
                                      "xxx\xc3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        chunk_maker maker = make_chunk(PARQUET_BYTE_ARRAY, PARQUET_REQUIRED);
        maker.element.converted = PARQUET_CONVERTED_UTF8;
        uint8_t body[8] = {4};
        memcpy(body + 4, bad[i], 4);
        add_plain(&maker, 1, (tarn_slice){body, sizeof body});
        assert_fails(&maker, TARN_CORRUPT, "not UTF-8");
    }
}

// ---- damage ----

TEST(a_checksum_that_does_not_match_is_corrupt) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    page_maker page = plain_page;
    page.row_count = 1;
    page.has_wrong_crc = true;
    add_page(&maker, page, TARN_LIT("\1\0\0\0"));
    assert_fails(&maker, TARN_CORRUPT, "page checksum is ");
}

TEST(a_page_cannot_claim_more_than_its_codec_can_unpack) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    maker.meta.codec = PARQUET_CODEC_SNAPPY;
    page_maker page = plain_page;
    page.row_count = 1;
    page.unpacked_len = 1 << 30;
    add_page(&maker, page, TARN_LIT("\1\0\0\0"));
    assert_fails(&maker, TARN_CORRUPT, "page claims to unpack 4 bytes to 1073741824");
}

TEST(indices_beyond_the_dictionary_are_corrupt) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    page_maker dictionary = {.type = PARQUET_PAGE_DICTIONARY, .row_count = 1};
    page_maker page = {.encoding = PARQUET_RLE_DICTIONARY, .row_count = 4};
    add_page(&maker, dictionary, TARN_LIT("\x07\0\0\0"));
    add_page(&maker, page, TARN_LIT("\1\3\2"));
    assert_fails(&maker, TARN_CORRUPT, "index 1 into a dictionary of 1 values");
}

TEST(indices_without_a_dictionary_and_two_dictionaries_are_corrupt) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    page_maker dictionary = {.type = PARQUET_PAGE_DICTIONARY, .row_count = 1};
    page_maker page = {.encoding = PARQUET_RLE_DICTIONARY, .row_count = 4};
    add_page(&maker, page, TARN_LIT("\1\3\2"));
    assert_fails(&maker, TARN_CORRUPT, "the chunk has none");

    maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    add_page(&maker, dictionary, TARN_LIT("\x07\0\0\0"));
    add_page(&maker, dictionary, TARN_LIT("\x07\0\0\0"));
    add_page(&maker, page, TARN_LIT("\1\3\2"));
    assert_fails(&maker, TARN_CORRUPT, "more than one dictionary");
}

TEST(a_chunk_with_fewer_rows_than_its_group_is_corrupt) {
    chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
    add_plain(&maker, 1, TARN_LIT("\1\0\0\0"));
    maker.row_count = 3;
    assert_fails(&maker, TARN_CORRUPT, "chunk ends 2 rows early");
}

TEST(codecs_and_encodings_that_tarn_lacks_are_named) {
    static const char *const names[] = {
        [PARQUET_CODEC_LZO] = "codec lzo", [PARQUET_CODEC_BROTLI] = "codec brotli"};
    for (int32_t codec = PARQUET_CODEC_LZO; codec <= PARQUET_CODEC_BROTLI; codec++) {
        chunk_maker maker = make_chunk(PARQUET_INT32, PARQUET_REQUIRED);
        maker.meta.codec = codec;
        add_plain(&maker, 1, TARN_LIT("\1\0\0\0"));
        assert_fails(&maker, TARN_UNSUPPORTED, names[codec]);
    }
    chunk_maker maker = make_chunk(PARQUET_FLOAT, PARQUET_REQUIRED);
    page_maker page = {.encoding = PARQUET_DELTA_BINARY_PACKED, .row_count = 1};
    add_page(&maker, page, TARN_LIT("\x80\1\4\1\2"));
    assert_fails(&maker, TARN_UNSUPPORTED, "encoding 5 of FLOAT values");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ancient_levels_have_their_bits_the_other_way_round),
        cmocka_unit_test(the_old_name_of_the_dictionary_encoding_is_known),
        cmocka_unit_test(pages_of_other_types_are_passed_over),
        cmocka_unit_test(pages_of_nulls_may_have_nothing_behind_their_levels),
        cmocka_unit_test(the_old_lz4_is_framed_as_hadoop_does_or_raw),
        cmocka_unit_test(a_version_2_page_may_be_stored_whole_in_a_compressed_chunk),
        cmocka_unit_test(unsigned_values_widen_and_those_beyond_bigint_are_refused),
        cmocka_unit_test(a_value_outside_its_annotation_is_corrupt),
        cmocka_unit_test(half_floats_become_real),
        cmocka_unit_test(decimals_may_be_byte_arrays_of_any_length),
        cmocka_unit_test(int96_may_have_negative_nanoseconds_of_the_day),
        cmocka_unit_test(int96_is_read_as_microseconds_when_it_has_no_finer_ones),
        cmocka_unit_test(timestamps_that_do_not_fit_their_unit_are_refused),
        cmocka_unit_test(text_that_is_not_utf_8_is_corrupt),
        cmocka_unit_test(a_checksum_that_does_not_match_is_corrupt),
        cmocka_unit_test(a_page_cannot_claim_more_than_its_codec_can_unpack),
        cmocka_unit_test(indices_beyond_the_dictionary_are_corrupt),
        cmocka_unit_test(indices_without_a_dictionary_and_two_dictionaries_are_corrupt),
        cmocka_unit_test(a_chunk_with_fewer_rows_than_its_group_is_corrupt),
        cmocka_unit_test(codecs_and_encodings_that_tarn_lacks_are_named),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
