// How deep the grammar's tree can become, known before the grammar runs: libpg_query and
// protobuf-c walk trees by recursion without a limit of their own.
//
// A level of brackets (also CASE ... END) is deeper than what it holds. Inside a level, a chain
// of operators builds one level each (1 + 1 + 1 leans left, NOT NOT x right), and so does a chain
// of UNIONs or JOINs. Commas, AND, OR and the words that open a clause end a chain of operators,
// but not one of UNIONs or JOINs.

#include "sql/cutter.h"

typedef struct depth_level {
    uint32_t chain;      // operators since the chain began
    uint32_t inner;      // the deepest brackets among them
    uint32_t deepest;    // of the chains that have ended
    uint32_t structures; // UNIONs and JOINs
    bool is_case;
    bool is_query; // a SELECT makes several levels of its own
} depth_level;

#define QUERY_LEVELS 4

static const char *const chain_enders[] = {
    "and",    "or",    "select", "from",   "where", "on",   "group", "having", "order",     "limit",
    "offset", "union", "join",   "values", "when",  "then", "else",  "except", "intersect",
};
static const char *const structure_words[] = {"union", "join", "except", "intersect"};
static const char *const operator_words[] = {
    "not",      "is",      "isnull",  "notnull", "in",     "like", "ilike",
    "similar",  "between", "collate", "at",      "any",    "all",  "some",
    "operator", "escape",  "over",    "filter",  "within",
};

static bool is_one_of(const sql_cutter *c, size_t index, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (sql_cutter_word(c, index, words[i])) return true;
    }
    return false;
}
#define IS_ONE_OF(c, index, words) is_one_of((c), (index), (words), sizeof(words) / sizeof *(words))

static void end_chain(depth_level *level) {
    uint32_t depth = level->chain + level->inner;
    if (depth > level->deepest) level->deepest = depth;
    level->chain = 0;
    level->inner = 0;
}

static uint32_t depth_of(depth_level level) {
    end_chain(&level);
    return (level.is_query ? QUERY_LEVELS : 1) + level.structures + level.deepest;
}

// Operators count by their characters: "*-" is two of them.
static void count_token(const sql_cutter *c, size_t index, depth_level *level) {
    sql_token token = c->tokens[index];
    if (token.kind == SQL_TOKEN_OPERATOR) {
        level->chain += token.end - token.begin;
    } else if (token.kind == SQL_TOKEN_SYMBOL) {
        if (sql_cutter_symbol(c, index, ",") || sql_cutter_symbol(c, index, ";")) {
            end_chain(level);
        } else {
            level->chain++; // :: . and what the grammar will refuse
        }
    } else if (token.kind == SQL_TOKEN_WORD) {
        if (IS_ONE_OF(c, index, structure_words)) level->structures++;
        if (sql_cutter_word(c, index, "select")) level->is_query = true;
        if (IS_ONE_OF(c, index, chain_enders)) {
            end_chain(level);
        } else if (IS_ONE_OF(c, index, operator_words)) {
            level->chain++;
        }
    }
}

static bool opens(const sql_cutter *c, size_t index) {
    return sql_cutter_symbol(c, index, "(") || sql_cutter_symbol(c, index, "[") ||
           sql_cutter_word(c, index, "case");
}

static bool closes(const sql_cutter *c, size_t index, const depth_level *level) {
    if (level->is_case) return sql_cutter_word(c, index, "end");
    return sql_cutter_symbol(c, index, ")") || sql_cutter_symbol(c, index, "]");
}

static tarn_status too_deep(const sql_cutter *c, size_t index, tarn_error *err) {
    (void)sql_fail(err, sql_cutter_position(c, index), "54001",
                   "the statement is nested too deeply: more than %d levels", SQL_DEPTH_MAX);
    tarn_error_hint(err, "split long chains of operators, UNIONs or JOINs");
    return TARN_INVALID;
}

tarn_status sql_check_depth(const sql_cutter *c, tarn_error *err) {
    depth_level levels[SQL_DEPTH_MAX + 1];
    size_t top = 0;
    levels[0] = (depth_level){0};
    for (size_t i = 0; i < c->count; i++) {
        if (opens(c, i)) {
            if (top == SQL_DEPTH_MAX) return too_deep(c, i, err);
            levels[++top] = (depth_level){
                .is_case = !(sql_cutter_symbol(c, i, "(") || sql_cutter_symbol(c, i, "["))};
        } else if (top > 0 && closes(c, i, &levels[top])) {
            uint32_t depth = depth_of(levels[top--]);
            if (depth > levels[top].inner) levels[top].inner = depth;
        } else {
            count_token(c, i, &levels[top]);
        }
        if (top + depth_of(levels[top]) > SQL_DEPTH_MAX) return too_deep(c, i, err);
    }
    return TARN_OK;
}
