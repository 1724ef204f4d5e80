#include "cli/options.h"

#include "tests/cli/fake.h"

static tarn_arena arena;
static tarn_error err;

static int set_up(void **state) {
    (void)state;
    tarn_arena_init(&arena, &tarn_alloc_libc, 1 << 20);
    err = (tarn_error){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tarn_arena_reset(&arena);
    return 0;
}

#define OPTIONS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#define PARSE(options, ...) parse((options), (char *[]){(char[]){"tarn"}, __VA_ARGS__, NULL})
#define ARG(text) \
    (char[]) {    \
        text      \
    }

static tarn_status parse(cli_options *options, char *const *argv) {
    int argc = 0;
    while (argv[argc] != NULL) argc++;
    return cli_options_parse(argc, argv, &arena, options, &err);
}

#define assert_slice(slice, text) assert_true(tarn_slice_equal((slice), tarn_slice_from_cstr(text)))

TEST(a_directory_alone_opens_a_shell_with_the_defaults) {
    cli_options options;
    assert_int_equal(PARSE(&options, ARG("shop")), TARN_OK);
    assert_slice(options.directory, "shop");
    assert_int_equal(options.action_count, 0);
    assert_int_equal(options.style.format, CLI_FORMAT_TABLE);
    assert_int_equal(options.progress, CLI_PROGRESS_AUTO);
    assert_int_equal(options.warehouse.memory_limit_bytes, 0);
    assert_false(options.goes_on);
}

TEST(commands_and_files_keep_their_order) {
    cli_options options;
    assert_int_equal(PARSE(&options, ARG("-c"), ARG("SELECT 1"), ARG("shop"), ARG("-fa.sql"),
                           ARG("--command=SELECT 2"), ARG("--file"), ARG("-")),
                     TARN_OK);
    assert_int_equal(options.action_count, 4);
    assert_int_equal(options.actions[0].kind, CLI_ACTION_TEXT);
    assert_slice(options.actions[0].text, "SELECT 1");
    assert_int_equal(options.actions[1].kind, CLI_ACTION_FILE);
    assert_slice(options.actions[1].text, "a.sql");
    assert_slice(options.actions[2].text, "SELECT 2");
    assert_slice(options.actions[3].text, "-");
}

TEST(letters_may_be_joined_and_a_value_follows_or_is_joined) {
    cli_options options;
    assert_int_equal(PARSE(&options, ARG("-xtqcSELECT 1"), ARG("--"), ARG("-odd name")), TARN_OK);
    assert_true(options.style.expanded);
    assert_true(options.style.tuples_only);
    assert_true(options.quiet);
    assert_slice(options.actions[0].text, "SELECT 1");
    assert_slice(options.directory, "-odd name");
}

TEST(values_are_read_with_their_units) {
    cli_options options;
    assert_int_equal(PARSE(&options, ARG("w"), ARG("--memory"), ARG("512MB"), ARG("--threads=3"),
                           ARG("--checkpoint-interval"), ARG("250ms"), ARG("--progress=always"),
                           ARG("--format=json"), ARG("--no-color"), ARG("-v"),
                           ARG("ON_ERROR_STOP=0")),
                     TARN_OK);
    assert_int_equal(options.warehouse.memory_limit_bytes, 512 << 20);
    assert_int_equal(options.warehouse.thread_count, 3);
    assert_int_equal(options.warehouse.checkpoint_interval_ms, 250);
    assert_int_equal(options.progress, CLI_PROGRESS_ALWAYS);
    assert_int_equal(options.style.format, CLI_FORMAT_JSON);
    assert_true(options.no_color);
    assert_true(options.goes_on);
}

TEST(sizes_and_durations) {
    static const struct {
        const char *text;
        size_t bytes;
    } sizes[] = {{"64", 64},        {"8kB", 8192},           {"2 GB", (size_t)2 << 30},
                 {"1GiB", 1 << 30}, {"3m", (size_t)3 << 20}, {"1TB", (size_t)1 << 40}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t bytes = 0;
        assert_int_equal(cli_parse_size(tarn_slice_from_cstr(sizes[i].text), &bytes, &err),
                         TARN_OK);
        assert_int_equal(bytes, sizes[i].bytes);
    }
    const char *const wrong[] = {"",          "MB", "1.5GB", "-1", "4XB", "99999999999999999999",
                                 "20000000TB"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size_t bytes;
        assert_int_equal(cli_parse_size(tarn_slice_from_cstr(wrong[i]), &bytes, &err),
                         TARN_INVALID);
    }
    int64_t ms = 0;
    assert_int_equal(cli_parse_duration(TARN_LIT("2min"), &ms, &err), TARN_OK);
    assert_int_equal(ms, 120000);
    assert_int_equal(cli_parse_duration(TARN_LIT("1 day"), &ms, &err), TARN_INVALID);
    assert_string_equal(err.message, "'1 day' is not a duration like 250ms, 1s or 2min");
}

TEST(help_and_version_need_no_directory) {
    cli_options options;
    assert_int_equal(PARSE(&options, ARG("--help")), TARN_OK);
    assert_true(options.help);
    assert_int_equal(PARSE(&options, ARG("-V")), TARN_OK);
    assert_true(options.version);
}

static void assert_refused(char *const *argv, const char *message, const char *hint) {
    cli_options options;
    err = (tarn_error){0};
    assert_int_equal(parse(&options, argv), TARN_INVALID);
    assert_string_equal(err.message, message);
    assert_string_equal(err.hint, hint);
}

#define REFUSED(message, hint, ...) \
    assert_refused((char *[]){(char[]){"tarn"}, __VA_ARGS__, NULL}, (message), (hint))

TEST(what_is_wrong_is_named_and_the_nearest_option_suggested) {
    char *const nothing[] = {ARG("tarn"), NULL};
    assert_refused(nothing, "which warehouse? give its directory", "");
    REFUSED("unknown option '--fromat'", "did you mean '--format'?", ARG("w"), ARG("--fromat=csv"));
    REFUSED("unknown option '--zzz'", "", ARG("w"), ARG("--zzz"));
    REFUSED("unknown option '-Z'", "", ARG("w"), ARG("-Z"));
    REFUSED("option '-c' needs a value", "", ARG("w"), ARG("-c"));
    REFUSED("option '--memory' needs a value", "", ARG("w"), ARG("--memory"));
    REFUSED("option '--quiet' takes no value", "", ARG("w"), ARG("--quiet=1"));
    REFUSED("--format must be table, csv, json or markdown, not 'html'", "", ARG("w"),
            ARG("--format"), ARG("html"));
    REFUSED("--threads must be a number from 1 to 1024", "", ARG("w"), ARG("--threads=0"));
    REFUSED("--memory must be at least 16MB", "", ARG("w"), ARG("--memory=1MB"));
    REFUSED("--checkpoint-interval must be from 1ms to 60min", "", ARG("w"),
            ARG("--checkpoint-interval=0"));
    REFUSED("--progress must be auto, always or never, not 'yes'", "", ARG("w"),
            ARG("--progress=yes"));
    REFUSED("--set takes ON_ERROR_STOP=1 or ON_ERROR_STOP=0, not 'x=1'", "", ARG("w"), ARG("-v"),
            ARG("x=1"));
    REFUSED("one warehouse is opened at a time: what shall 'b' be?", "", ARG("a"), ARG("b"));
    REFUSED("the warehouse's name is empty", "", ARG(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        OPTIONS_TEST(a_directory_alone_opens_a_shell_with_the_defaults),
        OPTIONS_TEST(commands_and_files_keep_their_order),
        OPTIONS_TEST(letters_may_be_joined_and_a_value_follows_or_is_joined),
        OPTIONS_TEST(values_are_read_with_their_units),
        OPTIONS_TEST(sizes_and_durations),
        OPTIONS_TEST(help_and_version_need_no_directory),
        OPTIONS_TEST(what_is_wrong_is_named_and_the_nearest_option_suggested),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
