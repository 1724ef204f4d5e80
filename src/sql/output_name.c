// What PostgreSQL calls a column of the select list that has no AS.

#include "sql/bind.h"

typedef struct named {
    tarn_slice name;
    bool is_strong; // a weak one (a type's) gives way to what it is around
} named;

static named name_of(const pg_node *node);

static named strong(tarn_slice name) {
    return (named){name, true};
}

static named name_of_cast(const PgQuery__TypeCast *cast) {
    named inner = name_of(cast->arg);
    if (inner.is_strong || cast->type_name == NULL) return inner;
    return (named){sql_last_name(cast->type_name->names, cast->type_name->n_names), false};
}

static tarn_slice name_of_sql_value(const PgQuery__SQLValueFunction *function) {
    switch (function->op) {
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: return TARN_LIT("current_date");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME: return TARN_LIT("current_time");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP:
        return TARN_LIT("current_timestamp");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME: return TARN_LIT("localtime");
    case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: return TARN_LIT("localtimestamp");
    default: return (tarn_slice){0};
    }
}

static named name_of(const pg_node *node) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return strong(sql_last_name(node->column_ref->fields, node->column_ref->n_fields));
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return strong(sql_last_name(node->func_call->funcname, node->func_call->n_funcname));
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) {
            return strong(TARN_LIT("nullif"));
        }
        break;
    case PG_QUERY__NODE__NODE_TYPE_CAST: return name_of_cast(node->type_cast);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return name_of(node->collate_clause->arg);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        if (node->case_expr->defresult != NULL) {
            named inner = name_of(node->case_expr->defresult);
            if (inner.is_strong) return inner;
        }
        return (named){TARN_LIT("case"), false};
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return strong(TARN_LIT("coalesce"));
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return strong(node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST
                          ? TARN_LIT("least")
                          : TARN_LIT("greatest"));
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return strong(name_of_sql_value(node->sqlvalue_function));
    default: break;
    }
    return (named){0};
}

tarn_slice sql_output_name(const pg_node *node) {
    tarn_slice name = name_of(node).name;
    return name.len > 0 ? name : TARN_LIT("?column?");
}
