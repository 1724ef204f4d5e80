// Edits and the records that they lie in: docs/formats/kv-manifest.md.
#include "kv/lsm/manifest_format.h"
#include "base/varint.h"

// Each item of an edit begins with one of these; the rest are varints.
typedef enum edit_tag {
    TAG_NEXT_FILE = 1,    // id
    TAG_LOG_SEQUENCE = 2, // sequence
    TAG_FAMILY = 3,       // family id, flushed sequence
    TAG_DROPPED = 4,      // family id
    TAG_ADDED = 5,        // family id, level, file id, bytes
    TAG_REMOVED = 6,      // family id, level, file id
} edit_tag;

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the manifest");
}

static bool put(tarn_buffer *out, edit_tag tag, const uint64_t *numbers, size_t count) {
    if (!tarn_buffer_append_byte(out, (uint8_t)tag) ||
        !tarn_buffer_reserve(out, count * TARN_VARINT_MAX_BYTES)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        out->len += tarn_varint_encode(out->data + out->len, numbers[i]);
    }
    return true;
}

tarn_status lsm_edit_encode(const lsm_edit *edit, tarn_buffer *out, tarn_error *err) {
    bool fits = true;
    if (edit->next_file_id > 0) fits = fits && put(out, TAG_NEXT_FILE, &edit->next_file_id, 1);
    if (edit->log_sequence > 0) fits = fits && put(out, TAG_LOG_SEQUENCE, &edit->log_sequence, 1);
    for (size_t i = 0; fits && i < edit->family_count; i++) {
        const uint64_t numbers[] = {edit->families[i].id, edit->families[i].flushed_sequence};
        fits = put(out, TAG_FAMILY, numbers, 2);
    }
    for (size_t i = 0; fits && i < edit->removed_count; i++) {
        const lsm_edit_file *file = &edit->removed[i];
        const uint64_t numbers[] = {file->family_id, file->level, file->id};
        fits = put(out, TAG_REMOVED, numbers, 3);
    }
    for (size_t i = 0; fits && i < edit->added_count; i++) {
        const lsm_edit_file *file = &edit->added[i];
        const uint64_t numbers[] = {file->family_id, file->level, file->id, file->bytes};
        fits = put(out, TAG_ADDED, numbers, 4);
    }
    for (size_t i = 0; fits && i < edit->dropped_count; i++) {
        const uint64_t number = edit->dropped_families[i];
        fits = put(out, TAG_DROPPED, &number, 1);
    }
    return fits ? TARN_OK : fail_memory(err);
}

static bool take(tarn_slice *rest, uint64_t *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!tarn_varint_decode(rest, &numbers[i])) return false;
    }
    return true;
}

static bool is_file(const uint64_t numbers[4]) {
    return numbers[0] <= UINT32_MAX && numbers[1] < LSM_LEVELS && numbers[2] > 0;
}

static bool decode_item(tarn_slice *rest, lsm_edit *edit) {
    uint64_t n[4] = {0};
    uint8_t tag = rest->data[0];
    *rest = tarn_slice_skip(*rest, 1);
    switch (tag) {
    case TAG_NEXT_FILE: return take(rest, &edit->next_file_id, 1);
    case TAG_LOG_SEQUENCE: return take(rest, &edit->log_sequence, 1);
    case TAG_FAMILY:
        if (!take(rest, n, 2) || n[0] > UINT32_MAX || n[1] > LSM_SEQUENCE_MAX) return false;
        edit->families[edit->family_count++] = (lsm_edit_family){(uint32_t)n[0], n[1]};
        return true;
    case TAG_DROPPED:
        if (!take(rest, n, 1) || n[0] > UINT32_MAX) return false;
        edit->dropped_families[edit->dropped_count++] = (uint32_t)n[0];
        return true;
    case TAG_ADDED:
        if (!take(rest, n, 4) || !is_file(n)) return false;
        edit->added[edit->added_count++] =
            (lsm_edit_file){(uint32_t)n[0], (uint32_t)n[1], n[2], n[3]};
        return true;
    case TAG_REMOVED:
        if (!take(rest, n, 3) || !is_file(n)) return false;
        edit->removed[edit->removed_count++] =
            (lsm_edit_file){(uint32_t)n[0], (uint32_t)n[1], n[2], 0};
        return true;
    default: return false;
    }
}

tarn_status lsm_edit_decode(tarn_slice bytes, tarn_arena *arena, lsm_edit *ret_edit,
                            tarn_error *err) {
    // An item takes two bytes at least.
    size_t limit = bytes.len / 2 + 1;
    lsm_edit edit = {
        .families = tarn_arena_new_raw(arena, lsm_edit_family, limit),
        .dropped_families = tarn_arena_new_raw(arena, uint32_t, limit),
        .added = tarn_arena_new_raw(arena, lsm_edit_file, limit),
        .removed = tarn_arena_new_raw(arena, lsm_edit_file, limit),
    };
    if (edit.families == NULL || edit.dropped_families == NULL || edit.added == NULL ||
        edit.removed == NULL) {
        return fail_memory(err);
    }
    tarn_slice rest = bytes;
    while (rest.len > 0) {
        size_t offset = bytes.len - rest.len;
        if (!decode_item(&rest, &edit)) {
            return tarn_fail(err, TARN_CORRUPT, "item at byte %zu of an edit is damaged", offset);
        }
    }
    *ret_edit = edit;
    return TARN_OK;
}

// ---- records ----

tarn_status lsm_manifest_put_record(tarn_slice body, uint64_t offset, tarn_buffer *out,
                                    tarn_error *err) {
    uint8_t header[LSM_MANIFEST_RECORD_BYTES];
    tarn_store_u32(header, (uint32_t)body.len);
    tarn_store_u32(header + 4, lsm_manifest_checksum(offset, body));
    if (!tarn_buffer_append(out, (tarn_slice){header, sizeof header}) ||
        (body.len > 0 && !tarn_buffer_append(out, body))) {
        return fail_memory(err);
    }
    return TARN_OK;
}

static bool record_at(tarn_slice bytes, size_t offset, tarn_slice *ret_body) {
    if (bytes.len - offset < LSM_MANIFEST_RECORD_BYTES) return false;
    tarn_slice rest = tarn_slice_skip(bytes, offset);
    size_t len = tarn_load_u32(rest.data);
    uint32_t checksum = tarn_load_u32(rest.data + 4);
    rest = tarn_slice_skip(rest, LSM_MANIFEST_RECORD_BYTES);
    if (len == 0 || len > rest.len) return false;
    *ret_body = tarn_slice_head(rest, len);
    return lsm_manifest_checksum(offset, *ret_body) == checksum;
}

// What a crash cuts off is the last record: if any other follows, this one was damaged.
static bool any_record_behind(tarn_slice bytes, size_t offset) {
    tarn_slice body;
    for (size_t i = offset + 1; i < bytes.len; i++) {
        if (record_at(bytes, i, &body)) return true;
    }
    return false;
}

// ---- the state that edits add up to ----

static size_t find_file(const lsm_edit *state, const lsm_edit_file *file) {
    size_t i = 0;
    while (i < state->added_count &&
           (state->added[i].id != file->id || state->added[i].family_id != file->family_id ||
            state->added[i].level != file->level)) {
        i++;
    }
    return i;
}

static void drop_family(lsm_edit *state, uint32_t id) {
    size_t kept = 0;
    for (size_t i = 0; i < state->added_count; i++) {
        if (state->added[i].family_id != id) state->added[kept++] = state->added[i];
    }
    state->added_count = kept;
    kept = 0;
    for (size_t i = 0; i < state->family_count; i++) {
        if (state->families[i].id != id) state->families[kept++] = state->families[i];
    }
    state->family_count = kept;
}

static void set_family(lsm_edit *state, lsm_edit_family family) {
    size_t i = 0;
    while (i < state->family_count && state->families[i].id != family.id) i++;
    if (i == state->family_count) state->family_count++;
    state->families[i] = family;
}

static tarn_status apply(lsm_edit *state, const lsm_edit *edit, tarn_error *err) {
    if (edit->next_file_id > 0) state->next_file_id = edit->next_file_id;
    if (edit->log_sequence > 0) state->log_sequence = edit->log_sequence;
    for (size_t i = 0; i < edit->family_count; i++) set_family(state, edit->families[i]);
    for (size_t i = 0; i < edit->removed_count; i++) {
        size_t at = find_file(state, &edit->removed[i]);
        if (at == state->added_count) {
            return tarn_fail(err, TARN_CORRUPT, "table %06llu is removed and was not there",
                             (unsigned long long)edit->removed[i].id);
        }
        state->added[at] = state->added[--state->added_count];
    }
    for (size_t i = 0; i < edit->added_count; i++) {
        state->added[state->added_count++] = edit->added[i];
    }
    for (size_t i = 0; i < edit->dropped_count; i++) drop_family(state, edit->dropped_families[i]);
    return TARN_OK;
}

tarn_status lsm_manifest_replay(tarn_slice bytes, tarn_arena *arena, lsm_edit *ret_state,
                                size_t *ret_whole_len, tarn_error *err) {
    if (bytes.len < LSM_MANIFEST_HEADER_BYTES || tarn_load_u64(bytes.data) != LSM_MANIFEST_MAGIC ||
        tarn_load_u32(bytes.data + 12) != 0) {
        return tarn_fail(err, TARN_CORRUPT, "does not begin as a manifest does");
    }
    uint32_t version = tarn_load_u32(bytes.data + 8);
    if (version != LSM_MANIFEST_VERSION) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "manifest version %u; this program reads version %d", version,
                         LSM_MANIFEST_VERSION);
    }
    // No state has more items than all edits together.
    size_t limit = bytes.len / 2 + 1;
    lsm_edit state = {
        .families = tarn_arena_new_raw(arena, lsm_edit_family, limit),
        .added = tarn_arena_new_raw(arena, lsm_edit_file, limit),
    };
    if (state.families == NULL || state.added == NULL) return fail_memory(err);
    size_t offset = LSM_MANIFEST_HEADER_BYTES;
    while (offset < bytes.len) {
        tarn_slice body;
        lsm_edit edit;
        if (!record_at(bytes, offset, &body)) {
            if (!any_record_behind(bytes, offset)) break;
            return tarn_fail(err, TARN_CORRUPT, "the record at byte %zu is damaged", offset);
        }
        tarn_status status = lsm_edit_decode(body, arena, &edit, err);
        if (status == TARN_OK) status = apply(&state, &edit, err);
        if (status != TARN_OK) {
            tarn_error_prefix(err, "the record at byte %zu: ", offset);
            return status;
        }
        offset += LSM_MANIFEST_RECORD_BYTES + body.len;
    }
    // The first record is written before the file gets its name.
    if (offset == LSM_MANIFEST_HEADER_BYTES) {
        return tarn_fail(err, TARN_CORRUPT, "the record at byte %zu is damaged", offset);
    }
    *ret_state = state;
    *ret_whole_len = offset;
    return TARN_OK;
}
