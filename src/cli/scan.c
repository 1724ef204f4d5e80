#include "cli/scan.h"

void cli_scanner_init(cli_scanner *scanner) {
    *scanner = (cli_scanner){0};
}

void cli_scanner_reset(cli_scanner *scanner) {
    tarn_buffer_free(&scanner->text);
    cli_scanner_init(scanner);
}

void cli_scanner_clear(cli_scanner *scanner) {
    tarn_buffer_clear(&scanner->text);
    scanner->mode = CLI_SCAN_PLAIN;
    scanner->open_parens = 0;
    scanner->comment_depth = 0;
}

char cli_scanner_prompt(const cli_scanner *scanner) {
    switch (scanner->mode) {
    case CLI_SCAN_TEXT:
    case CLI_SCAN_ESCAPE_TEXT: return '\'';
    case CLI_SCAN_NAME: return '"';
    case CLI_SCAN_DOLLAR: return '$';
    case CLI_SCAN_COMMENT: return '*';
    case CLI_SCAN_PLAIN: break;
    }
    if (scanner->text.len == 0) return '=';
    return scanner->open_parens > 0 ? '(' : '-';
}

// ---- characters ----

static bool is_space(uint8_t byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool is_name_start(uint8_t byte) {
    return byte == '_' || byte >= 0x80 || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z');
}

static bool is_name_part(uint8_t byte) {
    return is_name_start(byte) || (byte >= '0' && byte <= '9');
}

// How many bytes of `line` open a dollar quote: "$$", "$tag$"; 0: none.
static size_t dollar_len(const cli_scanner *scanner, tarn_slice line) {
    const tarn_buffer *text = &scanner->text;
    // "a$b" is a name.
    if (text->len > 0 && is_name_part(text->data[text->len - 1])) return 0;
    size_t i = 1;
    if (i < line.len && is_name_start(line.data[i])) {
        while (i < line.len && is_name_part(line.data[i])) i++;
    }
    return i < line.len && line.data[i] == '$' ? i + 1 : 0;
}

// Whether the quote that follows the text belongs to E'...'.
static bool is_escape_prefix(const tarn_buffer *text) {
    if (text->len == 0) return false;
    uint8_t last = text->data[text->len - 1];
    if (last != 'e' && last != 'E') return false;
    return text->len == 1 || !is_name_part(text->data[text->len - 2]);
}

static bool starts(tarn_slice line, char first, char second) {
    return line.len >= 2 && line.data[0] == (uint8_t)first && line.data[1] == (uint8_t)second;
}

// ---- steps: each says how many bytes it takes from the front of the line ----

static size_t step_comment(cli_scanner *scanner, tarn_slice line) {
    if (starts(line, '/', '*')) {
        scanner->comment_depth++;
        return 2;
    }
    if (!starts(line, '*', '/')) return 1;
    scanner->comment_depth--;
    if (scanner->comment_depth == 0) scanner->mode = CLI_SCAN_PLAIN;
    return 2;
}

static size_t step_quoted(cli_scanner *scanner, tarn_slice line) {
    uint8_t quote = scanner->mode == CLI_SCAN_NAME ? '"' : '\'';
    if (scanner->mode == CLI_SCAN_ESCAPE_TEXT && line.data[0] == '\\') {
        return line.len >= 2 ? 2 : 1;
    }
    if (line.data[0] != quote) return 1;
    if (line.len >= 2 && line.data[1] == quote) return 2;
    scanner->mode = CLI_SCAN_PLAIN;
    return 1;
}

static size_t step_dollar(cli_scanner *scanner, tarn_slice line) {
    tarn_slice tag = {scanner->text.data + scanner->tag_begin, scanner->tag_len};
    if (!tarn_slice_starts_with(line, tag)) return 1;
    scanner->mode = CLI_SCAN_PLAIN;
    return tag.len;
}

static size_t step_plain(cli_scanner *scanner, tarn_slice line) {
    if (starts(line, '-', '-')) {
        const uint8_t *newline = memchr(line.data, '\n', line.len);
        return newline == NULL ? line.len : (size_t)(newline - line.data);
    }
    if (starts(line, '/', '*')) {
        scanner->mode = CLI_SCAN_COMMENT;
        scanner->comment_depth = 1;
        return 2;
    }
    switch (line.data[0]) {
    case '\'':
        scanner->mode = is_escape_prefix(&scanner->text) ? CLI_SCAN_ESCAPE_TEXT : CLI_SCAN_TEXT;
        return 1;
    case '"': scanner->mode = CLI_SCAN_NAME; return 1;
    case '(': scanner->open_parens++; return 1;
    case ')':
        if (scanner->open_parens > 0) scanner->open_parens--;
        return 1;
    case '$': {
        size_t len = dollar_len(scanner, line);
        if (len == 0) return 1;
        scanner->mode = CLI_SCAN_DOLLAR;
        scanner->tag_begin = scanner->text.len;
        scanner->tag_len = len;
        return len;
    }
    default: return 1;
    }
}

static size_t step(cli_scanner *scanner, tarn_slice line) {
    switch (scanner->mode) {
    case CLI_SCAN_TEXT:
    case CLI_SCAN_ESCAPE_TEXT:
    case CLI_SCAN_NAME: return step_quoted(scanner, line);
    case CLI_SCAN_DOLLAR: return step_dollar(scanner, line);
    case CLI_SCAN_COMMENT: return step_comment(scanner, line);
    case CLI_SCAN_PLAIN: break;
    }
    return step_plain(scanner, line);
}

// Spaces and comments in front of a statement are not part of it.
static bool is_skipped(const cli_scanner *scanner, cli_scan_mode before, tarn_slice taken) {
    if (scanner->text.len > 0) return false;
    if (before == CLI_SCAN_COMMENT || scanner->mode == CLI_SCAN_COMMENT) return true;
    return is_space(taken.data[0]) || starts(taken, '-', '-');
}

tarn_status cli_scanner_feed(cli_scanner *scanner, tarn_slice *line, cli_scan_found *ret_found,
                             tarn_error *err) {
    while (line->len > 0) {
        cli_scan_mode before = scanner->mode;
        uint8_t first = line->data[0];
        if (before == CLI_SCAN_PLAIN && first == '\\') {
            *ret_found = CLI_SCAN_META;
            return TARN_OK;
        }
        size_t len = step(scanner, *line);
        tarn_slice taken = tarn_slice_head(*line, len);
        *line = tarn_slice_skip(*line, len);
        if (is_skipped(scanner, before, taken)) continue;
        if (before == CLI_SCAN_PLAIN && first == ';' && scanner->text.len == 0) continue;
        if (scanner->text.len == 0) scanner->first_line = scanner->line;
        if (!tarn_buffer_append(&scanner->text, taken)) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a statement of %zu bytes",
                             scanner->text.len);
        }
        if (before == CLI_SCAN_PLAIN && first == ';') {
            *ret_found = CLI_SCAN_STATEMENT;
            return TARN_OK;
        }
    }
    *ret_found = CLI_SCAN_LINE_DONE;
    return TARN_OK;
}
