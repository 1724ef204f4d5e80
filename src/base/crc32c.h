// crc32c.h - the Castagnoli checksum (CRC-32C, as iSCSI, ext4 and most stores use it).
//
//     uint32_t crc = tarn_crc32c(0, header);
//     crc = tarn_crc32c(crc, body); // as of header and body in one piece
//
// Uses the processor's instruction where there is one, three streams at a time for long inputs.
// Different starting values give different results for the same bytes, always.
#ifndef TARN_BASE_CRC32C_H
#define TARN_BASE_CRC32C_H

#include "base/slice.h"

uint32_t tarn_crc32c(uint32_t crc, tarn_slice bytes);
// By tables alone; the same results.
uint32_t tarn_crc32c_portable(uint32_t crc, tarn_slice bytes);

#endif
