// complete.h - what the word before the cursor may become.
#ifndef TARN_CLI_COMPLETE_H
#define TARN_CLI_COMPLETE_H

#include "base/arena.h"
#include "base/slice.h"

typedef struct cli_completion {
    tarn_slice word;              // the part of the line that is being completed; views it
    tarn_slice addition;          // what all candidates go on with, in the word's case
    const tarn_slice *candidates; // sorted, without doubles
    size_t count;
} cli_completion;

// `names` are those of the catalog. A line that begins with a backslash is completed with names
// only, any other also with SQL's words. Returns false without memory.
TARN_MUST_USE bool cli_complete(tarn_slice line, const tarn_slice *names, size_t name_count,
                                tarn_arena *arena, cli_completion *ret_completion);

#endif
