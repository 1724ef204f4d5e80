// optimize.h - the same rows from less work.
//
// What stays the same: the output's names, types and order of columns, and which rows it has. A
// test that can fail at run time (1 / x > 2) is never moved to where it would see rows that
// another part of the query leaves out.
#ifndef TARN_SQL_OPTIMIZE_H
#define TARN_SQL_OPTIMIZE_H

#include "sql/plan.h"

typedef enum sql_plan_use {
    SQL_PLAN_OF_QUERY,
    SQL_PLAN_OF_VIEW, // runs as a stream: order has no meaning, and its left inputs stay left
} sql_plan_use;

TARN_MUST_USE tarn_status sql_optimize(tarn_arena *arena, const tarn_plan *plan, sql_plan_use use,
                                       const tarn_plan **ret_plan, tarn_error *err);

#endif
