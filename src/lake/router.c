#include "lake/router.h"

#include "format/binrow/binrow.h"
#include "lake/sequences.h"
#include "lake/stats.h"

tarn_status lake_router_init(lake_router *router, tarn_table *table, tarn_arena *arena,
                             tarn_error *err) {
    *router = (lake_router){.table = table, .arena = arena, .key = {.alloc = table->alloc}};
    lake_bytemap_init(&router->map, arena);
    const lake_schema *schema = table->schema;
    size_t most = schema->partition.count > schema->bucket_key.count ? schema->partition.count
                                                                     : schema->bucket_key.count;
    router->values = tarn_arena_new(arena, tarn_value, most);
    return router->values == NULL ? tarn_fail(err, TARN_NO_MEMORY, "a writer") : TARN_OK;
}

void lake_router_free(lake_router *router) {
    tarn_buffer_free(&router->key);
}

size_t lake_router_count(const lake_router *router) {
    return router->map.count;
}

static void read_values(const lake_schema *schema, const lake_columns *columns,
                        const tarn_chunk *chunk, size_t row, tarn_value *values) {
    for (size_t i = 0; i < columns->count; i++) {
        size_t column = columns->indices[i];
        values[i] = tarn_vector_get(&chunk->columns[column], row);
        values[i].type = lake_type_stored(&schema->fields[column].type);
    }
}

// The partition of an existing file keeps its number of buckets until it is overwritten.
static int32_t total_buckets(const lake_router *router, tarn_slice partition) {
    int32_t total = router->table->schema->options.bucket;
    if (total < 1) return total;
    if (router->last_partition.data != NULL &&
        tarn_slice_equal(partition, router->last_partition)) {
        return router->last_total;
    }
    int32_t existing = lake_sequences_total_buckets(router->table, partition);
    return existing > 0 ? existing : total;
}

static tarn_status find_bucket(lake_router *router, const tarn_chunk *chunk, size_t row,
                               int32_t total, int32_t *ret_bucket, tarn_error *err) {
    const lake_schema *schema = router->table->schema;
    *ret_bucket = 0;
    if (total <= 1) return TARN_OK;
    read_values(schema, &schema->bucket_key, chunk, row, router->values);
    size_t begin = router->key.len;
    TARN_TRY(tarn_binrow_encode(router->values, schema->bucket_key.count, &router->key, err));
    tarn_slice bytes = tarn_slice_skip(tarn_buffer_slice(&router->key), begin);
    *ret_bucket = tarn_binrow_bucket(bytes, total);
    router->key.len = begin;
    return TARN_OK;
}

// The key is the bucket's four bytes, then the partition.
static tarn_status find_route(lake_router *router, const tarn_chunk *chunk, size_t row,
                              uint32_t *ret_number, tarn_error *err) {
    const lake_schema *schema = router->table->schema;
    tarn_buffer *key = &router->key;
    uint8_t placeholder[4] = {0};
    tarn_buffer_clear(key);
    if (!tarn_buffer_append(key, (tarn_slice){placeholder, sizeof placeholder})) {
        return tarn_fail(err, TARN_NO_MEMORY, "a partition");
    }
    if (schema->partition.count == 0) {
        if (!tarn_buffer_append(key, LAKE_EMPTY_ROW)) {
            return tarn_fail(err, TARN_NO_MEMORY, "a partition");
        }
    } else {
        read_values(schema, &schema->partition, chunk, row, router->values);
        TARN_TRY(tarn_binrow_serialize(router->values, schema->partition.count, key, err));
    }
    tarn_slice partition = tarn_slice_skip(tarn_buffer_slice(key), sizeof placeholder);
    int32_t total = total_buckets(router, partition);
    int32_t bucket = 0;
    TARN_TRY(find_bucket(router, chunk, row, total, &bucket, err));
    tarn_store_u32(key->data, (uint32_t)bucket);

    size_t number = 0;
    bool is_new = false;
    TARN_TRY(lake_bytemap_insert(&router->map, tarn_buffer_slice(key), &number, &is_new, err));
    if (number >= router->capacity) {
        size_t capacity = router->capacity == 0 ? 16 : router->capacity * 2;
        lake_route *routes = tarn_arena_new(router->arena, lake_route, capacity);
        if (routes == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu partitions", capacity);
        if (number > 0) memcpy(routes, router->routes, number * sizeof *routes);
        router->routes = routes;
        router->capacity = capacity;
    }
    if (is_new) {
        tarn_slice copy = tarn_slice_skip(router->map.keys[number], sizeof placeholder);
        router->routes[number] =
            (lake_route){.partition = copy, .bucket = bucket, .total_buckets = total};
    }
    router->last_partition = router->routes[number].partition;
    router->last_total = total;
    *ret_number = (uint32_t)number;
    return TARN_OK;
}

tarn_status lake_router_route(lake_router *router, const tarn_chunk *chunk, uint32_t *numbers,
                              bool *ret_is_single, tarn_error *err) {
    const lake_schema *schema = router->table->schema;
    size_t count = tarn_chunk_count(chunk);
    *ret_is_single = true;
    if (count == 0) return TARN_OK;
    TARN_TRY(find_route(router, chunk, tarn_chunk_row(chunk, 0), &numbers[0], err));
    bool is_fixed = schema->partition.count == 0 && router->routes[numbers[0]].total_buckets <= 1;
    for (size_t i = 1; i < count; i++) {
        numbers[i] = numbers[0];
        if (is_fixed) continue;
        TARN_TRY(find_route(router, chunk, tarn_chunk_row(chunk, i), &numbers[i], err));
        if (numbers[i] != numbers[0]) *ret_is_single = false;
    }
    return TARN_OK;
}
