#include "cli/progress.h"

#include "cli/meter.h"
#include "tests/cli/fake.h"

#define SECOND_NS INT64_C(1000000000)

// Half way through the demo: one source, two views.
static tarn_source_progress source = {.rows = 1500000, .done = 1, .total = 2};
static tarn_view_progress views[] = {{.rows_out = 1499000, .version = 3},
                                     {.rows_out = 821, .late_rows = 1200, .version = 2}};
static const tarn_progress sample = {
    .epoch = 3, .sources = &source, .source_count = 1, .views = views, .view_count = 2};
static const tarn_progress nothing = {.epoch = 0};

static int set_up(void **state) {
    source.name = TARN_LIT("flights");
    source.watermark_us = INT64_C(993600000000000) + 123456; // 2001-06-27
    views[0].name = TARN_LIT("dwd_flights");
    views[1].name = TARN_LIT("hours");
    return test_seed(state);
}

static void begin(cli_progress *progress) {
    cli_progress_begin(progress, 10 * SECOND_NS, &nothing, true);
}

TEST(a_plain_line_tells_sources_and_views) {
    cli_progress progress = {0};
    tarn_buffer text = {0};
    begin(&progress);
    assert_true(
        cli_progress_draw(&progress, &sample, 12 * SECOND_NS, (tarn_terminal_size){0}, &text));
    fake_assert_text(&text, "2.0 s, epoch 3; flights 1,500,000 rows, 750,000/s, 50%, watermark "
                            "2001-06-27 00:00:00; dwd_flights version 3, 1,499,000 rows; hours "
                            "version 2, 821 rows, 1,200 late\n");
    tarn_buffer_clear(&text);
    assert_true(cli_progress_finish(&progress, &sample, 13 * SECOND_NS, &text));
    fake_assert_text(&text, "1,500,000 rows in 3.0 s, 500,000 rows/s\n");
    tarn_buffer_free(&text);
}

TEST(live_lines_are_drawn_over_each_other_and_erased) {
    cli_progress progress = {.live = true};
    tarn_buffer text = {0};
    tarn_terminal_size size = {.columns = 80, .rows = 24};
    begin(&progress);
    assert_true(cli_progress_draw(&progress, &sample, 12 * SECOND_NS, size, &text));
    const char *block = "epoch 3  2.0 s\x1b[K\n"
                        "flights      1,500,000 rows  750,000/s  50%  watermark 2001-06-27 00:00:00"
                        "\x1b[K\n"
                        "dwd_flights  1,499,000 rows  version 3\x1b[K\n"
                        "hours              821 rows  version 2  1,200 late\x1b[K\n"
                        "\x1b[J";
    fake_assert_text(&text, block);
    tarn_buffer_clear(&text);
    assert_true(cli_progress_draw(&progress, &sample, 12 * SECOND_NS, size, &text));
    assert_memory_equal(text.data, "\r\x1b[4A", 5);
    assert_memory_equal(text.data + 5, block, strlen(block));
    tarn_buffer_clear(&text);
    assert_true(cli_progress_finish(&progress, &sample, 13 * SECOND_NS, &text));
    fake_assert_text(&text, "\r\x1b[4A\x1b[J1,500,000 rows in 3.0 s, 500,000 rows/s\n");
    tarn_buffer_free(&text);
}

static void assert_drawn(tarn_terminal_size size, const char *expected) {
    cli_progress progress = {.live = true};
    tarn_buffer text = {0};
    begin(&progress);
    assert_true(cli_progress_draw(&progress, &sample, 12 * SECOND_NS, size, &text));
    fake_assert_text(&text, expected);
    size_t line_count = 0;
    for (size_t i = 0; i < text.len; i++) line_count += text.data[i] == '\n';
    tarn_buffer_clear(&text);
    assert_true(cli_progress_finish(&progress, NULL, 13 * SECOND_NS, &text));
    char erased[32];
    (void)snprintf(erased, sizeof erased, "\r\x1b[%zuA\x1b[J", line_count);
    fake_assert_text(&text, erased); // every line, also those of an entry that takes several
    tarn_buffer_free(&text);
}

TEST(what_does_not_fit_its_line_goes_on_below_the_figures) {
    views[0].name = TARN_LIT("dwd_flights_of_2001");
    assert_drawn((tarn_terminal_size){.columns = 80, .rows = 24},
                 "epoch 3  2.0 s\x1b[K\n"
                 "flights              1,500,000 rows  750,000/s  50%\x1b[K\n"
                 "                     watermark 2001-06-27 00:00:00\x1b[K\n"
                 "dwd_flights_of_2001  1,499,000 rows  version 3\x1b[K\n"
                 "hours                      821 rows  version 2  1,200 late\x1b[K\n"
                 "\x1b[J");
    views[0].name = TARN_LIT("dwd_flights");
}

TEST(on_a_narrow_terminal_names_have_lines_of_their_own) {
    assert_drawn((tarn_terminal_size){.columns = 40, .rows = 24},
                 "epoch 3  2.0 s\x1b[K\n"
                 "flights\x1b[K\n"
                 "  1,500,000 rows  750,000/s  50%\x1b[K\n"
                 "  watermark 2001-06-27 00:00:00\x1b[K\n"
                 "dwd_flights\x1b[K\n"
                 "  1,499,000 rows  version 3\x1b[K\n"
                 "hours\x1b[K\n"
                 "  821 rows  version 2  1,200 late\x1b[K\n"
                 "\x1b[J");
}

TEST(live_lines_are_cut_to_the_terminal) {
    assert_drawn((tarn_terminal_size){.columns = 20, .rows = 7},
                 "epoch 3  2.0 s\x1b[K\n"
                 "flights\x1b[K\n"
                 "  1,500,000 rows\x1b[K\n"
                 "  750,000/s  50%\x1b[K\n"
                 "  watermark 2001-06\x1b[K\n" // 19 columns: the cursor must not wrap
                 "\x1b[J");
}

TEST(a_statement_that_is_no_flush_has_no_summary_and_rates_from_its_first_drawing) {
    cli_progress progress = {0};
    tarn_buffer text = {0};
    cli_progress_begin(&progress, 0, NULL, false);
    assert_true(
        cli_progress_draw(&progress, &sample, 5 * SECOND_NS, (tarn_terminal_size){0}, &text));
    assert_memory_equal(text.data, "5.0 s, epoch 3; flights 1,500,000 rows, 50%", 43);
    tarn_buffer_clear(&text);
    source.rows += 1000;
    assert_true(
        cli_progress_draw(&progress, &sample, 6 * SECOND_NS, (tarn_terminal_size){0}, &text));
    source.rows -= 1000;
    assert_memory_equal(text.data, "6.0 s, epoch 3; flights 1,501,000 rows, 1,000/s", 47);
    tarn_buffer_clear(&text);
    assert_true(cli_progress_finish(&progress, &sample, 7 * SECOND_NS, &text));
    assert_int_equal(text.len, 0);
    tarn_buffer_free(&text);
}

TEST(a_source_that_starts_anew_counts_from_zero) {
    cli_progress progress = {0};
    tarn_buffer text = {0};
    tarn_source_progress before = source;
    before.rows = 9000000;
    tarn_progress earlier = {.sources = &before, .source_count = 1};
    cli_progress_begin(&progress, 0, &earlier, true);
    progress.has_shown = true;
    assert_true(cli_progress_finish(&progress, &sample, 2 * SECOND_NS, &text));
    fake_assert_text(&text, "1,500,000 rows in 2.0 s, 750,000 rows/s\n");
    tarn_buffer_free(&text);
}

TEST(watermarks_can_be_missing_or_complete) {
    cli_progress progress = {0};
    tarn_buffer text = {0};
    tarn_source_progress sources[] = {
        {.name = TARN_LIT("a"), .watermark_us = TARN_NO_WATERMARK},
        {.name = TARN_LIT("b"), .rows = 5, .watermark_us = INT64_MAX, .ended = true},
        {.name = TARN_LIT("c"), .watermark_us = -1}, // rounds down before the epoch too
    };
    tarn_progress odd = {.sources = sources, .source_count = 3};
    begin(&progress);
    assert_true(cli_progress_draw(&progress, &odd, 10 * SECOND_NS, (tarn_terminal_size){0}, &text));
    fake_assert_text(&text, "0.0 s, epoch 0; a 0 rows; b 5 rows, complete; c 0 rows, watermark "
                            "1969-12-31 23:59:59\n");
    tarn_buffer_free(&text);
}

TEST(numbers_have_commas) {
    assert_string_equal(cli_number_format(0).text, "0");
    assert_string_equal(cli_number_format(999).text, "999");
    assert_string_equal(cli_number_format(1000).text, "1,000");
    assert_string_equal(cli_number_format(UINT64_MAX).text, "18,446,744,073,709,551,615");
}

// ---- the thread around it ----

// Lets the test wait until the meter has drawn, and keeps what it wrote.
typedef struct screen {
    tarn_mutex *lock;
    tarn_cond *drawn;
    tarn_buffer text; // guarded by lock
    size_t drawings;  // guarded by lock
} screen;

static tarn_status draw_on_screen(void *context, tarn_slice bytes, tarn_error *err) {
    (void)err;
    screen *to = context;
    tarn_mutex_lock(to->lock);
    bool fits = tarn_buffer_append(&to->text, bytes);
    to->drawings++;
    tarn_cond_signal(to->drawn);
    tarn_mutex_unlock(to->lock);
    return fits ? TARN_OK : TARN_NO_MEMORY;
}

static tarn_status give_sample(void *context, tarn_arena *arena, tarn_progress *ret_progress,
                               tarn_error *err) {
    (void)context;
    (void)arena;
    (void)err;
    *ret_progress = sample;
    return TARN_OK;
}

TEST(the_meter_draws_while_a_statement_runs_and_never_after) {
    screen shown = {0};
    assert_int_equal(tarn_mutex_new(TARN_LOCK_OS, &shown.lock, NULL), TARN_OK);
    assert_int_equal(tarn_cond_new(&shown.drawn, NULL), TARN_OK);
    cli_meter_options options = {.os = tarn_os_posix(),
                                 .sample = give_sample,
                                 .write = draw_on_screen,
                                 .write_context = &shown,
                                 .live = true,
                                 .first_ms = 1};
    cli_meter *meter = NULL;
    assert_int_equal(cli_meter_new(&options, &meter, NULL), TARN_OK);
    for (int round = 0; round < 3; round++) {
        cli_meter_begin(meter, false);
        tarn_mutex_lock(shown.lock);
        while (shown.drawings == 0) tarn_cond_wait(shown.drawn, shown.lock);
        tarn_mutex_unlock(shown.lock);
        cli_meter_end(meter);
        // Nobody draws any more: no lock is needed to look.
        static const char erased[] = "\r\x1b[4A\x1b[J";
        size_t len = sizeof erased - 1;
        assert_true(shown.text.len > len);
        assert_memory_equal(shown.text.data + shown.text.len - len, erased, len);
        size_t drawings = shown.drawings;
        cli_meter_end(meter); // nothing runs: nothing happens
        assert_int_equal(shown.drawings, drawings);
        tarn_buffer_clear(&shown.text);
        shown.drawings = 0;
    }
    cli_meter_free(meter);
    cli_meter_begin(NULL, true); // a shell without a meter
    cli_meter_end(NULL);
    tarn_buffer_free(&shown.text);
    tarn_cond_free(shown.drawn);
    tarn_mutex_free(shown.lock);
}

TEST(a_flush_too_short_to_be_drawn_is_summed_up_only_when_always) {
    for (int always = 0; always < 2; always++) {
        tarn_buffer text = {0};
        cli_meter_options options = {.os = tarn_os_posix(),
                                     .sample = give_sample,
                                     .write = fake_write,
                                     .write_context = &text,
                                     .always = always == 1,
                                     .first_ms = 1000000};
        cli_meter *meter = NULL;
        assert_int_equal(cli_meter_new(&options, &meter, NULL), TARN_OK);
        cli_meter_begin(meter, true);
        cli_meter_end(meter);
        cli_meter_free(meter);
        assert_int_equal(text.len > 0, always == 1);
        tarn_buffer_free(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_line_tells_sources_and_views),
        cmocka_unit_test(live_lines_are_drawn_over_each_other_and_erased),
        cmocka_unit_test(what_does_not_fit_its_line_goes_on_below_the_figures),
        cmocka_unit_test(on_a_narrow_terminal_names_have_lines_of_their_own),
        cmocka_unit_test(live_lines_are_cut_to_the_terminal),
        cmocka_unit_test(
            a_statement_that_is_no_flush_has_no_summary_and_rates_from_its_first_drawing),
        cmocka_unit_test(a_source_that_starts_anew_counts_from_zero),
        cmocka_unit_test(watermarks_can_be_missing_or_complete),
        cmocka_unit_test(numbers_have_commas),
        cmocka_unit_test(the_meter_draws_while_a_statement_runs_and_never_after),
        cmocka_unit_test(a_flush_too_short_to_be_drawn_is_summed_up_only_when_always),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
