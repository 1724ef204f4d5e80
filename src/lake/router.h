// router.h - which partition and bucket a row goes to.
#ifndef TARN_LAKE_ROUTER_H
#define TARN_LAKE_ROUTER_H

#include "lake/bytemap.h"
#include "lake/table.h"

typedef struct lake_route {
    tarn_slice partition; // serialised, in the router's arena
    int32_t bucket;
    int32_t total_buckets;
} lake_route;

typedef struct lake_router {
    tarn_table *table;
    tarn_arena *arena;
    lake_bytemap map; // bucket and partition to the number of a route
    lake_route *routes;
    size_t capacity;
    tarn_buffer key;
    tarn_slice last_partition; // of the row before: most rows share it
    int32_t last_total;        // its number of buckets
    tarn_value *values;        // scratch for one row's partition or bucket key
} lake_router;

// Routes and their numbers are valid as long as the arena.
TARN_MUST_USE tarn_status lake_router_init(lake_router *router, tarn_table *table,
                                           tarn_arena *arena, tarn_error *err);
void lake_router_free(lake_router *router);
// numbers[i] becomes the route of the i-th selected row. *ret_is_single: they are all the same.
TARN_MUST_USE tarn_status lake_router_route(lake_router *router, const tarn_chunk *chunk,
                                            uint32_t *numbers, bool *ret_is_single,
                                            tarn_error *err);
size_t lake_router_count(const lake_router *router);

#endif
