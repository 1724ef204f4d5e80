#include "kv/log_format.h"

#include "base/crc32c.h"

// Offsets of a segment's header.
enum {
    HEADER_MAGIC = 0,
    HEADER_NUMBER = 8,
    HEADER_FIRST = 16,
    HEADER_SYNCED = 24,
    HEADER_ZEROS = 32,
    HEADER_CRC = 60,
};
static_assert(HEADER_CRC + 4 == KV_LOG_HEADER_BYTES, "the checksum ends the header");

// Offsets of a record's header.
enum {
    RECORD_CRC = 0, // of all that follows, body included, but not the padding
    RECORD_LEN = 4,
    RECORD_SEQUENCE = 8,
    RECORD_UNSYNCED = 16, // how many changes before this one were not known to be durable
    RECORD_COUNT = 20,    // 24 bits
    RECORD_TYPE = 23,
    RECORD_BODY = 24,
};
static_assert(RECORD_BODY == KV_LOG_RECORD_BYTES, "the body follows the header");

static const tarn_slice magic = {(const uint8_t *)"TARNLOG1", 8};

// Bytes that an earlier segment left in the file must not pass: CRCs of the same bytes that start
// from different values are different.
static uint32_t checksum(uint64_t segment_number, const uint8_t *bytes, size_t len) {
    uint32_t crc = tarn_crc32c((uint32_t)segment_number, (tarn_slice){bytes, len});
    return crc == 0 ? 1 : crc; // eight zeros are the end of the records
}

void log_header_encode(uint8_t bytes[KV_LOG_HEADER_BYTES], const log_header *header) {
    memset(bytes, 0, KV_LOG_HEADER_BYTES);
    memcpy(bytes + HEADER_MAGIC, magic.data, magic.len);
    tarn_store_u64(bytes + HEADER_NUMBER, header->number);
    tarn_store_u64(bytes + HEADER_FIRST, header->first_sequence);
    tarn_store_u64(bytes + HEADER_SYNCED, header->synced_sequence);
    tarn_store_u32(bytes + HEADER_CRC, checksum(header->number, bytes, HEADER_CRC));
}

static bool is_zero(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

log_header_kind log_header_decode(tarn_slice file, uint64_t number, log_header *ret_header) {
    if (file.len < KV_LOG_HEADER_BYTES) return LOG_HEADER_UNUSED; // a crash when it was created
    const uint8_t *bytes = file.data;
    if (is_zero(bytes, KV_LOG_HEADER_BYTES)) return LOG_HEADER_UNUSED;
    log_header header = {
        .number = tarn_load_u64(bytes + HEADER_NUMBER),
        .first_sequence = tarn_load_u64(bytes + HEADER_FIRST),
        .synced_sequence = tarn_load_u64(bytes + HEADER_SYNCED),
    };
    bool is_sound =
        memcmp(bytes + HEADER_MAGIC, magic.data, magic.len) == 0 &&
        tarn_load_u32(bytes + HEADER_CRC) == checksum(header.number, bytes, HEADER_CRC) &&
        is_zero(bytes + HEADER_ZEROS, HEADER_CRC - HEADER_ZEROS) && header.first_sequence > 0 &&
        header.synced_sequence < header.first_sequence && header.first_sequence <= INT64_MAX;
    if (!is_sound) return LOG_HEADER_DAMAGED;
    if (header.number != number) return LOG_HEADER_UNUSED;
    *ret_header = header;
    return LOG_HEADER_VALID;
}

void log_record_encode(uint8_t *at, uint64_t segment_number, const kv_log_record *record,
                       uint64_t synced_sequence) {
    tarn_assert(record->count <= KV_LOG_COUNT_MAX && record->body.len <= UINT32_MAX);
    tarn_assert(synced_sequence < record->sequence);
    uint64_t unsynced = record->sequence - 1 - synced_sequence;
    tarn_store_u32(at + RECORD_LEN, (uint32_t)record->body.len);
    tarn_store_u64(at + RECORD_SEQUENCE, record->sequence);
    tarn_store_u32(at + RECORD_UNSYNCED, unsynced > UINT32_MAX ? UINT32_MAX : (uint32_t)unsynced);
    tarn_store_u32(at + RECORD_COUNT, record->count | (uint32_t)record->type << 24);
    size_t len = RECORD_BODY - RECORD_LEN + record->body.len;
    tarn_store_u32(at + RECORD_CRC, checksum(segment_number, at + RECORD_LEN, len));
}

bool log_record_decode(tarn_slice file, uint64_t segment_number, uint64_t offset,
                       kv_log_record *ret_record, uint64_t *ret_synced) {
    if (offset > file.len || file.len - offset < KV_LOG_RECORD_BYTES) return false;
    const uint8_t *at = file.data + offset;
    size_t body_len = tarn_load_u32(at + RECORD_LEN);
    if (body_len > file.len - offset - KV_LOG_RECORD_BYTES) return false;
    uint32_t count = tarn_load_u32(at + RECORD_COUNT) & KV_LOG_COUNT_MAX;
    uint64_t sequence = tarn_load_u64(at + RECORD_SEQUENCE);
    uint32_t unsynced = tarn_load_u32(at + RECORD_UNSYNCED);
    uint8_t type = at[RECORD_TYPE];
    if (sequence == 0 || sequence > INT64_MAX || type == 0) return false;
    if ((count == 0) != (type == KV_LOG_END)) return false;
    size_t len = RECORD_BODY - RECORD_LEN + body_len;
    if (tarn_load_u32(at + RECORD_CRC) != checksum(segment_number, at + RECORD_LEN, len)) {
        return false;
    }
    *ret_record = (kv_log_record){
        .type = type,
        .count = count,
        .sequence = sequence,
        .body = {at + RECORD_BODY, body_len},
        .segment_number = segment_number,
        .offset = offset,
    };
    *ret_synced = unsynced == UINT32_MAX || unsynced >= sequence ? 0 : sequence - 1 - unsynced;
    return true;
}

bool kv_log_decode(const uint8_t *data, uint64_t segment_number, uint64_t offset, uint64_t limit,
                   kv_log_record *ret_record) {
    uint64_t synced;
    return log_record_decode((tarn_slice){data, limit}, segment_number, offset, ret_record,
                             &synced);
}

bool log_is_end(tarn_slice file, uint64_t offset) {
    if (offset > file.len || file.len - offset < KV_LOG_RECORD_BYTES) return true;
    return tarn_load_u64(file.data + offset) == 0;
}

tarn_status log_path(tarn_slice directory, uint64_t number, tarn_arena *arena, tarn_slice *ret_path,
                     tarn_error *err) {
    if (!tarn_arena_printf(arena, ret_path, TARN_SLICE_FMT "/%012llu.log",
                           TARN_SLICE_ARG(directory), (unsigned long long)number)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the path of a log segment");
    }
    return TARN_OK;
}

bool log_name_parse(tarn_slice name, uint64_t *ret_number) {
    const tarn_slice suffix = TARN_LIT(".log");
    if (name.len < 12 + suffix.len || name.len > 19 + suffix.len) return false;
    tarn_slice digits = tarn_slice_head(name, name.len - suffix.len);
    if (!tarn_slice_equal(tarn_slice_skip(name, digits.len), suffix)) return false;
    if (digits.len > 12 && digits.data[0] == '0') return false; // one name for each number
    uint64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') return false;
        number = 10 * number + (uint64_t)(digits.data[i] - '0');
    }
    if (number == 0) return false;
    *ret_number = number;
    return true;
}
