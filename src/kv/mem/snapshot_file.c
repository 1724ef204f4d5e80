// The file SNAPSHOT: docs/formats/kv-mem.md. Blocks are made and read one at a time, so that a
// store of any size takes one block of memory beside itself.
#include <inttypes.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "kv/front.h"
#include "kv/mem/mem.h"

enum {
    HEADER_BYTES = 32,
    BLOCK_HEAD_BYTES = 16, // length, count, index
    CHECKSUM_BYTES = 8,
    BLOCK_BYTES = TARN_TUNABLE(64 << 10, 128), // a block is closed when it has that many
    FORMAT_VERSION = 1,
};

#define END_COUNT UINT32_MAX

static const uint8_t magic[8] = {'T', 'A', 'R', 'N', 'M', 'E', 'M', '\n'};

// ---- writing ----

typedef struct block_writer {
    tarn_file *file;
    tarn_buffer block; // BLOCK_HEAD_BYTES, to be filled, and the changes
    uint32_t count;
    uint64_t index;
    uint64_t record_count;
    uint64_t file_bytes;
} block_writer;

static tarn_status fail_block_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a block of a snapshot file");
}

static tarn_status begin_block(block_writer *writer, tarn_error *err) {
    static const uint8_t zeros[BLOCK_HEAD_BYTES];
    tarn_buffer_clear(&writer->block);
    writer->count = 0;
    bool fits = tarn_buffer_append(&writer->block, (tarn_slice){zeros, sizeof zeros});
    return fits ? TARN_OK : fail_block_memory(err);
}

static tarn_status end_block(block_writer *writer, uint32_t count, tarn_error *err) {
    tarn_buffer *block = &writer->block;
    uint64_t body_len = block->len - BLOCK_HEAD_BYTES;
    tarn_assert(body_len <= UINT32_MAX);
    tarn_store_u32(block->data, (uint32_t)body_len);
    tarn_store_u32(block->data + 4, count);
    tarn_store_u64(block->data + 8, writer->index++);
    uint8_t checksum[CHECKSUM_BYTES];
    tarn_store_u64(checksum, tarn_xxh64(tarn_buffer_slice(block)));
    if (!tarn_buffer_append(block, (tarn_slice){checksum, sizeof checksum})) {
        return fail_block_memory(err);
    }
    TARN_TRY(tarn_file_append(writer->file, tarn_buffer_slice(block), err));
    writer->file_bytes += block->len;
    return begin_block(writer, err);
}

static tarn_status write_header(block_writer *writer, uint64_t next_sequence, tarn_error *err) {
    uint8_t header[HEADER_BYTES] = {0};
    memcpy(header, magic, sizeof magic);
    tarn_store_u32(header + 8, FORMAT_VERSION);
    tarn_store_u64(header + 16, next_sequence);
    tarn_store_u64(header + 24, tarn_xxh64((tarn_slice){header, 24}));
    writer->file_bytes = sizeof header;
    return tarn_file_append(writer->file, (tarn_slice){header, sizeof header}, err);
}

static tarn_status write_record(block_writer *writer, const mem_family *family,
                                const mem_record *record, tarn_error *err) {
    tarn_kv_batch batch = {.bytes = writer->block};
    kv_change change = {KV_PUT, family->family->id, mem_record_key(record),
                        mem_record_value(record)};
    tarn_status status = kv_batch_add(&batch, &change, err);
    writer->block = batch.bytes;
    if (status != TARN_OK) return status;
    writer->count++;
    writer->record_count++;
    return writer->block.len < BLOCK_BYTES ? TARN_OK : end_block(writer, writer->count, err);
}

// Some records at a time: nobody stays inside the epoch while the disk works.
static tarn_status write_family(mem_engine *engine, block_writer *writer, const mem_family *family,
                                const mem_view *view, tarn_error *err) {
    enum { GROUP = 64 };
    int64_t now_us = tarn_os_now_us(engine->os);
    tarn_slice after = {0}; // a key whose record the view keeps alive
    for (;;) {
        mem_record *group[GROUP];
        uint32_t count = 0;
        kv_guard guard = kv_epoch_enter(engine->epoch);
        mem_path path;
        if (after.len == 0) {
            mem_tree_find_first(&family->tree, &path);
        } else {
            mem_tree_find(&family->tree, after, &path);
            if (path.is_exact) path.index++;
        }
        bool has_more = true;
        while (count < GROUP && has_more) {
            if (path.index == path.leaf->node.count) {
                has_more = mem_path_next_leaf(&path);
                continue;
            }
            mem_record *record = mem_value_at(mem_path_record(&path), view->moment);
            if (record != NULL) group[count++] = record;
            path.index++;
        }
        kv_epoch_leave(guard);
        if (count == 0) return TARN_OK;
        for (uint32_t i = 0; i < count; i++) {
            if (kv_is_expired(family->family, mem_record_value(group[i]), now_us)) continue;
            TARN_TRY(write_record(writer, family, group[i], err));
        }
        after = mem_record_key(group[count - 1]);
    }
}

static tarn_status write_all(mem_engine *engine, block_writer *writer, mem_family *const *families,
                             size_t family_count, const mem_view *view, tarn_error *err) {
    for (size_t i = 0; i < family_count; i++) {
        TARN_TRY(write_family(engine, writer, families[i], view, err));
    }
    if (writer->count > 0) TARN_TRY(end_block(writer, writer->count, err));
    uint8_t total[8];
    tarn_store_u64(total, writer->record_count);
    if (!tarn_buffer_append(&writer->block, (tarn_slice){total, sizeof total})) {
        return fail_block_memory(err);
    }
    return end_block(writer, END_COUNT, err);
}

// In the order of their ids.
static mem_family **list_families(mem_engine *engine, tarn_arena *arena, size_t *ret_count) {
    size_t count = 0;
    tarn_mutex_lock(engine->writer_lock);
    for (mem_family *family = engine->families; family != NULL; family = family->next) count++;
    mem_family **families = tarn_arena_new(arena, mem_family *, count);
    size_t filled = 0;
    for (mem_family *family = engine->families; families != NULL && family != NULL;
         family = family->next) {
        if (family->dropped_at > 0) continue;
        size_t i = filled++;
        for (; i > 0 && families[i - 1]->family->id > family->family->id; i--) {
            families[i] = families[i - 1];
        }
        families[i] = family;
    }
    tarn_mutex_unlock(engine->writer_lock);
    *ret_count = filled;
    return families;
}

tarn_status mem_snapshot_write(mem_engine *engine, const mem_view *view, uint64_t next_sequence,
                               tarn_slice path, uint64_t *ret_bytes, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, engine->budget.parent, SIZE_MAX);
    block_writer writer = {.block = {.alloc = engine->budget.parent}};
    tarn_draft *draft = NULL;
    size_t family_count = 0;
    mem_family **families = list_families(engine, &arena, &family_count);
    tarn_status status = families == NULL ? fail_block_memory(err) : TARN_OK;
    if (status == TARN_OK) status = tarn_draft_open(engine->os, path, &draft, err);
    if (status != TARN_OK) goto out;
    writer.file = tarn_draft_file(draft);
    status = begin_block(&writer, err);
    if (status == TARN_OK) status = write_header(&writer, next_sequence, err);
    if (status == TARN_OK) status = write_all(engine, &writer, families, family_count, view, err);
    if (status != TARN_OK) goto out;
    tarn_draft *finished = draft;
    draft = NULL; // freed by the commit, also when it fails
    status = tarn_draft_commit(finished, TARN_WRITE_REPLACE, err);
    if (status == TARN_OK) *ret_bytes = writer.file_bytes;
out:
    tarn_draft_abort(draft);
    tarn_buffer_free(&writer.block);
    tarn_arena_reset(&arena);
    return status;
}

// ---- reading ----

typedef struct block_reader {
    tarn_file *file;
    uint64_t file_bytes;
    uint64_t offset;
    uint64_t index;
    uint64_t record_count;
    bool is_at_end;
    tarn_buffer block;
} block_reader;

static tarn_status fail_damage(const block_reader *reader, const char *what, tarn_error *err) {
    return tarn_fail(err, TARN_CORRUPT, "offset %" PRIu64 ": %s", reader->offset, what);
}

// Reads `len` more bytes of the block, which the file has.
static tarn_status read_more(block_reader *reader, size_t len, tarn_error *err) {
    if (!tarn_buffer_reserve(&reader->block, len)) return fail_block_memory(err);
    size_t got = 0;
    TARN_TRY(tarn_file_read_at(reader->file, reader->offset + reader->block.len,
                               reader->block.data + reader->block.len, len, &got, err));
    if (got < len) return fail_damage(reader, "the file ends inside a block", err);
    reader->block.len += len;
    return TARN_OK;
}

static tarn_status read_header(block_reader *reader, uint64_t *ret_next_sequence, tarn_error *err) {
    if (reader->file_bytes < HEADER_BYTES) {
        return fail_damage(reader, "the file ends inside its header", err);
    }
    TARN_TRY(read_more(reader, HEADER_BYTES, err));
    const uint8_t *header = reader->block.data;
    if (memcmp(header, magic, sizeof magic) != 0) {
        return fail_damage(reader, "this is no snapshot file of the memory engine", err);
    }
    if (tarn_load_u64(header + 24) != tarn_xxh64((tarn_slice){header, 24})) {
        return fail_damage(reader, "the checksum of the header does not fit", err);
    }
    if (tarn_load_u32(header + 8) != FORMAT_VERSION || tarn_load_u32(header + 12) != 0) {
        return tarn_fail(err, TARN_UNSUPPORTED,
                         "the file has version %" PRIu32 ", this program knows version %d",
                         tarn_load_u32(header + 8), FORMAT_VERSION);
    }
    *ret_next_sequence = tarn_load_u64(header + 16);
    reader->offset = HEADER_BYTES;
    return TARN_OK;
}

static tarn_status read_block(block_reader *reader, tarn_slice *ret_body, uint32_t *ret_count,
                              tarn_error *err) {
    uint64_t left = reader->file_bytes - reader->offset;
    const uint64_t around = BLOCK_HEAD_BYTES + CHECKSUM_BYTES;
    if (left < around) return fail_damage(reader, "the file ends without its last block", err);
    tarn_buffer_clear(&reader->block);
    TARN_TRY(read_more(reader, BLOCK_HEAD_BYTES, err));
    uint32_t body_len = tarn_load_u32(reader->block.data);
    uint32_t count = tarn_load_u32(reader->block.data + 4);
    if (body_len > left - around) return fail_damage(reader, "a block has no proper length", err);
    TARN_TRY(read_more(reader, (size_t)body_len + CHECKSUM_BYTES, err));
    tarn_slice covered = {reader->block.data, (size_t)BLOCK_HEAD_BYTES + body_len};
    if (tarn_load_u64(covered.data + covered.len) != tarn_xxh64(covered)) {
        return fail_damage(reader, "the checksum of a block does not fit", err);
    }
    if (tarn_load_u64(covered.data + 8) != reader->index) {
        return fail_damage(reader, "a block is out of its place", err);
    }
    reader->index++;
    *ret_body = tarn_slice_skip(covered, BLOCK_HEAD_BYTES);
    *ret_count = count;
    return TARN_OK;
}

static tarn_status check_end(block_reader *reader, tarn_slice body, tarn_error *err) {
    uint64_t end = reader->offset + reader->block.len;
    bool is_right = body.len == 8 && tarn_load_u64(body.data) == reader->record_count;
    if (!is_right || end != reader->file_bytes) {
        return fail_damage(reader, "the last block does not fit what is before or behind it", err);
    }
    reader->is_at_end = true;
    return TARN_OK;
}

static tarn_status check_changes(const block_reader *reader, tarn_slice body, uint32_t count,
                                 tarn_error *err) {
    uint32_t found = 0;
    for (tarn_slice rest = body; rest.len > 0; found++) {
        kv_change change;
        if (kv_change_next(&rest, &change, NULL) != TARN_OK || change.kind != KV_PUT) {
            return fail_damage(reader, "a block holds what is no entry", err);
        }
    }
    if (found == 0 || found != count) return fail_damage(reader, "a block has no such count", err);
    return TARN_OK;
}

static tarn_status read_blocks(block_reader *reader, mem_snapshot_visitor *visit, void *context,
                               tarn_error *err) {
    while (!reader->is_at_end) {
        tarn_slice body;
        uint32_t count;
        TARN_TRY(read_block(reader, &body, &count, err));
        if (count == END_COUNT) {
            TARN_TRY(check_end(reader, body, err));
            break;
        }
        TARN_TRY(check_changes(reader, body, count, err));
        TARN_TRY(visit(context, body, count, err));
        reader->record_count += count;
        reader->offset += reader->block.len;
    }
    return TARN_OK;
}

// NOLINTNEXTLINE(readability-function-size): what is read, by whom, and what is told of it
tarn_status mem_snapshot_read(tarn_os *os, const tarn_alloc *alloc, tarn_slice path,
                              mem_snapshot_visitor *visit, void *context,
                              uint64_t *ret_next_sequence, uint64_t *ret_bytes, tarn_error *err) {
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(os, path, &info, err));
    if (!info.exists) {
        *ret_next_sequence = 1;
        *ret_bytes = 0;
        return TARN_OK;
    }
    block_reader reader = {.block = {.alloc = alloc}};
    uint64_t next_sequence = 0;
    TARN_TRY(tarn_os_open(os, path, TARN_OPEN_READ, &reader.file, err));
    tarn_status status = tarn_file_size(reader.file, &reader.file_bytes, err);
    if (status == TARN_OK) status = read_header(&reader, &next_sequence, err);
    if (status == TARN_OK) status = read_blocks(&reader, visit, context, err);
    if (status == TARN_CORRUPT || status == TARN_UNSUPPORTED) {
        tarn_error_prefix(err, "'" TARN_SLICE_FMT "', ", TARN_SLICE_ARG(path));
    }
    (void)tarn_file_close(reader.file, NULL); // it was only read
    tarn_buffer_free(&reader.block);
    if (status == TARN_OK) {
        *ret_next_sequence = next_sequence;
        *ret_bytes = reader.file_bytes;
    }
    return status;
}
