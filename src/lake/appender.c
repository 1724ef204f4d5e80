// appender.c - writing to append tables: one open file per partition, rolled at the target size.
#include "base/alloc.h"
#include "lake/data_writer.h"
#include "lake/stats.h"
#include "lake/writer.h"

// Each open file holds a row group in memory; past this many the least used one is finished.
#define OPEN_FILES_MAX TARN_TUNABLE((size_t)64, (size_t)2)

typedef struct partition_writer {
    lake_data_writer *file; // NULL: none is open
    int64_t next_sequence;  // counts the rows of this partition
    int64_t first_sequence; // of the open file
    uint64_t used_at;       // clock of the last use
} partition_writer;

struct lake_appender {
    lake_writer_base base;
    partition_writer *partitions; // by route number
    size_t capacity;
    size_t open_count;
    uint64_t clock;
    lake_retraction *retraction;
    uint32_t *numbers; // per row of a chunk: its route
    uint32_t *selection;
};

tarn_status lake_appender_new(const lake_writer_base *base, lake_appender **ret_appender,
                              tarn_error *err) {
    lake_appender *appender = tarn_arena_new(base->arena, lake_appender, 1);
    if (appender == NULL) return tarn_fail(err, TARN_NO_MEMORY, "a writer");
    appender->base = *base;
    appender->numbers = tarn_arena_new(base->arena, uint32_t, TARN_CHUNK_ROWS);
    appender->selection = tarn_arena_new(base->arena, uint32_t, TARN_CHUNK_ROWS);
    if (appender->numbers == NULL || appender->selection == NULL) {
        return tarn_fail(err, TARN_NO_MEMORY, "a writer");
    }
    TARN_TRY(lake_retraction_new(base, &appender->retraction, err));
    *ret_appender = appender;
    return TARN_OK;
}

void lake_appender_free(lake_appender *appender) {
    if (appender == NULL) return;
    for (size_t i = 0; i < appender->capacity; i++) {
        lake_data_writer_free(appender->partitions[i].file);
    }
    lake_retraction_free(appender->retraction);
}

static tarn_status finish_file(lake_appender *appender, partition_writer *partition,
                               tarn_error *err) {
    lake_file_facts facts = {
        .min_key = LAKE_EMPTY_ROW,
        .max_key = LAKE_EMPTY_ROW,
        .min_sequence = partition->first_sequence,
        .max_sequence = partition->next_sequence - 1,
    };
    lake_entry entry;
    tarn_status status =
        lake_data_writer_finish(partition->file, &facts, appender->base.arena, &entry, err);
    if (status == TARN_OK) status = lake_entry_list_add(appender->base.entries, &entry, err);
    lake_data_writer_free(partition->file);
    partition->file = NULL;
    appender->open_count--;
    return status;
}

static partition_writer *least_used(lake_appender *appender) {
    partition_writer *found = NULL;
    for (size_t i = 0; i < appender->capacity; i++) {
        partition_writer *partition = &appender->partitions[i];
        if (partition->file == NULL) continue;
        if (found == NULL || partition->used_at < found->used_at) found = partition;
    }
    return found;
}

static uint64_t buffered_bytes(const lake_appender *appender) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < appender->capacity; i++) {
        const partition_writer *partition = &appender->partitions[i];
        if (partition->file != NULL) bytes += lake_data_writer_bytes(partition->file);
    }
    return bytes;
}

static tarn_status make_room(lake_appender *appender, tarn_error *err) {
    while (appender->open_count > OPEN_FILES_MAX ||
           (appender->open_count > 1 && buffered_bytes(appender) > appender->base.limit_bytes)) {
        TARN_TRY(finish_file(appender, least_used(appender), err));
    }
    return TARN_OK;
}

static tarn_status partition_of(lake_appender *appender, uint32_t number,
                                partition_writer **ret_partition, tarn_error *err) {
    if (number >= appender->capacity) {
        size_t capacity = appender->capacity == 0 ? 16 : appender->capacity;
        while (capacity <= number) capacity *= 2;
        partition_writer *grown = tarn_arena_new(appender->base.arena, partition_writer, capacity);
        if (grown == NULL) return tarn_fail(err, TARN_NO_MEMORY, "%zu partitions", capacity);
        if (appender->capacity > 0) {
            memcpy(grown, appender->partitions, appender->capacity * sizeof *grown);
        }
        appender->partitions = grown;
        appender->capacity = capacity;
    }
    partition_writer *partition = &appender->partitions[number];
    partition->used_at = ++appender->clock;
    if (partition->file == NULL) {
        const lake_route *route = &appender->base.router->routes[number];
        lake_file_target target = {.partition = route->partition,
                                   .bucket = route->bucket,
                                   .total_buckets = route->total_buckets};
        TARN_TRY(lake_data_writer_new(appender->base.table, &target, &partition->file, err));
        partition->first_sequence = partition->next_sequence;
        appender->open_count++;
    }
    *ret_partition = partition;
    return TARN_OK;
}

// Writes the rows of the selection, which all belong to one route.
static tarn_status write_rows(lake_appender *appender, uint32_t number, const tarn_chunk *rows,
                              tarn_error *err) {
    partition_writer *partition = NULL;
    TARN_TRY(partition_of(appender, number, &partition, err));
    TARN_TRY(lake_data_writer_append(partition->file, rows, err));
    partition->next_sequence += (int64_t)tarn_chunk_count(rows);
    if (lake_data_writer_bytes(partition->file) >=
        appender->base.table->schema->options.target_file_bytes) {
        return finish_file(appender, partition, err);
    }
    return make_room(appender, err);
}

static bool is_retract(const tarn_chunk *chunk, size_t row) {
    return chunk->kinds != NULL && tarn_row_kind_is_retract(chunk->kinds[row]);
}

static tarn_status retract_rows(lake_appender *appender, const tarn_chunk *chunk, tarn_error *err) {
    for (size_t i = 0; chunk->kinds != NULL && i < tarn_chunk_count(chunk); i++) {
        size_t row = tarn_chunk_row(chunk, i);
        if (!is_retract(chunk, row)) continue;
        const lake_route *route = &appender->base.router->routes[appender->numbers[i]];
        TARN_TRY(lake_retraction_add(appender->retraction, route->partition, chunk, row, err));
    }
    return TARN_OK;
}

tarn_status lake_appender_append(lake_appender *appender, const tarn_chunk *chunk,
                                 tarn_error *err) {
    bool is_single = false;
    TARN_TRY(lake_router_route(appender->base.router, chunk, appender->numbers, &is_single, err));
    if (is_single && chunk->kinds == NULL) {
        return write_rows(appender, appender->numbers[0], chunk, err);
    }
    TARN_TRY(retract_rows(appender, chunk, err));
    // One pass per route that occurs in the chunk: there are few.
    size_t count = tarn_chunk_count(chunk);
    for (size_t first = 0; first < count; first++) {
        uint32_t number = appender->numbers[first];
        if (number == UINT32_MAX) continue; // taken by an earlier pass
        tarn_chunk rows = *chunk;
        rows.kinds = NULL;
        rows.selection = appender->selection;
        rows.selected_count = 0;
        for (size_t i = first; i < count; i++) {
            if (appender->numbers[i] != number) continue;
            appender->numbers[i] = UINT32_MAX;
            size_t row = tarn_chunk_row(chunk, i);
            if (is_retract(chunk, row)) continue;
            appender->selection[rows.selected_count++] = (uint32_t)row;
        }
        if (rows.selected_count > 0) TARN_TRY(write_rows(appender, number, &rows, err));
    }
    return TARN_OK;
}

tarn_status lake_appender_flush(lake_appender *appender, tarn_error *err) {
    for (size_t i = 0; i < appender->capacity; i++) {
        if (appender->partitions[i].file == NULL) continue;
        TARN_TRY(finish_file(appender, &appender->partitions[i], err));
    }
    return lake_retraction_apply(appender->retraction, err);
}
