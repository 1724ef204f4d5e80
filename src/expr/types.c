#include "expr/types.h"

typedef struct type_facts {
    const char *name;
    expr_category category;
    bool preferred;
} type_facts;

static const type_facts facts[TARN_TYPE_COUNT] = {
    [TARN_TYPE_NULL] = {"unknown", EXPR_CATEGORY_UNKNOWN, false},
    [TARN_TYPE_BOOLEAN] = {"boolean", EXPR_CATEGORY_BOOLEAN, true},
    [TARN_TYPE_SMALLINT] = {"smallint", EXPR_CATEGORY_NUMBER, false},
    [TARN_TYPE_INTEGER] = {"integer", EXPR_CATEGORY_NUMBER, false},
    [TARN_TYPE_BIGINT] = {"bigint", EXPR_CATEGORY_NUMBER, false},
    [TARN_TYPE_REAL] = {"real", EXPR_CATEGORY_NUMBER, false},
    [TARN_TYPE_DOUBLE] = {"double precision", EXPR_CATEGORY_NUMBER, true},
    [TARN_TYPE_NUMERIC] = {"numeric", EXPR_CATEGORY_NUMBER, false},
    [TARN_TYPE_DATE] = {"date", EXPR_CATEGORY_DATETIME, false},
    [TARN_TYPE_TIME] = {"time without time zone", EXPR_CATEGORY_DATETIME, false},
    [TARN_TYPE_TIMESTAMP] = {"timestamp without time zone", EXPR_CATEGORY_DATETIME, false},
    [TARN_TYPE_TIMESTAMPTZ] = {"timestamp with time zone", EXPR_CATEGORY_DATETIME, true},
    [TARN_TYPE_TEXT] = {"text", EXPR_CATEGORY_TEXT, true},
    [TARN_TYPE_BYTEA] = {"bytea", EXPR_CATEGORY_OTHER, false},
    [TARN_TYPE_INTERVAL] = {"interval", EXPR_CATEGORY_TIMESPAN, true},
    [TARN_TYPE_TIMESTAMP_NS] = {"timestamp(9) without time zone", EXPR_CATEGORY_DATETIME, false},
    [TARN_TYPE_TIMESTAMPTZ_NS] = {"timestamp(9) with time zone", EXPR_CATEGORY_DATETIME, false},
};

static const struct {
    const char *name;
    tarn_type_id id;
} aliases[] = {
    {"bool", TARN_TYPE_BOOLEAN},
    {"int2", TARN_TYPE_SMALLINT},
    {"int4", TARN_TYPE_INTEGER},
    {"int", TARN_TYPE_INTEGER},
    {"int8", TARN_TYPE_BIGINT},
    {"float4", TARN_TYPE_REAL},
    {"float8", TARN_TYPE_DOUBLE},
    {"double", TARN_TYPE_DOUBLE},
    {"decimal", TARN_TYPE_NUMERIC},
    {"time", TARN_TYPE_TIME},
    {"timestamp", TARN_TYPE_TIMESTAMP},
    {"timestamptz", TARN_TYPE_TIMESTAMPTZ},
    {"timestamp_ns", TARN_TYPE_TIMESTAMP_NS},
    {"timestamptz_ns", TARN_TYPE_TIMESTAMPTZ_NS},
    {"varchar", TARN_TYPE_TEXT},
};

expr_category expr_type_category(tarn_type_id id) {
    return facts[id].category;
}

bool expr_type_is_preferred(tarn_type_id id) {
    return facts[id].preferred;
}

const char *expr_type_name(tarn_type_id id) {
    return facts[id].name;
}

bool expr_type_from_name(tarn_slice name, tarn_type_id *ret_id) {
    for (int id = TARN_TYPE_BOOLEAN; id < TARN_TYPE_COUNT; id++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(facts[id].name))) continue;
        *ret_id = (tarn_type_id)id;
        return true;
    }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(aliases[i].name))) continue;
        *ret_id = aliases[i].id;
        return true;
    }
    return false;
}

// ---- casts ----

#define BIT(id) (1u << TARN_TYPE_##id)
#define NUMBERS \
    (BIT(SMALLINT) | BIT(INTEGER) | BIT(BIGINT) | BIT(REAL) | BIT(DOUBLE) | BIT(NUMERIC))

// Targets by source, each context adding to the one before (pg_cast). Text is not in the table:
// every type becomes text by assignment and is read from text when asked for.
static const struct {
    uint32_t implicit;
    uint32_t assignment;
    uint32_t explicit;
} casts[TARN_TYPE_COUNT] = {
    [TARN_TYPE_BOOLEAN] = {.explicit = BIT(INTEGER)},
    [TARN_TYPE_SMALLINT] = {.implicit = NUMBERS},
    [TARN_TYPE_INTEGER] = {NUMBERS & ~BIT(SMALLINT), BIT(SMALLINT), BIT(BOOLEAN)},
    [TARN_TYPE_BIGINT] = {BIT(NUMERIC) | BIT(REAL) | BIT(DOUBLE), NUMBERS, 0},
    [TARN_TYPE_REAL] = {BIT(DOUBLE), NUMBERS, 0},
    [TARN_TYPE_DOUBLE] = {0, NUMBERS, 0},
    [TARN_TYPE_NUMERIC] = {BIT(REAL) | BIT(DOUBLE), NUMBERS, 0},
    [TARN_TYPE_DATE] = {BIT(TIMESTAMP) | BIT(TIMESTAMPTZ), BIT(TIMESTAMP_NS) | BIT(TIMESTAMPTZ_NS),
                        0},
    [TARN_TYPE_TIME] = {.implicit = BIT(INTERVAL)},
    [TARN_TYPE_TIMESTAMP] = {BIT(TIMESTAMPTZ),
                             BIT(DATE) | BIT(TIME) | BIT(TIMESTAMP_NS) | BIT(TIMESTAMPTZ_NS), 0},
    [TARN_TYPE_TIMESTAMPTZ] =
        {0, BIT(DATE) | BIT(TIME) | BIT(TIMESTAMP) | BIT(TIMESTAMP_NS) | BIT(TIMESTAMPTZ_NS), 0},
    [TARN_TYPE_INTERVAL] = {.assignment = BIT(TIME)},
    [TARN_TYPE_TIMESTAMP_NS] = {BIT(TIMESTAMP),
                                BIT(DATE) | BIT(TIME) | BIT(TIMESTAMPTZ) | BIT(TIMESTAMPTZ_NS), 0},
    [TARN_TYPE_TIMESTAMPTZ_NS] = {BIT(TIMESTAMPTZ),
                                  BIT(DATE) | BIT(TIME) | BIT(TIMESTAMP) | BIT(TIMESTAMP_NS), 0},
};

bool expr_cast_exists(tarn_type_id from, tarn_type_id to, tarn_cast_context context) {
    if (from == to || from == TARN_TYPE_NULL) return true;
    if (to == TARN_TYPE_NULL) return false;
    if (to == TARN_TYPE_TEXT) return context != TARN_CAST_IMPLICIT;
    if (from == TARN_TYPE_TEXT) return context == TARN_CAST_EXPLICIT;
    uint32_t targets = casts[from].implicit;
    if (context != TARN_CAST_IMPLICIT) targets |= casts[from].assignment;
    if (context == TARN_CAST_EXPLICIT) targets |= casts[from].explicit;
    return (targets >> to & 1) != 0;
}

// Digits that hold every value of an integer type.
static int integer_digits(tarn_type_id id) {
    if (id == TARN_TYPE_SMALLINT) return 5;
    return id == TARN_TYPE_INTEGER ? 10 : 19;
}

// PostgreSQL's numeric has a scale per value, ours one per column. A double becomes as many digits
// behind the point as it can have meaningful ones.
#define NUMERIC_SCALE_OF_DOUBLE 15
#define NUMERIC_SCALE_OF_REAL   6
#define NUMERIC_SCALE_OF_TEXT   16

tarn_type expr_type_for_cast(tarn_type from, tarn_type_id id) {
    if (from.id == id) return from;
    if (id != TARN_TYPE_NUMERIC) return tarn_type_of(id);
    switch ((tarn_type_id)from.id) {
    case TARN_TYPE_SMALLINT:
    case TARN_TYPE_INTEGER:
    case TARN_TYPE_BIGINT: return tarn_type_numeric(integer_digits(from.id), 0);
    case TARN_TYPE_REAL:
        return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, NUMERIC_SCALE_OF_REAL);
    case TARN_TYPE_DOUBLE:
        return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, NUMERIC_SCALE_OF_DOUBLE);
    case TARN_TYPE_TEXT:
        return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, NUMERIC_SCALE_OF_TEXT);
    case TARN_TYPE_NULL:
    case TARN_TYPE_BOOLEAN:
    case TARN_TYPE_NUMERIC:
    case TARN_TYPE_DATE:
    case TARN_TYPE_TIME:
    case TARN_TYPE_TIMESTAMP:
    case TARN_TYPE_TIMESTAMPTZ:
    case TARN_TYPE_BYTEA:
    case TARN_TYPE_INTERVAL:
    case TARN_TYPE_TIMESTAMP_NS:
    case TARN_TYPE_TIMESTAMPTZ_NS: return tarn_type_of(id);
    }
    return tarn_type_of(id);
}

tarn_type expr_type_merge(tarn_type a, tarn_type b) {
    tarn_assert(a.id == b.id);
    if (a.id == TARN_TYPE_NUMERIC) {
        int scale = a.scale > b.scale ? a.scale : b.scale;
        int a_whole = a.precision - a.scale;
        int b_whole = b.precision - b.scale;
        int precision = (a_whole > b_whole ? a_whole : b_whole) + scale;
        if (precision > EXPR_NUMERIC_PRECISION_MAX) precision = EXPR_NUMERIC_PRECISION_MAX;
        return tarn_type_numeric(precision == 0 ? 1 : precision, scale);
    }
    tarn_type merged = a;
    if (b.precision > merged.precision) merged.precision = b.precision;
    if (a.length != b.length) merged.length = 0;
    return merged;
}
