#include "lake/snapshot.h"

#include "lake/json.h"

#define SNAPSHOT_VERSION 3

static tarn_status decode_properties(json_t *object, tarn_arena *arena, tarn_snapshot *snapshot,
                                     tarn_error *err) {
    if (object != NULL && !json_is_object(object)) {
        return tarn_fail(err, TARN_CORRUPT, "\"properties\" is not an object");
    }
    size_t count = json_object_size(object);
    tarn_option *properties = tarn_arena_new(arena, tarn_option, count);
    if (properties == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu properties", count);
    size_t i = 0;
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        const json_t *value = json_object_iter_value(at);
        if (!json_is_string(value)) {
            return tarn_fail(err, TARN_CORRUPT, "property \"%s\" is not a string",
                             json_object_iter_key(at));
        }
        if (!tarn_arena_copy(arena, tarn_slice_from_cstr(json_object_iter_key(at)),
                             &properties[i].key)) {
            return tarn_fail(err, TARN_NO_MEMORY, "a property's name");
        }
        TARN_TRY(lake_json_text(value, arena, &properties[i].value, err));
        i++;
    }
    snapshot->properties = properties;
    snapshot->property_count = count;
    return TARN_OK;
}

static tarn_status decode_identity(const json_t *json, tarn_arena *arena, lake_snapshot *snapshot,
                                   tarn_error *err) {
    tarn_snapshot *view = &snapshot->view;
    int64_t version = 0;
    TARN_TRY(lake_json_optional_int(json, "version", 1, &version, err));
    if (version > SNAPSHOT_VERSION) {
        return tarn_fail(err, TARN_UNSUPPORTED, "snapshot version %lld is newer than %d",
                         (long long)version, SNAPSHOT_VERSION);
    }
    TARN_TRY(lake_json_optional_string(json, "uuid", arena, &snapshot->uuid, err));
    TARN_TRY(lake_json_int(json, "id", &view->id, err));
    if (view->id < 1) return tarn_fail(err, TARN_CORRUPT, "\"id\" is not positive");
    TARN_TRY(lake_json_int(json, "schemaId", &view->schema_id, err));
    TARN_TRY(lake_json_string(json, "commitUser", arena, &view->commit_user, err));
    TARN_TRY(lake_json_int(json, "commitIdentifier", &view->commit_identifier, err));
    TARN_TRY(lake_json_string(json, "commitKind", arena, &view->commit_kind, err));
    TARN_TRY(lake_json_int(json, "timeMillis", &snapshot->time_ms, err));
    if (__builtin_mul_overflow(snapshot->time_ms, 1000, &view->time_us)) {
        return tarn_fail(err, TARN_CORRUPT, "\"timeMillis\" is out of range");
    }
    int64_t watermark_ms = INT64_MIN;
    TARN_TRY(lake_json_optional_int(json, "watermark", INT64_MIN, &watermark_ms, err));
    if (watermark_ms == INT64_MIN ||
        __builtin_mul_overflow(watermark_ms, 1000, &view->watermark_us)) {
        // Bounded streams end with the largest watermark there is.
        view->watermark_us = watermark_ms > 0 ? INT64_MAX : TARN_NO_WATERMARK;
    }
    return TARN_OK;
}

static tarn_status decode_lists(const json_t *json, tarn_arena *arena, lake_snapshot *snapshot,
                                tarn_error *err) {
    TARN_TRY(lake_json_string(json, "baseManifestList", arena, &snapshot->base_list, err));
    TARN_TRY(
        lake_json_optional_int(json, "baseManifestListSize", -1, &snapshot->base_list_bytes, err));
    TARN_TRY(lake_json_string(json, "deltaManifestList", arena, &snapshot->delta_list, err));
    TARN_TRY(lake_json_optional_int(json, "deltaManifestListSize", -1, &snapshot->delta_list_bytes,
                                    err));
    TARN_TRY(lake_json_optional_string(json, "changelogManifestList", arena,
                                       &snapshot->changelog_list, err));
    TARN_TRY(lake_json_optional_int(json, "changelogManifestListSize", -1,
                                    &snapshot->changelog_list_bytes, err));
    TARN_TRY(
        lake_json_optional_string(json, "indexManifest", arena, &snapshot->index_manifest, err));
    return lake_json_optional_string(json, "statistics", arena, &snapshot->statistics, err);
}

static tarn_status decode_members(const json_t *json, tarn_arena *arena, lake_snapshot *snapshot,
                                  tarn_error *err) {
    tarn_snapshot *view = &snapshot->view;
    TARN_TRY(decode_identity(json, arena, snapshot, err));
    TARN_TRY(decode_lists(json, arena, snapshot, err));
    TARN_TRY(lake_json_optional_int(json, "totalRecordCount", 0, &view->total_row_count, err));
    TARN_TRY(lake_json_optional_int(json, "deltaRecordCount", 0, &view->delta_row_count, err));
    TARN_TRY(lake_json_optional_int(json, "changelogRecordCount", 0, &snapshot->changelog_row_count,
                                    err));
    TARN_TRY(lake_json_optional_int(json, "nextRowId", -1, &snapshot->next_row_id, err));
    return decode_properties(lake_json_get(json, "properties"), arena, view, err);
}

tarn_status lake_snapshot_decode(tarn_slice json, tarn_arena *arena, lake_snapshot *ret_snapshot,
                                 tarn_error *err) {
    json_t *root = NULL;
    lake_snapshot snapshot = {0};
    TARN_TRY(lake_json_parse(json, &root, err));
    tarn_status status = decode_members(root, arena, &snapshot, err);
    lake_json_free(root);
    if (status == TARN_OK) *ret_snapshot = snapshot;
    return status;
}

static void set_text(lake_json_writer *writer, const char *key, tarn_slice text) {
    if (text.len == 0) return;
    lake_json_set(writer, writer->root, key, lake_json_new_string(writer, text));
}

static void set_int(lake_json_writer *writer, const char *key, int64_t value) {
    lake_json_set(writer, writer->root, key, json_integer(value));
}

static void set_size(lake_json_writer *writer, const char *key, int64_t bytes) {
    if (bytes >= 0) set_int(writer, key, bytes);
}

static int64_t floor_ms(int64_t us) {
    int64_t ms = us / 1000;
    return us % 1000 < 0 ? ms - 1 : ms;
}

static tarn_status set_properties(lake_json_writer *writer, const tarn_snapshot *view,
                                  tarn_error *err) {
    if (view->property_count == 0) return TARN_OK;
    json_t *object = json_object();
    tarn_buffer key = {0};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < view->property_count && status == TARN_OK; i++) {
        tarn_buffer_clear(&key);
        if (!tarn_buffer_append(&key, view->properties[i].key) ||
            !tarn_buffer_append_byte(&key, 0)) {
            status = tarn_fail(err, TARN_NO_MEMORY, "a property's name");
            break;
        }
        lake_json_set(writer, object, (const char *)key.data,
                      lake_json_new_string(writer, view->properties[i].value));
    }
    tarn_buffer_free(&key);
    lake_json_set(writer, writer->root, "properties", object);
    return status;
}

tarn_status lake_snapshot_encode(const lake_snapshot *snapshot, tarn_buffer *out, tarn_error *err) {
    const tarn_snapshot *view = &snapshot->view;
    lake_json_writer writer;
    lake_json_writer_init(&writer);
    set_int(&writer, "version", SNAPSHOT_VERSION);
    set_text(&writer, "uuid", snapshot->uuid);
    set_int(&writer, "id", view->id);
    set_int(&writer, "schemaId", view->schema_id);
    set_text(&writer, "baseManifestList", snapshot->base_list);
    set_size(&writer, "baseManifestListSize", snapshot->base_list_bytes);
    set_text(&writer, "deltaManifestList", snapshot->delta_list);
    set_size(&writer, "deltaManifestListSize", snapshot->delta_list_bytes);
    if (snapshot->changelog_list.len > 0) {
        set_text(&writer, "changelogManifestList", snapshot->changelog_list);
        set_size(&writer, "changelogManifestListSize", snapshot->changelog_list_bytes);
    } else {
        lake_json_set(&writer, writer.root, "changelogManifestList", json_null());
    }
    set_text(&writer, "indexManifest", snapshot->index_manifest);
    lake_json_set(&writer, writer.root, "commitUser",
                  lake_json_new_string(&writer, view->commit_user));
    set_int(&writer, "commitIdentifier", view->commit_identifier);
    set_text(&writer, "commitKind", view->commit_kind);
    set_int(&writer, "timeMillis", snapshot->time_ms);
    set_int(&writer, "totalRecordCount", view->total_row_count);
    set_int(&writer, "deltaRecordCount", view->delta_row_count);
    set_int(&writer, "changelogRecordCount", snapshot->changelog_row_count);
    if (view->watermark_us != TARN_NO_WATERMARK) {
        set_int(&writer, "watermark", floor_ms(view->watermark_us));
    }
    set_text(&writer, "statistics", snapshot->statistics);
    tarn_status status = set_properties(&writer, view, err);
    set_size(&writer, "nextRowId", snapshot->next_row_id);
    if (status == TARN_OK) status = lake_json_write(&writer, out, err);
    lake_json_writer_reset(&writer);
    return status;
}

tarn_status lake_snapshot_copy(const lake_snapshot *snapshot, tarn_arena *arena,
                               lake_snapshot *ret_snapshot, tarn_error *err) {
    lake_snapshot copy = *snapshot;
    tarn_slice *const texts[] = {
        &copy.uuid,           &copy.base_list,  &copy.delta_list,       &copy.changelog_list,
        &copy.index_manifest, &copy.statistics, &copy.view.commit_user, &copy.view.commit_kind,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!tarn_arena_copy(arena, *texts[i], texts[i])) {
            return tarn_fail(err, TARN_NO_MEMORY, "a snapshot");
        }
    }
    tarn_option *properties = tarn_arena_new(arena, tarn_option, copy.view.property_count);
    if (properties == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a snapshot's properties");
    for (size_t i = 0; i < copy.view.property_count; i++) {
        if (!tarn_arena_copy(arena, snapshot->view.properties[i].key, &properties[i].key) ||
            !tarn_arena_copy(arena, snapshot->view.properties[i].value, &properties[i].value)) {
            return tarn_fail(err, TARN_NO_MEMORY, "a snapshot's properties");
        }
    }
    copy.view.properties = properties;
    *ret_snapshot = copy;
    return TARN_OK;
}

tarn_slice tarn_snapshot_property(const tarn_snapshot *snapshot, tarn_slice key) {
    for (size_t i = 0; i < snapshot->property_count; i++) {
        if (tarn_slice_equal(snapshot->properties[i].key, key)) {
            return snapshot->properties[i].value;
        }
    }
    return (tarn_slice){0};
}
