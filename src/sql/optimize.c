#include "sql/optimize.h"

#include "sql/rewrite.h"

tarn_status sql_optimize(tarn_arena *arena, const tarn_plan *plan, sql_plan_use use,
                         const tarn_plan **ret_plan, tarn_error *err) {
    sql_optimizer o = {.arena = arena, .use = use};
    const tarn_schema *schema = &plan->schema; // its names stay
    sql_conjuncts none = {0};
    TARN_TRY(sql_push_filters(&o, plan, &none, &plan, err));
    TARN_TRY(sql_limit_rows(&o, plan, &plan, err));
    TARN_TRY(sql_prune_columns(&o, plan, &plan, err));
    return sql_name_columns(&o, plan, schema, ret_plan, err);
}
