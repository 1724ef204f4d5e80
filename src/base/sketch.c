#include "base/sketch.h"

#include <math.h>

double tarn_sketch_count(const tarn_sketch *sketch) {
    const double count = TARN_SKETCH_REGISTERS;
    double sum = 0;
    int empty = 0;
    for (int i = 0; i < TARN_SKETCH_REGISTERS; i++) {
        sum += ldexp(1, -sketch->registers[i]);
        empty += sketch->registers[i] == 0;
    }
    double estimate = 0.7213 / (1 + 1.079 / count) * count * count / sum;
    // Few values are counted better by the registers that they left empty.
    if (estimate <= 2.5 * count && empty > 0) return count * log(count / empty);
    return estimate;
}
