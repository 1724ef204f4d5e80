// Any bytes may be read as a BinaryRow of any types; what was read is encoded the same way twice.
// Input: the number of fields, a byte per field that chooses its type, the serialised row.
#include "format/binrow/binrow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELDS_MAX 64

static tarn_type choose_type(uint8_t choice) {
    tarn_type type = tarn_type_of((tarn_type_id)(choice % TARN_TYPE_COUNT));
    if (type.id == TARN_TYPE_NUMERIC && choice >= 128) type = tarn_type_numeric(10, 2);
    if (type.id == TARN_TYPE_TIMESTAMP && choice >= 128) type.precision = 3;
    if (type.id == TARN_TYPE_SMALLINT && choice >= 128) type = tarn_binrow_tinyint();
    return type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t count = size == 0 ? 0 : data[0] % FIELDS_MAX;
    if (size < 1 + count) return 0;
    tarn_type types[FIELDS_MAX];
    tarn_value values[FIELDS_MAX];
    for (size_t i = 0; i < count; i++) types[i] = choose_type(data[1 + i]);
    tarn_slice bytes = {data + 1 + count, size - 1 - count};
    if (tarn_binrow_deserialize(bytes, types, count, values, NULL) != TARN_OK) return 0;

    tarn_buffer once = {0};
    tarn_buffer twice = {0};
    tarn_status status = tarn_binrow_serialize(values, count, &once, NULL);
    // Nulls of types that rows do not have are read, but not written.
    tarn_assert(status == TARN_OK || status == TARN_UNSUPPORTED);
    if (status == TARN_OK) {
        tarn_slice row = tarn_slice_skip(tarn_buffer_slice(&once), 4);
        tarn_assert(tarn_binrow_bucket(row, 7) < 7);
        tarn_assert(tarn_binrow_deserialize(tarn_buffer_slice(&once), types, count, values, NULL) ==
                    TARN_OK);
        tarn_assert(tarn_binrow_serialize(values, count, &twice, NULL) == TARN_OK);
        tarn_assert(tarn_slice_equal(tarn_buffer_slice(&once), tarn_buffer_slice(&twice)));
    }
    tarn_buffer_free(&once);
    tarn_buffer_free(&twice);
    return 0;
}
