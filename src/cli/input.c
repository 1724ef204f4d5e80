#include "cli/input.h"

#define READ_BYTES     TARN_TUNABLE((size_t)64 << 10, (size_t)7)
#define LINE_BYTES_MAX ((size_t)256 << 20)

// ---- lines to statements ----

void cli_input_init(cli_input *input, cli_shell *shell, tarn_slice file, bool stops) {
    *input = (cli_input){.shell = shell, .file = file, .stops = stops};
    cli_scanner_init(&input->scanner);
}

void cli_input_reset(cli_input *input) {
    cli_scanner_reset(&input->scanner);
}

static cli_place place_of(const cli_input *input, uint64_t line) {
    return (cli_place){.file = input->file, .line = line};
}

// An interrupt that hits no statement ends a script all the same.
static bool report_interrupt(cli_input *input) {
    tarn_error err = {0};
    (void)tarn_fail(&err, TARN_CANCELLED, "interrupted");
    return cli_shell_complain(input->shell, &err, place_of(input, input->scanner.line));
}

// Whether nothing more of the input shall run.
static bool is_over(const cli_input *input, bool went_well) {
    return input->has_quit || input->shell->output_failed || (!went_well && input->stops) ||
           cli_shell_is_interrupted(input->shell);
}

static bool run_statement(cli_input *input, bool plots) {
    cli_scanner *scanner = &input->scanner;
    tarn_slice text = tarn_buffer_slice(&scanner->text);
    cli_place place = place_of(input, scanner->first_line);
    if (cli_shell_is_interrupted(input->shell)) return report_interrupt(input);
    bool went_well = plots ? cli_shell_run_plot(input->shell, text, place)
                           : cli_shell_run(input->shell, text, place);
    cli_scanner_clear(scanner);
    return went_well;
}

static void print_buffer(const cli_input *input) {
    const cli_scanner *scanner = &input->scanner;
    cli_out_put(input->shell->out, tarn_buffer_slice(&scanner->text));
    bool ends = scanner->text.len > 0 && scanner->text.data[scanner->text.len - 1] == '\n';
    if (!ends) cli_out_text(input->shell->out, "\n");
}

static bool is_command(tarn_slice line, const char *name) {
    tarn_slice word = tarn_slice_from_cstr(name);
    if (!tarn_slice_starts_with(line, word)) return false;
    return line.len == word.len || line.data[word.len] <= ' ';
}

// The commands that deal with the statement in front of them; the shell does the others.
static bool run_meta(cli_input *input, tarn_slice line) {
    bool has_statement = input->scanner.text.len > 0;
    if (has_statement && is_command(line, "\\g")) return run_statement(input, false);
    if (has_statement && is_command(line, "\\plot")) return run_statement(input, true);
    if (is_command(line, "\\p")) print_buffer(input);
    if (is_command(line, "\\r")) cli_scanner_clear(&input->scanner);
    return cli_shell_meta(input->shell, line, place_of(input, input->scanner.line),
                          &input->has_quit);
}

bool cli_input_line(cli_input *input, tarn_slice line) {
    cli_scanner_next_line(&input->scanner);
    bool went_well = true;
    for (;;) {
        cli_scan_found found;
        tarn_error err = {0};
        if (cli_scanner_feed(&input->scanner, &line, &found, &err) != TARN_OK) {
            return cli_shell_complain(input->shell, &err, place_of(input, input->scanner.line));
        }
        if (found == CLI_SCAN_LINE_DONE) break;
        if (found == CLI_SCAN_STATEMENT) {
            went_well &= run_statement(input, false);
        } else {
            went_well &= run_meta(input, line);
            line.len = 0;
        }
        if (is_over(input, went_well)) break;
    }
    return went_well;
}

bool cli_input_end(cli_input *input) {
    if (input->scanner.text.len == 0) return true;
    return run_statement(input, false);
}

// ---- bytes to lines ----

// A file (file != NULL) or standard input.
typedef struct line_reader {
    tarn_file *file;
    uint64_t offset;
    tarn_buffer bytes; // read, and from `begin` on not yet handed out
    size_t begin;
    bool at_end;
} line_reader;

static tarn_status read_more(line_reader *reader, tarn_error *err) {
    tarn_buffer *bytes = &reader->bytes;
    if (reader->begin > 0) {
        tarn_assert(bytes->data != NULL);
        bytes->len -= reader->begin;
        memmove(bytes->data, bytes->data + reader->begin, bytes->len);
        reader->begin = 0;
    }
    if (bytes->len > LINE_BYTES_MAX || !tarn_buffer_reserve(bytes, READ_BYTES)) {
        return tarn_fail(err, TARN_NO_MEMORY, "a line has more than %zu bytes", bytes->len);
    }
    size_t len = 0;
    uint8_t *end = bytes->data + bytes->len;
    if (reader->file != NULL) {
        TARN_TRY(tarn_file_read_at(reader->file, reader->offset, end, READ_BYTES, &len, err));
    } else {
        TARN_TRY(tarn_os_stream_read(end, READ_BYTES, &len, err));
    }
    reader->offset += len;
    bytes->len += len;
    reader->at_end = len == 0;
    return TARN_OK;
}

// *ret_found is false at the end. The line is valid until the next call.
static tarn_status next_line(line_reader *reader, tarn_slice *ret_line, bool *ret_found,
                             tarn_error *err) {
    size_t looked = 0;
    for (;;) {
        tarn_assert(reader->bytes.data != NULL || reader->bytes.len == 0);
        tarn_assert(reader->begin <= reader->bytes.len);
        size_t len = reader->bytes.len - reader->begin;
        tarn_slice rest = tarn_slice_skip(tarn_buffer_slice(&reader->bytes), reader->begin);
        const uint8_t *begin = rest.data;
        const uint8_t *newline = NULL;
        if (len > looked) {
            tarn_assert(begin != NULL);
            newline = memchr(begin + looked, '\n', len - looked);
        }
        if (newline != NULL) len = (size_t)(newline - begin) + 1;
        if (newline != NULL || reader->at_end) {
            *ret_found = len > 0;
            *ret_line = (tarn_slice){begin, len};
            reader->begin += len;
            return TARN_OK;
        }
        looked = len;
        TARN_TRY(read_more(reader, err));
    }
}

static tarn_slice without_byte_order_mark(tarn_slice line) {
    tarn_slice mark = TARN_LIT("\xEF\xBB\xBF");
    return tarn_slice_starts_with(line, mark) ? tarn_slice_skip(line, mark.len) : line;
}

// An interrupt between two statements must not look like success.
static bool end_script(cli_input *input, bool went_well) {
    if (went_well && cli_shell_is_interrupted(input->shell)) went_well = report_interrupt(input);
    cli_input_reset(input);
    return went_well;
}

static bool run_lines(cli_shell *shell, line_reader *reader, tarn_slice name) {
    cli_input input;
    tarn_error err = {0};
    bool went_well = true;
    cli_input_init(&input, shell, name, !shell->goes_on);
    while (!is_over(&input, went_well)) {
        tarn_slice line;
        bool found = false;
        if (next_line(reader, &line, &found, &err) != TARN_OK) {
            went_well = cli_shell_complain(shell, &err, place_of(&input, input.scanner.line));
            break;
        }
        if (!found) {
            went_well &= cli_input_end(&input);
            break;
        }
        if (input.scanner.line == 0) line = without_byte_order_mark(line);
        went_well &= cli_input_line(&input, line);
    }
    tarn_buffer_free(&reader->bytes);
    return end_script(&input, went_well);
}

// ---- whole inputs ----

bool cli_run_stdin(cli_shell *shell) {
    line_reader reader = {0};
    return run_lines(shell, &reader, TARN_LIT("<stdin>"));
}

bool cli_run_file(cli_shell *shell, tarn_slice path, cli_place place) {
    if (tarn_slice_equal(path, TARN_LIT("-"))) return cli_run_stdin(shell);
    line_reader reader = {0};
    tarn_error err = {0};
    if (tarn_os_open(shell->os, path, TARN_OPEN_READ, &reader.file, &err) != TARN_OK) {
        return cli_shell_complain(shell, &err, place);
    }
    bool went_well = run_lines(shell, &reader, path);
    (void)tarn_file_close(reader.file, NULL); // a reader loses nothing
    return went_well;
}

bool cli_run_text(cli_shell *shell, tarn_slice text) {
    cli_input input;
    cli_input_init(&input, shell, (tarn_slice){0}, !shell->goes_on);
    bool went_well = true;
    while (text.len > 0 && !is_over(&input, went_well)) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline == NULL ? text.len : (size_t)(newline - text.data) + 1;
        went_well &= cli_input_line(&input, tarn_slice_head(text, len));
        text = tarn_slice_skip(text, len);
    }
    if (!is_over(&input, went_well)) went_well &= cli_input_end(&input);
    return end_script(&input, went_well);
}
