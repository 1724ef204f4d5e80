// Errors, in the words and the layout of psql:
//
//     tarn:orders.sql:12: ERROR:  column "amout" does not exist
//     LINE 2: SELECT amout FROM orders
//                    ^
//     HINT:  Perhaps you meant to reference the column "orders.amount".
#include "cli/shell.h"
#include "cli/text.h"

#define EXCERPT_COLUMNS 60 // of the line in which the error is
#define EXCERPT_AHEAD   20 // of them to the right of the caret, when the line is longer
#define EXCERPT_BESIDE  16 // "LINE 100: ...", and "..." behind it

static void put_place(cli_shell *shell, cli_place place) {
    if (place.file.len == 0) return;
    cli_out_text(shell->err, "tarn:");
    cli_out_put(shell->err, place.file);
    cli_out_printf(shell->err, ":%llu: ", (unsigned long long)place.line);
}

// Messages quote data, and data may hold what commands a terminal.
static void put_shown(cli_shell *shell, const char *text) {
    tarn_buffer shown = {0};
    if (cli_text_show(tarn_slice_from_cstr(text), &shown)) {
        cli_out_put(shell->err, tarn_buffer_slice(&shown));
    }
    tarn_buffer_free(&shown);
    cli_out_text(shell->err, "\n");
}

// What was printed before an error stands before it.
static void begin_message(cli_shell *shell, cli_place place) {
    shell->has_failed = true;
    (void)cli_out_flush(shell->out, NULL); // a failure sticks, and cli_shell_flush reports it
    put_place(shell, place);
}

static void put_label(cli_shell *shell, const char *label) {
    cli_out_text(shell->err, shell->color_err ? "\x1b[1;31m" : "");
    cli_out_text(shell->err, label);
    cli_out_text(shell->err, shell->color_err ? "\x1b[0m" : "");
}

// Where a position lies in a statement.
typedef struct error_spot {
    tarn_slice line;
    size_t line_number; // 1-based, in the statement
    size_t offset;      // in the line, bytes
} error_spot;

// `position` counts characters from 1. Returns false when it is not in the statement.
static bool find_spot(tarn_slice statement, int32_t position, error_spot *ret_spot) {
    if (position <= 0) return false;
    error_spot spot = {.line_number = 1};
    tarn_slice rest = statement;
    size_t line_begin = 0;
    for (int32_t i = 1; i < position && rest.len > 0; i++) {
        bool valid;
        uint32_t code = cli_text_next(&rest, &valid);
        if (code != '\n') continue;
        spot.line_number++;
        line_begin = statement.len - rest.len;
    }
    // One behind the last character is where "unexpected end of input" points.
    spot.offset = statement.len - rest.len - line_begin;
    tarn_slice from_line = tarn_slice_skip(statement, line_begin);
    bool more;
    spot.line = cli_text_line(&from_line, &more);
    *ret_spot = spot;
    return true;
}

// Takes whole characters from the front of *text until at most `columns` are left.
static bool cut_front(tarn_slice *text, size_t columns) {
    bool was_cut = false;
    while (text->len > 0 && cli_text_width(*text) > columns) {
        bool valid;
        (void)cli_text_next(text, &valid);
        was_cut = true;
    }
    return was_cut;
}

// A line that wraps would leave the caret under the wrong one.
static size_t excerpt_columns(void) {
    size_t terminal = tarn_os_terminal_size(TARN_STREAM_ERROR).columns;
    if (terminal == 0 || terminal >= EXCERPT_COLUMNS + EXCERPT_BESIDE) return EXCERPT_COLUMNS;
    return terminal >= EXCERPT_AHEAD + EXCERPT_BESIDE ? terminal - EXCERPT_BESIDE : EXCERPT_AHEAD;
}

// Shows both sides of the spot, so that the caret's column is the width of the left one.
static bool put_excerpt(cli_shell *shell, const error_spot *spot) {
    tarn_buffer left = {0};
    tarn_buffer right = {0};
    bool fits = cli_text_show(tarn_slice_head(spot->line, spot->offset), &left) &&
                cli_text_show(tarn_slice_skip(spot->line, spot->offset), &right);
    tarn_slice before = tarn_buffer_slice(&left);
    tarn_slice after = tarn_buffer_slice(&right);
    size_t columns = excerpt_columns();
    size_t after_columns = cli_text_width(after);
    size_t ahead = after_columns < EXCERPT_AHEAD ? after_columns : EXCERPT_AHEAD;
    bool front_cut = cut_front(&before, columns - ahead);
    tarn_slice shown = cli_text_fit(after, columns - cli_text_width(before));

    char label[48];
    int label_len =
        snprintf(label, sizeof label, "LINE %zu: %s", spot->line_number, front_cut ? "..." : "");
    cli_out_text(shell->err, label);
    cli_out_put(shell->err, before);
    cli_out_put(shell->err, shown);
    cli_out_text(shell->err, shown.len < after.len ? "...\n" : "\n");
    cli_out_repeat(shell->err, ' ', (size_t)label_len + cli_text_width(before));
    cli_out_text(shell->err, "^\n");
    tarn_buffer_free(&left);
    tarn_buffer_free(&right);
    return fits;
}

static void put_hint(cli_shell *shell, const tarn_error *err) {
    if (err->hint[0] == '\0') return;
    cli_out_text(shell->err, "HINT:  ");
    put_shown(shell, err->hint);
}

bool cli_shell_report(cli_shell *shell, const tarn_error *err, tarn_slice statement,
                      cli_place place) {
    error_spot spot;
    bool has_spot = find_spot(statement, err->position, &spot);
    if (has_spot) place.line += spot.line_number - 1;
    begin_message(shell, place);
    put_label(shell, "ERROR:");
    cli_out_text(shell->err, "  ");
    put_shown(shell, err->message);
    // Without memory the excerpt is empty: the message is out already.
    if (has_spot) (void)put_excerpt(shell, &spot);
    put_hint(shell, err);
    (void)cli_out_flush(shell->err, NULL); // nobody can be told that standard error fails
    return false;
}

bool cli_shell_complain(cli_shell *shell, const tarn_error *err, cli_place place) {
    begin_message(shell, place);
    put_shown(shell, err->message);
    put_hint(shell, err);
    (void)cli_out_flush(shell->err, NULL); // nobody can be told that standard error fails
    return false;
}
