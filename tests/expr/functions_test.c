// docs/sql/functions.md says what the registry says; and the registry is in order.

#include "tests/test.h"

#include <stdio.h>

#include "expr/expr.h"

static const char path[] = "docs/sql/functions.md";

static void put(tarn_buffer *out, const char *text) {
    assert_true(tarn_buffer_append(out, tarn_slice_from_cstr(text)));
}

// In a table "|" ends a cell.
static void put_cell(tarn_buffer *out, const char *text) {
    put(out, "| ");
    for (; *text != '\0'; text++) {
        if (*text == '|') put(out, "\\");
        assert_true(tarn_buffer_append_byte(out, (uint8_t)*text));
    }
    put(out, " ");
}

static bool is_operator(const char *name) {
    return !((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_');
}

typedef enum section {
    SECTION_OPERATORS,
    SECTION_FUNCTIONS,
    SECTION_AGGREGATES,
} section;

static section section_of(const tarn_function_info *info) {
    if (info->is_aggregate) return SECTION_AGGREGATES;
    return is_operator(info->name) ? SECTION_OPERATORS : SECTION_FUNCTIONS;
}

static void put_section(tarn_buffer *out, const char *title, section wanted) {
    assert_true(tarn_buffer_printf(out, "\n## %s\n\n", title));
    put(out, "| name | arguments | result | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < tarn_function_count(); i++) {
        tarn_function_info info = tarn_function_at(i);
        if (section_of(&info) != wanted) continue;
        put_cell(out, info.name);
        put_cell(out, info.arguments);
        put_cell(out, info.result);
        put_cell(out, info.description);
        put(out, "|\n");
    }
}

static void write_document(tarn_buffer *out) {
    put(out,
        "# Functions and operators\n\n"
        "Made by `tools/make_function_docs` from the registry; do not edit. Names, overloads,\n"
        "results and error codes are PostgreSQL 15's; what differs stands in\n"
        "[differences](differences.md).\n");
    put_section(out, "Operators", SECTION_OPERATORS);
    put_section(out, "Functions", SECTION_FUNCTIONS);
    put_section(out, "Aggregates", SECTION_AGGREGATES);
}

// TARN_WRITE_DOCS=1 writes the document instead.
TEST(the_document_is_current) {
    tarn_buffer expected = {0};
    write_document(&expected);
    if (getenv("TARN_WRITE_DOCS") != NULL) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(expected.data, 1, expected.len, file), expected.len);
        assert_int_equal(fclose(file), 0);
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    uint8_t *actual = test_malloc(expected.len + 2);
    size_t len = fread(actual, 1, expected.len + 2, file);
    (void)fclose(file);
    if (len != expected.len || memcmp(actual, expected.data, len) != 0) {
        fail_msg("%s is not what the registry says: run tools/make_function_docs", path);
    }
    test_free(actual);
    tarn_buffer_free(&expected);
}

TEST(overloads_come_in_name_order) {
    for (size_t i = 1; i < tarn_function_count(); i++) {
        tarn_function_info before = tarn_function_at(i - 1);
        tarn_function_info info = tarn_function_at(i);
        assert_true(strcmp(before.name, info.name) <= 0);
        assert_true(strlen(info.description) > 0);
    }
}

TEST(no_overload_is_there_twice) {
    for (size_t i = 0; i < tarn_function_count(); i++) {
        tarn_function_info info = tarn_function_at(i);
        for (size_t k = i + 1; k < tarn_function_count(); k++) {
            tarn_function_info other = tarn_function_at(k);
            if (strcmp(info.name, other.name) != 0) break;
            if (strcmp(info.arguments, other.arguments) == 0) {
                fail_msg("%s(%s) is there twice", info.name, info.arguments);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_current),
        cmocka_unit_test(overloads_come_in_name_order),
        cmocka_unit_test(no_overload_is_there_twice),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
