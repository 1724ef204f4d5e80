// pages.h - the pages of one column chunk, one after the other: read, checked, decompressed.
//
// A window of the file moves over the chunk, so that small pages cost no read each and a large
// chunk is never in memory whole.
//
// Invariants: no byte outside the chunk is read; a page's memory is explained by its stored size
//             and its codec's greatest ratio.
#ifndef TARN_FORMAT_PARQUET_PAGES_H
#define TARN_FORMAT_PARQUET_PAGES_H

#include "format/parquet/meta.h"
#include "io/io.h"

typedef struct parquet_pages {
    const tarn_alloc *alloc;
    tarn_object *object;
    int32_t codec;
    uint64_t page_offset; // of the current page's header
    uint64_t body_offset; // of its body
    uint64_t next_offset; // of the next page's header
    uint64_t end_offset;  // of the chunk
    size_t window_bytes;  // read at once, unless a page is larger
    tarn_buffer window;   // bytes from window_offset on
    uint64_t window_offset;
} parquet_pages;

void parquet_pages_init(parquet_pages *pages, const tarn_alloc *alloc, tarn_object *object,
                        size_t window_bytes);
void parquet_pages_free(parquet_pages *pages);

// Goes to the start of a chunk. `limit_offset` is where the footer starts.
TARN_MUST_USE tarn_status parquet_pages_start(parquet_pages *pages, const parquet_chunk_meta *chunk,
                                              uint64_t limit_offset, tarn_error *err);
// Reads the header of the next page; *ret_found is false at the end of the chunk.
TARN_MUST_USE tarn_status parquet_pages_next(parquet_pages *pages, parquet_page_header *ret_header,
                                             bool *ret_found, tarn_error *err);

typedef struct parquet_page_body {
    tarn_slice levels; // v2: the definition levels; v1: empty, they are at the start of `values`
    tarn_slice values;
} parquet_page_body;

// Reads the body of the page that parquet_pages_next gave. It lies in `memory`, or, when
// `may_view_window` and nothing needs decompressing, in the window until the next page.
TARN_MUST_USE tarn_status parquet_pages_body(parquet_pages *pages,
                                             const parquet_page_header *header,
                                             bool may_view_window, tarn_buffer *memory,
                                             parquet_page_body *ret_body, tarn_error *err);

#endif
