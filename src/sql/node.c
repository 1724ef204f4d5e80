// Small questions to nodes of the grammar's tree.

#include "sql/pg.h"

int32_t sql_node_location(const pg_node *node) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: return node->column_ref->location;
    case PG_QUERY__NODE__NODE_A_CONST: return node->a_const->location;
    case PG_QUERY__NODE__NODE_A_EXPR: return node->a_expr->location;
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return node->bool_expr->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL: return node->func_call->location;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        if (node->type_cast->location >= 0) return node->type_cast->location;
        return node->type_cast->type_name->location;
    case PG_QUERY__NODE__NODE_CASE_EXPR: return node->case_expr->location;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return node->coalesce_expr->location;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: return node->min_max_expr->location;
    case PG_QUERY__NODE__NODE_NULL_TEST: return node->null_test->location;
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: return node->boolean_test->location;
    case PG_QUERY__NODE__NODE_SUB_LINK: return node->sub_link->location;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: return node->sqlvalue_function->location;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return node->collate_clause->location;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return node->a_array_expr->location;
    case PG_QUERY__NODE__NODE_ROW_EXPR: return node->row_expr->location;
    case PG_QUERY__NODE__NODE_PARAM_REF: return node->param_ref->location;
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT: return node->set_to_default->location;
    case PG_QUERY__NODE__NODE_GROUPING_SET: return node->grouping_set->location;
    case PG_QUERY__NODE__NODE_GROUPING_FUNC: return node->grouping_func->location;
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR: return node->named_arg_expr->location;
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return sql_node_location(node->a_indirection->arg);
    case PG_QUERY__NODE__NODE_RANGE_VAR: return node->range_var->location;
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE: return node->range_table_sample->location;
    case PG_QUERY__NODE__NODE_RES_TARGET: return node->res_target->location;
    default: return -1;
    }
}

static int32_t earlier(int32_t a, int32_t b) {
    if (a < 0) return b;
    return b < 0 || a < b ? a : b;
}

int32_t sql_node_start(const pg_node *node) {
    int32_t own = sql_node_location(node);
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_EXPR:
        return node->a_expr->lexpr == NULL ? own
                                           : earlier(sql_node_start(node->a_expr->lexpr), own);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return earlier(sql_node_start(node->bool_expr->args[0]), own);
    case PG_QUERY__NODE__NODE_TYPE_CAST: return earlier(sql_node_start(node->type_cast->arg), own);
    case PG_QUERY__NODE__NODE_NULL_TEST: return earlier(sql_node_start(node->null_test->arg), own);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return earlier(sql_node_start(node->boolean_test->arg), own);
    default: return own;
    }
}

const char *sql_node_title(const pg_node *node) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return "COLLATE";
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return "ARRAY[...]";
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return "a subscript or field selection";
    case PG_QUERY__NODE__NODE_ROW_EXPR: return "a row value";
    case PG_QUERY__NODE__NODE_PARAM_REF: return "a parameter";
    case PG_QUERY__NODE__NODE_GROUPING_FUNC: return "GROUPING()";
    case PG_QUERY__NODE__NODE_GROUPING_SET: return "GROUPING SETS, ROLLUP or CUBE";
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR: return "a named argument";
    case PG_QUERY__NODE__NODE_XML_EXPR:
    case PG_QUERY__NODE__NODE_XML_SERIALIZE: return "XML";
    case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR: return "WHERE CURRENT OF";
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT: return "DEFAULT";
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE: return "TABLESAMPLE";
    case PG_QUERY__NODE__NODE_RANGE_TABLE_FUNC: return "XMLTABLE";
    case PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF: return "assignment of several columns";
    default: return "this construct";
    }
}

tarn_slice sql_node_string(const pg_node *node) {
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_STRING) return (tarn_slice){0};
    return tarn_slice_from_cstr(node->string->sval);
}

tarn_slice sql_last_name(PgQuery__Node *const *names, size_t count) {
    if (count == 0) return (tarn_slice){0};
    return sql_node_string(names[count - 1]);
}
