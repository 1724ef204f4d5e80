// writer.h - the two kinds of table writers behind tarn_table_writer.
//
//     append tables   rows go straight into one open file per partition        appender.c
//     keyed tables    rows are buffered, then sorted, merged and written       upserter.c
//
// Both hand over finished files as manifest entries in a list that the committable is made from.
#ifndef TARN_LAKE_WRITER_H
#define TARN_LAKE_WRITER_H

#include "lake/router.h"
#include "lake/table.h"

// Entries in an arena, growing.
typedef struct lake_entry_list {
    tarn_arena *arena;
    lake_entry *items;
    size_t count;
    size_t capacity;
} lake_entry_list;

TARN_MUST_USE tarn_status lake_entry_list_add(lake_entry_list *list, const lake_entry *entry,
                                              tarn_error *err);

// What both kinds need.
typedef struct lake_writer_base {
    tarn_table *table;
    const tarn_alloc *alloc;
    size_t limit_bytes;
    tarn_arena *arena; // until the next prepare: routes and entries
    lake_router *router;
    lake_entry_list *entries; // finished files
} lake_writer_base;

// ---- append tables ----

typedef struct lake_appender lake_appender;
TARN_MUST_USE tarn_status lake_appender_new(const lake_writer_base *base,
                                            lake_appender **ret_appender, tarn_error *err);
TARN_MUST_USE tarn_status lake_appender_append(lake_appender *appender, const tarn_chunk *chunk,
                                               tarn_error *err);
// Finishes every file and carries out the deletions.
TARN_MUST_USE tarn_status lake_appender_flush(lake_appender *appender, tarn_error *err);
void lake_appender_free(lake_appender *appender); // accepts NULL

// ---- deletions from append tables, by copy-on-write: retraction.c ----

typedef struct lake_retraction lake_retraction;
TARN_MUST_USE tarn_status lake_retraction_new(const lake_writer_base *base,
                                              lake_retraction **ret_retraction, tarn_error *err);
void lake_retraction_free(lake_retraction *retraction); // accepts NULL
// One row to be deleted from the partition.
TARN_MUST_USE tarn_status lake_retraction_add(lake_retraction *retraction, tarn_slice partition,
                                              const tarn_chunk *chunk, size_t row, tarn_error *err);
// Finds the rows in the writer's own new files and in the latest snapshot's, and replaces the files
// that held them. TARN_CONFLICT when a row is not there.
TARN_MUST_USE tarn_status lake_retraction_apply(lake_retraction *retraction, tarn_error *err);

// ---- keyed tables ----

typedef struct lake_upserter lake_upserter;
TARN_MUST_USE tarn_status lake_upserter_new(const lake_writer_base *base,
                                            lake_upserter **ret_upserter, tarn_error *err);
TARN_MUST_USE tarn_status lake_upserter_append(lake_upserter *upserter, const tarn_chunk *chunk,
                                               tarn_error *err);
TARN_MUST_USE tarn_status lake_upserter_flush(lake_upserter *upserter, tarn_error *err);
void lake_upserter_free(lake_upserter *upserter); // accepts NULL

#endif
