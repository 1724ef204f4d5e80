// Casts between dates, times, timestamps and intervals. The zone is UTC, so timestamps with and
// without a zone are the same number.

#include "expr/cast.h"
#include "expr/loops.h"
#include "expr/program.h"
#include "expr/time.h"

static bool is_ns(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMP_NS || type.id == TARN_TYPE_TIMESTAMPTZ_NS;
}

static bool is_timestamp(tarn_type type) {
    return type.id == TARN_TYPE_TIMESTAMP || type.id == TARN_TYPE_TIMESTAMPTZ || is_ns(type);
}

// To the nearest unit of the type's last digit, halves away from zero.
static int64_t round_to_precision(int64_t value, tarn_type type, int unit_digits) {
    if (type.precision >= unit_digits) return value;
    int64_t unit = (int64_t)tarn_power_of_ten(unit_digits - type.precision);
    if (value >= 0) return value > INT64_MAX - unit / 2 ? value : (value + unit / 2) / unit * unit;
    return value < INT64_MIN + unit / 2 ? value : -((-value + unit / 2) / unit * unit);
}

static tarn_status date_to_timestamp(const expr_frame *frame) {
    const int32_t *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    int64_t *out = frame->result->data;
    int64_t factor = is_ns(frame->result->type) ? EXPR_DAY_US * 1000 : EXPR_DAY_US;
    EXPR_FOR_ROWS(frame, row) {
        if (__builtin_mul_overflow((int64_t)in[row * stride], factor, &out[row])) {
            return expr_fail(frame->err, "22008", "date out of range for timestamp");
        }
    }
    return TARN_OK;
}

static bool date_to_timestamp_dense(const expr_frame *frame) {
    const int32_t *restrict in = frame->args[0].data;
    int64_t *restrict out = frame->result->data;
    size_t count = frame->row_count;
    if (is_ns(frame->result->type)) return false;
    int32_t worst = 0; // magnitudes or'ed: at most twice the greatest
    for (size_t i = 0; i < count; i++) {
        out[i] = (int64_t)((uint64_t)in[i] * (uint64_t)EXPR_DAY_US);
        worst |= in[i] ^ in[i] >> 31;
    }
    return worst <= INT64_MAX / EXPR_DAY_US;
}

static inline int32_t day_of_us(int64_t us) {
    return (int32_t)expr_floor_divide(us, EXPR_DAY_US);
}
EXPR_UNARY(timestamp_to_date, int64_t, int32_t, day_of_us)

static inline int32_t day_of_ns(int64_t ns) {
    return (int32_t)expr_floor_divide(ns, EXPR_DAY_US * 1000);
}
EXPR_UNARY(timestamp_ns_to_date, int64_t, int32_t, day_of_ns)

static tarn_status to_time(const expr_frame *frame) {
    tarn_type from = frame->args[0].type;
    size_t stride = expr_stride(&frame->args[0]);
    int64_t *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) {
        int64_t us;
        if (from.id == TARN_TYPE_INTERVAL) {
            us = ((const tarn_interval *)frame->args[0].data)[row * stride].us;
        } else {
            us = ((const int64_t *)frame->args[0].data)[row * stride];
            if (is_ns(from)) us = expr_floor_divide(us, 1000);
        }
        if (from.id != TARN_TYPE_TIME) us -= expr_floor_divide(us, EXPR_DAY_US) * EXPR_DAY_US;
        out[row] = round_to_precision(us, frame->result->type, 6);
    }
    return TARN_OK;
}

static tarn_status time_to_interval(const expr_frame *frame) {
    const int64_t *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    tarn_interval *out = frame->result->data;
    EXPR_FOR_ROWS(frame, row) out[row] = (tarn_interval){.us = in[row * stride]};
    return TARN_OK;
}

static tarn_status timestamp_to_timestamp(const expr_frame *frame) {
    const int64_t *in = frame->args[0].data;
    size_t stride = expr_stride(&frame->args[0]);
    int64_t *out = frame->result->data;
    tarn_type type = frame->result->type;
    bool from_ns = is_ns(frame->args[0].type);
    EXPR_FOR_ROWS(frame, row) {
        int64_t value = in[row * stride];
        if (from_ns && !is_ns(type)) value = expr_floor_divide(value, 1000);
        if (!from_ns && is_ns(type) && __builtin_mul_overflow(value, (int64_t)1000, &value)) {
            return expr_fail(frame->err, "22008", "timestamp out of range");
        }
        out[row] = round_to_precision(value, type, is_ns(type) ? 9 : 6);
    }
    return TARN_OK;
}

const tarn_function *expr_cast_between_times(tarn_type from, tarn_type to) {
    static const tarn_function from_date =
        EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(date_to_timestamp));
    static const tarn_function to_date =
        EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(timestamp_to_date));
    static const tarn_function ns_to_date =
        EXPR_FUNCTION("cast", "any", "any", "", EXPR_WITH_DENSE(timestamp_ns_to_date));
    static const tarn_function time = EXPR_FUNCTION("cast", "any", "any", "", .kernel = to_time);
    static const tarn_function interval =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = time_to_interval);
    static const tarn_function timestamp =
        EXPR_FUNCTION("cast", "any", "any", "", .kernel = timestamp_to_timestamp);
    if (from.id == TARN_TYPE_INTERVAL && to.id == TARN_TYPE_INTERVAL) return &expr_cast_copy;
    if (from.id == TARN_TYPE_DATE) return is_timestamp(to) ? &from_date : NULL;
    if (to.id == TARN_TYPE_DATE && is_timestamp(from)) return is_ns(from) ? &ns_to_date : &to_date;
    if (to.id == TARN_TYPE_TIME) return &time;
    if (to.id == TARN_TYPE_INTERVAL) return from.id == TARN_TYPE_TIME ? &interval : NULL;
    return is_timestamp(from) && is_timestamp(to) ? &timestamp : NULL;
}
