// Building expression trees: literals, columns, calls, casts and the special forms.

#include "expr/tree.h"

#include "expr/resolve.h"
#include "expr/tables.h"
#include "expr/types.h"

tarn_status expr_tree_new(tarn_arena *arena, tarn_expr node, const tarn_expr **ret_expr,
                          tarn_error *err) {
    tarn_expr *expr = tarn_arena_new(arena, tarn_expr, 1);
    if (expr == NULL) return expr_no_memory(err);
    *expr = node;
    if (node.arg_count > 0) {
        const tarn_expr **args = tarn_arena_new(arena, const tarn_expr *, node.arg_count);
        if (args == NULL) return expr_no_memory(err);
        memcpy(args, node.args, node.arg_count * sizeof *args);
        expr->args = args;
    }
    *ret_expr = expr;
    return TARN_OK;
}

tarn_status expr_tree_with_args(tarn_arena *arena, const tarn_expr *expr,
                                const tarn_expr *const *args, const tarn_expr **ret_expr,
                                tarn_error *err) {
    tarn_expr node = *expr;
    node.args = args;
    return expr_tree_new(arena, node, ret_expr, err);
}

tarn_status tarn_expr_column(tarn_arena *arena, size_t column, const tarn_field *field,
                             int32_t position, const tarn_expr **ret_expr, tarn_error *err) {
    tarn_expr node = {.kind = TARN_EXPR_COLUMN,
                      .type = field->type,
                      .not_null = field->not_null,
                      .position = position,
                      .column = column};
    if (!tarn_arena_copy(arena, field->name, &node.name)) return expr_no_memory(err);
    return expr_tree_new(arena, node, ret_expr, err);
}

tarn_status tarn_expr_literal(tarn_arena *arena, tarn_value value, bool is_untyped,
                              int32_t position, const tarn_expr **ret_expr, tarn_error *err) {
    tarn_assert(!is_untyped || value.type.id == TARN_TYPE_TEXT);
    tarn_expr node = {.kind = TARN_EXPR_LITERAL, .position = position};
    node.not_null = !value.is_null;
    node.type = is_untyped ? tarn_type_of(TARN_TYPE_NULL) : value.type;
    TARN_TRY(tarn_value_copy(value, arena, &node.literal, err));
    return expr_tree_new(arena, node, ret_expr, err);
}

// ---- casts ----

// Digits before and behind the point that a number in text has: "-12.50e1" is numeric(5,1).
static tarn_type numeric_type_of_text(tarn_slice text) {
    int digits = 0;
    int scale = 0;
    int exponent = 0;
    bool behind_point = false;
    size_t i = 0;
    for (; i < text.len && (text.data[i] | 0x20) != 'e'; i++) {
        if (text.data[i] == '.') behind_point = true;
        if (text.data[i] < '0' || text.data[i] > '9') continue;
        if (behind_point) scale++;
        if (digits > 0 || text.data[i] != '0' || behind_point) digits++;
        if (digits > EXPR_NUMERIC_PRECISION_MAX) break;
    }
    bool negative = i + 1 < text.len && text.data[i + 1] == '-';
    for (i++; i < text.len && exponent < 1000; i++) {
        if (text.data[i] >= '0' && text.data[i] <= '9') {
            exponent = exponent * 10 + text.data[i] - '0';
        }
    }
    if (negative) exponent = -exponent;
    int whole = digits - scale + exponent;
    scale -= exponent;
    if (scale < 0) scale = 0;
    if (whole < 0) whole = 0;
    if (scale > EXPR_NUMERIC_PRECISION_MAX) scale = EXPR_NUMERIC_PRECISION_MAX;
    int precision = whole + scale;
    if (precision < 1) precision = 1;
    if (precision > EXPR_NUMERIC_PRECISION_MAX) precision = EXPR_NUMERIC_PRECISION_MAX;
    return tarn_type_numeric(precision, scale);
}

// A numeric literal with more digits than fit must not lose them silently.
static tarn_status check_digits(const tarn_expr *expr, tarn_type type, tarn_error *err) {
    if (type.id != TARN_TYPE_NUMERIC || type.scale < EXPR_NUMERIC_PRECISION_MAX) return TARN_OK;
    (void)tarn_fail(err, TARN_INVALID,
                    "number \"" TARN_SLICE_FMT "\" has more digits than numeric holds",
                    TARN_SLICE_ARG(expr->literal.bytes));
    tarn_error_locate(err, "22003", expr->position);
    tarn_error_hint(err, "numeric has at most %d digits; quote it and cast it to double precision",
                    EXPR_NUMERIC_PRECISION_MAX);
    return TARN_INVALID;
}

static tarn_status read_untyped(tarn_arena *arena, const tarn_expr *expr, tarn_type type,
                                const tarn_expr **ret_expr, tarn_error *err) {
    tarn_expr node = *expr;
    node.type = type;
    if (expr->literal.is_null) {
        node.literal = tarn_value_null(type);
        return expr_tree_new(arena, node, ret_expr, err);
    }
    if (type.id == TARN_TYPE_TEXT) {
        node.literal.type = type;
        return expr_tree_new(arena, node, ret_expr, err);
    }
    tarn_status status = tarn_value_parse(type, expr->literal.bytes, arena, &node.literal, err);
    if (status != TARN_OK) {
        tarn_error_locate(err, NULL, expr->position);
        return status;
    }
    node.literal.type = type;
    return expr_tree_new(arena, node, ret_expr, err);
}

static tarn_type resolve_target(const tarn_expr *expr, tarn_type type) {
    if (type.id != TARN_TYPE_NUMERIC || type.precision > 0) return type;
    if (expr->type.id == TARN_TYPE_NULL) {
        if (expr->kind == TARN_EXPR_LITERAL && !expr->literal.is_null) {
            return numeric_type_of_text(expr->literal.bytes);
        }
        return tarn_type_numeric(EXPR_NUMERIC_PRECISION_MAX, 0);
    }
    return expr_type_for_cast(expr->type, TARN_TYPE_NUMERIC);
}

static tarn_status fail_cast(tarn_type from, tarn_type to, tarn_cast_context context,
                             int32_t position, tarn_error *err) {
    const char *from_name = expr_type_name(from.id);
    const char *to_name = expr_type_name(to.id);
    if (context == TARN_CAST_EXPLICIT || !expr_cast_exists(from.id, to.id, TARN_CAST_EXPLICIT)) {
        (void)tarn_fail(err, TARN_INVALID, "cannot cast type %s to %s", from_name, to_name);
        tarn_error_locate(err, "42846", position);
        return TARN_INVALID;
    }
    (void)tarn_fail(err, TARN_INVALID, "type %s is needed but expression is of type %s", to_name,
                    from_name);
    tarn_error_locate(err, "42804", position);
    tarn_error_hint(err, "you will need to rewrite or cast the expression");
    return TARN_INVALID;
}

tarn_status tarn_expr_cast(tarn_arena *arena, const tarn_expr *expr, tarn_type type,
                           tarn_cast_context context, int32_t position, const tarn_expr **ret_expr,
                           tarn_error *err) {
    bool is_open = type.id == TARN_TYPE_NUMERIC && type.precision == 0;
    type = resolve_target(expr, type);
    if (tarn_type_equal(expr->type, type)) {
        *ret_expr = expr;
        return TARN_OK;
    }
    bool is_untyped = expr->kind == TARN_EXPR_LITERAL && expr->type.id == TARN_TYPE_NULL;
    if (is_untyped && type.id != TARN_TYPE_NULL) {
        if (is_open && !expr->literal.is_null) TARN_TRY(check_digits(expr, type, err));
        bool checks_length = type.length > 0 && !expr->literal.is_null;
        tarn_type read_type = checks_length ? tarn_type_of(type.id) : type;
        TARN_TRY(read_untyped(arena, expr, read_type, ret_expr, err));
        if (!checks_length) return TARN_OK;
        expr = *ret_expr;
    }
    if (!expr_cast_exists(expr->type.id, type.id, context)) {
        return fail_cast(expr->type, type, context, position, err);
    }
    tarn_expr node = {.kind = TARN_EXPR_CAST,
                      .type = type,
                      .not_null = expr->not_null,
                      .position = position,
                      .cast_context = (uint8_t)context,
                      .args = &expr,
                      .arg_count = 1};
    TARN_TRY(expr_tree_new(arena, node, ret_expr, err));
    // A literal is cast at once, so that overloads, lists and pruning see a literal.
    return expr_is_literal(expr) ? tarn_expr_fold(arena, *ret_expr, ret_expr, err) : TARN_OK;
}

tarn_status tarn_common_type(const tarn_type *types, size_t count, int32_t position,
                             tarn_type *ret_type, tarn_error *err) {
    tarn_type common = tarn_type_of(TARN_TYPE_NULL);
    for (size_t i = 0; i < count; i++) {
        if (types[i].id == TARN_TYPE_NULL) continue;
        if (common.id == TARN_TYPE_NULL) {
            common = types[i];
        } else if (common.id == types[i].id) {
            common = expr_type_merge(common, types[i]);
        } else if (expr_type_category(common.id) != expr_type_category(types[i].id)) {
            (void)tarn_fail(err, TARN_INVALID, "types %s and %s cannot be matched",
                            expr_type_name(common.id), expr_type_name(types[i].id));
            tarn_error_locate(err, "42804", position);
            return TARN_INVALID;
        } else if (!expr_type_is_preferred(common.id) &&
                   expr_cast_exists(common.id, types[i].id, TARN_CAST_IMPLICIT) &&
                   !expr_cast_exists(types[i].id, common.id, TARN_CAST_IMPLICIT)) {
            common = types[i];
            for (size_t before = 0; before < i; before++) { // their digits must fit, too
                if (types[before].id == TARN_TYPE_NULL || common.id != TARN_TYPE_NUMERIC) continue;
                common = expr_type_merge(common, expr_type_for_cast(types[before], common.id));
            }
        } else if (common.id == TARN_TYPE_NUMERIC &&
                   expr_cast_exists(types[i].id, common.id, TARN_CAST_IMPLICIT)) {
            common = expr_type_merge(common, expr_type_for_cast(types[i], common.id));
        } else if (!expr_cast_exists(types[i].id, common.id, TARN_CAST_IMPLICIT)) {
            (void)tarn_fail(err, TARN_INVALID, "cannot convert type %s to %s",
                            expr_type_name(types[i].id), expr_type_name(common.id));
            tarn_error_locate(err, "42846", position);
            return TARN_INVALID;
        }
    }
    if (common.id == TARN_TYPE_NULL) common = tarn_type_of(TARN_TYPE_TEXT);
    *ret_type = common;
    return TARN_OK;
}

// ---- calls ----

// A numeric without precision and scale takes those of the value.
static tarn_type unbounded_type(tarn_type_id id) {
    if (id == TARN_TYPE_NUMERIC) return (tarn_type){.id = TARN_TYPE_NUMERIC};
    return tarn_type_of(id);
}

static tarn_status cast_argument(tarn_arena *arena, const tarn_expr **arg, uint8_t wanted,
                                 tarn_type common, tarn_error *err) {
    const tarn_expr *expr = *arg;
    tarn_type text = tarn_type_of(TARN_TYPE_TEXT);
    int32_t position = expr->position;
    switch (wanted) {
    case EXPR_ANY: // concat: each as its output function writes it
    case EXPR_ANYNONTEXT:
        return tarn_expr_cast(arena, expr, text, TARN_CAST_EXPLICIT, position, arg, err);
    case EXPR_ANYELEMENT:
        return tarn_expr_cast(arena, expr, common, TARN_CAST_IMPLICIT, position, arg, err);
    default: break;
    }
    if (expr->type.id == wanted) return TARN_OK;
    return tarn_expr_cast(arena, expr, unbounded_type(wanted), TARN_CAST_IMPLICIT, position, arg,
                          err);
}

// concat() writes a boolean as 't', the cast to text as 'true'.
static tarn_status cast_for_concat(tarn_arena *arena, const tarn_expr **arg, tarn_error *err) {
    if ((*arg)->type.id != TARN_TYPE_BOOLEAN) {
        return cast_argument(arena, arg, EXPR_ANY, tarn_type_of(TARN_TYPE_TEXT), err);
    }
    tarn_expr node = {.kind = TARN_EXPR_CALL,
                      .type = tarn_type_of(TARN_TYPE_TEXT),
                      .not_null = (*arg)->not_null,
                      .position = (*arg)->position,
                      .name = TARN_LIT("boolout"),
                      .function = &expr_boolout,
                      .args = arg,
                      .arg_count = 1};
    return expr_tree_new(arena, node, arg, err);
}

static tarn_status cast_arguments(tarn_arena *arena, const expr_candidate *candidate,
                                  const tarn_expr **args, size_t arg_count, int32_t position,
                                  tarn_error *err) {
    tarn_type common = tarn_type_of(TARN_TYPE_TEXT);
    bool is_polymorphic =
        arg_count > 0 && expr_signature_arg(&candidate->signature, 0) == EXPR_ANYELEMENT;
    if (is_polymorphic) {
        tarn_type *types = tarn_arena_new(arena, tarn_type, arg_count);
        if (types == NULL) return expr_no_memory(err);
        for (size_t i = 0; i < arg_count; i++) types[i] = args[i]->type;
        TARN_TRY(tarn_common_type(types, arg_count, position, &common, err));
    }
    for (size_t i = 0; i < arg_count; i++) {
        uint8_t wanted = expr_signature_arg(&candidate->signature, i);
        if (wanted == EXPR_ANY) {
            TARN_TRY(cast_for_concat(arena, &args[i], err));
        } else {
            TARN_TRY(cast_argument(arena, &args[i], wanted, common, err));
        }
    }
    return TARN_OK;
}

// real with double precision: both as double precision.
static tarn_status widen(tarn_arena *arena, tarn_slice name, expr_candidate *candidate,
                         const tarn_expr **args, size_t arg_count, tarn_error *err) {
    uint8_t types[EXPR_ARGS_MAX];
    for (size_t i = 0; i < arg_count; i++) {
        types[i] = TARN_TYPE_DOUBLE;
        TARN_TRY(
            cast_argument(arena, &args[i], TARN_TYPE_DOUBLE, tarn_type_of(TARN_TYPE_DOUBLE), err));
    }
    return expr_resolve(name, types, arg_count, 0, candidate, err);
}

// date(x), int8(x): a type's name used as a function is a cast.
static bool is_type_call(tarn_slice name, const tarn_expr *const *args, size_t arg_count,
                         tarn_type_id *ret_id) {
    if (arg_count != 1 || expr_function_find(name, NULL, 0) > 0) return false;
    if (!expr_type_from_name(name, ret_id)) return false;
    return expr_cast_exists(args[0]->type.id, *ret_id, TARN_CAST_EXPLICIT);
}

static tarn_type result_type(const expr_candidate *candidate, const tarn_expr *const *args,
                             size_t arg_count) {
    const tarn_function *function = candidate->function;
    if (function->typer != NULL) return function->typer(args, arg_count);
    if (candidate->signature.result == EXPR_ANYELEMENT) return args[0]->type;
    return tarn_type_of(candidate->signature.result);
}

static bool is_never_null(uint32_t flags, const tarn_expr *const *args, size_t arg_count) {
    if ((flags & EXPR_NEVER_NULL) != 0) return true;
    if ((flags & EXPR_MAKES_NULLS) != 0) return false;
    size_t not_null_count = 0;
    for (size_t i = 0; i < arg_count; i++) not_null_count += args[i]->not_null;
    return (flags & EXPR_NULL_IF_ALL) != 0 ? not_null_count > 0 : not_null_count == arg_count;
}

tarn_status tarn_expr_call(tarn_arena *arena, tarn_slice name, const tarn_expr *const *args,
                           size_t arg_count, int32_t position, const tarn_expr **ret_expr,
                           tarn_error *err) {
    tarn_type_id type_id;
    if (is_type_call(name, args, arg_count, &type_id)) {
        return tarn_expr_cast(arena, args[0], unbounded_type(type_id), TARN_CAST_EXPLICIT, position,
                              ret_expr, err);
    }
    const tarn_expr **cast_args = tarn_arena_new(arena, const tarn_expr *, arg_count + 1);
    uint8_t *types = tarn_arena_new(arena, uint8_t, arg_count + 1);
    if (cast_args == NULL || types == NULL) return expr_no_memory(err);
    for (size_t i = 0; i < arg_count; i++) {
        cast_args[i] = args[i];
        types[i] = args[i]->type.id;
    }
    expr_candidate chosen;
    TARN_TRY(expr_resolve(name, types, arg_count, position, &chosen, err));
    TARN_TRY(cast_arguments(arena, &chosen, cast_args, arg_count, position, err));
    if ((chosen.function->flags & EXPR_WIDENS) != 0) {
        TARN_TRY(widen(arena, name, &chosen, cast_args, arg_count, err));
    }

    tarn_expr node = {.kind = TARN_EXPR_CALL,
                      .type = result_type(&chosen, cast_args, arg_count),
                      .position = position,
                      .name = tarn_slice_from_cstr(chosen.function->name),
                      .function = chosen.function,
                      .args = cast_args,
                      .arg_count = arg_count};
    node.not_null = is_never_null(chosen.function->flags, cast_args, arg_count);
    return expr_tree_new(arena, node, ret_expr, err);
}

// ---- special forms ----

static const char *special_name(tarn_expr_kind kind) {
    switch (kind) {
    case TARN_EXPR_AND: return "AND";
    case TARN_EXPR_OR: return "OR";
    case TARN_EXPR_NOT: return "NOT";
    case TARN_EXPR_IS_NULL: return "IS NULL";
    case TARN_EXPR_CASE: return "CASE";
    case TARN_EXPR_COALESCE: return "COALESCE";
    case TARN_EXPR_IN: return "IN";
    case TARN_EXPR_COLUMN:
    case TARN_EXPR_LITERAL:
    case TARN_EXPR_CALL:
    case TARN_EXPR_CAST: break;
    }
    return "expression";
}

static tarn_status cast_to_boolean(tarn_arena *arena, const tarn_expr **arg, const char *form,
                                   tarn_error *err) {
    tarn_type boolean = tarn_type_of(TARN_TYPE_BOOLEAN);
    if (!expr_cast_exists((*arg)->type.id, TARN_TYPE_BOOLEAN, TARN_CAST_IMPLICIT)) {
        (void)tarn_fail(err, TARN_INVALID, "argument of %s must be type boolean, not type %s", form,
                        expr_type_name((*arg)->type.id));
        tarn_error_locate(err, "42804", (*arg)->position);
        return TARN_INVALID;
    }
    return tarn_expr_cast(arena, *arg, boolean, TARN_CAST_IMPLICIT, (*arg)->position, arg, err);
}

// Which arguments of a form share one type: the results of CASE, all of COALESCE and IN.
static bool shares_type(tarn_expr_kind kind, size_t index, size_t arg_count) {
    if (kind != TARN_EXPR_CASE) return true;
    return index % 2 == 1 || index + 1 == arg_count;
}

static tarn_status unify(tarn_arena *arena, tarn_expr_kind kind, const tarn_expr **args,
                         size_t arg_count, int32_t position, tarn_type *ret_type, tarn_error *err) {
    tarn_type *types = tarn_arena_new(arena, tarn_type, arg_count);
    if (types == NULL) return expr_no_memory(err);
    size_t count = 0;
    // As PostgreSQL, ELSE is asked first.
    if (kind == TARN_EXPR_CASE) types[count++] = args[arg_count - 1]->type;
    for (size_t i = 0; i < arg_count; i++) {
        if (kind == TARN_EXPR_CASE && i + 1 == arg_count) break;
        if (shares_type(kind, i, arg_count)) types[count++] = args[i]->type;
    }
    tarn_status status = tarn_common_type(types, count, position, ret_type, err);
    if (status != TARN_OK) {
        tarn_error_prefix(err, "%s ", special_name(kind));
        return status;
    }
    for (size_t i = 0; i < arg_count; i++) {
        if (!shares_type(kind, i, arg_count)) continue;
        TARN_TRY(tarn_expr_cast(arena, args[i], *ret_type, TARN_CAST_IMPLICIT, args[i]->position,
                                &args[i], err));
    }
    return TARN_OK;
}

static tarn_status prepare_special(tarn_arena *arena, tarn_expr *node, const tarn_expr **args,
                                   tarn_error *err) {
    size_t count = node->arg_count;
    node->type = tarn_type_of(TARN_TYPE_BOOLEAN);
    switch (node->kind) {
    case TARN_EXPR_AND:
    case TARN_EXPR_OR:
    case TARN_EXPR_NOT:
        node->not_null = true;
        for (size_t i = 0; i < count; i++) {
            TARN_TRY(cast_to_boolean(arena, &args[i], special_name(node->kind), err));
            node->not_null &= args[i]->not_null;
        }
        return TARN_OK;
    case TARN_EXPR_IS_NULL:
        node->not_null = true;
        if (args[0]->type.id != TARN_TYPE_NULL) return TARN_OK;
        return tarn_expr_cast(arena, args[0], tarn_type_of(TARN_TYPE_TEXT), TARN_CAST_IMPLICIT,
                              node->position, &args[0], err);
    case TARN_EXPR_CASE:
        node->not_null = args[count - 1]->not_null;
        for (size_t i = 0; i + 1 < count; i += 2) {
            TARN_TRY(cast_to_boolean(arena, &args[i], "CASE/WHEN", err));
            node->not_null &= args[i + 1]->not_null;
        }
        return unify(arena, node->kind, args, count, node->position, &node->type, err);
    case TARN_EXPR_COALESCE:
        for (size_t i = 0; i < count; i++) node->not_null |= args[i]->not_null;
        return unify(arena, node->kind, args, count, node->position, &node->type, err);
    case TARN_EXPR_IN: {
        tarn_type common;
        node->not_null = true;
        for (size_t i = 0; i < count; i++) node->not_null &= args[i]->not_null;
        return unify(arena, node->kind, args, count, node->position, &common, err);
    }
    case TARN_EXPR_COLUMN:
    case TARN_EXPR_LITERAL:
    case TARN_EXPR_CALL:
    case TARN_EXPR_CAST: break;
    }
    tarn_assert(false);
    return TARN_INVALID;
}

static bool has_right_count(tarn_expr_kind kind, size_t count) {
    if (kind == TARN_EXPR_NOT || kind == TARN_EXPR_IS_NULL) return count == 1;
    if (kind == TARN_EXPR_CASE) return count % 2 == 1;
    return count >= 1;
}

tarn_status tarn_expr_special(tarn_arena *arena, tarn_expr_kind kind, const tarn_expr *const *args,
                              size_t arg_count, int32_t position, const tarn_expr **ret_expr,
                              tarn_error *err) {
    tarn_assert(has_right_count(kind, arg_count));
    const tarn_expr **cast_args = tarn_arena_new(arena, const tarn_expr *, arg_count);
    if (cast_args == NULL) return expr_no_memory(err);
    for (size_t i = 0; i < arg_count; i++) cast_args[i] = args[i];
    tarn_expr node = {
        .kind = kind, .position = position, .args = cast_args, .arg_count = arg_count};
    TARN_TRY(prepare_special(arena, &node, cast_args, err));
    return expr_tree_new(arena, node, ret_expr, err);
}
