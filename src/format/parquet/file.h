// file.h - an open Parquet file, as scans see it.
#ifndef TARN_FORMAT_PARQUET_FILE_H
#define TARN_FORMAT_PARQUET_FILE_H

#include "format/parquet/parquet.h"
#include "format/parquet/types.h"

// Immutable once open, so that scans on several threads may share it.
struct tarn_parquet_file {
    const tarn_alloc *alloc;
    tarn_object *object;
    tarn_arena arena; // everything below, and the footer's bytes
    uint64_t footer_offset;
    parquet_footer footer;
    size_t leaf_count;
    parquet_column *columns; // one per top-level column
    tarn_schema schema;      // the same
};

#endif
