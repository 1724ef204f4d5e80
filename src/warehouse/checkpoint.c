// What an epoch leaves on disk. Format: docs/formats/warehouse.md.
//
//   tarn/checkpoint/<epoch>   the operators' state (a delta or all of it) and every view's prepared
//                             commit, compressed and checksummed
//   tarn/CURRENT              the chain of those files that a restart reads; replaced atomically
//
// The order makes an epoch exactly once: data files and the checkpoint file are durable, then
// CURRENT names it (from here on the epoch counts), then each view's snapshot is committed under
// the identifier of the epoch. A crash in between is finished at the next open: the commits are
// done again, and those that were done already have no effect.
#include <jansson.h>

#include "base/hash.h"
#include "warehouse/internal.h"

#define CURRENT_PATH    TARN_LIT("tarn/CURRENT")
#define FILE_BYTES_MAX  ((size_t)16 << 30)
#define CURRENT_VERSION 1

// ---- sections of a checkpoint file ----

enum { MAGIC_BYTES = 8, SECTION_BYTES = 40 };
static const uint8_t magic[MAGIC_BYTES] = {'T', 'A', 'R', 'N', 'C', 'K', 'P', '1'};
enum { SECTION_STATE = 1, SECTION_COMMIT = 2, SECTION_END = 3 };

// kind u32, name length u32, bytes u64, stored bytes u64, watermark i64, XXH64 of all that follows.
static tarn_status append_section(tarn_buffer *out, uint32_t kind, tarn_slice name,
                                  int64_t watermark_us, tarn_slice bytes, tarn_error *err) {
    size_t begin = out->len;
    uint8_t header[SECTION_BYTES] = {0};
    if (!tarn_buffer_append(out, (tarn_slice){header, SECTION_BYTES}) ||
        !tarn_buffer_append(out, name)) {
        return wh_no_memory(err);
    }
    size_t body = out->len;
    TARN_TRY(tarn_compress(TARN_CODEC_ZSTD, 1, bytes, out, err));
    uint8_t *at = out->data + begin;
    tarn_store_u32(at, kind);
    tarn_store_u32(at + 4, (uint32_t)name.len);
    tarn_store_u64(at + 8, bytes.len);
    tarn_store_u64(at + 16, out->len - body);
    tarn_store_u64(at + 24, (uint64_t)watermark_us);
    tarn_slice rest = {at + SECTION_BYTES, out->len - begin - SECTION_BYTES};
    tarn_store_u64(at + 32, tarn_xxh64(rest) ^ tarn_xxh64((tarn_slice){at, 32}));
    return TARN_OK;
}

typedef struct section {
    uint32_t kind;
    tarn_slice name;
    int64_t watermark_us;
    tarn_slice stored;
    uint64_t bytes;
} section;

static tarn_status corrupt(tarn_error *err, const char *what) {
    return tarn_fail(err, TARN_CORRUPT, "checkpoint file: %s", what);
}

static tarn_status next_section(tarn_slice *rest, section *ret_section, tarn_error *err) {
    if (rest->len < SECTION_BYTES) return corrupt(err, "it ends inside a section header");
    const uint8_t *at = rest->data;
    tarn_slice body = tarn_slice_skip(*rest, SECTION_BYTES);
    uint64_t name_len = tarn_load_u32(at + 4);
    uint64_t stored_len = tarn_load_u64(at + 16);
    if (name_len > body.len || stored_len > body.len - name_len) {
        return corrupt(err, "it ends inside a section");
    }
    tarn_slice checked = tarn_slice_head(body, (size_t)(name_len + stored_len));
    uint64_t checksum = tarn_xxh64(checked) ^ tarn_xxh64((tarn_slice){at, 32});
    if (checksum != tarn_load_u64(at + 32)) return corrupt(err, "a section's checksum is wrong");
    *ret_section = (section){.kind = tarn_load_u32(at),
                             .name = tarn_slice_head(checked, (size_t)name_len),
                             .watermark_us = (int64_t)tarn_load_u64(at + 24),
                             .stored = tarn_slice_skip(checked, (size_t)name_len),
                             .bytes = tarn_load_u64(at + 8)};
    *rest = tarn_slice_skip(body, checked.len);
    return TARN_OK;
}

static tarn_status unpack(const section *part, tarn_arena *arena, tarn_slice *ret_bytes,
                          tarn_error *err) {
    if (part->bytes > FILE_BYTES_MAX) return corrupt(err, "a section's length is out of range");
    uint8_t *bytes = tarn_arena_new_raw(arena, uint8_t, (size_t)part->bytes);
    if (bytes == NULL) return wh_no_memory(err);
    TARN_TRY(tarn_decompress(TARN_CODEC_ZSTD, part->stored, bytes, (size_t)part->bytes, err));
    *ret_bytes = (tarn_slice){bytes, (size_t)part->bytes};
    return TARN_OK;
}

// ---- names ----

typedef struct file_name {
    char text[64];
} file_name;

static file_name checkpoint_name(uint64_t epoch) {
    file_name name;
    (void)snprintf(name.text, sizeof name.text, "tarn/checkpoint/%020llu",
                   (unsigned long long)epoch);
    return name;
}

// ---- writing ----

static tarn_status append_commit(tarn_buffer *out, const wh_prepared *prepared, tarn_error *err) {
    return append_section(out, SECTION_COMMIT, prepared->owner->id, prepared->watermark_us,
                          tarn_buffer_slice(&prepared->committable), err);
}

static tarn_status encode_file(wh_graph *graph, tarn_slice state, tarn_buffer *out,
                               tarn_error *err) {
    if (!tarn_buffer_append(out, (tarn_slice){magic, MAGIC_BYTES})) return wh_no_memory(err);
    TARN_TRY(append_section(out, SECTION_STATE, (tarn_slice){0}, 0, state, err));
    for (size_t i = 0; i < wh_graph_view_count(graph); i++) {
        TARN_TRY(append_commit(out, wh_graph_prepared(graph, i), err));
    }
    const wh_prepared *letters = NULL;
    while ((letters = wh_graph_letters(graph, letters)) != NULL) {
        TARN_TRY(append_commit(out, letters, err));
    }
    return append_section(out, SECTION_END, (tarn_slice){0}, 0, (tarn_slice){0}, err);
}

static tarn_status write_current(tarn_warehouse *warehouse, const wh_chain *chain,
                                 tarn_error *err) {
    tarn_buffer text = {.alloc = warehouse->alloc};
    bool fits = tarn_buffer_printf(&text, "{\"version\": %d, \"epochs\": [", CURRENT_VERSION);
    for (size_t i = 0; i < chain->count && fits; i++) {
        fits = tarn_buffer_printf(&text, "%s%llu", i == 0 ? "" : ", ",
                                  (unsigned long long)chain->epochs[i]);
    }
    fits = fits &&
           tarn_buffer_printf(&text, "], \"progress\": %llu", (unsigned long long)chain->progress);
    if (chain->count == 0) {
        fits = fits && tarn_buffer_printf(&text, ", \"forgotten\": %llu",
                                          (unsigned long long)chain->forgotten);
    }
    fits = fits && tarn_buffer_append(&text, TARN_LIT("}\n"));
    tarn_status status = fits ? tarn_store_put(warehouse->store, CURRENT_PATH,
                                               tarn_buffer_slice(&text), TARN_WRITE_REPLACE, err)
                              : wh_no_memory(err);
    tarn_buffer_free(&text);
    return status;
}

static tarn_status remove_files(tarn_warehouse *warehouse, const wh_chain *old, tarn_error *err) {
    for (size_t i = 0; i < old->count; i++) {
        file_name name = checkpoint_name(old->epochs[i]);
        TARN_TRY(tarn_store_remove(warehouse->store, tarn_slice_from_cstr(name.text), err));
    }
    return TARN_OK;
}

tarn_status wh_checkpoint_write(tarn_warehouse *warehouse, wh_graph *graph, uint64_t epoch,
                                bool is_full, tarn_slice state, tarn_error *err) {
    tarn_buffer file = {.alloc = warehouse->alloc};
    file_name name = checkpoint_name(epoch);
    tarn_status status = encode_file(graph, state, &file, err);
    uint64_t file_bytes = file.len;
    if (status == TARN_OK) {
        status = tarn_store_put(warehouse->store, tarn_slice_from_cstr(name.text),
                                tarn_buffer_slice(&file), TARN_WRITE_REPLACE, err);
    }
    tarn_buffer_free(&file);
    if (status != TARN_OK) return status;

    wh_chain *chain = &warehouse->engine.chain;
    wh_chain old = is_full ? *chain : (wh_chain){0};
    if (is_full) chain->count = 0;
    chain->forgotten = 0;
    tarn_assert(chain->count < WH_CHAIN_MAX);
    chain->epochs[chain->count] = epoch;
    chain->bytes[chain->count] = file_bytes;
    chain->count++;
    chain->progress = warehouse->engine.progress_at_barrier;
    TARN_TRY(write_current(warehouse, chain, err));
    return remove_files(warehouse, &old, err);
}

// ---- committing ----

// What a section says, or what the graph has in hand.
typedef struct epoch_commit {
    const wh_object *owner;
    const wh_object *table;
    tarn_slice committable;
    int64_t watermark_us;
    tarn_slice inputs; // empty: not known
} epoch_commit;

static tarn_status commit_part(const epoch_commit *part, uint64_t epoch, int64_t *ret_version,
                               tarn_error *err) {
    char epoch_text[24];
    (void)snprintf(epoch_text, sizeof epoch_text, "%llu", (unsigned long long)epoch);
    const tarn_option properties[] = {
        {TARN_LIT("tarn.epoch"), tarn_slice_from_cstr(epoch_text)},
        {TARN_LIT("tarn.job"), part->owner->relation.name},
        {TARN_LIT("tarn.inputs"), part->inputs},
    };
    tarn_table_commit_request request = {
        .commit_user = part->owner->id,
        .commit_identifier = (int64_t)epoch,
        .committable = part->committable,
        .create_empty = part->owner == part->table, // each epoch is a version of every view
        // The end of all time is not an event time that other readers could use.
        .watermark_us = part->watermark_us == INT64_MAX ? TARN_NO_WATERMARK : part->watermark_us,
        .properties = properties,
        .property_count = part->inputs.len == 0 ? 2 : 3,
    };
    tarn_status status = tarn_table_commit(part->table->table, &request, ret_version, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "\"" TARN_SLICE_FMT "\", epoch %llu: ",
                          TARN_SLICE_ARG(part->table->relation.name), (unsigned long long)epoch);
    }
    return status;
}

static tarn_status commit_prepared(const wh_prepared *prepared, uint64_t epoch, tarn_slice inputs,
                                   int64_t *ret_version, tarn_error *err) {
    epoch_commit part = {.owner = prepared->owner,
                         .table = prepared->table,
                         .committable = tarn_buffer_slice(&prepared->committable),
                         .watermark_us = prepared->watermark_us,
                         .inputs = inputs};
    return commit_part(&part, epoch, ret_version, err);
}

static tarn_status commit_letters(const wh_graph *graph, uint64_t epoch, tarn_error *err) {
    const wh_prepared *letters = NULL;
    while ((letters = wh_graph_letters(graph, letters)) != NULL) {
        int64_t version = 0;
        TARN_TRY(commit_prepared(letters, epoch, (tarn_slice){0}, &version, err));
        wh_object_set_durable(letters->table, version);
    }
    return TARN_OK;
}

tarn_status wh_checkpoint_commit(tarn_warehouse *warehouse, wh_graph *graph, uint64_t epoch,
                                 tarn_error *err) {
    tarn_buffer inputs = {.alloc = warehouse->alloc};
    tarn_status status = commit_letters(graph, epoch, err);
    for (size_t i = 0; i < wh_graph_view_count(graph) && status == TARN_OK; i++) {
        int64_t version = 0;
        tarn_buffer_clear(&inputs);
        status = wh_graph_inputs_json(graph, i, &inputs, err);
        if (status == TARN_OK) {
            status = commit_prepared(wh_graph_prepared(graph, i), epoch, tarn_buffer_slice(&inputs),
                                     &version, err);
        }
        if (status == TARN_OK) wh_graph_set_version(graph, i, version);
    }
    tarn_buffer_free(&inputs);
    return status;
}

// ---- reading ----

static tarn_status parse_current(tarn_slice text, wh_chain *ret_chain, tarn_error *err) {
    json_t *root = json_loadb((const char *)text.data, text.len, 0, NULL);
    const json_t *epochs = json_object_get(root, "epochs");
    bool good = json_integer_value(json_object_get(root, "version")) == CURRENT_VERSION &&
                json_is_array(epochs) && json_array_size(epochs) <= WH_CHAIN_MAX;
    for (size_t i = 0; good && i < json_array_size(epochs); i++) {
        json_int_t epoch = json_integer_value(json_array_get(epochs, i));
        good = epoch > 0 && (i == 0 || (uint64_t)epoch > ret_chain->epochs[i - 1]);
        ret_chain->epochs[i] = (uint64_t)epoch;
        ret_chain->count = i + 1;
    }
    json_int_t progress = json_integer_value(json_object_get(root, "progress"));
    ret_chain->progress = progress < 0 ? 0 : (uint64_t)progress;
    json_int_t forgotten = json_integer_value(json_object_get(root, "forgotten"));
    ret_chain->forgotten = forgotten < 0 ? 0 : (uint64_t)forgotten;
    json_decref(root);
    return good ? TARN_OK : tarn_fail(err, TARN_CORRUPT, "tarn/CURRENT is not a chain of epochs");
}

// A reference to the table that an owner's rows go to, NULL: there is none any more.
static wh_object *find_target(tarn_warehouse *warehouse, wh_object *owner) {
    wh_object *table = NULL;
    if (owner->relation.kind == TARN_RELATION_VIEW) {
        wh_object_ref(owner);
        return owner;
    }
    if (wh_dead_letter_table(warehouse, owner->relation.name, &table, NULL) != TARN_OK) return NULL;
    return table;
}

// Finishes the commits that the crash may have interrupted. Views dropped since have none, and the
// id tells them from later ones of the same name.
static tarn_status commit_again(tarn_warehouse *warehouse, const section *part, uint64_t epoch,
                                tarn_arena *arena, tarn_error *err) {
    wh_object *owner = wh_catalog_find_id(warehouse, part->name);
    wh_object *table = owner == NULL ? NULL : find_target(warehouse, owner);
    tarn_status status = TARN_OK;
    if (table != NULL) {
        epoch_commit again = {.owner = owner, .table = table, .watermark_us = part->watermark_us};
        int64_t version = 0;
        status = unpack(part, arena, &again.committable, err);
        if (status == TARN_OK) status = commit_part(&again, epoch, &version, err);
        // One that was there already may have failed at the very end: seen, but not yet durable.
        if (status == TARN_OK) status = wh_object_settle(warehouse, table, err);
    }
    wh_object_unref(table);
    wh_object_unref(owner);
    return status;
}

static tarn_status open_file(tarn_warehouse *warehouse, uint64_t epoch, tarn_arena *arena,
                             tarn_slice *ret_sections, tarn_error *err) {
    file_name name = checkpoint_name(epoch);
    tarn_slice rest;
    TARN_TRY(tarn_store_get(warehouse->store, tarn_slice_from_cstr(name.text), FILE_BYTES_MAX,
                            arena, &rest, err));
    if (rest.len < MAGIC_BYTES || memcmp(rest.data, magic, MAGIC_BYTES) != 0) {
        return corrupt(err, "its magic is wrong");
    }
    *ret_sections = tarn_slice_skip(rest, MAGIC_BYTES);
    return TARN_OK;
}

static tarn_status read_state(tarn_warehouse *warehouse, size_t index, tarn_arena *arena,
                              tarn_slice *ret_state, tarn_error *err) {
    wh_chain *chain = &warehouse->engine.chain;
    tarn_slice rest;
    TARN_TRY(open_file(warehouse, chain->epochs[index], arena, &rest, err));
    chain->bytes[index] = rest.len;
    for (;;) {
        section part;
        TARN_TRY(next_section(&rest, &part, err));
        if (part.kind == SECTION_END) return TARN_OK;
        if (part.kind == SECTION_STATE) TARN_TRY(unpack(&part, arena, ret_state, err));
    }
}

static tarn_status commit_file_again(tarn_warehouse *warehouse, uint64_t epoch, tarn_arena *arena,
                                     tarn_error *err) {
    tarn_slice rest;
    TARN_TRY(open_file(warehouse, epoch, arena, &rest, err));
    for (;;) {
        section part;
        TARN_TRY(next_section(&rest, &part, err));
        if (part.kind == SECTION_END) return TARN_OK;
        if (part.kind == SECTION_COMMIT) {
            TARN_TRY(commit_again(warehouse, &part, epoch, arena, err));
        }
    }
}

// Files of epochs that CURRENT does not name: a crash came before it was replaced, or after.
static tarn_status remove_strays(tarn_warehouse *warehouse, tarn_arena *arena, tarn_error *err) {
    tarn_slice *names;
    size_t count;
    TARN_TRY(
        tarn_store_list(warehouse->store, TARN_LIT("tarn/checkpoint"), arena, &names, &count, err));
    const wh_chain *chain = &warehouse->engine.chain;
    for (size_t i = 0; i < count; i++) {
        tarn_slice path;
        if (!tarn_arena_printf(arena, &path, "tarn/checkpoint/" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(names[i]))) {
            return wh_no_memory(err);
        }
        bool named = false;
        for (size_t k = 0; k < chain->count && !named; k++) {
            file_name name = checkpoint_name(chain->epochs[k]);
            named = tarn_slice_equal(path, tarn_slice_from_cstr(name.text));
        }
        if (!named) TARN_TRY(tarn_store_remove(warehouse->store, path, err));
    }
    return TARN_OK;
}

static void name_epoch(tarn_error *err, uint64_t epoch) {
    tarn_error_prefix(err, "checkpoint of epoch %llu: ", (unsigned long long)epoch);
}

static uint64_t last_epoch(const wh_chain *chain) {
    return chain->count == 0 ? chain->forgotten : chain->epochs[chain->count - 1];
}

// The newest epoch that a file is named after: CURRENT may be what is damaged.
static tarn_status newest_file(tarn_warehouse *warehouse, tarn_arena *arena, uint64_t *epoch,
                               tarn_error *err) {
    tarn_slice *names;
    size_t count;
    TARN_TRY(
        tarn_store_list(warehouse->store, TARN_LIT("tarn/checkpoint"), arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t number = 0;
        for (size_t k = 0; k < names[i].len && number < UINT64_MAX / 16; k++) {
            uint8_t digit = names[i].data[k];
            number = digit >= '0' && digit <= '9' ? number * 10 + (digit - '0') : 0;
        }
        if (number > *epoch) *epoch = number;
    }
    return TARN_OK;
}

tarn_status wh_checkpoint_forget(tarn_warehouse *warehouse, uint64_t *ret_epoch, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    wh_chain *chain = &warehouse->engine.chain;
    uint64_t epoch = last_epoch(chain);
    tarn_status status = newest_file(warehouse, &arena, &epoch, err);
    if (status == TARN_OK) {
        *chain = (wh_chain){.forgotten = epoch};
        status = write_current(warehouse, chain, err);
    }
    if (status == TARN_OK) status = remove_strays(warehouse, &arena, err);
    tarn_arena_reset(&arena);
    if (status == TARN_OK) *ret_epoch = epoch;
    return status;
}

static tarn_status recover(tarn_warehouse *warehouse, tarn_arena *arena, uint64_t *ret_epoch,
                           tarn_error *err) {
    wh_chain *chain = &warehouse->engine.chain;
    *chain = (wh_chain){0};
    tarn_file_info info;
    TARN_TRY(tarn_store_stat(warehouse->store, CURRENT_PATH, &info, err));
    if (info.exists) {
        tarn_slice text;
        // Whoever replaced it may have died before that was durable. No commit may rely on an epoch
        // that a power loss can still take back: the next one of that number would be another.
        TARN_TRY(tarn_store_sync_names(warehouse->store, TARN_LIT("tarn"), err));
        TARN_TRY(tarn_store_get(warehouse->store, CURRENT_PATH, 1 << 20, arena, &text, err));
        TARN_TRY(parse_current(text, chain, err));
    }
    uint64_t epoch = last_epoch(chain);
    if (chain->count > 0) {
        tarn_status status = commit_file_again(warehouse, epoch, arena, err);
        if (status != TARN_OK) {
            name_epoch(err, epoch);
            return status;
        }
    }
    *ret_epoch = epoch;
    return remove_strays(warehouse, arena, err);
}

tarn_status wh_checkpoint_recover(tarn_warehouse *warehouse, uint64_t *ret_epoch, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, warehouse->alloc, SIZE_MAX);
    tarn_status status = recover(warehouse, &arena, ret_epoch, err);
    tarn_arena_reset(&arena);
    return status;
}

tarn_status wh_checkpoint_states(tarn_warehouse *warehouse, tarn_arena *arena,
                                 tarn_slice **ret_states, size_t *ret_count, tarn_error *err) {
    const wh_chain *chain = &warehouse->engine.chain;
    tarn_slice *states = tarn_arena_new(arena, tarn_slice, chain->count);
    if (states == NULL) return wh_no_memory(err);
    for (size_t i = 0; i < chain->count; i++) {
        tarn_status status = read_state(warehouse, i, arena, &states[i], err);
        if (status != TARN_OK) {
            name_epoch(err, chain->epochs[i]);
            return status;
        }
    }
    *ret_states = states;
    *ret_count = chain->count;
    return TARN_OK;
}
