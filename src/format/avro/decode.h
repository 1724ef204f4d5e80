// decode.h - one datum from Avro's binary encoding.
#ifndef TARN_FORMAT_AVRO_DECODE_H
#define TARN_FORMAT_AVRO_DECODE_H

#include "format/avro/schema.h"

// What is being decoded, and how far. Bytes of values view the input.
typedef struct avro_cursor {
    tarn_slice rest;
    const uint8_t *origin; // byte 0 of messages
    const char *unit;      // "byte", or "decoded byte" within a compressed block
    tarn_arena *arena;
    size_t values_left; // how many more values may be made: bounds what empty types can expand to
} avro_cursor;

// Fails with TARN_CORRUPT at the cursor's place.
tarn_status avro_fail_here(const avro_cursor *cursor, tarn_error *err, const char *format, ...)
    TARN_PRINTF(3, 4);

TARN_MUST_USE tarn_status avro_take_bytes(avro_cursor *cursor, size_t len, tarn_slice *ret_bytes,
                                          tarn_error *err);
TARN_MUST_USE tarn_status avro_decode_long(avro_cursor *cursor, int64_t *ret_value,
                                           tarn_error *err);
TARN_MUST_USE tarn_status avro_decode_value(avro_cursor *cursor, const tarn_avro_schema *schema,
                                            int depth, tarn_avro_value *ret_value, tarn_error *err);

// Makes room for `more` values behind `count` ones in an array that grows by doubling.
TARN_MUST_USE tarn_status avro_grow_values(tarn_arena *arena, tarn_avro_value **values,
                                           size_t *capacity, size_t count, size_t more,
                                           tarn_error *err);

#endif
