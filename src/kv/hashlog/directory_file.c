// The directory as a file: docs/formats/kv-hashlog.md.
#include "base/alloc.h"
#include "base/crc32c.h"
#include "kv/front.h"
#include "kv/hashlog/hashlog.h"

enum { HEADER_BYTES = 64, SLOT_BYTES = 16, TABLE_HEADER_BYTES = 8 };

// Offsets of the header.
enum {
    AT_MAGIC = 0,
    AT_TABLES = 8,
    AT_ZERO = 12,
    AT_SEQUENCE = 16, // the log is replayed from this change on
    AT_ZEROS = 24,
    AT_CRC = 60,
};

static const tarn_slice magic = {(const uint8_t *)"TARNHLD1", 8};

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the directory file");
}

// ---- writing ----

static tarn_status write_header(tarn_file *file, uint64_t sequence, tarn_error *err) {
    uint8_t header[HEADER_BYTES] = {0};
    memcpy(header, magic.data, magic.len);
    tarn_store_u32(header + AT_TABLES, HASHLOG_TABLES);
    tarn_store_u64(header + AT_SEQUENCE, sequence);
    tarn_store_u32(header + AT_CRC, tarn_crc32c(0, (tarn_slice){header, AT_CRC}));
    return tarn_file_append(file, (tarn_slice){header, sizeof header}, err);
}

// Copies one table, which writers then may change again.
static bool copy_table(hashlog *h, size_t table, tarn_buffer *slots, size_t *ret_count) {
    tarn_mutex_lock(h->write_lock);
    size_t count = hashlog_table_count(h->directory, table);
    tarn_buffer_clear(slots);
    bool fits = tarn_buffer_reserve(slots, count * sizeof(hashlog_slot) + 1);
    if (fits) hashlog_table_read(h->directory, table, (hashlog_slot *)(void *)slots->data);
    tarn_mutex_unlock(h->write_lock);
    *ret_count = count;
    return fits;
}

static tarn_status encode_table(hashlog *h, size_t table, tarn_buffer *slots, tarn_buffer *out,
                                tarn_error *err) {
    size_t count = 0;
    if (!copy_table(h, table, slots, &count)) return no_memory(err);
    size_t begin = out->len;
    size_t bytes = TABLE_HEADER_BYTES + count * SLOT_BYTES;
    if (!tarn_buffer_reserve(out, bytes)) return no_memory(err);
    uint8_t *at = out->data + begin + TABLE_HEADER_BYTES;
    const hashlog_slot *all = (const hashlog_slot *)(void *)slots->data;
    for (size_t i = 0; i < count; i++, at += SLOT_BYTES) {
        tarn_store_u32(at, all[i].fingerprint);
        tarn_store_u32(at + 4, all[i].place.segment);
        tarn_store_u32(at + 8, all[i].place.offset8);
        tarn_store_u32(at + 12, all[i].place.size8);
    }
    tarn_store_u32(out->data + begin, (uint32_t)count);
    tarn_slice body = {out->data + begin + TABLE_HEADER_BYTES, count * SLOT_BYTES};
    uint32_t start = tarn_crc32c((uint32_t)table, (tarn_slice){out->data + begin, 4});
    tarn_store_u32(out->data + begin + 4, tarn_crc32c(start, body));
    out->len += bytes;
    return TARN_OK;
}

static tarn_status write_tables(hashlog *h, tarn_file *file, uint64_t *ret_bytes, tarn_error *err) {
    const size_t flush_bytes = (size_t)1 << 20;
    tarn_buffer slots = {.alloc = h->alloc};
    tarn_buffer out = {.alloc = h->alloc};
    tarn_status status = TARN_OK;
    for (size_t table = 0; status == TARN_OK && table < HASHLOG_TABLES; table++) {
        status = encode_table(h, table, &slots, &out, err);
        if (status != TARN_OK || (out.len < flush_bytes && table + 1 < HASHLOG_TABLES)) continue;
        status = tarn_file_append(file, tarn_buffer_slice(&out), err);
        *ret_bytes += out.len;
        tarn_buffer_clear(&out);
    }
    tarn_buffer_free(&out);
    tarn_buffer_free(&slots);
    return status;
}

static tarn_status write_draft(hashlog *h, tarn_slice path, uint64_t *ret_bytes, tarn_error *err) {
    tarn_draft *draft = NULL;
    TARN_TRY(tarn_draft_open(h->os, path, &draft, err));
    // Changes from here on are replayed over what the tables say, which may know some of them.
    tarn_mutex_lock(h->write_lock);
    uint64_t sequence = kv_log_visible(h->log) + 1;
    bool has_failed = h->has_failed;
    tarn_mutex_unlock(h->write_lock);
    kv_log_statistics stats;
    kv_log_stats(h->log, &stats);
    tarn_status status = has_failed ? hashlog_fail_for_good(err) : TARN_OK;
    *ret_bytes = HEADER_BYTES;
    if (status == TARN_OK) status = write_header(tarn_draft_file(draft), sequence, err);
    if (status == TARN_OK) status = write_tables(h, tarn_draft_file(draft), ret_bytes, err);
    // The tables point into the log: it must be there after a power loss.
    if (status == TARN_OK) status = kv_log_sync(h->log, err);
    if (status != TARN_OK) {
        tarn_draft_abort(draft);
        return status;
    }
    TARN_TRY(tarn_draft_commit(draft, TARN_WRITE_REPLACE, err));
    h->file_sequence = sequence;
    h->file_log_bytes = stats.written_bytes;
    return TARN_OK;
}

static tarn_status file_path(const hashlog *h, tarn_arena *arena, tarn_slice *ret_path,
                             tarn_error *err) {
    tarn_arena_init(arena, h->alloc, SIZE_MAX);
    return kv_path(arena, h->directory_path, TARN_LIT(HASHLOG_FILE_NAME), ret_path)
               ? TARN_OK
               : no_memory(err);
}

tarn_status hashlog_file_write(hashlog *h, tarn_error *err) {
    tarn_mutex_assert_held(h->upkeep_lock);
    tarn_arena arena;
    tarn_slice path;
    uint64_t bytes = 0;
    tarn_status status = file_path(h, &arena, &path, err);
    if (status == TARN_OK) {
        h->has_file = true; // also after a failure: it may be there
        status = write_draft(h, path, &bytes, err);
    }
    if (status == TARN_OK) h->file_bytes = bytes;
    tarn_arena_reset(&arena);
    return status;
}

// ---- reading ----

static tarn_status fail_at(tarn_error *err, size_t offset, const char *what) {
    return tarn_fail(err, TARN_CORRUPT, "at offset %zu: %s", offset, what);
}

static tarn_status decode_header(tarn_slice bytes, uint64_t *ret_sequence, tarn_error *err) {
    if (bytes.len < HEADER_BYTES) return fail_at(err, bytes.len, "the file ends in its header");
    uint32_t crc = tarn_crc32c(0, tarn_slice_head(bytes, AT_CRC));
    if (tarn_load_u32(bytes.data + AT_CRC) != crc) {
        return fail_at(err, 0, "the header's checksum is wrong");
    }
    if (memcmp(bytes.data, magic.data, magic.len) != 0) {
        return fail_at(err, 0, "the magic is not TARNHLD1");
    }
    if (tarn_load_u32(bytes.data + AT_TABLES) != HASHLOG_TABLES) {
        return fail_at(err, AT_TABLES, "another number of tables");
    }
    *ret_sequence = tarn_load_u64(bytes.data + AT_SEQUENCE);
    if (*ret_sequence == 0 || *ret_sequence > INT64_MAX) {
        return fail_at(err, AT_SEQUENCE, "no sequence");
    }
    return TARN_OK;
}

static tarn_status decode_slots(tarn_slice body, size_t offset, hashlog_slot *slots, size_t count,
                                tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = body.data + i * SLOT_BYTES;
        slots[i] = (hashlog_slot){
            .fingerprint = tarn_load_u32(at),
            .place = {tarn_load_u32(at + 4), tarn_load_u32(at + 8), tarn_load_u32(at + 12)},
        };
        bool is_sound = slots[i].place.size8 > 0 && slots[i].place.segment > 0 &&
                        (i == 0 || slots[i].fingerprint >= slots[i - 1].fingerprint);
        if (!is_sound) return fail_at(err, offset + i * SLOT_BYTES, "an impossible entry");
    }
    return TARN_OK;
}

// Takes one table off.
static tarn_status decode_table(tarn_slice bytes, size_t *offset, size_t table,
                                tarn_buffer *scratch, hashlog_directory *directory,
                                tarn_error *err) {
    tarn_slice rest = tarn_slice_skip(bytes, *offset);
    if (rest.len < TABLE_HEADER_BYTES) return fail_at(err, *offset, "the file ends too soon");
    size_t count = tarn_load_u32(rest.data);
    tarn_slice body = tarn_slice_skip(rest, TABLE_HEADER_BYTES);
    if (count > body.len / SLOT_BYTES) return fail_at(err, *offset, "the file ends in a table");
    body = tarn_slice_head(body, count * SLOT_BYTES);
    uint32_t start = tarn_crc32c((uint32_t)table, tarn_slice_head(rest, 4));
    if (tarn_load_u32(rest.data + 4) != tarn_crc32c(start, body)) {
        return fail_at(err, *offset, "the table's checksum is wrong");
    }
    tarn_buffer_clear(scratch);
    if (!tarn_buffer_reserve(scratch, count * sizeof(hashlog_slot) + 1)) return no_memory(err);
    hashlog_slot *slots = (hashlog_slot *)(void *)scratch->data;
    TARN_TRY(decode_slots(body, *offset + TABLE_HEADER_BYTES, slots, count, err));
    *offset += TABLE_HEADER_BYTES + body.len;
    return directory == NULL ? TARN_OK : hashlog_table_fill(directory, table, slots, count, err);
}

tarn_status hashlog_file_decode(tarn_slice bytes, hashlog_directory *directory,
                                uint64_t *ret_sequence, tarn_error *err) {
    uint64_t sequence = 0;
    TARN_TRY(decode_header(bytes, &sequence, err));
    tarn_buffer scratch = {0};
    size_t offset = HEADER_BYTES;
    tarn_status status = TARN_OK;
    for (size_t table = 0; status == TARN_OK && table < HASHLOG_TABLES; table++) {
        status = decode_table(bytes, &offset, table, &scratch, directory, err);
    }
    tarn_buffer_free(&scratch);
    if (status == TARN_OK && offset != bytes.len) {
        status = fail_at(err, offset, "bytes behind the last table");
    }
    if (status == TARN_OK) *ret_sequence = sequence;
    return status;
}

static tarn_status decode_file(const hashlog *h, hashlog_directory *directory, bool *ret_exists,
                               uint64_t *ret_bytes, uint64_t *ret_sequence, tarn_error *err) {
    tarn_arena arena;
    tarn_slice path;
    tarn_file_info info = {0};
    tarn_map map = {0};
    tarn_status status = file_path(h, &arena, &path, err);
    if (status == TARN_OK) status = tarn_os_stat(h->os, path, &info, err);
    if (status == TARN_OK && info.exists) {
        status = tarn_map_open(h->os, path, &map, err);
        if (status == TARN_OK) {
            status =
                hashlog_file_decode((tarn_slice){map.data, map.len}, directory, ret_sequence, err);
        }
        if (status == TARN_CORRUPT) {
            tarn_error_prefix(err, "'" TARN_SLICE_FMT "' ", TARN_SLICE_ARG(path));
        }
        tarn_map_close(&map);
    }
    *ret_exists = info.exists;
    *ret_bytes = info.size_bytes;
    tarn_arena_reset(&arena);
    return status;
}

tarn_status hashlog_file_load(hashlog *h, bool *ret_loaded, tarn_error *err) {
    uint64_t sequence = 0;
    tarn_status status = decode_file(h, h->directory, &h->has_file, &h->file_bytes, &sequence, err);
    *ret_loaded = status == TARN_OK && h->has_file;
    h->file_sequence = *ret_loaded ? sequence : 0;
    if (status != TARN_CORRUPT) return status;
    hashlog_directory_clear(h->directory); // the log has it all
    return TARN_OK;
}

tarn_status hashlog_file_verify(const hashlog *h, tarn_error *err) {
    bool exists;
    uint64_t bytes;
    uint64_t sequence;
    return decode_file(h, NULL, &exists, &bytes, &sequence, err);
}
