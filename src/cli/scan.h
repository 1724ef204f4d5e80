// scan.h - cuts the lines of a user or a script into statements and meta commands.
//
//     cli_scanner_feed(scanner, line, ...) until CLI_SCAN_LINE_DONE, then the next line.
//
// A statement ends at a semicolon outside of quotes and comments; a backslash there begins a meta
// command, which takes the rest of its line. It knows as much of SQL's words as that needs: '...',
// E'...', "...", $tag$...$tag$, -- and nested /* */.
#ifndef TARN_CLI_SCAN_H
#define TARN_CLI_SCAN_H

#include "base/buffer.h"
#include "base/status.h"

typedef enum cli_scan_mode {
    CLI_SCAN_PLAIN,
    CLI_SCAN_TEXT,        // '...'
    CLI_SCAN_ESCAPE_TEXT, // E'...': a backslash escapes the quote
    CLI_SCAN_NAME,        // "..."
    CLI_SCAN_DOLLAR,      // $tag$...$tag$
    CLI_SCAN_COMMENT,     // /* ... */
} cli_scan_mode;

typedef struct cli_scanner {
    tarn_buffer text; // the statement so far, from its first character that is no space or comment
    uint64_t line;    // 1-based, of the input
    uint64_t first_line; // where the statement began; meaningful with text
    cli_scan_mode mode;
    size_t comment_depth;
    size_t open_parens; // for the prompt: a semicolon ends a statement all the same
    size_t tag_begin;   // of the dollar quote, in text
    size_t tag_len;
} cli_scanner;

typedef enum cli_scan_found {
    CLI_SCAN_LINE_DONE, // the statement, if there is one, goes on in the next line
    CLI_SCAN_STATEMENT, // `text` holds one, with its semicolon; cli_scanner_clear it
    CLI_SCAN_META,      // *line begins with a backslash; the caller takes it
} cli_scan_found;

void cli_scanner_init(cli_scanner *scanner);
void cli_scanner_reset(cli_scanner *scanner); // frees

// A new line of input begins.
static inline void cli_scanner_next_line(cli_scanner *scanner) {
    scanner->line++;
}

// Takes from the front of *line (with its newline, if it has one) up to what it found.
TARN_MUST_USE tarn_status cli_scanner_feed(cli_scanner *scanner, tarn_slice *line,
                                           cli_scan_found *ret_found, tarn_error *err);

// Forgets the statement.
void cli_scanner_clear(cli_scanner *scanner);

// psql's character for the prompt: '=' at the start, '-' within a statement, '\'', '"', '$', '*'
// within what must be closed, '(' within parentheses.
char cli_scanner_prompt(const cli_scanner *scanner);

#endif
