// time_unit.h - names of units and fields of time, as date_trunc and extract read them.
#ifndef TARN_EXPR_TIME_UNIT_H
#define TARN_EXPR_TIME_UNIT_H

#include "expr/function.h"

typedef enum expr_time_unit {
    EXPR_UNIT_UNKNOWN,
    EXPR_UNIT_MICROSECOND,
    EXPR_UNIT_MILLISECOND,
    EXPR_UNIT_SECOND,
    EXPR_UNIT_MINUTE,
    EXPR_UNIT_HOUR,
    EXPR_UNIT_DAY,
    EXPR_UNIT_WEEK,
    EXPR_UNIT_MONTH,
    EXPR_UNIT_QUARTER,
    EXPR_UNIT_YEAR,
    EXPR_UNIT_DECADE,
    EXPR_UNIT_CENTURY,
    EXPR_UNIT_MILLENNIUM,
    EXPR_UNIT_EPOCH, // the following are fields only
    EXPR_UNIT_JULIAN,
    EXPR_UNIT_ISOYEAR,
    EXPR_UNIT_DOW,
    EXPR_UNIT_ISODOW,
    EXPR_UNIT_DOY,
    EXPR_UNIT_TIMEZONE,
} expr_time_unit;

// In any case, singular or plural, and PostgreSQL's abbreviations.
expr_time_unit expr_time_unit_of(tarn_slice name);

// An expr_prepare for functions whose first argument names a unit: an expr_time_unit when that is a
// literal.
tarn_status expr_time_unit_prepare(const tarn_expr *const *args, size_t arg_count,
                                   tarn_arena *arena, const void **ret_prepared, tarn_error *err);
// 22023 when there is no such unit, 0A000 when `type` does not have it.
tarn_status expr_time_unit_fail(const expr_frame *frame, tarn_slice name, bool is_known,
                                tarn_type type);

#endif
