// table_format.h - offsets and numbers of the format of tables, docs/formats/kv-sstable.md; for
// table_writer.c and table.c.
#ifndef TARN_KV_LSM_TABLE_FORMAT_H
#define TARN_KV_LSM_TABLE_FORMAT_H

#include "base/hash.h"
#include "kv/lsm/table.h"

#define LSM_TABLE_MAGIC   0x31454C4241545254u // "TRTABLE1" as it lies in the file
#define LSM_TABLE_VERSION 1

// Behind every block: the codec (1 byte), the checksum (4).
#define LSM_BLOCK_TRAILER_BYTES 5

#define LSM_FOOTER_BYTES      72
#define LSM_FOOTER_PROPERTIES 0  // a handle: offset (8), length with trailer (4)
#define LSM_FOOTER_INDEX      12 // handle of the top index; length 0: no entries
#define LSM_FOOTER_FILTER     24 // length 0: none
#define LSM_FOOTER_RANGES     36 // length 0: none
#define LSM_FOOTER_FILE_ID    48
#define LSM_FOOTER_VERSION    56
#define LSM_FOOTER_CHECKSUM   60
#define LSM_FOOTER_MAGIC      64
#define LSM_HANDLE_BYTES      12

// Properties: number (varint), length (varint), bytes; integers are varints in their bytes.
typedef enum lsm_property {
    LSM_PROPERTY_ENTRIES = 1,
    LSM_PROPERTY_DELETES = 2,
    LSM_PROPERTY_MERGES = 3,
    LSM_PROPERTY_RANGES = 4,
    LSM_PROPERTY_KEY_BYTES = 5,
    LSM_PROPERTY_VALUE_BYTES = 6,
    LSM_PROPERTY_DATA_BLOCKS = 7,
    LSM_PROPERTY_SMALLEST_SEQUENCE = 8,
    LSM_PROPERTY_LARGEST_SEQUENCE = 9,
    LSM_PROPERTY_CREATED_US = 10,
    LSM_PROPERTY_FILTER_PROBES = 11,
    LSM_PROPERTY_PREFIX_BYTES = 12,
    LSM_PROPERTY_SMALLEST = 13,
    LSM_PROPERTY_LARGEST = 14,
    LSM_PROPERTY_LARGEST_EXCLUSIVE = 15,
    LSM_PROPERTY_COMPARATOR = 16,
    LSM_PROPERTY_MERGE = 17,
    LSM_PROPERTY_END,
} lsm_property;

static inline uint32_t lsm_block_checksum(uint64_t file_id, uint64_t offset, tarn_slice bytes) {
    uint64_t hash = tarn_xxh3(bytes, file_id * 0x9E3779B97F4A7C15u + offset);
    return (uint32_t)(hash ^ hash >> 32);
}

static inline tarn_slice lsm_comparator_name(lsm_order order) {
    return order.comparator == NULL ? TARN_LIT("") : tarn_slice_from_cstr(order.comparator->name);
}

#endif
