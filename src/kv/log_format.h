// log_format.h - the bytes of the log's segments: docs/formats/kv-log.md. Private to kv/log*.c.
#ifndef TARN_KV_LOG_FORMAT_H
#define TARN_KV_LOG_FORMAT_H

#include "kv/log.h"

typedef struct log_header {
    uint64_t number;
    uint64_t first_sequence;  // of the first change that goes here
    uint64_t synced_sequence; // changes up to this one were durable when the segment began
} log_header;

typedef enum log_header_kind {
    LOG_HEADER_VALID,
    LOG_HEADER_UNUSED, // zeros, or that of an earlier use of the file
    LOG_HEADER_DAMAGED,
} log_header_kind;

void log_header_encode(uint8_t bytes[KV_LOG_HEADER_BYTES], const log_header *header);
log_header_kind log_header_decode(tarn_slice file, uint64_t number, log_header *ret_header);

// Completes a record whose body is in place.
void log_record_encode(uint8_t *at, uint64_t segment_number, const kv_log_record *record,
                       uint64_t synced_sequence);
// The record, and what it says was synced. False: see kv_log_decode.
bool log_record_decode(tarn_slice file, uint64_t segment_number, uint64_t offset,
                       kv_log_record *ret_record, uint64_t *ret_synced);
// Where records end on purpose: eight zeros, or no room for a record.
bool log_is_end(tarn_slice file, uint64_t offset);

// "000000000012.log", 12 digits or more
TARN_MUST_USE tarn_status log_path(tarn_slice directory, uint64_t number, tarn_arena *arena,
                                   tarn_slice *ret_path, tarn_error *err);
// False when the name is not one of a segment.
bool log_name_parse(tarn_slice name, uint64_t *ret_number);

#endif
