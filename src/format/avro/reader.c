#include "format/avro/decode.h"

// The container: magic, a map of metadata, a sync marker of 16 bytes, then blocks of
// (datum count, length, bytes, sync marker).

#define SYNC_BYTES 16

static const uint8_t magic[4] = {'O', 'b', 'j', 1};

static const tarn_avro_schema bytes_schema = {.type = AVRO_TYPE_BYTES, .min_bytes = 1};
static const tarn_avro_schema *const metadata_items[] = {&bytes_schema};
static const tarn_avro_schema metadata_schema = {.type = AVRO_TYPE_MAP, .children = metadata_items};

typedef struct container {
    tarn_arena *arena;
    avro_cursor cursor;  // over the whole file
    size_t decoded_left; // how many bytes compressed blocks may still yield
    tarn_codec codec;
    const tarn_avro_schema *schema;
    tarn_slice sync;
    tarn_avro_file file;
    size_t data_capacity;
} container;

// ---- header ----

static tarn_slice find_metadata(const tarn_avro_value *metadata, tarn_slice key) {
    for (size_t i = metadata->count; i > 0; i--) {
        if (tarn_slice_equal(metadata->names[i - 1], key)) return metadata->items[i - 1].bytes;
    }
    return (tarn_slice){0};
}

static tarn_status parse_codec(tarn_slice name, tarn_codec *ret_codec, tarn_error *err) {
    if (name.len == 0 || tarn_slice_equal(name, TARN_LIT("null"))) {
        *ret_codec = TARN_CODEC_NONE;
    } else if (tarn_slice_equal(name, TARN_LIT("deflate"))) {
        *ret_codec = TARN_CODEC_DEFLATE;
    } else if (tarn_slice_equal(name, TARN_LIT("zstandard"))) {
        *ret_codec = TARN_CODEC_ZSTD;
    } else {
        return tarn_fail(err, TARN_UNSUPPORTED, "codec '" TARN_SLICE_FMT "' is not supported",
                         TARN_SLICE_ARG(name));
    }
    return TARN_OK;
}

static tarn_status read_schema(container *c, tarn_error *err) {
    tarn_error cause = {0};
    tarn_status status = tarn_avro_schema_parse(c->file.schema_json, c->arena, &c->schema, &cause);
    if (status == TARN_OK) return TARN_OK;
    // What is wrong with a stored schema is wrong with the file.
    if (status == TARN_INVALID) status = TARN_CORRUPT;
    return tarn_fail(err, status, "byte %zu: %s",
                     (size_t)(c->file.schema_json.data - c->cursor.origin), cause.message);
}

static tarn_status read_header(container *c, tarn_error *err) {
    tarn_slice start = {0};
    if (c->cursor.rest.len < sizeof magic || memcmp(c->cursor.origin, magic, sizeof magic) != 0) {
        return avro_fail_here(&c->cursor, err, "not an Avro file: its magic is missing");
    }
    TARN_TRY(avro_take_bytes(&c->cursor, sizeof magic, &start, err));
    tarn_avro_value metadata = {0};
    TARN_TRY(avro_decode_value(&c->cursor, &metadata_schema, 0, &metadata, err));
    TARN_TRY(avro_take_bytes(&c->cursor, SYNC_BYTES, &c->sync, err));
    c->file.schema_json = find_metadata(&metadata, TARN_LIT("avro.schema"));
    if (c->file.schema_json.len == 0) {
        return avro_fail_here(&c->cursor, err, "the header has no schema");
    }
    TARN_TRY(parse_codec(find_metadata(&metadata, TARN_LIT("avro.codec")), &c->codec, err));
    return read_schema(c, err);
}

// ---- blocks ----

// Gives the block's plain bytes, which live in the arena.
static tarn_status unpack(container *c, tarn_slice stored, avro_cursor *ret_block,
                          tarn_error *err) {
    avro_cursor block = c->cursor;
    block.rest = stored;
    if (c->codec != TARN_CODEC_NONE) {
        // One byte more than is left: a limit of 0 would be none.
        tarn_buffer plain = {.alloc = c->arena->alloc, .limit_bytes = c->decoded_left + 1};
        tarn_slice kept = {0};
        tarn_status status = tarn_decompress_unsized(c->codec, stored, &plain, err);
        if (status == TARN_OK && plain.len > c->decoded_left) {
            status = tarn_fail(err, TARN_NO_MEMORY, "more than %zu decoded bytes are left",
                               c->decoded_left);
        }
        if (status == TARN_OK && !tarn_arena_copy(c->arena, tarn_buffer_slice(&plain), &kept)) {
            status = tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu bytes", plain.len);
        }
        tarn_buffer_free(&plain);
        TARN_TRY(status);
        c->decoded_left -= kept.len;
        block.rest = kept;
        block.origin = kept.data;
        block.unit = "decoded byte";
    }
    *ret_block = block;
    return TARN_OK;
}

static tarn_status decode_data(container *c, avro_cursor *block, size_t count, tarn_error *err) {
    if (count > block->values_left ||
        (c->schema->min_bytes > 0 && count > block->rest.len / c->schema->min_bytes)) {
        return avro_fail_here(block, err, "%zu records in %zu bytes", count, block->rest.len);
    }
    TARN_TRY(avro_grow_values(c->arena, &c->file.data, &c->data_capacity, c->file.datum_count,
                              count, err));
    for (size_t i = 0; i < count; i++) {
        TARN_TRY(avro_decode_value(block, c->schema, 0, &c->file.data[c->file.datum_count], err));
        c->file.datum_count++;
    }
    if (block->rest.len > 0) {
        return avro_fail_here(block, err, "%zu bytes are left behind the block's %zu records",
                              block->rest.len, count);
    }
    return TARN_OK;
}

static tarn_status read_block(container *c, tarn_error *err) {
    avro_cursor start = c->cursor;
    int64_t count = 0;
    int64_t len = 0;
    TARN_TRY(avro_decode_long(&c->cursor, &count, err));
    TARN_TRY(avro_decode_long(&c->cursor, &len, err));
    if (count < 0 || len < 0) {
        return avro_fail_here(&start, err, "block of %lld records and %lld bytes", (long long)count,
                              (long long)len);
    }
    tarn_slice stored = {0};
    tarn_slice sync = {0};
    TARN_TRY(avro_take_bytes(&c->cursor, (size_t)len, &stored, err));
    avro_cursor sync_at = c->cursor;
    TARN_TRY(avro_take_bytes(&c->cursor, SYNC_BYTES, &sync, err));
    if (!tarn_slice_equal(sync, c->sync)) {
        return avro_fail_here(&sync_at, err, "the sync marker is not the header's");
    }
    avro_cursor block;
    tarn_status status = unpack(c, stored, &block, err);
    if (status == TARN_OK) status = decode_data(c, &block, (size_t)count, err);
    if (status != TARN_OK) {
        if (c->codec != TARN_CODEC_NONE) {
            tarn_error_prefix(err, "block at byte %zu: ", (size_t)(start.rest.data - start.origin));
        }
        return status;
    }
    c->cursor.values_left = block.values_left;
    return TARN_OK;
}

// ---- files ----

static tarn_status load(tarn_object *object, size_t limit_bytes, tarn_arena *arena,
                        tarn_slice *ret_bytes, tarn_error *err) {
    uint64_t size = tarn_object_size(object);
    if (size > limit_bytes) {
        return tarn_fail(err, TARN_NO_MEMORY, "its %llu bytes are above the limit of %zu",
                         (unsigned long long)size, limit_bytes);
    }
    uint8_t *bytes = tarn_arena_alloc_raw(arena, 1, size == 0 ? 1 : (size_t)size);
    if (bytes == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %llu bytes", (unsigned long long)size);
    }
    if (size > 0) TARN_TRY(tarn_object_read(object, 0, bytes, (size_t)size, err));
    *ret_bytes = (tarn_slice){bytes, (size_t)size};
    return TARN_OK;
}

static tarn_status read_container(tarn_object *object, size_t limit_bytes, tarn_arena *arena,
                                  tarn_avro_file *ret_file, tarn_error *err) {
    tarn_slice bytes = {0};
    TARN_TRY(load(object, limit_bytes, arena, &bytes, err));
    container c = {
        .arena = arena,
        .cursor = {.rest = bytes,
                   .origin = bytes.data,
                   .unit = "byte",
                   .arena = arena,
                   .values_left = limit_bytes},
        .decoded_left = limit_bytes,
    };
    TARN_TRY(read_header(&c, err));
    while (c.cursor.rest.len > 0) TARN_TRY(read_block(&c, err));
    *ret_file = c.file;
    return TARN_OK;
}

tarn_status tarn_avro_read(tarn_object *object, size_t limit_bytes, tarn_arena *arena,
                           tarn_avro_file *ret_file, tarn_error *err) {
    tarn_status status = read_container(object, limit_bytes, arena, ret_file, err);
    if (status != TARN_OK) {
        tarn_slice name = tarn_object_name(object);
        tarn_error_prefix(err, "avro file '" TARN_SLICE_FMT "': ", TARN_SLICE_ARG(name));
    }
    return status;
}

const tarn_avro_value *tarn_avro_field(const tarn_avro_value *record, tarn_slice name) {
    if (record->kind != TARN_AVRO_RECORD) return NULL;
    for (size_t i = 0; i < record->count; i++) {
        if (tarn_slice_equal(record->names[i], name)) return &record->items[i];
    }
    return NULL;
}
