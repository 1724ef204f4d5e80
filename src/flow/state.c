// The state of a checkpoint as bytes, and its reading back over a chain of deltas.
// Format: docs/formats/state.md.
#include "base/hash.h"
#include "base/varint.h"
#include "flow/flow_internal.h"

enum { MAGIC_BYTES = 8, HEADER_BYTES = 16, SECTION_HEADER_BYTES = 16 };
static const uint8_t magic[MAGIC_BYTES] = {'T', 'A', 'R', 'N', 'S', 'T', 'A', '1'};

enum { ENTRY_PUT = 1, ENTRY_DELETE = 2 };

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for checkpoint state");
}

// ---- writing ----

bool tarn_state_writer_is_full(const tarn_state_writer *writer) {
    return writer->is_full;
}

static bool append_varint(tarn_buffer *out, uint64_t value) {
    if (!tarn_buffer_reserve(out, TARN_VARINT_MAX_BYTES)) return false;
    out->len += tarn_varint_encode(out->data + out->len, value);
    return true;
}

static bool append_text(tarn_buffer *out, tarn_slice text) {
    return append_varint(out, text.len) && tarn_buffer_append(out, text);
}

tarn_status tarn_state_put(tarn_state_writer *writer, tarn_slice key, tarn_slice value,
                           tarn_error *err) {
    bool fits = tarn_buffer_append_byte(writer->section, ENTRY_PUT) &&
                append_text(writer->section, key) && append_text(writer->section, value);
    return fits ? TARN_OK : no_memory(err);
}

tarn_status tarn_state_delete(tarn_state_writer *writer, tarn_slice key, tarn_error *err) {
    bool fits =
        tarn_buffer_append_byte(writer->section, ENTRY_DELETE) && append_text(writer->section, key);
    return fits ? TARN_OK : no_memory(err);
}

tarn_status flow_state_begin(tarn_buffer *out, bool is_full, tarn_error *err) {
    uint8_t header[HEADER_BYTES] = {0};
    memcpy(header, magic, MAGIC_BYTES);
    header[MAGIC_BYTES] = is_full ? 1 : 0;
    return tarn_buffer_append(out, (tarn_slice){header, HEADER_BYTES}) ? TARN_OK : no_memory(err);
}

// A section: length and XXH64 of the payload, then the payload. An empty payload ends the state.
static tarn_status append_section(tarn_buffer *out, tarn_slice first, tarn_slice second,
                                  tarn_error *err) {
    size_t header_at = out->len;
    uint8_t header[SECTION_HEADER_BYTES] = {0};
    if (!tarn_buffer_append(out, (tarn_slice){header, SECTION_HEADER_BYTES}) ||
        !append_text(out, first) || !tarn_buffer_append(out, second)) {
        out->len = header_at;
        return no_memory(err);
    }
    tarn_slice payload = {out->data + header_at + SECTION_HEADER_BYTES,
                          out->len - header_at - SECTION_HEADER_BYTES};
    tarn_store_u64(out->data + header_at, payload.len);
    tarn_store_u64(out->data + header_at + 8, tarn_xxh64(payload));
    return TARN_OK;
}

tarn_status flow_state_append(tarn_buffer *out, tarn_slice node_name, tarn_slice entries,
                              tarn_error *err) {
    tarn_assert(node_name.len > 0);
    return append_section(out, node_name, entries, err);
}

// The last section has no name and holds the number of the others, so that a cut is seen.
tarn_status flow_state_finish(tarn_buffer *out, size_t section_count, tarn_error *err) {
    uint8_t count[8];
    tarn_store_u64(count, section_count);
    return append_section(out, (tarn_slice){0}, (tarn_slice){count, sizeof count}, err);
}

// ---- reading ----

static tarn_status corrupt(tarn_error *err, const char *what) {
    return tarn_fail(err, TARN_CORRUPT, "checkpoint state: %s", what);
}

static tarn_status read_header(tarn_slice *rest, bool *ret_full, tarn_error *err) {
    if (rest->len < HEADER_BYTES) return corrupt(err, "it ends inside the header");
    if (memcmp(rest->data, magic, MAGIC_BYTES) != 0) return corrupt(err, "its magic is wrong");
    *ret_full = rest->data[MAGIC_BYTES] == 1;
    *rest = tarn_slice_skip(*rest, HEADER_BYTES);
    return TARN_OK;
}

static bool take_text(tarn_slice *rest, tarn_slice *ret_text) {
    tarn_slice tail = *rest;
    uint64_t len;
    if (!tarn_varint_decode(&tail, &len) || len > tail.len) return false;
    *ret_text = tarn_slice_head(tail, (size_t)len);
    *rest = tarn_slice_skip(tail, (size_t)len);
    return true;
}

static tarn_status next_section(tarn_slice *rest, tarn_slice *ret_name, tarn_slice *ret_entries,
                                tarn_error *err) {
    if (rest->len < SECTION_HEADER_BYTES) return corrupt(err, "it ends inside a section header");
    uint64_t len = tarn_load_u64(rest->data);
    uint64_t checksum = tarn_load_u64(rest->data + 8);
    tarn_slice payload = tarn_slice_skip(*rest, SECTION_HEADER_BYTES);
    if (len > payload.len) return corrupt(err, "it ends inside a section");
    payload = tarn_slice_head(payload, (size_t)len);
    if (tarn_xxh64(payload) != checksum) return corrupt(err, "a section's checksum is wrong");
    *rest = tarn_slice_skip(*rest, SECTION_HEADER_BYTES + (size_t)len);
    if (!take_text(&payload, ret_name)) return corrupt(err, "a section has no name");
    *ret_entries = payload;
    return TARN_OK;
}

// Calls `visit` for each section; checks the closing count.
static tarn_status visit_sections(tarn_slice state,
                                  tarn_status (*visit)(void *context, tarn_slice name,
                                                       tarn_slice entries, tarn_error *err),
                                  void *context, bool *ret_full, tarn_error *err) {
    TARN_TRY(read_header(&state, ret_full, err));
    for (uint64_t count = 0;; count++) {
        tarn_slice name;
        tarn_slice entries;
        TARN_TRY(next_section(&state, &name, &entries, err));
        if (name.len == 0) {
            if (entries.len != 8 || tarn_load_u64(entries.data) != count || state.len > 0) {
                return corrupt(err, "its end does not fit its sections");
            }
            return TARN_OK;
        }
        TARN_TRY(visit(context, name, entries, err));
    }
}

typedef struct state_entry {
    tarn_slice key;
    tarn_slice value;
    bool deleted;
} state_entry;

// The newest entry per key, in an open-addressing table.
struct tarn_state_reader {
    const tarn_alloc *alloc;
    state_entry *slots;
    uint8_t *used;
    size_t slot_count; // a power of two, or 0
    size_t entry_count;
    size_t cursor;
    tarn_slice wanted; // node name
};

static state_entry *find_slot(const tarn_state_reader *reader, tarn_slice key) {
    size_t mask = reader->slot_count - 1;
    size_t slot = (size_t)tarn_hash_bytes(key) & mask;
    while (reader->used[slot] && !tarn_slice_equal(reader->slots[slot].key, key)) {
        slot = (slot + 1) & mask;
    }
    return &reader->slots[slot];
}

static void free_slots(tarn_state_reader *reader) {
    tarn_alloc_free(reader->alloc, reader->slots, reader->slot_count);
    tarn_alloc_free(reader->alloc, reader->used, reader->slot_count);
}

static bool grow_slots(tarn_state_reader *reader) {
    tarn_state_reader grown = *reader;
    grown.slot_count = reader->slot_count == 0 ? 64 : reader->slot_count * 2;
    grown.slots = tarn_alloc_new(reader->alloc, state_entry, grown.slot_count);
    grown.used = tarn_alloc_new(reader->alloc, uint8_t, grown.slot_count);
    if (grown.slots == NULL || grown.used == NULL) {
        free_slots(&grown);
        return false;
    }
    for (size_t i = 0; i < reader->slot_count; i++) {
        if (!reader->used[i]) continue;
        state_entry *slot = find_slot(&grown, reader->slots[i].key);
        *slot = reader->slots[i];
        grown.used[slot - grown.slots] = 1;
    }
    free_slots(reader);
    *reader = grown;
    return true;
}

static tarn_status insert_entry(tarn_state_reader *reader, state_entry entry, tarn_error *err) {
    if (reader->entry_count * 4 >= reader->slot_count * 3 && !grow_slots(reader)) {
        return no_memory(err);
    }
    state_entry *slot = find_slot(reader, entry.key);
    uint8_t *used = &reader->used[slot - reader->slots];
    if (!*used) reader->entry_count++;
    *used = 1;
    *slot = entry;
    return TARN_OK;
}

static tarn_status read_entries(void *context, tarn_slice name, tarn_slice entries,
                                tarn_error *err) {
    tarn_state_reader *reader = context;
    if (!tarn_slice_equal(name, reader->wanted)) return TARN_OK;
    while (entries.len > 0) {
        state_entry entry = {.deleted = entries.data[0] == ENTRY_DELETE};
        if (!entry.deleted && entries.data[0] != ENTRY_PUT) {
            return corrupt(err, "an entry has an unknown kind");
        }
        entries = tarn_slice_skip(entries, 1);
        if (!take_text(&entries, &entry.key)) return corrupt(err, "an entry's key is cut off");
        if (!entry.deleted && !take_text(&entries, &entry.value)) {
            return corrupt(err, "an entry's value is cut off");
        }
        TARN_TRY(insert_entry(reader, entry, err));
    }
    return TARN_OK;
}

// Oldest to newest; a full state forgets what came before it.
static tarn_status read_states(tarn_state_reader *reader, const tarn_slice *states,
                               size_t state_count, tarn_error *err) {
    for (size_t i = 0; i < state_count; i++) {
        tarn_slice header = states[i];
        bool is_full = false;
        TARN_TRY(read_header(&header, &is_full, err));
        if (is_full) {
            if (reader->slot_count > 0) memset(reader->used, 0, reader->slot_count);
            reader->entry_count = 0;
        }
        TARN_TRY(visit_sections(states[i], read_entries, reader, &is_full, err));
    }
    return TARN_OK;
}

tarn_status flow_state_open(const tarn_alloc *alloc, const tarn_slice *states, size_t state_count,
                            tarn_slice node_name, tarn_state_reader **ret_reader, tarn_error *err) {
    tarn_state_reader *reader = tarn_alloc_new(alloc, tarn_state_reader, 1);
    if (reader == NULL) return no_memory(err);
    *reader = (tarn_state_reader){.alloc = alloc, .wanted = node_name};
    tarn_status status = read_states(reader, states, state_count, err);
    if (status != TARN_OK) {
        flow_state_close(reader);
        return status;
    }
    *ret_reader = reader;
    return TARN_OK;
}

void flow_state_close(tarn_state_reader *reader) {
    if (reader == NULL) return;
    free_slots(reader);
    tarn_alloc_free(reader->alloc, reader, 1);
}

tarn_status tarn_state_next(tarn_state_reader *reader, tarn_slice *ret_key, tarn_slice *ret_value,
                            bool *ret_found, tarn_error *err) {
    (void)err; // the bytes were checked when the reader was opened
    while (reader->cursor < reader->slot_count) {
        size_t slot = reader->cursor++;
        if (!reader->used[slot] || reader->slots[slot].deleted) continue;
        *ret_key = reader->slots[slot].key;
        *ret_value = reader->slots[slot].value;
        *ret_found = true;
        return TARN_OK;
    }
    *ret_found = false;
    return TARN_OK;
}

// ---- merging ----

typedef struct name_list {
    tarn_arena arena;
    tarn_slice *names;
    size_t count;
    size_t capacity;
} name_list;

static tarn_status collect_name(void *context, tarn_slice name, tarn_slice entries,
                                tarn_error *err) {
    (void)entries;
    name_list *list = context;
    for (size_t i = 0; i < list->count; i++) {
        if (tarn_slice_equal(list->names[i], name)) return TARN_OK;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        tarn_slice *names = tarn_arena_new(&list->arena, tarn_slice, capacity);
        if (names == NULL) return no_memory(err);
        if (list->count > 0) memcpy(names, list->names, list->count * sizeof(tarn_slice));
        list->names = names;
        list->capacity = capacity;
    }
    list->names[list->count++] = name;
    return TARN_OK;
}

static tarn_status merge_node(const tarn_alloc *alloc, const tarn_slice *states, size_t state_count,
                              tarn_slice name, tarn_buffer *section, tarn_error *err) {
    tarn_state_reader *reader = NULL;
    TARN_TRY(flow_state_open(alloc, states, state_count, name, &reader, err));
    tarn_state_writer writer = {.section = section, .is_full = true};
    tarn_buffer_clear(section);
    tarn_slice key;
    tarn_slice value;
    bool found = false;
    tarn_status status = tarn_state_next(reader, &key, &value, &found, err);
    while (status == TARN_OK && found) {
        status = tarn_state_put(&writer, key, value, err);
        if (status == TARN_OK) status = tarn_state_next(reader, &key, &value, &found, err);
    }
    flow_state_close(reader);
    return status;
}

tarn_status tarn_state_merge(const tarn_alloc *alloc, const tarn_slice *states, size_t state_count,
                             tarn_buffer *ret_state, tarn_error *err) {
    name_list list = {0};
    tarn_arena_init(&list.arena, alloc, SIZE_MAX);
    tarn_buffer section = {.alloc = alloc};
    size_t begin = ret_state->len;
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < state_count && status == TARN_OK; i++) {
        bool is_full = false;
        status = visit_sections(states[i], collect_name, &list, &is_full, err);
    }
    size_t section_count = 0;
    if (status == TARN_OK) status = flow_state_begin(ret_state, true, err);
    for (size_t i = 0; i < list.count && status == TARN_OK; i++) {
        status = merge_node(alloc, states, state_count, list.names[i], &section, err);
        if (status != TARN_OK || section.len == 0) continue;
        status = flow_state_append(ret_state, list.names[i], tarn_buffer_slice(&section), err);
        section_count++;
    }
    if (status == TARN_OK) status = flow_state_finish(ret_state, section_count, err);
    if (status != TARN_OK) ret_state->len = begin;
    tarn_buffer_free(&section);
    tarn_arena_reset(&list.arena);
    return status;
}
