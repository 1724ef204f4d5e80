// The registry: all tables of functions, sorted by name on first use in each thread (so that
// nothing needs a lock), and the parser of signatures.

#include <stdlib.h>

#include "expr/aggregates.h"
#include "expr/function.h"
#include "expr/tables.h"
#include "expr/types.h"

#define FUNCTIONS_MAX 1024

static const expr_function_table *const tables[] = {
    &expr_arith_functions,          &expr_compare_functions,      &expr_encode_functions,
    &expr_like_functions,           &expr_math_functions,         &expr_numeric_functions,
    &expr_text_functions,           &expr_time_functions,         &expr_time_parts_functions,
    &expr_to_char_number_functions, &expr_to_char_time_functions, &expr_time_make_functions,
    &expr_time_trunc_functions,
};
#define TABLE_COUNT (sizeof tables / sizeof tables[0])

typedef struct sorted_functions {
    const tarn_function *functions[FUNCTIONS_MAX];
    size_t count;
} sorted_functions;

static int compare_functions(const void *a, const void *b) {
    const tarn_function *left = *(const tarn_function *const *)a;
    const tarn_function *right = *(const tarn_function *const *)b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : strcmp(left->arguments, right->arguments);
}

static const sorted_functions *all_functions(void) {
    static _Thread_local sorted_functions sorted;
    if (sorted.count > 0) return &sorted;
    size_t count = 0;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        tarn_assert(count + tables[t]->count <= FUNCTIONS_MAX);
        for (size_t i = 0; i < tables[t]->count; i++) {
            sorted.functions[count++] = &tables[t]->functions[i];
        }
    }
    qsort(sorted.functions, count, sizeof sorted.functions[0], compare_functions);
    sorted.count = count;
    return &sorted;
}

size_t expr_function_find(tarn_slice name, const tarn_function **functions, size_t capacity) {
    const sorted_functions *all = all_functions();
    size_t low = 0;
    size_t high = all->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        tarn_slice there = tarn_slice_from_cstr(all->functions[middle]->name);
        if (tarn_slice_compare(there, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t found = 0;
    for (size_t i = low; i < all->count; i++) {
        if (!tarn_slice_equal(tarn_slice_from_cstr(all->functions[i]->name), name)) break;
        if (found < capacity) functions[found] = all->functions[i];
        found++;
    }
    return found;
}

// ---- signatures ----

static uint8_t parse_type(tarn_slice name) {
    if (tarn_slice_equal(name, TARN_LIT("any"))) return EXPR_ANY;
    if (tarn_slice_equal(name, TARN_LIT("anyelement"))) return EXPR_ANYELEMENT;
    if (tarn_slice_equal(name, TARN_LIT("anynontext"))) return EXPR_ANYNONTEXT;
    tarn_type_id id = TARN_TYPE_NULL;
    bool known = expr_type_from_name(name, &id);
    tarn_assert(known);
    return (uint8_t)id;
}

expr_signature expr_signature_of(const tarn_function *function) {
    static const tarn_slice variadic = {(const uint8_t *)"variadic ", 9};
    expr_signature signature = {.result = parse_type(tarn_slice_from_cstr(function->result))};
    tarn_slice rest = tarn_slice_from_cstr(function->arguments);
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.data);
        tarn_slice word = tarn_slice_head(rest, len);
        rest = tarn_slice_skip(rest, comma == NULL ? len : len + 2);
        if (tarn_slice_starts_with(word, variadic)) {
            signature.is_variadic = true;
            signature.variadic = parse_type(tarn_slice_skip(word, variadic.len));
        } else {
            tarn_assert(signature.arg_count < EXPR_ARGS_MAX);
            signature.args[signature.arg_count++] = parse_type(word);
        }
    }
    return signature;
}

// ---- the list for \df and the documentation ----

size_t tarn_function_count(void) {
    return all_functions()->count + expr_aggregate_count();
}

// Scalar functions and aggregates, merged in name order.
tarn_function_info tarn_function_at(size_t index) {
    const sorted_functions *all = all_functions();
    size_t scalar = 0;
    size_t aggregate = 0;
    for (;;) {
        bool has_scalar = scalar < all->count;
        bool has_aggregate = aggregate < expr_aggregate_count();
        tarn_assert(has_scalar || has_aggregate);
        tarn_function_info info =
            has_aggregate ? expr_aggregate_at(aggregate) : (tarn_function_info){.name = ""};
        bool take_scalar =
            has_scalar && (!has_aggregate || strcmp(all->functions[scalar]->name, info.name) <= 0);
        if (take_scalar) {
            const tarn_function *function = all->functions[scalar++];
            info = (tarn_function_info){.name = function->name,
                                        .arguments = function->arguments,
                                        .result = function->result,
                                        .description = function->description};
        } else {
            aggregate++;
        }
        if (scalar + aggregate == index + 1) return info;
    }
}
