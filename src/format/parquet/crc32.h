// crc32.h - CRC-32 (the polynomial of zlib and Ethernet), which page headers carry.
#ifndef TARN_FORMAT_PARQUET_CRC32_H
#define TARN_FORMAT_PARQUET_CRC32_H

#include "base/slice.h"

// Continues from `crc`, which is 0 at the start.
uint32_t parquet_crc32(uint32_t crc, tarn_slice bytes);
// The same with tables only: what the fast one is tested against.
uint32_t parquet_crc32_portable(uint32_t crc, tarn_slice bytes);

#endif
