#include "column/column.h"

tarn_int128 tarn_power_of_ten(int exponent) {
    static const uint64_t powers[] = {
        1u,
        10u,
        100u,
        1000u,
        10000u,
        100000u,
        1000000u,
        10000000u,
        100000000u,
        1000000000u,
        10000000000u,
        100000000000u,
        1000000000000u,
        10000000000000u,
        100000000000000u,
        1000000000000000u,
        10000000000000000u,
        100000000000000000u,
        1000000000000000000u,
        10000000000000000000u,
    };
    enum { LARGEST = sizeof powers / sizeof powers[0] - 1 };
    static_assert(2 * LARGEST == TARN_NUMERIC_PRECISION_MAX, "two factors reach every exponent");
    tarn_assert(exponent >= 0 && exponent <= TARN_NUMERIC_PRECISION_MAX);
    if (exponent <= LARGEST) return (tarn_int128)powers[exponent];
    return (tarn_int128)((tarn_uint128)powers[LARGEST] * powers[exponent - LARGEST]);
}
