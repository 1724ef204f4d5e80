// fake_catalog.h - the relations of a small warehouse, for tests and the fuzzer of sql/.
//
//     fake_catalog catalog;
//     fake_catalog_init(&catalog);                       // flights, airports, orders, ...
//     tarn_sql_prepare(text, &catalog.reader, arena, &statement, &err);
#ifndef TARN_TESTS_SQL_FAKE_CATALOG_H
#define TARN_TESTS_SQL_FAKE_CATALOG_H

#include "sql/sql.h"

#define FAKE_RELATIONS_MAX 16
#define FAKE_FIELDS_MAX    12

typedef struct fake_relation {
    tarn_relation relation;
    tarn_field fields[FAKE_FIELDS_MAX];
    size_t key[FAKE_FIELDS_MAX];
} fake_relation;

typedef struct fake_catalog {
    tarn_catalog_reader reader;
    fake_relation relations[FAKE_RELATIONS_MAX];
    tarn_slice names[FAKE_RELATIONS_MAX];
    size_t count;
} fake_catalog;

static inline tarn_status fake_find(void *context, tarn_slice schema_name, tarn_slice name,
                                    tarn_arena *arena, const tarn_relation **ret_relation,
                                    tarn_error *err) {
    (void)arena;
    (void)err;
    const fake_catalog *catalog = context;
    *ret_relation = NULL;
    for (size_t i = 0; i < catalog->count; i++) {
        const tarn_relation *relation = &catalog->relations[i].relation;
        bool in_schema = schema_name.len == 0
                             ? tarn_slice_equal(relation->schema_name, TARN_LIT("public"))
                             : tarn_slice_equal(relation->schema_name, schema_name);
        if (in_schema && tarn_slice_equal(relation->name, name)) *ret_relation = relation;
    }
    return TARN_OK;
}

static inline tarn_status fake_names(void *context, tarn_arena *arena, const tarn_slice **ret_names,
                                     size_t *ret_count, tarn_error *err) {
    (void)arena;
    (void)err;
    const fake_catalog *catalog = context;
    *ret_names = catalog->names;
    *ret_count = catalog->count;
    return TARN_OK;
}

static inline fake_relation *fake_add(fake_catalog *catalog, tarn_relation_kind kind,
                                      const char *name) {
    fake_relation *added = &catalog->relations[catalog->count];
    *added = (fake_relation){0};
    added->relation.kind = kind;
    added->relation.schema_name =
        kind == TARN_RELATION_SYSTEM ? TARN_LIT("tarn") : TARN_LIT("public");
    added->relation.name = tarn_slice_from_cstr(name);
    added->relation.schema.fields = added->fields;
    added->relation.key_columns = added->key;
    added->relation.time_column = -1;
    catalog->names[catalog->count++] = added->relation.name;
    return added;
}

static inline size_t fake_field(fake_relation *relation, const char *name, tarn_type type,
                                bool not_null) {
    size_t index = relation->relation.schema.field_count++;
    relation->fields[index] = (tarn_field){
        .name = tarn_slice_from_cstr(name), .type = type, .not_null = not_null, .id = -1};
    return index;
}

static inline void fake_key(fake_relation *relation, size_t column) {
    relation->key[relation->relation.key_count++] = column;
}

static inline void fake_catalog_init(fake_catalog *catalog) {
    *catalog = (fake_catalog){0};
    catalog->reader =
        (tarn_catalog_reader){.context = catalog, .find = fake_find, .names = fake_names};
    tarn_type text = tarn_type_of(TARN_TYPE_TEXT);
    tarn_type bigint = tarn_type_of(TARN_TYPE_BIGINT);
    tarn_type timestamp = tarn_type_of(TARN_TYPE_TIMESTAMP);

    fake_relation *flights = fake_add(catalog, TARN_RELATION_SOURCE, "flights");
    fake_field(flights, "date", timestamp, true);
    fake_field(flights, "delay", bigint, true);
    fake_field(flights, "distance", bigint, false);
    fake_field(flights, "origin", text, true);
    fake_field(flights, "destination", text, true);
    flights->relation.time_column = (ptrdiff_t)fake_field(flights, "departed", timestamp, false);
    flights->relation.watermark_delay_us = (int64_t)30 * 60 * 1000000;
    flights->relation.append_only = true;

    fake_relation *airports = fake_add(catalog, TARN_RELATION_TABLE, "airports");
    fake_key(airports, fake_field(airports, "iata", text, true));
    fake_field(airports, "name", text, false);
    fake_field(airports, "city", text, false);
    fake_field(airports, "state", text, false);
    fake_field(airports, "country", text, false);
    fake_field(airports, "latitude", tarn_type_of(TARN_TYPE_DOUBLE), false);
    fake_field(airports, "longitude", tarn_type_of(TARN_TYPE_DOUBLE), false);
    airports->relation.row_count = 3376;

    fake_relation *dwd = fake_add(catalog, TARN_RELATION_VIEW, "dwd_flights");
    dwd->relation.time_column = (ptrdiff_t)fake_field(dwd, "departed", timestamp, false);
    fake_field(dwd, "scheduled", timestamp, true);
    fake_field(dwd, "delay", bigint, true);
    fake_field(dwd, "distance", bigint, false);
    fake_field(dwd, "origin", text, true);
    fake_field(dwd, "destination", text, true);
    fake_field(dwd, "airport", text, false);
    fake_field(dwd, "city", text, false);
    fake_field(dwd, "state", text, false);
    dwd->relation.row_count = 3000000;

    fake_relation *hour = fake_add(catalog, TARN_RELATION_VIEW, "dws_airport_hour");
    fake_key(hour, fake_field(hour, "origin", text, true));
    size_t hour_column = fake_field(hour, "hour", timestamp, true);
    fake_key(hour, hour_column);
    fake_field(hour, "flights", bigint, true);
    fake_field(hour, "mean_delay", tarn_type_numeric(38, 16), false);
    fake_field(hour, "total_delay", tarn_type_numeric(38, 0), false);
    hour->relation.time_column = (ptrdiff_t)hour_column;
    hour->relation.append_only = true;
    hour->relation.row_count = 500000;

    fake_relation *orders = fake_add(catalog, TARN_RELATION_TABLE, "orders");
    fake_key(orders, fake_field(orders, "id", bigint, true));
    fake_field(orders, "customer", tarn_type_of(TARN_TYPE_INTEGER), false);
    fake_field(orders, "amount", tarn_type_numeric(10, 2), false);
    fake_field(orders, "placed", tarn_type_of(TARN_TYPE_DATE), true);
    fake_field(orders, "note", text, false);
    fake_field(orders, "paid", tarn_type_of(TARN_TYPE_BOOLEAN), false);
    orders->relation.row_count = 100000;

    fake_relation *customers = fake_add(catalog, TARN_RELATION_TABLE, "customers");
    fake_key(customers, fake_field(customers, "id", tarn_type_of(TARN_TYPE_INTEGER), true));
    fake_field(customers, "name", text, true);
    fake_field(customers, "since", tarn_type_of(TARN_TYPE_TIMESTAMPTZ), false);
    customers->relation.row_count = 5000;

    fake_relation *log = fake_add(catalog, TARN_RELATION_TABLE, "log");
    fake_field(log, "at", timestamp, false);
    fake_field(log, "level", tarn_type_of(TARN_TYPE_SMALLINT), false);
    fake_field(log, "message", text, false);
    log->relation.append_only = true;

    fake_relation *jobs = fake_add(catalog, TARN_RELATION_SYSTEM, "jobs");
    fake_field(jobs, "name", text, true);
    fake_field(jobs, "version", bigint, false);
    fake_field(jobs, "late_rows", bigint, true);
}

#endif
