// Overload resolution as PostgreSQL documents it ("Type Conversion", sections operators and
// functions): exact match, then the candidates that implicit casts reach, fewer casts first, then
// preferred types, then guesses for untyped literals.

#include "expr/resolve.h"

#include "expr/aggregates.h"
#include "expr/types.h"

#define CANDIDATES_MAX 64

bool expr_name_is_operator(tarn_slice name) {
    if (name.len == 0) return false;
    uint8_t first = name.data[0];
    return !(first == '_' || first >= 0x80 || (first >= 'a' && first <= 'z') ||
             (first >= 'A' && first <= 'Z'));
}

static bool accepts(uint8_t wanted, uint8_t given) {
    if (wanted == EXPR_ANY || wanted == EXPR_ANYELEMENT) return true;
    if (wanted == EXPR_ANYNONTEXT) return given != TARN_TYPE_TEXT && given != TARN_TYPE_BYTEA;
    return expr_cast_exists(given, wanted, TARN_CAST_IMPLICIT);
}

static expr_category category_of(uint8_t type) {
    return type >= EXPR_ANY ? EXPR_CATEGORY_OTHER : expr_type_category(type);
}

static bool is_preferred(uint8_t type) {
    return type < EXPR_ANY && expr_type_is_preferred(type);
}

typedef struct resolution {
    expr_candidate candidates[CANDIDATES_MAX];
    size_t count;
    const uint8_t *types;
    size_t arg_count;
} resolution;

static bool candidate_accepts(const expr_candidate *candidate, const uint8_t *types, size_t count) {
    if (candidate->signature.arg_count > count) return false;
    if (candidate->signature.arg_count < count && !candidate->signature.is_variadic) return false;
    for (size_t i = 0; i < count; i++) {
        if (!accepts(expr_signature_arg(&candidate->signature, i), types[i])) return false;
    }
    return true;
}

static const expr_candidate *find_exact(const resolution *r, const uint8_t *types) {
    for (size_t c = 0; c < r->count; c++) {
        bool exact = true;
        for (size_t i = 0; i < r->arg_count; i++) {
            exact &= expr_signature_arg(&r->candidates[c].signature, i) == types[i];
        }
        if (exact) return &r->candidates[c];
    }
    return NULL;
}

// Keeps the candidates with the most arguments that need no cast (or whose cast leads to a
// preferred type).
static void keep_best(resolution *r, bool preferred_counts) {
    size_t best = 0;
    size_t kept = 0;
    for (size_t c = 0; c < r->count; c++) {
        size_t matches = 0;
        for (size_t i = 0; i < r->arg_count; i++) {
            uint8_t wanted = expr_signature_arg(&r->candidates[c].signature, i);
            if (r->types[i] == TARN_TYPE_NULL) continue;
            matches += wanted == r->types[i] || (preferred_counts && is_preferred(wanted));
        }
        if (matches > best) {
            best = matches;
            kept = 0;
        }
        if (matches == best) r->candidates[kept++] = r->candidates[c];
    }
    r->count = kept;
}

// The category that all candidates want for argument `arg`; text wins where they disagree.
static bool unknown_category(const resolution *r, size_t arg, expr_category *ret_category,
                             bool *ret_preferred) {
    expr_category category = EXPR_CATEGORY_UNKNOWN;
    bool preferred = false;
    bool conflict = false;
    for (size_t c = 0; c < r->count; c++) {
        uint8_t wanted = expr_signature_arg(&r->candidates[c].signature, arg);
        expr_category its = category_of(wanted);
        if (c == 0 || (its == EXPR_CATEGORY_TEXT && category != EXPR_CATEGORY_TEXT)) {
            category = its;
            preferred = is_preferred(wanted);
        } else if (its == category) {
            preferred |= is_preferred(wanted);
        } else if (category != EXPR_CATEGORY_TEXT) {
            conflict = true;
        }
    }
    if (conflict && category != EXPR_CATEGORY_TEXT) return false;
    *ret_category = category;
    *ret_preferred = preferred;
    return true;
}

static void guess_unknowns(resolution *r) {
    expr_category categories[EXPR_ARGS_MAX];
    bool preferred[EXPR_ARGS_MAX];
    for (size_t i = 0; i < r->arg_count; i++) {
        if (r->types[i] != TARN_TYPE_NULL) continue;
        if (!unknown_category(r, i, &categories[i], &preferred[i])) return;
    }
    size_t kept = 0;
    expr_candidate survivors[CANDIDATES_MAX];
    for (size_t c = 0; c < r->count; c++) {
        bool fits = true;
        for (size_t i = 0; i < r->arg_count; i++) {
            if (r->types[i] != TARN_TYPE_NULL) continue;
            uint8_t wanted = expr_signature_arg(&r->candidates[c].signature, i);
            fits &= category_of(wanted) == categories[i];
            fits &= !preferred[i] || is_preferred(wanted);
        }
        if (fits) survivors[kept++] = r->candidates[c];
    }
    if (kept == 0) return;
    memcpy(r->candidates, survivors, kept * sizeof survivors[0]);
    r->count = kept;
}

// Last resort: untyped literals take the one type that all other arguments have.
static void assume_known_type(resolution *r) {
    uint8_t known = TARN_TYPE_NULL;
    for (size_t i = 0; i < r->arg_count; i++) {
        if (r->types[i] == TARN_TYPE_NULL) continue;
        if (known != TARN_TYPE_NULL && known != r->types[i]) return;
        known = r->types[i];
    }
    if (known == TARN_TYPE_NULL) return;
    uint8_t types[EXPR_ARGS_MAX];
    memset(types, known, sizeof types);
    size_t fitting = 0;
    expr_candidate last = r->candidates[0];
    for (size_t c = 0; c < r->count; c++) {
        if (!candidate_accepts(&r->candidates[c], types, r->arg_count)) continue;
        last = r->candidates[c];
        fitting++;
    }
    if (fitting != 1) return;
    r->candidates[0] = last;
    r->count = 1;
}

// ---- failures ----

static void format_types(char *out, size_t size, const uint8_t *types, size_t count) {
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++) {
        int len =
            snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", expr_type_name(types[i]));
        if (len > 0) used += (size_t)len;
    }
}

static void describe_call(char *out, size_t size, tarn_slice name, const uint8_t *types,
                          size_t count) {
    char list[256];
    if (!expr_name_is_operator(name)) {
        format_types(list, sizeof list, types, count);
        (void)snprintf(out, size, "function " TARN_SLICE_FMT "(%s)", TARN_SLICE_ARG(name), list);
    } else if (count == 1) {
        (void)snprintf(out, size, "operator " TARN_SLICE_FMT " %s", TARN_SLICE_ARG(name),
                       expr_type_name(types[0]));
    } else {
        (void)snprintf(out, size, "operator %s " TARN_SLICE_FMT " %s", expr_type_name(types[0]),
                       TARN_SLICE_ARG(name), expr_type_name(types[1]));
    }
}

static tarn_status fail_unknown(tarn_slice name, const uint8_t *types, size_t arg_count,
                                bool name_exists, int32_t position, tarn_error *err) {
    char call[400];
    describe_call(call, sizeof call, name, types, arg_count);
    if (expr_name_is_operator(name)) {
        // PostgreSQL's order of words: "operator does not exist: text + integer".
        (void)tarn_fail(err, TARN_INVALID, "operator does not exist: %s", call + 9);
    } else {
        (void)tarn_fail(err, TARN_INVALID, "%s does not exist", call);
    }
    tarn_error_locate(err, "42883", position);
    if (name_exists) {
        tarn_error_hint(err, "no overload takes these argument types; add explicit casts");
        return TARN_INVALID;
    }
    size_t count = tarn_function_count();
    tarn_slice nearest = {0};
    tarn_slice names[16];
    for (size_t i = 0; i < count;) { // in small groups: the best of each competes with the last
        size_t filled = 0;
        if (nearest.len > 0) names[filled++] = nearest;
        while (i < count && filled < sizeof names / sizeof names[0]) {
            names[filled++] = tarn_slice_from_cstr(tarn_function_at(i++).name);
        }
        ptrdiff_t best = tarn_nearest_name(name, names, filled);
        if (best >= 0) nearest = names[best];
    }
    if (nearest.len > 0 && !expr_name_is_operator(name)) {
        tarn_error_hint(err, "did you mean " TARN_SLICE_FMT "()?", TARN_SLICE_ARG(nearest));
    }
    return TARN_INVALID;
}

static tarn_status fail_ambiguous(tarn_slice name, const uint8_t *types, size_t arg_count,
                                  int32_t position, tarn_error *err) {
    char call[400];
    describe_call(call, sizeof call, name, types, arg_count);
    if (expr_name_is_operator(name)) {
        (void)tarn_fail(err, TARN_INVALID, "operator is not unique: %s", call + 9);
    } else {
        (void)tarn_fail(err, TARN_INVALID, "%s is not unique", call);
    }
    tarn_error_locate(err, "42725", position);
    tarn_error_hint(err, "several overloads fit; add explicit casts");
    return TARN_INVALID;
}

// ---- the way through ----

// A binary operator with one untyped literal: first try it with the other side's type.
static const expr_candidate *find_mirrored(const resolution *r) {
    if (r->arg_count != 2) return NULL;
    uint8_t types[2] = {r->types[0], r->types[1]};
    if ((types[0] == TARN_TYPE_NULL) == (types[1] == TARN_TYPE_NULL)) return NULL;
    if (types[0] == TARN_TYPE_NULL) types[0] = types[1];
    if (types[1] == TARN_TYPE_NULL) types[1] = types[0];
    return find_exact(r, types);
}

static void narrow(resolution *r) {
    keep_best(r, false);
    if (r->count > 1) keep_best(r, true);
    bool has_unknown = memchr(r->types, TARN_TYPE_NULL, r->arg_count) != NULL;
    if (r->count > 1 && has_unknown) guess_unknowns(r);
    if (r->count > 1 && has_unknown) assume_known_type(r);
}

tarn_status expr_resolve(tarn_slice name, const uint8_t *types, size_t arg_count, int32_t position,
                         expr_candidate *ret_candidate, tarn_error *err) {
    const tarn_function *overloads[CANDIDATES_MAX];
    size_t overload_count = expr_function_find(name, overloads, CANDIDATES_MAX);
    tarn_assert(overload_count <= CANDIDATES_MAX);

    resolution r = {.types = types, .arg_count = arg_count};
    for (size_t i = 0; i < overload_count; i++) {
        expr_candidate candidate = {overloads[i], expr_signature_of(overloads[i])};
        if (!candidate_accepts(&candidate, types, arg_count)) continue;
        r.candidates[r.count++] = candidate;
    }
    if (r.count == 0) {
        return fail_unknown(name, types, arg_count, overload_count > 0, position, err);
    }
    // Only variadic functions take more than EXPR_ARGS_MAX arguments, and those have one overload.
    tarn_assert(r.count == 1 || arg_count <= EXPR_ARGS_MAX);

    const expr_candidate *chosen = r.count == 1 ? &r.candidates[0] : find_exact(&r, types);
    if (chosen == NULL && expr_name_is_operator(name)) chosen = find_mirrored(&r);
    if (chosen == NULL) {
        narrow(&r);
        if (r.count != 1) return fail_ambiguous(name, types, arg_count, position, err);
        chosen = &r.candidates[0];
    }
    *ret_candidate = *chosen;
    return TARN_OK;
}
