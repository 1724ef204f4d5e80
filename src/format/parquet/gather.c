#include "format/parquet/gather.h"

#include "base/bitmap.h"
#include "base/compiler.h"
#include "column/column.h"

#define DEFINE_GATHER(name, type)                                                                 \
    static void name(const type values[restrict], const uint32_t indices[restrict], size_t count, \
                     type out[restrict]) {                                                        \
        for (size_t i = 0; i < count; i++) out[i] = values[indices[i]];                           \
    }
DEFINE_GATHER(gather1, uint8_t)
DEFINE_GATHER(gather2, uint16_t)
DEFINE_GATHER(gather4, uint32_t)
DEFINE_GATHER(gather8, uint64_t)
DEFINE_GATHER(gather16, tarn_uint128)

void parquet_gather(const void *values, size_t width, const uint32_t *indices, size_t count,
                    void *out) {
    switch (width) {
    case 1: gather1(values, indices, count, out); break;
    case 2: gather2(values, indices, count, out); break;
    case 4: gather4(values, indices, count, out); break;
    case 8: gather8(values, indices, count, out); break;
    default: tarn_assert(width == 16); gather16(values, indices, count, out);
    }
}

#define DEFINE_SPREAD(name, type)                                                              \
    static void name(const type dense[restrict], const uint64_t validity[restrict], size_t at, \
                     size_t count, type out[restrict]) {                                       \
        size_t next = 0;                                                                       \
        for (size_t i = 0; i < count; i++) {                                                   \
            out[i] = dense[next];                                                              \
            next += tarn_bitmap_get(validity, at + i);                                         \
        }                                                                                      \
    }
DEFINE_SPREAD(spread1, uint8_t)
DEFINE_SPREAD(spread2, uint16_t)
DEFINE_SPREAD(spread4, uint32_t)
DEFINE_SPREAD(spread8, uint64_t)
DEFINE_SPREAD(spread16, tarn_uint128)

void parquet_spread(const void *dense, size_t width, const uint64_t *validity, size_t at,
                    size_t count, void *out) {
    switch (width) {
    case 1: spread1(dense, validity, at, count, out); break;
    case 2: spread2(dense, validity, at, count, out); break;
    case 4: spread4(dense, validity, at, count, out); break;
    case 8: spread8(dense, validity, at, count, out); break;
    default: tarn_assert(width == 16); spread16(dense, validity, at, count, out);
    }
}
