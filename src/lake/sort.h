// sort.h - sorting rows by their encoded keys.
#ifndef TARN_LAKE_SORT_H
#define TARN_LAKE_SORT_H

#include "lake/rows.h"

// Sorts `positions` (of keys) by key. Equal keys keep no particular order.
TARN_MUST_USE tarn_status lake_sort_keys(const lake_keys *keys, uint32_t *positions, size_t count,
                                         tarn_arena *scratch, tarn_error *err);

#endif
