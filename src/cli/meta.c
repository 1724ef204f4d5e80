// Meta commands: a backslash, a word, and arguments up to the end of the line.
#include "cli/input.h"
#include "cli/shell.h"

#define SCRIPT_DEPTH_MAX 16

typedef struct meta_call {
    cli_shell *shell;
    tarn_arena arena;
    tarn_slice name; // without the backslash
    tarn_slice rest; // of the line, as it was written
    tarn_slice *arguments;
    size_t argument_count;
    cli_place place;
    bool quits;
    // A script that was run has reported its failure itself.
    bool is_reported;
} meta_call;

typedef tarn_status meta_function(meta_call *call, tarn_error *err);

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a meta command");
}

// ---- arguments ----

static bool is_blank(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static tarn_slice trim(tarn_slice text) {
    while (text.len > 0 && is_blank(text.data[0])) text = tarn_slice_skip(text, 1);
    while (text.len > 0 && is_blank(text.data[text.len - 1])) text.len--;
    return text;
}

// Takes one argument: words, and parts in '...' ('' is a quote). Double quotes stay: they mean
// something in names.
static tarn_status take_argument(meta_call *call, tarn_slice *rest, tarn_slice *ret_argument,
                                 tarn_error *err) {
    uint8_t *text = tarn_arena_new(&call->arena, uint8_t, rest->len + 1);
    if (text == NULL) return no_memory(err);
    size_t len = 0;
    bool in_text = false;
    bool in_name = false;
    size_t i = 0;
    for (; i < rest->len && (in_text || in_name || !is_blank(rest->data[i])); i++) {
        uint8_t byte = rest->data[i];
        bool doubled = i + 1 < rest->len && rest->data[i + 1] == byte;
        if (byte == '\'' && !in_name) {
            if (in_text && doubled) {
                text[len++] = rest->data[i++];
            } else {
                in_text = !in_text;
            }
            continue;
        }
        if (byte == '"' && !in_text) in_name = !in_name;
        text[len++] = byte;
    }
    if (in_text || in_name) return tarn_fail(err, TARN_INVALID, "unterminated quoted string");
    *rest = tarn_slice_skip(*rest, i);
    *ret_argument = (tarn_slice){text, len};
    return TARN_OK;
}

static tarn_status parse(meta_call *call, tarn_slice line, tarn_error *err) {
    line = tarn_slice_skip(line, 1);
    size_t len = 0;
    while (len < line.len && !is_blank(line.data[len])) len++;
    call->name = tarn_slice_head(line, len);
    call->rest = trim(tarn_slice_skip(line, len));
    // Text to print is not limited to a number of words.
    if (tarn_slice_equal(call->name, TARN_LIT("echo"))) return TARN_OK;
    tarn_slice rest = call->rest;
    // Each takes a character, and a blank behind it.
    call->arguments = tarn_arena_new(&call->arena, tarn_slice, rest.len / 2 + 1);
    if (call->arguments == NULL) return no_memory(err);
    while (rest.len > 0) {
        TARN_TRY(take_argument(call, &rest, &call->arguments[call->argument_count++], err));
        rest = trim(rest);
    }
    return TARN_OK;
}

static tarn_slice argument(const meta_call *call, size_t i) {
    return i < call->argument_count ? call->arguments[i] : (tarn_slice){0};
}

// "on", "off", or nothing, which turns it over.
static tarn_status take_switch(const meta_call *call, bool *ret_value, tarn_error *err) {
    tarn_slice word = argument(call, 0);
    if (word.len == 0) {
        *ret_value = !*ret_value;
    } else if (tarn_slice_equal(word, TARN_LIT("on"))) {
        *ret_value = true;
    } else if (tarn_slice_equal(word, TARN_LIT("off"))) {
        *ret_value = false;
    } else {
        return tarn_fail(err, TARN_INVALID,
                         "unrecognized value \"" TARN_SLICE_FMT "\" for \"\\" TARN_SLICE_FMT
                         "\": on or off expected",
                         TARN_SLICE_ARG(word), TARN_SLICE_ARG(call->name));
    }
    return TARN_OK;
}

// Says what a setting is now.
static void say(const meta_call *call, const char *text) {
    if (call->shell->quiet) return;
    cli_out_text(call->shell->out, text);
    cli_out_text(call->shell->out, "\n");
}

// ---- the commands ----

static tarn_status describe(meta_call *call, tarn_error *err) {
    if (call->argument_count > 0) return cli_describe(call->shell, argument(call, 0), err);
    return cli_list_relations(call->shell, NULL, (tarn_slice){0}, err);
}

static tarn_status list_tables(meta_call *call, tarn_error *err) {
    return cli_list_relations(call->shell, "table", argument(call, 0), err);
}

static tarn_status list_views(meta_call *call, tarn_error *err) {
    return cli_list_relations(call->shell, "materialized view", argument(call, 0), err);
}

static tarn_status list_sources(meta_call *call, tarn_error *err) {
    return cli_list_relations(call->shell, "source", argument(call, 0), err);
}

static tarn_status set_timing(meta_call *call, tarn_error *err) {
    TARN_TRY(take_switch(call, &call->shell->timing, err));
    say(call, call->shell->timing ? "Timing is on." : "Timing is off.");
    return TARN_OK;
}

static tarn_status set_expanded(meta_call *call, tarn_error *err) {
    TARN_TRY(take_switch(call, &call->shell->style.expanded, err));
    say(call, call->shell->style.expanded ? "Expanded display is on." : "Expanded display is off.");
    return TARN_OK;
}

static tarn_status set_tuples_only(meta_call *call, tarn_error *err) {
    TARN_TRY(take_switch(call, &call->shell->style.tuples_only, err));
    say(call, call->shell->style.tuples_only ? "Tuples only is on." : "Tuples only is off.");
    return TARN_OK;
}

static tarn_status set_format(meta_call *call, tarn_error *err) {
    tarn_slice name = argument(call, 0);
    if (name.len > 0 && !cli_format_parse(name, &call->shell->style.format)) {
        return tarn_fail(err, TARN_INVALID,
                         "\\format: allowed formats are table, csv, json, markdown");
    }
    char text[64];
    (void)snprintf(text, sizeof text, "Output format is %s.",
                   cli_format_name(call->shell->style.format));
    say(call, text);
    return TARN_OK;
}

static tarn_status set_print_option(meta_call *call, tarn_error *err) {
    if (!tarn_slice_equal(argument(call, 0), TARN_LIT("null"))) {
        return tarn_fail(err, TARN_INVALID, "\\pset: the option is null (\\pset null '(null)')");
    }
    cli_shell *shell = call->shell;
    tarn_buffer_clear(&shell->null_buffer);
    if (!tarn_buffer_append(&shell->null_buffer, argument(call, 1))) {
        return no_memory(err);
    }
    shell->style.null_text = tarn_buffer_slice(&shell->null_buffer);
    char text[128];
    (void)snprintf(text, sizeof text, "Null display is \"" TARN_SLICE_FMT "\".",
                   TARN_SLICE_ARG(shell->style.null_text));
    say(call, text);
    return TARN_OK;
}

static tarn_status include(meta_call *call, tarn_error *err) {
    if (call->argument_count != 1) {
        return tarn_fail(err, TARN_INVALID, "\\i: missing required argument");
    }
    if (call->shell->script_depth >= SCRIPT_DEPTH_MAX) {
        return tarn_fail(err, TARN_INVALID, "\\i: files are nested more than %d deep",
                         SCRIPT_DEPTH_MAX);
    }
    call->is_reported = true;
    call->shell->script_depth++;
    bool went_well = cli_run_file(call->shell, argument(call, 0), call->place);
    call->shell->script_depth--;
    return went_well ? TARN_OK : TARN_INVALID;
}

static tarn_status set_output(meta_call *call, tarn_error *err) {
    if (call->argument_count == 0) return cli_shell_close_output(call->shell, err);
    if (call->rest.data[0] == '|') {
        return tarn_fail(err, TARN_UNSUPPORTED, "\\o: output to a command is not supported");
    }
    return cli_shell_open_output(call->shell, argument(call, 0), err);
}

static tarn_status echo(meta_call *call, tarn_error *err) {
    // Words as they stand, with one blank between them and their quotes taken off.
    tarn_slice rest = call->rest;
    for (bool first = true; rest.len > 0; first = false) {
        tarn_slice word;
        TARN_TRY(take_argument(call, &rest, &word, err));
        if (!first) cli_out_text(call->shell->out, " ");
        cli_out_put(call->shell->out, word);
        rest = trim(rest);
    }
    cli_out_text(call->shell->out, "\n");
    return TARN_OK;
}

static tarn_status plot(meta_call *call, tarn_error *err) {
    return cli_shell_draw_plot(call->shell, err);
}

static tarn_status connection_info(meta_call *call, tarn_error *err) {
    cli_shell *shell = call->shell;
    tarn_progress progress;
    TARN_TRY(shell->engine->progress(shell->engine->context, &call->arena, &progress, err));
    tarn_slice directory = shell->engine->directory(shell->engine->context);
    cli_out_text(shell->out, "The warehouse \"");
    cli_out_put(shell->out, directory);
    cli_out_printf(shell->out, "\" is open in this process (%lld), at epoch %llu.\n",
                   (long long)tarn_os_process_id(shell->os), (unsigned long long)progress.epoch);
    return TARN_OK;
}

static tarn_status quit(meta_call *call, tarn_error *err) {
    (void)err;
    call->quits = true;
    return TARN_OK;
}

static tarn_status help(meta_call *call, tarn_error *err);

static const struct {
    const char *name;
    meta_function *run;
    size_t arguments_max;
    const char *usage; // NULL: it is told with its neighbour
} commands[] = {
    {"d", describe, 1, "\\d [NAME]              list tables, views and sources, or describe one"},
    {"dt", list_tables, 1, "\\dt [PATTERN]          list tables"},
    {"dv", list_views, 1, "\\dv [PATTERN]          list materialized views"},
    {"ds", list_sources, 1, "\\ds [PATTERN]          list sources"},
    {"plot", plot, 0,
     "\\plot                  draw the last result (or the statement in front) as bars"},
    {"g", NULL, 0, "\\g                     run the statement in front, as a semicolon does"},
    {"p", NULL, 0, "\\p                     show the statement so far"},
    {"r", NULL, 0, "\\r                     forget the statement so far"},
    {"i", include, 1, "\\i FILE                run the statements in a file"},
    {"o", set_output, 1, "\\o [FILE]              send results to a file, or back to the terminal"},
    {"format", set_format, 1,
     "\\format [FORMAT]       print results as table, csv, json or markdown"},
    {"x", set_expanded, 1, "\\x [on|off]            one line per value"},
    {"t", set_tuples_only, 1, "\\t [on|off]            rows only, without header and footer"},
    {"pset", set_print_option, 2, "\\pset null TEXT        what stands for NULL in tables"},
    {"timing", set_timing, 1, "\\timing [on|off]       show how long each statement takes"},
    {"echo", echo, SIZE_MAX, "\\echo TEXT             write to standard output"},
    {"conninfo", connection_info, 0, "\\conninfo              which warehouse is open"},
    {"?", help, 0, "\\?                     show this"},
    {"q", quit, 0, "\\q                     quit (also Ctrl-D)"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static tarn_status help(meta_call *call, tarn_error *err) {
    (void)err;
    cli_out *out = call->shell->out;
    cli_out_text(out, "Statements end with a semicolon. Ctrl-C cancels a statement.\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        cli_out_text(out, "  ");
        cli_out_text(out, commands[i].usage);
        cli_out_text(out, "\n");
    }
    cli_out_text(
        out, "\nSystem tables: tarn.jobs, tarn.snapshots, tarn.version_lineage, tarn.freshness;\n"
             "\\d tarn.* describes them all.\n");
    return TARN_OK;
}

// ---- dispatch ----

static tarn_status dispatch(meta_call *call, tarn_error *err) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!tarn_slice_equal(call->name, tarn_slice_from_cstr(commands[i].name))) continue;
        if (commands[i].run == NULL) return TARN_OK; // the input has done it
        if (call->argument_count > commands[i].arguments_max) {
            return tarn_fail(err, TARN_INVALID, "\\%s: too many arguments", commands[i].name);
        }
        return commands[i].run(call, err);
    }
    return tarn_fail(err, TARN_INVALID, "invalid command \\" TARN_SLICE_FMT ". Try \\? for help.",
                     TARN_SLICE_ARG(call->name));
}

bool cli_shell_meta(cli_shell *shell, tarn_slice line, cli_place place, bool *ret_quits) {
    meta_call call = {.shell = shell, .place = place};
    tarn_error err = {0};
    tarn_arena_init(&call.arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_status status = parse(&call, line, &err);
    if (status == TARN_OK) status = dispatch(&call, &err);
    if (status != TARN_OK && !call.is_reported) (void)cli_shell_complain(shell, &err, place);
    *ret_quits = call.quits;
    tarn_arena_reset(&call.arena);
    return cli_shell_flush(shell, place) && status == TARN_OK;
}
