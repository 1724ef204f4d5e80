// history.h - the lines a user typed, kept in ~/.tarn_history for the next time.
//
// A statement of several lines is one entry; in the file its newlines are "\n" and its backslashes
// "\\". Only the owner may read the file. Shells that run at once add to it, each its own entries.
#ifndef TARN_CLI_HISTORY_H
#define TARN_CLI_HISTORY_H

#include "base/arena.h"
#include "base/buffer.h"
#include "os/os.h"

#define CLI_HISTORY_ENTRIES_MAX 1000 // that are read; a file of twice as many is cut to them

// The entries, oldest first. A file that is not there has none.
TARN_MUST_USE tarn_status cli_history_load(tarn_os *os, tarn_slice path, tarn_arena *arena,
                                           tarn_slice **ret_entries, size_t *ret_count,
                                           tarn_error *err);
TARN_MUST_USE tarn_status cli_history_add(tarn_os *os, tarn_slice path, tarn_slice entry,
                                          tarn_error *err);

#endif
