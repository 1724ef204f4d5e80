// Constants, types and the units of intervals.

#include "sql/bind.h"

// The digits of a number: where they end, how many before and behind the point, the exponent.
typedef struct number_shape {
    int64_t integer_digits; // without leading zeros
    int64_t fraction_digits;
    int64_t exponent;
} number_shape;

#define EXPONENT_MAX 100000 // larger ones do not fit any numeric

static number_shape shape_of(tarn_slice text) {
    number_shape shape = {0};
    size_t i = 0;
    if (i < text.len && (text.data[i] == '-' || text.data[i] == '+')) i++;
    bool in_fraction = false;
    for (; i < text.len && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        if (text.data[i] == '.') {
            in_fraction = true;
        } else if (in_fraction) {
            shape.fraction_digits++;
        } else if (shape.integer_digits > 0 || text.data[i] != '0') {
            shape.integer_digits++;
        }
    }
    if (i >= text.len) return shape;
    i++;
    bool negative = i < text.len && text.data[i] == '-';
    if (i < text.len && (text.data[i] == '-' || text.data[i] == '+')) i++;
    for (; i < text.len && shape.exponent < EXPONENT_MAX; i++) {
        shape.exponent = shape.exponent * 10 + (text.data[i] - '0');
    }
    if (negative) shape.exponent = -shape.exponent;
    return shape;
}

// A number that numeric has no room for, but written with an exponent: 1e100, 1e-45.
static tarn_status bind_double(sql_binder *b, tarn_slice text, int32_t position,
                               const tarn_expr **ret_expr, tarn_error *err) {
    tarn_value value = {0};
    tarn_status status =
        tarn_value_parse(tarn_type_of(TARN_TYPE_DOUBLE), text, b->arena, &value, err);
    if (status != TARN_OK) {
        tarn_error_locate(err, NULL, position);
        return status;
    }
    return tarn_expr_literal(b->arena, value, false, position, ret_expr, err);
}

// A number with a point, an exponent or too many digits for an integer. PostgreSQL's grammar hands
// over the sign of a constant with it, so -2147483648 comes here and is an integer.
static tarn_status bind_number(sql_binder *b, tarn_slice text, int32_t position,
                               const tarn_expr **ret_expr, tarn_error *err) {
    number_shape shape = shape_of(text);
    tarn_value value = {0};
    tarn_status status = TARN_INVALID;
    bool is_whole = shape.fraction_digits == 0 && shape.exponent == 0 &&
                    memchr(text.data, '.', text.len) == NULL;
    if (is_whole && shape.integer_digits <= 19) {
        status = tarn_value_parse(tarn_type_of(TARN_TYPE_BIGINT), text, b->arena, &value, NULL);
        if (status == TARN_OK && value.i64 == (int32_t)value.i64) {
            value.type = tarn_type_of(TARN_TYPE_INTEGER);
        }
    }
    if (status != TARN_OK) {
        int64_t scale = shape.fraction_digits - shape.exponent;
        int64_t integer = shape.integer_digits + shape.exponent;
        if (scale < 0) scale = 0;
        if (integer < 0) integer = 0;
        int64_t precision = integer + scale == 0 ? 1 : integer + scale;
        if (precision > 38 && shape.exponent != 0) {
            return bind_double(b, text, position, ret_expr, err);
        }
        if (precision > 38) {
            return sql_fail(err, position, "22003",
                            "number \"" TARN_SLICE_FMT "\" has more than 38 digits",
                            TARN_SLICE_ARG(text));
        }
        tarn_type type = tarn_type_numeric((int)precision, (int)scale);
        status = tarn_value_parse(type, text, b->arena, &value, err);
        if (status != TARN_OK) {
            tarn_error_locate(err, NULL, position);
            return status;
        }
    }
    return tarn_expr_literal(b->arena, value, false, position, ret_expr, err);
}

tarn_status sql_bind_constant(sql_binder *b, const pg_node *node, const tarn_expr **ret_expr,
                              tarn_error *err) {
    const PgQuery__AConst *constant = node->a_const;
    int32_t position = sql_at(b, constant->location);
    tarn_value value = tarn_value_null(tarn_type_of(TARN_TYPE_NULL));
    if (constant->isnull) {
        return tarn_expr_literal(b->arena, value, false, position, ret_expr, err);
    }
    switch (constant->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        value = (tarn_value){.type = tarn_type_of(TARN_TYPE_INTEGER), .i64 = constant->ival->ival};
        return tarn_expr_literal(b->arena, value, false, position, ret_expr, err);
    case PG_QUERY__A__CONST__VAL_FVAL:
        return bind_number(b, tarn_slice_from_cstr(constant->fval->fval), position, ret_expr, err);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        value = (tarn_value){.type = tarn_type_of(TARN_TYPE_BOOLEAN),
                             .boolean = constant->boolval->boolval != 0};
        return tarn_expr_literal(b->arena, value, false, position, ret_expr, err);
    case PG_QUERY__A__CONST__VAL_SVAL:
        value = (tarn_value){.type = tarn_type_of(TARN_TYPE_TEXT),
                             .bytes = tarn_slice_from_cstr(constant->sval->sval)};
        return tarn_expr_literal(b->arena, value, true, position, ret_expr, err);
    default: return sql_unsupported(err, position, "bit strings are not supported");
    }
}

// ---- types ----

typedef struct type_name {
    const char *name;
    uint8_t id; // tarn_type_id; TARN_TYPE_NULL: known to PostgreSQL, not to us
    const char *hint;
} type_name;

static const type_name type_names[] = {
    {"bool", TARN_TYPE_BOOLEAN, NULL},
    {"boolean", TARN_TYPE_BOOLEAN, NULL},
    {"int2", TARN_TYPE_SMALLINT, NULL},
    {"smallint", TARN_TYPE_SMALLINT, NULL},
    {"int4", TARN_TYPE_INTEGER, NULL},
    {"integer", TARN_TYPE_INTEGER, NULL},
    {"int8", TARN_TYPE_BIGINT, NULL},
    {"bigint", TARN_TYPE_BIGINT, NULL},
    {"float4", TARN_TYPE_REAL, NULL},
    {"real", TARN_TYPE_REAL, NULL},
    {"float8", TARN_TYPE_DOUBLE, NULL},
    {"numeric", TARN_TYPE_NUMERIC, NULL},
    {"decimal", TARN_TYPE_NUMERIC, NULL},
    {"date", TARN_TYPE_DATE, NULL},
    {"time", TARN_TYPE_TIME, NULL},
    {"timestamp", TARN_TYPE_TIMESTAMP, NULL},
    {"timestamptz", TARN_TYPE_TIMESTAMPTZ, NULL},
    {"text", TARN_TYPE_TEXT, NULL},
    {"varchar", TARN_TYPE_TEXT, NULL},
    {"bytea", TARN_TYPE_BYTEA, NULL},
    {"interval", TARN_TYPE_INTERVAL, NULL},
    {"bpchar", TARN_TYPE_NULL, "use text or varchar(n)"},
    {"char", TARN_TYPE_NULL, "use text or varchar(n)"},
    {"name", TARN_TYPE_NULL, "use text"},
    {"string", TARN_TYPE_NULL, "use text"},
    {"json", TARN_TYPE_NULL, "use text"},
    {"jsonb", TARN_TYPE_NULL, "use text"},
    {"uuid", TARN_TYPE_NULL, "use text"},
    {"timetz", TARN_TYPE_NULL, "use time or timestamptz"},
    {"serial", TARN_TYPE_NULL, "use integer; the values come from the data"},
    {"bigserial", TARN_TYPE_NULL, "use bigint; the values come from the data"},
    {"money", TARN_TYPE_NULL, "use numeric(p,s)"},
    {"bit", TARN_TYPE_NULL, "use text"},
    {"varbit", TARN_TYPE_NULL, "use text"},
    {"double", TARN_TYPE_NULL, "use double precision"},
};

static const type_name *find_type(tarn_slice name) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (tarn_slice_equal(name, tarn_slice_from_cstr(type_names[i].name))) return &type_names[i];
    }
    return NULL;
}

static void hint_type(tarn_error *err, tarn_slice name) {
    enum { COUNT = sizeof type_names / sizeof *type_names };
    tarn_slice names[COUNT];
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (type_names[i].id != TARN_TYPE_NULL) {
            names[count++] = tarn_slice_from_cstr(type_names[i].name);
        }
    }
    sql_hint_name(err, name, names, count, "the type");
}

typedef struct modifier_range {
    int64_t min;
    int64_t max;
} modifier_range;

// The i-th modifier, as in numeric(10,2).
static tarn_status read_modifier(const sql_binder *b, const PgQuery__TypeName *name, size_t index,
                                 modifier_range allowed, int64_t *ret_value, tarn_error *err) {
    const pg_node *node = name->typmods[index];
    bool is_integer = node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                      node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
    int64_t value = is_integer ? node->a_const->ival->ival : -1;
    if (!is_integer || value < allowed.min || value > allowed.max) {
        tarn_slice type = sql_last_name(name->names, name->n_names);
        return sql_fail(err, sql_at(b, name->location), "22023",
                        "the modifier of type " TARN_SLICE_FMT " must be between %lld and %lld",
                        TARN_SLICE_ARG(type), (long long)allowed.min, (long long)allowed.max);
    }
    *ret_value = value;
    return TARN_OK;
}

static tarn_status apply_modifiers(const sql_binder *b, const PgQuery__TypeName *name,
                                   sql_type_use use, tarn_type *type, tarn_error *err) {
    int64_t value = 0;
    if (type->id == TARN_TYPE_NUMERIC) {
        if (name->n_typmods == 0) {
            if (use == SQL_TYPE_OF_CAST) type->precision = 0;
            return TARN_OK;
        }
        int64_t scale = 0;
        TARN_TRY(read_modifier(b, name, 0, (modifier_range){1, 38}, &value, err));
        if (name->n_typmods > 1) {
            TARN_TRY(read_modifier(b, name, 1, (modifier_range){0, value}, &scale, err));
        }
        *type = tarn_type_numeric((int)value, (int)scale);
        return TARN_OK;
    }
    if (name->n_typmods == 0 || type->id == TARN_TYPE_INTERVAL) return TARN_OK;
    if (type->id == TARN_TYPE_TEXT || type->id == TARN_TYPE_BYTEA) {
        TARN_TRY(read_modifier(b, name, 0, (modifier_range){1, 10485760}, &value, err));
        type->length = (uint32_t)value;
        return TARN_OK;
    }
    if (type->id == TARN_TYPE_TIME || type->id == TARN_TYPE_TIMESTAMP ||
        type->id == TARN_TYPE_TIMESTAMPTZ) {
        TARN_TRY(read_modifier(b, name, 0, (modifier_range){0, 6}, &value, err));
        type->precision = (uint8_t)value;
        return TARN_OK;
    }
    return sql_fail(err, sql_at(b, name->location), "42601", "this type takes no modifier");
}

tarn_status sql_bind_type(const sql_binder *b, const PgQuery__TypeName *name, sql_type_use use,
                          tarn_type *ret_type, tarn_error *err) {
    int32_t position = sql_at(b, name->location);
    tarn_slice word = sql_last_name(name->names, name->n_names);
    if (name->n_array_bounds > 0 || name->setof || name->pct_type) {
        return sql_unsupported(err, position, "arrays, SETOF and %%TYPE are not supported");
    }
    const type_name *found = find_type(word);
    if (found == NULL) {
        (void)sql_fail(err, position, "42704", "type \"" TARN_SLICE_FMT "\" does not exist",
                       TARN_SLICE_ARG(word));
        hint_type(err, word);
        return TARN_INVALID;
    }
    if (found->id == TARN_TYPE_NULL) {
        (void)sql_unsupported(err, position, "type \"%s\" is not supported", found->name);
        tarn_error_hint(err, "%s", found->hint);
        return TARN_UNSUPPORTED;
    }
    if (found->id == TARN_TYPE_INTERVAL && use == SQL_TYPE_OF_COLUMN) {
        (void)sql_unsupported(err, position, "a column of type interval is not supported");
        tarn_error_hint(err, "store a number of seconds, and multiply with INTERVAL '1 second'");
        return TARN_UNSUPPORTED;
    }
    tarn_type type = tarn_type_of(found->id);
    TARN_TRY(apply_modifiers(b, name, use, &type, err));
    *ret_type = type;
    return TARN_OK;
}

// ---- INTERVAL '1' HOUR ----

// PostgreSQL's bits for the fields of an interval (datetime.h).
static const struct {
    int32_t bit;
    const char *unit;
} interval_units[] = {
    {1 << 2, "year"},  {1 << 1, "month"},   {1 << 3, "day"},
    {1 << 10, "hour"}, {1 << 11, "minute"}, {1 << 12, "second"},
};
#define INTERVAL_FULL_RANGE 0x7FFF

static bool is_plain_number(tarn_slice text) {
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= '0' && c <= '9') {
            digits++;
        } else if (!(c == '.' || c == ' ' || (i == 0 && (c == '-' || c == '+')))) {
            return false;
        }
    }
    return digits > 0;
}

tarn_status sql_interval_text(sql_binder *b, const PgQuery__TypeName *name, tarn_slice text,
                              tarn_slice *ret_text, tarn_error *err) {
    *ret_text = text;
    if (name->n_typmods == 0) return TARN_OK;
    const pg_node *fields = name->typmods[0];
    if (fields->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        fields->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL ||
        fields->a_const->ival->ival == INTERVAL_FULL_RANGE) {
        return TARN_OK;
    }
    int32_t range = fields->a_const->ival->ival;
    for (size_t i = 0; i < sizeof interval_units / sizeof *interval_units; i++) {
        if (range != interval_units[i].bit || !is_plain_number(text)) continue;
        if (!tarn_arena_printf(b->arena, ret_text, TARN_SLICE_FMT " %s", TARN_SLICE_ARG(text),
                               interval_units[i].unit)) {
            return sql_no_memory(err);
        }
        return TARN_OK;
    }
    (void)sql_unsupported(err, sql_at(b, name->location),
                          "this combination of interval text and fields is not supported");
    tarn_error_hint(err, "write the units in the text: INTERVAL '1 hour 30 minutes'");
    return TARN_UNSUPPORTED;
}
