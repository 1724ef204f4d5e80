// parse.h - the common spellings of values, without the detour that the rare ones need.
//
// Whatever is accepted here gives the value that tarn_value_parse gives; whatever is not is left to
// it: other spellings, rounding, ranges, and every error.
#ifndef TARN_FORMAT_TEXT_PARSE_H
#define TARN_FORMAT_TEXT_PARSE_H

#include "column/column.h"

// Stores the value at `slot`, in the type's physical form. Text views `text`.
bool text_parse(tarn_type type, tarn_slice text, void *slot);

#endif
