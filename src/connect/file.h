// file.h - the connector 'file': Parquet, CSV and JSON files, read one after the other; private to
// connect/.
//
// Options: path (a file, a directory or a pattern with * ? [a-z]), format (parquet, csv, json;
// default: by the names' endings), header, delimiter, null (csv), on_error ('fail', 'dead_letter').
//
// file_options.c parses them, file_list.c finds the files, file.c reads.
#ifndef TARN_CONNECT_FILE_H
#define TARN_CONNECT_FILE_H

#include "connect/connect.h"

extern const tarn_connector connect_file;

typedef enum file_format {
    FILE_FORMAT_UNKNOWN,
    FILE_FORMAT_PARQUET,
    FILE_FORMAT_CSV,
    FILE_FORMAT_JSON,
} file_format;

typedef struct file_options {
    tarn_slice path;
    file_format format; // FILE_FORMAT_UNKNOWN: by the file's name
    bool header;        // csv: the first record names the columns, which may be in any order
    uint8_t delimiter;  // csv; 0: ','
    tarn_slice null_text;
    bool dead_letter;
} file_options;

// Views the spec.
TARN_MUST_USE tarn_status file_options_parse(const tarn_connector_spec *spec,
                                             file_options *ret_options, tarn_error *err);

typedef struct file_entry {
    tarn_slice name; // below the root
    uint64_t size_bytes;
} file_entry;

typedef struct file_list {
    tarn_slice root;     // a directory
    file_entry *entries; // by name; at least one
    size_t count;
} file_list;

// Finds the files of `path`, relative to `base_directory` (empty: the process's). Hidden files and
// those of writers at work are left out. Fails with TARN_INVALID when there is none.
TARN_MUST_USE tarn_status file_list_find(tarn_os *os, tarn_slice base_directory, tarn_slice path,
                                         tarn_arena *arena, file_list *ret_list, tarn_error *err);

// Whether `name` fits `pattern`: * any bytes, ? one, [abc] and [a-z] one of a set, [!...] none of
// it. Never matches across '/'.
bool file_pattern_match(tarn_slice pattern, tarn_slice name);

#endif
