// Text of every type: any bytes are answered, and a value that was read survives its own text.
#include "column/column.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_type choose_type(const uint8_t *choice) {
    tarn_type type = tarn_type_of((tarn_type_id)(choice[0] % TARN_TYPE_COUNT));
    if (type.id == TARN_TYPE_NUMERIC) {
        int precision = 1 + choice[1] % TARN_NUMERIC_PRECISION_MAX;
        type = tarn_type_numeric(precision, choice[0] / TARN_TYPE_COUNT % (precision + 1));
    }
    if (tarn_type_is_string(type)) type.length = choice[1];
    return type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    tarn_type type = choose_type(data);
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)64 << 20);
    tarn_buffer text = {0};
    tarn_value value;
    tarn_value again;
    tarn_error err = {0};
    if (tarn_value_parse(type, (tarn_slice){data + 2, size - 2}, &arena, &value, &err) == TARN_OK) {
        tarn_assert(tarn_value_format(value, &text, NULL) == TARN_OK);
        tarn_status status = tarn_value_parse(type, tarn_buffer_slice(&text), &arena, &again, NULL);
        tarn_assert(status == TARN_OK);
        tarn_assert(tarn_value_compare(value, again) == 0);
    } else {
        tarn_assert(err.message[0] != '\0');
    }
    tarn_buffer_free(&text);
    tarn_arena_reset(&arena);
    return 0;
}
