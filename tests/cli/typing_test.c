// What helps people who type: history and completion.
#include "cli/complete.h"
#include "cli/history.h"
#include "os/sim.h"
#include "tests/cli/fake.h"

// ---- history ----

static tarn_sim *sim;
static tarn_arena arena;

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    return tarn_sim_new(&tarn_alloc_libc, 1, &sim, NULL) == TARN_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    tarn_arena_reset(&arena);
    tarn_sim_free(sim);
    return 0;
}

#define TYPING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define HISTORY TARN_LIT("/h")

static void add(const char *entry) {
    assert_int_equal(cli_history_add(tarn_sim_os(sim), HISTORY, tarn_slice_from_cstr(entry), NULL),
                     TARN_OK);
}

static size_t load(tarn_slice **ret_entries) {
    size_t count = 99;
    assert_int_equal(cli_history_load(tarn_sim_os(sim), HISTORY, &arena, ret_entries, &count, NULL),
                     TARN_OK);
    return count;
}

TEST(entries_come_back_with_their_lines_and_backslashes) {
    static const char *const entries[] = {"SELECT 1;", "SELECT\n  'a\\nb';", "\\d t", "\\\\\n\\"};
    tarn_slice *loaded = NULL;
    assert_int_equal(load(&loaded), 0);
    for (size_t i = 0; i < 4; i++) add(entries[i]);
    assert_int_equal(load(&loaded), 4);
    for (size_t i = 0; i < 4; i++) {
        // The editor takes them as strings.
        assert_string_equal((const char *)loaded[i].data, entries[i]);
        assert_int_equal(loaded[i].len, strlen(entries[i]));
    }
}

TEST(a_long_history_keeps_its_newest_entries) {
    char text[32];
    tarn_slice *loaded = NULL;
    int total = 2 * CLI_HISTORY_ENTRIES_MAX;
    for (int i = 0; i < total - 1; i++) {
        (void)snprintf(text, sizeof text, "SELECT %d;", i);
        add(text);
    }
    tarn_file_info before;
    tarn_file_info after;
    assert_int_equal(load(&loaded), CLI_HISTORY_ENTRIES_MAX);
    assert_int_equal(tarn_os_stat(tarn_sim_os(sim), HISTORY, &before, NULL), TARN_OK);
    add("the last");
    assert_int_equal(load(&loaded), CLI_HISTORY_ENTRIES_MAX); // and the file is cut
    assert_string_equal((const char *)loaded[CLI_HISTORY_ENTRIES_MAX - 1].data, "the last");
    (void)snprintf(text, sizeof text, "SELECT %d;", CLI_HISTORY_ENTRIES_MAX);
    assert_string_equal((const char *)loaded[0].data, text);
    assert_int_equal(tarn_os_stat(tarn_sim_os(sim), HISTORY, &after, NULL), TARN_OK);
    assert_true(after.size_bytes < before.size_bytes);
    assert_int_equal(load(&loaded), CLI_HISTORY_ENTRIES_MAX);
}

TEST(a_history_that_cannot_be_kept_is_told) {
    tarn_error err = {0};
    tarn_slice *loaded = NULL;
    size_t count = 0;
    assert_int_equal(tarn_os_make_dirs(tarn_sim_os(sim), HISTORY, NULL), TARN_OK);
    assert_int_equal(cli_history_add(tarn_sim_os(sim), HISTORY, TARN_LIT("x"), &err), TARN_IO);
    assert_string_equal(err.message, "cannot open '/h': is a directory");
    assert_int_equal(cli_history_load(tarn_sim_os(sim), HISTORY, &arena, &loaded, &count, &err),
                     TARN_IO);
}

// ---- completion ----

static void complete(const char *line, const char *expected) {
    tarn_slice names[] = {TARN_LIT("orders"), TARN_LIT("order_items"), TARN_LIT("orders"),
                          TARN_LIT("origin"), TARN_LIT("selection")};
    cli_completion completion;
    tarn_buffer text = {0};
    assert_true(cli_complete(tarn_slice_from_cstr(line), names, 5, &arena, &completion));
    assert_true(
        tarn_buffer_printf(&text, "[" TARN_SLICE_FMT "]", TARN_SLICE_ARG(completion.addition)));
    for (size_t i = 0; i < completion.count; i++) {
        assert_true(tarn_buffer_printf(&text, " " TARN_SLICE_FMT,
                                       TARN_SLICE_ARG(completion.candidates[i])));
    }
    fake_assert_text(&text, expected);
    tarn_buffer_free(&text);
}

TEST(words_and_names_are_completed_as_far_as_they_agree) {
    complete("SELECT * FROM orders WHERE ori", "[gin] origin");
    complete("SELECT * FROM ord", "[er] ORDER BY order_items orders");
    complete("SELEC", "[T] SELECT selection");
    complete("selec", "[t] SELECT selection");
    complete("select cou", "[nt] COUNT");
    complete("SELECT xyz", "[]");
    complete("SELECT ", "[]");
    complete("", "[]");
    complete("EXPL", "[AIN] EXPLAIN EXPLAIN ANALYZE");
}

TEST(meta_commands_take_names_only) {
    complete("\\d ord", "[er] order_items orders");
    complete("\\d sel", "[ection] selection");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TYPING_TEST(entries_come_back_with_their_lines_and_backslashes),
        TYPING_TEST(a_long_history_keeps_its_newest_entries),
        TYPING_TEST(a_history_that_cannot_be_kept_is_told),
        TYPING_TEST(words_and_names_are_completed_as_far_as_they_agree),
        TYPING_TEST(meta_commands_take_names_only),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
