#include "cli/shell.h"

#include "cli/text.h"

#define DEFAULT_COLUMNS 80

void cli_shell_init(cli_shell *shell, const cli_engine *engine, tarn_os *os, cli_out *out,
                    cli_out *err) {
    *shell = (cli_shell){.engine = engine, .os = os, .out = out, .err = err};
}

void cli_shell_reset(cli_shell *shell) {
    // Whoever cared for the file has closed it with \o.
    (void)cli_shell_close_output(shell, NULL);
    cli_plot_reset(&shell->plot);
    tarn_buffer_free(&shell->null_buffer);
}

bool cli_shell_is_interrupted(const cli_shell *shell) {
    // Relaxed: a flag that carries no data.
    return shell->interrupted != NULL &&
           atomic_load_explicit(shell->interrupted, memory_order_relaxed);
}

size_t cli_shell_columns(const cli_shell *shell) {
    size_t columns = shell->columns;
    if (columns == 0) columns = tarn_os_terminal_size(TARN_STREAM_OUTPUT).columns;
    return columns == 0 ? DEFAULT_COLUMNS : columns;
}

// ---- where results go ----

cli_out *cli_shell_results(cli_shell *shell) {
    return shell->file == NULL ? shell->out : &shell->file_out;
}

static tarn_status write_file(void *context, tarn_slice bytes, tarn_error *err) {
    return tarn_file_append(context, bytes, err);
}

tarn_status cli_shell_close_output(cli_shell *shell, tarn_error *err) {
    if (shell->file == NULL) return TARN_OK;
    tarn_status status = cli_out_flush(&shell->file_out, err);
    tarn_status closed = tarn_file_close(shell->file, status == TARN_OK ? err : NULL);
    cli_out_reset(&shell->file_out);
    shell->file = NULL;
    return status == TARN_OK ? closed : status;
}

tarn_status cli_shell_open_output(cli_shell *shell, tarn_slice path, tarn_error *err) {
    TARN_TRY(cli_shell_close_output(shell, err));
    TARN_TRY(tarn_os_open(shell->os, path, TARN_OPEN_TRUNCATE, &shell->file, err));
    cli_out_init(&shell->file_out, write_file, shell->file);
    return TARN_OK;
}

bool cli_shell_flush(cli_shell *shell, cli_place place) {
    tarn_error err = {0};
    bool went_well = true;
    if (shell->file != NULL && cli_out_flush(&shell->file_out, &err) != TARN_OK) {
        went_well = cli_shell_complain(shell, &err, place);
        (void)cli_shell_close_output(shell, NULL); // what is wrong with it has just been said
    }
    if (!shell->output_failed && cli_out_flush(shell->out, &err) != TARN_OK) {
        shell->output_failed = true;
        // A reader that has seen enough is no news to anyone.
        if (err.status != TARN_CANCELLED) (void)cli_shell_complain(shell, &err, place);
    }
    // Nobody can be told that standard error fails.
    (void)cli_out_flush(shell->err, NULL);
    return went_well && !shell->output_failed;
}

// ---- running a statement ----

static bool is_flush(tarn_slice statement) {
    static const char word[] = "flush";
    if (statement.len < sizeof word - 1) return false;
    for (size_t i = 0; i < sizeof word - 1; i++) {
        if ((statement.data[i] | 0x20) != (uint8_t)word[i]) return false;
    }
    return true;
}

static tarn_status next_batch(cli_shell *shell, void *result, tarn_batch **ret_batch,
                              tarn_error *err) {
    if (cli_shell_is_interrupted(shell)) {
        return tarn_fail(err, TARN_CANCELLED, "canceling statement due to user request");
    }
    return shell->engine->next(result, ret_batch, err);
}

// `printer` NULL: the rows are only kept for a plot.
static tarn_status take_rows(cli_shell *shell, void *result, cli_printer *printer,
                             tarn_error *err) {
    for (;;) {
        tarn_batch *batch = NULL;
        tarn_status status = next_batch(shell, result, &batch, err);
        cli_meter_end(shell->meter); // rows, or the error, are about to be printed
        if (status != TARN_OK || batch == NULL) return status;
        status = cli_plot_push(&shell->plot, &batch->chunk, err);
        if (status == TARN_OK && printer != NULL) status = cli_printer_push(printer, batch, err);
        tarn_batch_unref(batch);
        if (status != TARN_OK) return status;
        if (cli_out_failed(cli_shell_results(shell))) return TARN_OK; // the flush tells
    }
}

static tarn_status print_result(cli_shell *shell, void *result, tarn_error *err) {
    const tarn_schema *schema = shell->engine->schema(result);
    cli_printer *printer = NULL;
    tarn_status status = cli_plot_begin(&shell->plot, schema, err);
    if (status == TARN_OK) {
        status = cli_printer_new(&shell->style, schema, (tarn_slice){0}, cli_shell_results(shell),
                                 &printer, err);
    }
    if (status == TARN_OK) status = take_rows(shell, result, printer, err);
    if (status == TARN_OK) status = cli_printer_end(printer, NULL, err);
    cli_printer_free(printer);
    return status;
}

static tarn_status plot_result(cli_shell *shell, void *result, tarn_error *err) {
    TARN_TRY(cli_plot_begin(&shell->plot, shell->engine->schema(result), err));
    TARN_TRY(take_rows(shell, result, NULL, err));
    return cli_shell_draw_plot(shell, err);
}

static void put_tag(cli_shell *shell, void *result) {
    // Programs that read CSV or JSON would stumble over it.
    bool for_people =
        shell->style.format == CLI_FORMAT_TABLE || shell->style.format == CLI_FORMAT_MARKDOWN;
    if (shell->quiet || !for_people) return;
    cli_out_put(cli_shell_results(shell), shell->engine->tag(result));
    cli_out_text(cli_shell_results(shell), "\n");
}

static tarn_status execute(cli_shell *shell, tarn_slice statement, bool plots, tarn_error *err) {
    void *result = NULL;
    cli_meter_begin(shell->meter, is_flush(statement));
    tarn_status status = shell->engine->execute(shell->engine->context, statement, &result, err);
    if (status == TARN_OK && shell->engine->schema(result)->field_count == 0) {
        cli_meter_end(shell->meter);
        put_tag(shell, result);
    } else if (status == TARN_OK) {
        status = plots ? plot_result(shell, result, err) : print_result(shell, result, err);
    }
    cli_meter_end(shell->meter);
    if (result != NULL) shell->engine->free_result(result);
    return status;
}

// "Time: 12.345 ms", and in words of a clock too when it took longer than a second.
static void put_time(cli_shell *shell, int64_t ns) {
    double ms = (double)ns / 1e6;
    cli_out_printf(shell->out, "Time: %.3f ms", ms);
    int64_t seconds = ns / 1000000000;
    if (seconds >= 3600) {
        cli_out_printf(shell->out, " (%lld:%02lld:%06.3f)", (long long)(seconds / 3600),
                       (long long)(seconds / 60 % 60),
                       (double)(seconds % 60) + ms / 1e3 - (double)seconds);
    } else if (seconds >= 1) {
        cli_out_printf(shell->out, " (%02lld:%06.3f)", (long long)(seconds / 60),
                       (double)(seconds % 60) + ms / 1e3 - (double)seconds);
    }
    cli_out_text(shell->out, "\n");
}

static bool run(cli_shell *shell, tarn_slice statement, bool plots, cli_place place) {
    tarn_error err = {0};
    int64_t begin_ns = tarn_os_monotonic_ns(shell->os);
    bool went_well = execute(shell, statement, plots, &err) == TARN_OK;
    if (!went_well) (void)cli_shell_report(shell, &err, statement, place);
    if (shell->timing) put_time(shell, tarn_os_monotonic_ns(shell->os) - begin_ns);
    bool flushed = cli_shell_flush(shell, place);
    return went_well && flushed;
}

bool cli_shell_run(cli_shell *shell, tarn_slice statement, cli_place place) {
    return run(shell, statement, false, place);
}

bool cli_shell_run_plot(cli_shell *shell, tarn_slice statement, cli_place place) {
    return run(shell, statement, true, place);
}

tarn_status cli_shell_draw_plot(cli_shell *shell, tarn_error *err) {
    bool color = shell->color_out && shell->file == NULL;
    return cli_plot_draw(&shell->plot, cli_shell_columns(shell), color, cli_shell_results(shell),
                         err);
}
