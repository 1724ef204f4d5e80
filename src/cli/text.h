// text.h - text as a terminal shows it: columns, and characters that must not reach it.
//
// Widths are those of single characters (no column for marks that combine, two for ideographs and
// emoji), as psql computes them; a terminal that merges sequences of emoji needs fewer.
#ifndef TARN_CLI_TEXT_H
#define TARN_CLI_TEXT_H

#include "base/buffer.h"
#include "base/slice.h"

// Takes the first character from *text (not empty). A byte that is not UTF-8 is taken alone and
// *ret_valid is false.
uint32_t cli_text_next(tarn_slice *text, bool *ret_valid);

// Columns of one line of text.
size_t cli_text_width(tarn_slice text);

// The longest head of `text` within `columns`.
tarn_slice cli_text_fit(tarn_slice text, size_t columns);

// Appends `raw` with what would move the cursor or command the terminal made visible, as psql does:
// a tab becomes spaces, a carriage return "\r", other controls and stray bytes "\x1B". Newlines
// stay.
TARN_MUST_USE bool cli_text_show(tarn_slice raw, tarn_buffer *out);

// Takes the first line from *text, without its newline. Text that ends in a newline has an empty
// last line; *ret_more tells whether there is another.
tarn_slice cli_text_line(tarn_slice *text, bool *ret_more);

// Columns of the widest line.
size_t cli_text_block_width(tarn_slice text);

#endif
