// Every expression of tests/expr/cases/*.cases gives the type and the value, or the SQLSTATE, that
// PostgreSQL 15 gives (*.answers, stored by tools/ask_postgres).

#include "tests/test.h"

#include "tests/expr/sql_expr.h"

static const tarn_eval_context context = {.now_us = 1700000000123456};

typedef struct case_result {
    char text[1024]; // as in the answers: "integer\t42", "!22012"
} case_result;

// "numeric(10,2)" is numeric: PostgreSQL's expressions have no precision.
static void put_type(const char *name, size_t len, char *out, size_t size) {
    size_t used = 0;
    bool within = false;
    for (size_t i = 0; i < len && used + 1 < size; i++) {
        if (name[i] == '(') within = true;
        if (!within) out[used++] = name[i];
        if (name[i] == ')') within = false;
    }
    out[used] = '\0';
}

static void put_value(tarn_value value, char *out, size_t size) {
    tarn_buffer text = {0};
    size_t used = 0;
    if (value.is_null) {
        (void)snprintf(out, size, "\\N");
        return;
    }
    assert_int_equal(tarn_value_format(value, &text, NULL), TARN_OK);
    for (size_t i = 0; i < text.len && used + 3 < size; i++) {
        if (text.data[i] == '\n') {
            out[used++] = '\\';
            out[used++] = 'n';
        } else {
            out[used++] = (char)text.data[i];
        }
    }
    out[used] = '\0';
    tarn_buffer_free(&text);
}

static void describe(tarn_status status, const tarn_error *err, const tarn_expr *expr,
                     tarn_value value, case_result *result) {
    if (status != TARN_OK) {
        (void)snprintf(result->text, sizeof result->text, "!%s", err->sqlstate);
        return;
    }
    tarn_buffer name = {0};
    assert_int_equal(tarn_type_format(expr->type, &name, NULL), TARN_OK);
    put_type((const char *)name.data, name.len, result->text, 100);
    tarn_buffer_free(&name);
    size_t used = strlen(result->text);
    result->text[used++] = '\t';
    put_value(value, result->text + used, sizeof result->text - used);
}

// The expression as it is, and folded, must agree.
static void evaluate(const char *text, case_result *result, case_result *folded, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, (size_t)1 << 30);
    const tarn_expr *expr = NULL;
    tarn_value value = {0};
    *err = (tarn_error){0};
    tarn_status status = sql_read(text, NULL, &arena, &expr, err);
    if (status == TARN_OK && expr->type.id == TARN_TYPE_NULL) {
        status = tarn_expr_cast(&arena, expr, tarn_type_of(TARN_TYPE_TEXT), TARN_CAST_IMPLICIT, 0,
                                &expr, err);
    }
    const tarn_expr *built = expr;
    bool is_built = status == TARN_OK;
    if (is_built) status = tarn_expr_evaluate(expr, context, &arena, &value, err);
    describe(status, err, expr, value, result);
    *folded = *result;
    if (is_built && !tarn_expr_is_volatile(built)) {
        tarn_error fold_err = {0};
        assert_int_equal(tarn_expr_fold(&arena, built, &expr, &fold_err), TARN_OK);
        status = tarn_expr_evaluate(expr, context, &arena, &value, &fold_err);
        describe(status, &fold_err, expr, value, folded);
    }
    tarn_arena_reset(&arena);
}

// Digits behind the point as far as both have them; the last one may be rounded.
static bool agrees_roughly(const char *ours, const char *theirs) {
    const char *our_tab = strchr(ours, '\t');
    const char *their_tab = strchr(theirs, '\t');
    if (our_tab == NULL || their_tab == NULL) return strcmp(ours, theirs) == 0;
    if (our_tab - ours != their_tab - theirs ||
        strncmp(ours, theirs, (size_t)(our_tab - ours)) != 0) {
        return false;
    }
    size_t our_len = strlen(our_tab);
    size_t their_len = strlen(their_tab);
    size_t common = our_len < their_len ? our_len : their_len;
    size_t same = 0;
    while (same < common && our_tab[same] == their_tab[same]) same++;
    if (same == common) { // what one has more must be a fraction, or zeros
        return strchr(our_len > their_len ? our_tab : their_tab, '.') != NULL;
    }
    return same + 1 >= common && abs(our_tab[same] - their_tab[same]) <= 1;
}

// How many lines disagree; each is printed.
static int check_file(const char *name) {
    char path[200];
    (void)snprintf(path, sizeof path, "tests/expr/cases/%s.cases", name);
    FILE *cases = fopen(path, "r");
    (void)snprintf(path, sizeof path, "tests/expr/cases/%s.answers", name);
    FILE *answers = fopen(path, "r");
    assert_non_null(cases);
    assert_non_null(answers);
    int failures = 0;
    int count = 0;
    char line[1024];
    char answer[1024];
    while (fgets(line, sizeof line, cases) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0') continue;
        assert_non_null(fgets(answer, sizeof answer, answers));
        answer[strcspn(answer, "\n")] = '\0';
        const char *text = line;
        bool roughly = *text == '~';
        bool differs = *text == '!';
        if (roughly || differs) text++;
        case_result result;
        case_result folded;
        tarn_error err;
        evaluate(text, &result, &folded, &err);
        count++;
        bool agrees =
            strcmp(result.text, answer) == 0 || (roughly && agrees_roughly(result.text, answer));
        if (agrees == differs) {
            print_error("%s: %s\n    PostgreSQL: %s\n    tarn:       %s %s\n", name, text, answer,
                        result.text, err.message);
            failures++;
        }
        if (strcmp(result.text, folded.text) != 0) {
            print_error("%s: %s\n    evaluated: %s\n    folded:    %s\n", name, text, result.text,
                        folded.text);
            failures++;
        }
    }
    assert_null(fgets(answer, sizeof answer, answers));
    assert_true(count > 0);
    (void)fclose(cases);
    (void)fclose(answers);
    return failures;
}

#define DEFINE_CASES(name)                      \
    TEST(name##_is_as_in_postgresql) {          \
        assert_int_equal(check_file(#name), 0); \
    }
DEFINE_CASES(arith)
DEFINE_CASES(numeric)
DEFINE_CASES(text)
DEFINE_CASES(cast)
DEFINE_CASES(logic)
DEFINE_CASES(time)
DEFINE_CASES(to_char)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arith_is_as_in_postgresql),
        cmocka_unit_test(numeric_is_as_in_postgresql),
        cmocka_unit_test(text_is_as_in_postgresql),
        cmocka_unit_test(cast_is_as_in_postgresql),
        cmocka_unit_test(logic_is_as_in_postgresql),
        cmocka_unit_test(time_is_as_in_postgresql),
        cmocka_unit_test(to_char_is_as_in_postgresql),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
