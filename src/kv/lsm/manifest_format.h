// manifest_format.h - offsets and numbers of the manifest, docs/formats/kv-manifest.md.
#ifndef TARN_KV_LSM_MANIFEST_FORMAT_H
#define TARN_KV_LSM_MANIFEST_FORMAT_H

#include "base/hash.h"
#include "kv/lsm/lsm.h"

#define LSM_MANIFEST_MAGIC        0x31464E414D525454u // "TTRMANF1" as it lies in the file
#define LSM_MANIFEST_VERSION      1
#define LSM_MANIFEST_HEADER_BYTES 16 // magic (8), version (4), zero (4)
#define LSM_MANIFEST_RECORD_BYTES 8  // length of the body (4), checksum (4)

static inline uint32_t lsm_manifest_checksum(uint64_t offset, tarn_slice body) {
    uint64_t hash = tarn_xxh3(body, offset + body.len * 0x9E3779B97F4A7C15u);
    return (uint32_t)(hash ^ hash >> 32);
}

// Appends the record that begins at `offset` of the file.
TARN_MUST_USE tarn_status lsm_manifest_put_record(tarn_slice body, uint64_t offset,
                                                  tarn_buffer *out, tarn_error *err);

#endif
