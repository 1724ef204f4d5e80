// Columns that nobody uses are left out, from the top down.
//
// Each node is told which of its columns are needed. It answers with a plan that has at least
// those, and where each went.

#include "sql/rewrite.h"

typedef struct pruned {
    const tarn_plan *plan;
    size_t *map; // per old column: its new number, or SQL_GONE
} pruned;

static tarn_status prune(const sql_optimizer *o, const tarn_plan *plan, const uint64_t *needed,
                         pruned *ret_pruned, tarn_error *err);

// ---- sets of columns ----

static tarn_status new_set(const sql_optimizer *o, size_t column_count, uint64_t **ret_set,
                           tarn_error *err) {
    *ret_set = tarn_arena_new(o->arena, uint64_t, TARN_BITMAP_WORDS(column_count) + 1);
    return *ret_set == NULL ? sql_no_memory(err) : TARN_OK;
}

static void add_exprs(uint64_t *set, size_t column_count, const tarn_expr *const *exprs,
                      size_t count) {
    for (size_t i = 0; i < count; i++) tarn_expr_columns(exprs[i], set, column_count);
}

static void add_keys(uint64_t *set, size_t column_count, const tarn_sort_key *keys, size_t count) {
    for (size_t i = 0; i < count; i++) tarn_expr_columns(keys[i].expr, set, column_count);
}

// The needed ones of the first `count` columns.
static tarn_status copy_set(const sql_optimizer *o, const uint64_t *needed, size_t count,
                            uint64_t **ret_set, tarn_error *err) {
    TARN_TRY(new_set(o, count, ret_set, err));
    for (size_t i = 0; i < count; i++) {
        if (tarn_bitmap_get(needed, i)) tarn_bitmap_set(*ret_set, i);
    }
    return TARN_OK;
}

static tarn_status new_map(const sql_optimizer *o, size_t count, size_t **ret_map,
                           tarn_error *err) {
    size_t *map = tarn_arena_new(o->arena, size_t, count);
    if (map == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) map[i] = SQL_GONE;
    *ret_map = map;
    return TARN_OK;
}

// ---- leaves ----

// A scan of no columns still has to count rows: the narrowest stored column does.
static size_t narrowest(const tarn_plan *scan) {
    size_t best = 0;
    size_t best_width = SIZE_MAX;
    for (size_t i = 0; i < scan->schema.field_count; i++) {
        size_t column = scan->scan.columns[i];
        const tarn_expr *const *generated = scan->scan.relation->generated;
        size_t width = tarn_type_width(scan->schema.fields[i].type);
        if (generated != NULL && generated[column] != NULL) width += 64;
        if (width < best_width) {
            best = i;
            best_width = width;
        }
    }
    return best;
}

static tarn_status prune_scan(const sql_optimizer *o, const tarn_plan *plan, const uint64_t *needed,
                              pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->schema.field_count;
    size_t *columns = tarn_arena_new(o->arena, size_t, count);
    if (columns == NULL) return sql_no_memory(err);
    TARN_TRY(new_map(o, count, &ret_pruned->map, err));
    bool none = tarn_bitmap_count(needed, count) == 0;
    size_t only = none && count > 0 ? narrowest(plan) : count;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!tarn_bitmap_get(needed, i) && i != only) continue;
        columns[kept] = plan->scan.columns[i];
        ret_pruned->map[i] = kept++;
    }
    sql_plan_scan_spec spec = {
        .relation = plan->scan.relation,
        .columns = columns,
        .column_count = kept,
        .as_of = plan->scan.as_of,
        .as_of_value = plan->scan.as_of_value,
        .prune = plan->scan.prune,
    };
    return sql_plan_scan(o->arena, &spec, &ret_pruned->plan, err);
}

static tarn_status prune_values(const sql_optimizer *o, const tarn_plan *plan,
                                const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->schema.field_count;
    size_t rows = plan->values.row_count;
    TARN_TRY(new_map(o, count, &ret_pruned->map, err));
    tarn_field *fields = tarn_arena_new(o->arena, tarn_field, count);
    const tarn_expr **cells = tarn_arena_new(o->arena, const tarn_expr *, rows *count);
    if (fields == NULL || cells == NULL) return sql_no_memory(err);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_last_chance = kept == 0 && i + 1 == count;
        if (!tarn_bitmap_get(needed, i) && !is_last_chance) continue;
        fields[kept] = plan->schema.fields[i];
        ret_pruned->map[i] = kept++;
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < count; i++) {
            if (ret_pruned->map[i] == SQL_GONE) continue;
            cells[r * kept + ret_pruned->map[i]] = plan->values.cells[r * count + i];
        }
    }
    tarn_schema schema = {fields, kept};
    return sql_plan_values(o->arena, cells, rows, &schema, &ret_pruned->plan, err);
}

// ---- filters, with the hint that they give to a scan ----

static tarn_status hint_scan(const sql_optimizer *o, const tarn_plan **scan,
                             const tarn_expr *condition, tarn_error *err) {
    const tarn_relation *relation = (*scan)->scan.relation;
    bool has_files = relation->kind == TARN_RELATION_TABLE || relation->kind == TARN_RELATION_VIEW;
    if (!has_files || o->use == SQL_PLAN_OF_VIEW) return TARN_OK;
    tarn_prune hint = {0};
    TARN_TRY(tarn_prune_from_expr(o->arena, condition, &hint, err));
    if (hint.test_count == 0) return TARN_OK;
    tarn_prune_test *tests = tarn_arena_new(o->arena, tarn_prune_test, hint.test_count);
    if (tests == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < hint.test_count; i++) {
        tests[i] = hint.tests[i];
        tests[i].column = (*scan)->scan.columns[hint.tests[i].column];
    }
    sql_plan_scan_spec spec = {
        .relation = relation,
        .columns = (*scan)->scan.columns,
        .column_count = (*scan)->schema.field_count,
        .as_of = (*scan)->scan.as_of,
        .as_of_value = (*scan)->scan.as_of_value,
        .prune = {.tests = tests, .test_count = hint.test_count},
    };
    return sql_plan_scan(o->arena, &spec, scan, err);
}

static tarn_status prune_filter(const sql_optimizer *o, const tarn_plan *plan,
                                const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->schema.field_count;
    uint64_t *set = NULL;
    TARN_TRY(copy_set(o, needed, count, &set, err));
    tarn_expr_columns(plan->filter.condition, set, count);
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], set, &input, err));
    const tarn_expr *condition = NULL;
    TARN_TRY(sql_expr_move(o, plan->filter.condition, input.map, &condition, err));
    if (input.plan->kind == TARN_PLAN_SCAN) TARN_TRY(hint_scan(o, &input.plan, condition, err));
    ret_pruned->map = input.map;
    return sql_plan_filter(o->arena, input.plan, condition, &ret_pruned->plan, err);
}

// ---- projections ----

// Expressions of more nodes than this stay where they are.
#define MERGED_SIZE_MAX 1000

static void count_uses(const tarn_expr *expr, size_t *uses) {
    if (expr->kind == TARN_EXPR_COLUMN) uses[expr->column]++;
    for (size_t i = 0; i < expr->arg_count; i++) count_uses(expr->args[i], uses);
}

// Whether the projection below can be taken into the one above without computing anything twice.
static tarn_status can_merge(const sql_optimizer *o, const tarn_plan *inner,
                             const sql_outputs *outputs, bool *ret_can_merge, tarn_error *err) {
    *ret_can_merge = false;
    if (inner->kind != TARN_PLAN_PROJECT) return TARN_OK;
    size_t inner_count = inner->schema.field_count;
    size_t *uses = tarn_arena_new(o->arena, size_t, inner_count);
    if (uses == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < outputs->count; i++) count_uses(outputs->exprs[i], uses);
    for (size_t i = 0; i < inner_count; i++) {
        const tarn_expr *expr = inner->project.exprs[i];
        if (uses[i] > 1 && !sql_expr_is_trivial(expr)) return TARN_OK;
        if (sql_expr_size(expr, MERGED_SIZE_MAX) >= MERGED_SIZE_MAX) return TARN_OK;
    }
    *ret_can_merge = true;
    return TARN_OK;
}

static bool is_identity(const sql_outputs *outputs, const tarn_plan *input) {
    if (outputs->count != input->schema.field_count) return false;
    for (size_t i = 0; i < outputs->count; i++) {
        size_t column;
        if (!sql_expr_is_column(outputs->exprs[i], &column) || column != i) return false;
    }
    return true;
}

static tarn_status build_project(const sql_optimizer *o, const tarn_plan *input,
                                 sql_outputs outputs, const tarn_plan **ret_plan, tarn_error *err) {
    bool merges = false;
    TARN_TRY(can_merge(o, input, &outputs, &merges, err));
    if (merges) {
        const tarn_expr **merged = tarn_arena_new(o->arena, const tarn_expr *, outputs.count);
        if (merged == NULL) return sql_no_memory(err);
        for (size_t i = 0; i < outputs.count; i++) {
            TARN_TRY(tarn_expr_substitute(o->arena, outputs.exprs[i], input->project.exprs,
                                          input->schema.field_count, &merged[i], err));
            TARN_TRY(tarn_expr_fold(o->arena, merged[i], &merged[i], err));
        }
        outputs.exprs = merged;
        input = input->inputs[0];
    }
    *ret_plan = input;
    if (is_identity(&outputs, input)) return TARN_OK;
    return sql_plan_project(o->arena, input, &outputs, ret_plan, err);
}

static tarn_status prune_project(const sql_optimizer *o, const tarn_plan *plan,
                                 const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->schema.field_count;
    size_t input_count = plan->inputs[0]->schema.field_count;
    const tarn_expr **exprs = tarn_arena_new(o->arena, const tarn_expr *, count);
    tarn_slice *names = tarn_arena_new(o->arena, tarn_slice, count);
    if (exprs == NULL || names == NULL) return sql_no_memory(err);
    TARN_TRY(new_map(o, count, &ret_pruned->map, err));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!tarn_bitmap_get(needed, i)) continue;
        exprs[kept] = plan->project.exprs[i];
        names[kept] = plan->schema.fields[i].name;
        ret_pruned->map[i] = kept++;
    }
    uint64_t *set = NULL;
    TARN_TRY(new_set(o, input_count, &set, err));
    add_exprs(set, input_count, exprs, kept);
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], set, &input, err));
    ret_pruned->plan = input.plan;
    if (kept == 0) return TARN_OK; // only the number of rows matters
    TARN_TRY(sql_exprs_move(o, exprs, kept, input.map, &exprs, err));
    sql_outputs outputs = {exprs, names, kept};
    return build_project(o, input.plan, outputs, &ret_pruned->plan, err);
}

// ---- joins ----

// The input with exactly the columns that the join needs, since it copies all it is given.
static tarn_status prune_side(const sql_optimizer *o, const tarn_plan *side, const uint64_t *set,
                              pruned *ret_pruned, tarn_error *err) {
    size_t count = side->schema.field_count;
    TARN_TRY(prune(o, side, set, ret_pruned, err));
    size_t wanted = tarn_bitmap_count(set, count);
    if (wanted == 0 || wanted == ret_pruned->plan->schema.field_count) return TARN_OK;
    size_t *columns = tarn_arena_new(o->arena, size_t, wanted);
    if (columns == NULL) return sql_no_memory(err);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!tarn_bitmap_get(set, i)) {
            ret_pruned->map[i] = SQL_GONE;
            continue;
        }
        columns[kept] = ret_pruned->map[i];
        ret_pruned->map[i] = kept++;
    }
    return sql_select_columns(o, ret_pruned->plan, columns, wanted, &ret_pruned->plan, err);
}

static tarn_status join_sets(const sql_optimizer *o, const tarn_plan *plan, const uint64_t *needed,
                             uint64_t *sets[2], tarn_error *err) {
    size_t left_count = plan->inputs[0]->schema.field_count;
    size_t right_count = plan->inputs[1]->schema.field_count;
    size_t count = left_count + right_count;
    uint64_t *both = NULL;
    TARN_TRY(copy_set(o, needed, count, &both, err));
    if (plan->join.residual != NULL) tarn_expr_columns(plan->join.residual, both, count);
    TARN_TRY(new_set(o, left_count, &sets[0], err));
    TARN_TRY(new_set(o, right_count, &sets[1], err));
    for (size_t i = 0; i < count; i++) {
        if (!tarn_bitmap_get(both, i)) continue;
        bool is_left = i < left_count;
        tarn_bitmap_set(sets[is_left ? 0 : 1], is_left ? i : i - left_count);
    }
    add_exprs(sets[0], left_count, plan->join.left_keys, plan->join.key_count);
    add_exprs(sets[1], right_count, plan->join.right_keys, plan->join.key_count);
    return TARN_OK;
}

static tarn_status prune_join(const sql_optimizer *o, const tarn_plan *plan, const uint64_t *needed,
                              pruned *ret_pruned, tarn_error *err) {
    size_t left_count = plan->inputs[0]->schema.field_count;
    size_t count = plan->schema.field_count;
    size_t key_count = plan->join.key_count;
    uint64_t *sets[2] = {NULL, NULL};
    TARN_TRY(join_sets(o, plan, needed, sets, err));
    pruned sides[2] = {{0}, {0}};
    for (size_t s = 0; s < 2; s++) {
        TARN_TRY(prune_side(o, plan->inputs[s], sets[s], &sides[s], err));
    }
    TARN_TRY(new_map(o, count, &ret_pruned->map, err));
    size_t shift = sides[0].plan->schema.field_count;
    for (size_t i = 0; i < count; i++) {
        bool is_left = i < left_count;
        size_t at = is_left ? sides[0].map[i] : sides[1].map[i - left_count];
        if (at != SQL_GONE) ret_pruned->map[i] = is_left ? at : at + shift;
    }
    sql_plan_join_spec spec = {.kind = plan->join.kind,
                               .left = sides[0].plan,
                               .right = sides[1].plan,
                               .key_count = key_count};
    const tarn_expr **left_keys = NULL;
    const tarn_expr **right_keys = NULL;
    TARN_TRY(sql_exprs_move(o, plan->join.left_keys, key_count, sides[0].map, &left_keys, err));
    TARN_TRY(sql_exprs_move(o, plan->join.right_keys, key_count, sides[1].map, &right_keys, err));
    spec.left_keys = left_keys;
    spec.right_keys = right_keys;
    if (plan->join.residual != NULL) {
        TARN_TRY(sql_expr_move(o, plan->join.residual, ret_pruned->map, &spec.residual, err));
    }
    return sql_plan_join(o->arena, &spec, &ret_pruned->plan, err);
}

// ---- aggregates ----

static tarn_status prune_aggregate(const sql_optimizer *o, const tarn_plan *plan,
                                   const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t group_count = plan->aggregate.group_count;
    size_t aggregate_count = plan->aggregate.aggregate_count;
    size_t input_count = plan->inputs[0]->schema.field_count;
    tarn_plan_aggregate *items = tarn_arena_new(o->arena, tarn_plan_aggregate, aggregate_count);
    tarn_slice *names = tarn_arena_new(o->arena, tarn_slice, group_count + aggregate_count);
    uint64_t *set = NULL;
    if (items == NULL || names == NULL) return sql_no_memory(err);
    TARN_TRY(new_set(o, input_count, &set, err));
    TARN_TRY(new_map(o, group_count + aggregate_count, &ret_pruned->map, err));
    for (size_t i = 0; i < group_count; i++) { // groups decide which rows there are: all stay
        names[i] = plan->schema.fields[i].name;
        ret_pruned->map[i] = i;
    }
    size_t kept = 0;
    for (size_t i = 0; i < aggregate_count; i++) {
        bool is_last_chance = group_count == 0 && kept == 0 && i + 1 == aggregate_count;
        if (!tarn_bitmap_get(needed, group_count + i) && !is_last_chance) continue;
        items[kept] = plan->aggregate.aggregates[i];
        names[group_count + kept] = plan->schema.fields[group_count + i].name;
        if (items[kept].arg != NULL) tarn_expr_columns(items[kept].arg, set, input_count);
        if (items[kept].filter != NULL) tarn_expr_columns(items[kept].filter, set, input_count);
        ret_pruned->map[group_count + i] = group_count + kept;
        kept++;
    }
    add_exprs(set, input_count, plan->aggregate.groups, group_count);
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], set, &input, err));
    const tarn_expr **groups = NULL;
    TARN_TRY(sql_exprs_move(o, plan->aggregate.groups, group_count, input.map, &groups, err));
    for (size_t i = 0; i < kept; i++) {
        if (items[i].arg != NULL) {
            TARN_TRY(sql_expr_move(o, items[i].arg, input.map, &items[i].arg, err));
        }
        if (items[i].filter != NULL) {
            TARN_TRY(sql_expr_move(o, items[i].filter, input.map, &items[i].filter, err));
        }
    }
    sql_plan_aggregate_spec spec = {
        .input = input.plan,
        .groups = groups,
        .group_names = names,
        .group_count = group_count,
        .aggregates = items,
        .aggregate_names = names + group_count,
        .aggregate_count = kept,
        .emit_on_close = plan->aggregate.emit_on_close,
        .window_group = plan->aggregate.window_group,
        .window_offset_us = plan->aggregate.window_offset_us,
    };
    return sql_plan_aggregate(o->arena, &spec, &ret_pruned->plan, err);
}

// ---- the others ----

// The map of a node that adds `added` columns behind its input's.
static tarn_status map_added(const sql_optimizer *o, const pruned *input, size_t input_count,
                             size_t added, size_t **ret_map, tarn_error *err) {
    TARN_TRY(new_map(o, input_count + added, ret_map, err));
    for (size_t i = 0; i < input_count; i++) (*ret_map)[i] = input->map[i];
    for (size_t i = 0; i < added; i++) {
        (*ret_map)[input_count + i] = input->plan->schema.field_count + i;
    }
    return TARN_OK;
}

static tarn_status prune_time_window(const sql_optimizer *o, const tarn_plan *plan,
                                     const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->inputs[0]->schema.field_count;
    uint64_t *set = NULL;
    TARN_TRY(copy_set(o, needed, count, &set, err));
    tarn_bitmap_set(set, plan->time_window.time_column);
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], set, &input, err));
    sql_plan_window_spec spec = {
        .time_column = input.map[plan->time_window.time_column],
        .size_us = plan->time_window.size_us,
        .slide_us = plan->time_window.slide_us,
        .offset_us = plan->time_window.offset_us,
    };
    TARN_TRY(map_added(o, &input, count, 2, &ret_pruned->map, err));
    return sql_plan_time_window(o->arena, input.plan, &spec, &ret_pruned->plan, err);
}

static tarn_status prune_sort(const sql_optimizer *o, const tarn_plan *plan, const uint64_t *needed,
                              pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->schema.field_count;
    uint64_t *set = NULL;
    TARN_TRY(copy_set(o, needed, count, &set, err));
    add_keys(set, count, plan->sort.keys, plan->sort.key_count);
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], set, &input, err));
    const tarn_sort_key *keys = NULL;
    TARN_TRY(sql_keys_move(o, plan->sort.keys, plan->sort.key_count, input.map, &keys, err));
    ret_pruned->map = input.map;
    return sql_plan_sort(o->arena, input.plan, keys, plan->sort.key_count, &ret_pruned->plan, err);
}

static tarn_status prune_limit(const sql_optimizer *o, const tarn_plan *plan,
                               const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], needed, &input, err));
    ret_pruned->map = input.map;
    return sql_plan_limit(o->arena, input.plan, plan->limit.limit, plan->limit.offset,
                          &ret_pruned->plan, err);
}

static tarn_status prune_top_n(const sql_optimizer *o, const tarn_plan *plan,
                               const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->inputs[0]->schema.field_count;
    bool is_numbered = plan->top_n.numbered && tarn_bitmap_get(needed, count);
    bool takes_all = plan->top_n.limit < 0 && plan->top_n.offset == 0;
    uint64_t *set = NULL;
    TARN_TRY(copy_set(o, needed, count, &set, err));
    if (is_numbered || !takes_all) {
        add_exprs(set, count, plan->top_n.partitions, plan->top_n.partition_count);
        add_keys(set, count, plan->top_n.keys, plan->top_n.key_count);
    }
    pruned input = {0};
    TARN_TRY(prune(o, plan->inputs[0], set, &input, err));
    TARN_TRY(map_added(o, &input, count, plan->top_n.numbered ? 1 : 0, &ret_pruned->map, err));
    ret_pruned->plan = input.plan;
    if (plan->top_n.numbered && !is_numbered) ret_pruned->map[count] = SQL_GONE;
    if (!is_numbered && takes_all) return TARN_OK; // numbers that nobody reads
    sql_plan_top_n_spec spec = {
        .input = input.plan,
        .partition_count = plan->top_n.partition_count,
        .key_count = plan->top_n.key_count,
        .limit = plan->top_n.limit,
        .offset = plan->top_n.offset,
        .numbered = is_numbered,
    };
    if (is_numbered) spec.number_name = plan->schema.fields[count].name;
    const tarn_expr **partitions = NULL;
    TARN_TRY(sql_exprs_move(o, plan->top_n.partitions, spec.partition_count, input.map, &partitions,
                            err));
    spec.partitions = partitions;
    TARN_TRY(sql_keys_move(o, plan->top_n.keys, spec.key_count, input.map, &spec.keys, err));
    return sql_plan_top_n(o->arena, &spec, &ret_pruned->plan, err);
}

// All inputs keep the same columns in the same order.
static tarn_status prune_union(const sql_optimizer *o, const tarn_plan *plan,
                               const uint64_t *needed, pruned *ret_pruned, tarn_error *err) {
    size_t count = plan->schema.field_count;
    uint64_t *set = NULL;
    TARN_TRY(copy_set(o, needed, count, &set, err));
    if (count > 0 && tarn_bitmap_count(set, count) == 0) tarn_bitmap_set(set, 0);
    TARN_TRY(new_map(o, count, &ret_pruned->map, err));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (tarn_bitmap_get(set, i)) ret_pruned->map[i] = kept++;
    }
    const tarn_plan **inputs = tarn_arena_new(o->arena, const tarn_plan *, plan->input_count);
    if (inputs == NULL) return sql_no_memory(err);
    for (size_t k = 0; k < plan->input_count; k++) {
        pruned input = {0};
        size_t *columns = tarn_arena_new(o->arena, size_t, kept);
        if (columns == NULL) return sql_no_memory(err);
        TARN_TRY(prune(o, plan->inputs[k], set, &input, err));
        for (size_t i = 0; i < count; i++) {
            if (ret_pruned->map[i] != SQL_GONE) columns[ret_pruned->map[i]] = input.map[i];
        }
        TARN_TRY(sql_select_columns(o, input.plan, columns, kept, &inputs[k], err));
    }
    return sql_plan_union_all(o->arena, inputs, plan->input_count, &ret_pruned->plan, err);
}

static tarn_status prune(const sql_optimizer *o, const tarn_plan *plan, const uint64_t *needed,
                         pruned *ret_pruned, tarn_error *err) {
    switch (plan->kind) {
    case TARN_PLAN_SCAN: return prune_scan(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_VALUES: return prune_values(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_FILTER: return prune_filter(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_PROJECT: return prune_project(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_JOIN: return prune_join(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_AGGREGATE: return prune_aggregate(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_TIME_WINDOW: return prune_time_window(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_SORT: return prune_sort(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_LIMIT: return prune_limit(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_TOP_N: return prune_top_n(o, plan, needed, ret_pruned, err);
    case TARN_PLAN_UNION_ALL: return prune_union(o, plan, needed, ret_pruned, err);
    }
    return TARN_OK;
}

tarn_status sql_prune_columns(const sql_optimizer *o, const tarn_plan *plan,
                              const tarn_plan **ret_plan, tarn_error *err) {
    size_t count = plan->schema.field_count;
    uint64_t *all = NULL;
    TARN_TRY(new_set(o, count, &all, err));
    for (size_t i = 0; i < count; i++) tarn_bitmap_set(all, i);
    pruned result = {0};
    TARN_TRY(prune(o, plan, all, &result, err));
    TARN_TRY(sql_select_columns(o, result.plan, result.map, count, &result.plan, err));
    *ret_plan = result.plan;
    return TARN_OK;
}

tarn_status sql_name_columns(const sql_optimizer *o, const tarn_plan *plan,
                             const tarn_schema *schema, const tarn_plan **ret_plan,
                             tarn_error *err) {
    size_t count = schema->field_count;
    bool has_names = true;
    tarn_slice *names = tarn_arena_new(o->arena, tarn_slice, count);
    const tarn_expr **exprs = tarn_arena_new(o->arena, const tarn_expr *, count);
    if (names == NULL || exprs == NULL) return sql_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        names[i] = schema->fields[i].name;
        has_names &= tarn_slice_equal(plan->schema.fields[i].name, names[i]);
        TARN_TRY(sql_plan_column(o->arena, plan, i, 0, &exprs[i], err));
    }
    *ret_plan = plan;
    if (has_names) return TARN_OK;
    if (plan->kind == TARN_PLAN_PROJECT) {
        return sql_plan_rename(o->arena, plan, names, ret_plan, err);
    }
    sql_outputs outputs = {exprs, names, count};
    return sql_plan_project(o->arena, plan, &outputs, ret_plan, err);
}
