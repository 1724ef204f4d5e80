#include "lake/vectors.h"

#include <zlib.h>

#define MAGIC_32 0x5E43F2D0u // big-endian on disk
#define MAGIC_64 0x6439D3D1u // little-endian on disk
// A vector of 2^32 positions is 512 MiB; real ones are kilobytes.
#define VECTOR_LIMIT_BYTES ((int64_t)1 << 30)

static const tarn_slice VECTOR_TYPE = {(const uint8_t *)"DELETION_VECTORS", 16};

tarn_status lake_vectors_load(tarn_table *table, const lake_snapshot *snapshot, tarn_arena *arena,
                              lake_vectors *ret_vectors, tarn_error *err) {
    *ret_vectors = (lake_vectors){.arena = arena};
    if (snapshot->index_manifest.len == 0) return TARN_OK;
    tarn_slice path;
    tarn_object *object = NULL;
    TARN_TRY(lake_path(table, arena, &path, err, "manifest/" TARN_SLICE_FMT,
                       TARN_SLICE_ARG(snapshot->index_manifest)));
    TARN_TRY(tarn_store_open(table->store, path, &object, err));
    tarn_status status =
        lake_index_manifest_decode(object, arena, &ret_vectors->entries, &ret_vectors->count, err);
    tarn_object_close(object);
    return status;
}

void lake_vectors_free(lake_vectors *vectors) {
    for (size_t i = 0; i < vectors->bitmap_count; i++) roaring_bitmap_free(vectors->bitmaps[i]);
    *vectors = (lake_vectors){0};
}

// ---- decoding ----

// Takes one portable bitmap from the front of *bytes.
static tarn_status take_bitmap(tarn_slice *bytes, roaring_bitmap_t **ret_bitmap, tarn_error *err) {
    const char *data = (const char *)bytes->data;
    size_t size = bytes->len == 0 ? 0 : roaring_bitmap_portable_deserialize_size(data, bytes->len);
    roaring_bitmap_t *bitmap =
        size == 0 ? NULL : roaring_bitmap_portable_deserialize_safe(data, bytes->len);
    if (bitmap == NULL) {
        return tarn_fail(err, TARN_CORRUPT, "the deletion vector's bitmap is damaged");
    }
    *bytes = tarn_slice_skip(*bytes, size);
    *ret_bitmap = bitmap;
    return TARN_OK;
}

// One bitmap per value of the high 32 bits; only rows below 2^32 are supported, so all but the
// first must be empty.
static tarn_status take_wide(tarn_slice bytes, roaring_bitmap_t **ret_bitmap, tarn_error *err) {
    if (bytes.len < 8) return tarn_fail(err, TARN_CORRUPT, "the deletion vector is cut short");
    uint64_t count = tarn_load_u64(bytes.data);
    bytes = tarn_slice_skip(bytes, 8);
    roaring_bitmap_t *all = roaring_bitmap_create();
    if (all == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a deletion vector");
    tarn_status status = TARN_OK;
    for (uint64_t i = 0; i < count && status == TARN_OK; i++) {
        roaring_bitmap_t *part = NULL;
        if (bytes.len < 4) {
            status = tarn_fail(err, TARN_CORRUPT, "the deletion vector is cut short");
            break;
        }
        uint32_t high = tarn_load_u32(bytes.data);
        bytes = tarn_slice_skip(bytes, 4);
        status = take_bitmap(&bytes, &part, err);
        if (status == TARN_OK && high > 0 && !roaring_bitmap_is_empty(part)) {
            status = tarn_fail(err, TARN_UNSUPPORTED, "deleted rows beyond position 4294967295");
        }
        if (status == TARN_OK && high == 0) roaring_bitmap_or_inplace(all, part);
        roaring_bitmap_free(part);
    }
    if (status == TARN_OK) {
        *ret_bitmap = all;
    } else {
        roaring_bitmap_free(all);
    }
    return status;
}

tarn_status lake_vector_decode(tarn_slice bytes, roaring_bitmap_t **ret_bitmap, tarn_error *err) {
    if (bytes.len < 12) return tarn_fail(err, TARN_CORRUPT, "the deletion vector is cut short");
    uint32_t len = tarn_load_u32_be(bytes.data); // of magic and bitmap
    tarn_slice rest = tarn_slice_skip(bytes, 4);
    if (len < 4 || len > rest.len || rest.len - len < 4) {
        return tarn_fail(err, TARN_CORRUPT, "the deletion vector's length is %u", len);
    }
    tarn_slice body = tarn_slice_head(rest, len);
    uint32_t stored = tarn_load_u32_be(rest.data + len);
    uint32_t actual = (uint32_t)crc32(0, body.data, len);
    if (stored != actual) {
        return tarn_fail(err, TARN_CORRUPT,
                         "the deletion vector's checksum is %08x, its bytes give %08x", stored,
                         actual);
    }
    tarn_slice payload = tarn_slice_skip(body, 4);
    if (tarn_load_u32_be(body.data) == MAGIC_32) return take_bitmap(&payload, ret_bitmap, err);
    if (tarn_load_u32(body.data) == MAGIC_64) return take_wide(payload, ret_bitmap, err);
    return tarn_fail(err, TARN_CORRUPT, "not a deletion vector");
}

// ---- finding ----

static const lake_vector_range *find_range(const lake_vectors *vectors, const lake_entry *entry,
                                           const lake_index_entry **ret_index) {
    for (size_t i = 0; i < vectors->count; i++) {
        const lake_index_entry *index = &vectors->entries[i];
        if (!tarn_slice_equal(index->type, VECTOR_TYPE) || index->bucket != entry->bucket ||
            !tarn_slice_equal(index->partition, entry->partition)) {
            continue;
        }
        for (size_t r = 0; r < index->range_count; r++) {
            if (!tarn_slice_equal(index->ranges[r].data_file, entry->file.name)) continue;
            *ret_index = index;
            return &index->ranges[r];
        }
    }
    return NULL;
}

static tarn_status read_vector(tarn_table *table, const lake_index_entry *index,
                               const lake_vector_range *range, tarn_arena *arena,
                               roaring_bitmap_t **ret_bitmap, tarn_error *err) {
    tarn_slice path;
    tarn_object *object = NULL;
    if (index->external_path.data != NULL) {
        return tarn_fail(err, TARN_UNSUPPORTED, "index files outside the table");
    }
    TARN_TRY(
        lake_path(table, arena, &path, err, "index/" TARN_SLICE_FMT, TARN_SLICE_ARG(index->name)));
    TARN_TRY(tarn_store_open(table->store, path, &object, err));
    // The stated length leaves out the length field and the checksum in one layout and not in the
    // other, so read what both can need.
    uint64_t size = tarn_object_size(object);
    tarn_status status = TARN_OK;
    uint8_t *bytes = NULL;
    size_t len = 0;
    if ((uint64_t)range->offset >= size || range->len > VECTOR_LIMIT_BYTES) {
        status = tarn_fail(err, TARN_CORRUPT, "range %lld+%lld is outside the file",
                           (long long)range->offset, (long long)range->len);
    } else {
        uint64_t left = size - (uint64_t)range->offset;
        len = (size_t)((uint64_t)range->len + 8 < left ? (uint64_t)range->len + 8 : left);
        bytes = tarn_arena_alloc_raw(arena, 1, len);
        if (bytes == NULL) status = tarn_fail(err, TARN_NO_MEMORY, "a deletion vector");
    }
    if (status == TARN_OK) {
        status = tarn_object_read(object, (uint64_t)range->offset, bytes, len, err);
    }
    if (status == TARN_OK) status = lake_vector_decode((tarn_slice){bytes, len}, ret_bitmap, err);
    if (status != TARN_OK) tarn_error_prefix(err, TARN_SLICE_FMT ": ", TARN_SLICE_ARG(path));
    tarn_object_close(object);
    return status;
}

static tarn_status own_bitmap(lake_vectors *vectors, roaring_bitmap_t *bitmap, tarn_error *err) {
    if (vectors->bitmap_count == vectors->bitmap_capacity) {
        size_t capacity = vectors->bitmap_capacity == 0 ? 16 : vectors->bitmap_capacity * 2;
        roaring_bitmap_t **grown = tarn_arena_new(vectors->arena, roaring_bitmap_t *, capacity);
        if (grown == NULL) {
            roaring_bitmap_free(bitmap);
            return tarn_fail(err, TARN_NO_MEMORY, "deletion vectors");
        }
        for (size_t i = 0; i < vectors->bitmap_count; i++) grown[i] = vectors->bitmaps[i];
        vectors->bitmaps = grown;
        vectors->bitmap_capacity = capacity;
    }
    vectors->bitmaps[vectors->bitmap_count++] = bitmap;
    return TARN_OK;
}

tarn_status lake_vectors_find(tarn_table *table, lake_vectors *vectors, const lake_entry *entry,
                              const roaring_bitmap_t **ret_deleted, tarn_error *err) {
    const lake_index_entry *index = NULL;
    const lake_vector_range *range = find_range(vectors, entry, &index);
    *ret_deleted = NULL;
    if (range == NULL) return TARN_OK;
    roaring_bitmap_t *bitmap = NULL;
    TARN_TRY(read_vector(table, index, range, vectors->arena, &bitmap, err));
    TARN_TRY(own_bitmap(vectors, bitmap, err));
    *ret_deleted = bitmap;
    return TARN_OK;
}
