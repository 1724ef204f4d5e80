// Any bytes may be read as table metadata. The first byte chooses the kind; what is understood must
// survive being written and read again.
#include "lake/committable.h"
#include "lake/manifest.h"
#include "lake/schema.h"
#include "lake/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_object *object_of(tarn_slice bytes) {
    tarn_object *object = NULL;
    tarn_assert(tarn_object_from_bytes(&tarn_alloc_libc, TARN_LIT("fuzz"), bytes, &object, NULL) ==
                TARN_OK);
    return object;
}

static void read_schema(tarn_slice bytes, tarn_arena *arena) {
    lake_schema schema;
    tarn_error err = {0};
    if (lake_schema_decode(bytes, arena, &schema, &err) != TARN_OK) {
        tarn_assert(err.message[0] != '\0');
        return;
    }
    (void)lake_schema_is_keyed(&schema);
    tarn_status ignored = lake_schema_check_use(&schema, LAKE_USE_WRITE, NULL);
    (void)ignored;
}

static void read_snapshot(tarn_slice bytes, tarn_arena *arena) {
    lake_snapshot snapshot;
    lake_snapshot again;
    tarn_buffer json = {0};
    if (lake_snapshot_decode(bytes, arena, &snapshot, NULL) == TARN_OK &&
        lake_snapshot_encode(&snapshot, &json, NULL) == TARN_OK &&
        lake_snapshot_decode(tarn_buffer_slice(&json), arena, &again, NULL) == TARN_OK) {
        tarn_assert(again.view.id == snapshot.view.id);
        tarn_assert(again.view.property_count == snapshot.view.property_count);
    }
    tarn_buffer_free(&json);
}

static void read_type(tarn_slice bytes) {
    lake_type type;
    if (lake_type_parse(bytes, &type, NULL) != TARN_OK) return;
    tarn_assert(type.kind == LAKE_OTHER || type.type.id != TARN_TYPE_NULL);
}

static void read_manifest(tarn_slice bytes, tarn_arena *arena) {
    tarn_object *object = object_of(bytes);
    lake_entry *entries = NULL;
    size_t count = 0;
    bool is_plain = false;
    if (lake_manifest_decode(object, arena, &entries, &count, &is_plain, NULL) == TARN_OK) {
        for (size_t i = 0; i < count; i++) {
            lake_entry copy;
            tarn_assert(lake_entry_copy(&entries[i], arena, &copy, NULL) == TARN_OK);
            tarn_assert(lake_entry_same(&copy, &entries[i]));
            tarn_assert(lake_entry_hash(&copy) == lake_entry_hash(&entries[i]));
        }
    }
    tarn_object_close(object);
}

static void read_lists(tarn_slice bytes, tarn_arena *arena) {
    tarn_object *object = object_of(bytes);
    lake_manifest *manifests = NULL;
    lake_index_entry *indexes = NULL;
    size_t count = 0;
    tarn_status ignored = lake_manifest_list_decode(object, arena, &manifests, &count, NULL);
    ignored = lake_index_manifest_decode(object, arena, &indexes, &count, NULL);
    (void)ignored;
    tarn_object_close(object);
}

static void read_committable(tarn_slice bytes, tarn_arena *arena) {
    lake_entry *entries = NULL;
    size_t count = 0;
    tarn_status ignored =
        lake_committable_decode(bytes, &tarn_alloc_libc, arena, &entries, &count, NULL);
    (void)ignored;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)256 << 20);
    tarn_slice bytes = {data + 1, size - 1};
    switch (data[0] % 6) {
    case 0: read_schema(bytes, &arena); break;
    case 1: read_snapshot(bytes, &arena); break;
    case 2: read_type(bytes); break;
    case 3: read_manifest(bytes, &arena); break;
    case 4: read_lists(bytes, &arena); break;
    default: read_committable(bytes, &arena); break;
    }
    tarn_arena_reset(&arena);
    return 0;
}
