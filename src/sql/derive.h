// derive.h - what holds for a plan node's output: keys, append-only, event time, row estimate.
#ifndef TARN_SQL_DERIVE_H
#define TARN_SQL_DERIVE_H

#include "sql/plan.h"

// Fills append_only, key_columns, time_column and row_estimate of a node whose other fields are
// set.
TARN_MUST_USE tarn_status sql_derive(tarn_arena *arena, tarn_plan *plan, tarn_error *err);

// At most one row ever, so the empty set of columns is a key.
bool sql_plan_is_single_row(const tarn_plan *plan);
// Exactly one row, always.
bool sql_plan_has_one_row(const tarn_plan *plan);

#endif
