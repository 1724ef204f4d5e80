// encode.h - one datum to Avro's binary encoding.
#ifndef TARN_FORMAT_AVRO_ENCODE_H
#define TARN_FORMAT_AVRO_ENCODE_H

#include "format/avro/schema.h"

TARN_MUST_USE tarn_status avro_encode_long(int64_t value, tarn_buffer *out, tarn_error *err);
TARN_MUST_USE tarn_status avro_encode_bytes(tarn_slice bytes, tarn_buffer *out, tarn_error *err);
// Appends the datum. On failure `out` may hold a part of it.
TARN_MUST_USE tarn_status avro_encode_value(const tarn_avro_schema *schema,
                                            const tarn_avro_value *value, int depth,
                                            tarn_buffer *out, tarn_error *err);

#endif
