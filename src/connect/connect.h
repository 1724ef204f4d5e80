// connect.h - sources to the outside, registered by name.
//
// A connector turns WITH (connector = 'file', path = ..., format = ...) into a stream of chunks
// with positions, so that a restart continues where a checkpoint was taken. It delivers the columns
// that the source stores; generated columns and watermarks are added by op/.
//
//     const tarn_connector *connector = tarn_connector_find(TARN_LIT("file"));
//     TARN_TRY(connector->open(os, alloc, &spec, &reader, err));
//     TARN_TRY(connector->next(reader, &chunk, &poll, err));
//
// Position: opaque bytes; seek(position()) continues with exactly the next row.
// Ownership: a chunk is valid until the next call for its reader.
// Threads:   a reader belongs to one thread at a time.
#ifndef TARN_CONNECT_H
#define TARN_CONNECT_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "column/column.h"
#include "flow/flow.h"
#include "format/csv/csv.h"
#include "os/os.h"

typedef struct tarn_connector_option {
    tarn_slice key;
    tarn_slice value;
} tarn_connector_option;

typedef struct tarn_connector_spec {
    const tarn_connector_option *options;
    size_t option_count;
    tarn_slice base_directory; // relative paths start here
    tarn_schema schema;        // the stored columns to deliver; names and types are checked
} tarn_connector_spec;

typedef struct tarn_source_reader tarn_source_reader;

typedef struct tarn_connector {
    const char *name;
    // Checks options (unknown ones are refused with the nearest name) and, where the outside can be
    // asked, that the columns are there with fitting types.
    tarn_status (*validate)(tarn_os *os, const tarn_alloc *alloc, const tarn_connector_spec *spec,
                            tarn_error *err);
    tarn_status (*open)(tarn_os *os, const tarn_alloc *alloc, const tarn_connector_spec *spec,
                        tarn_source_reader **ret_reader, tarn_error *err);
    // A chunk and whether more may come. With TARN_POLL_IDLE and _END the chunk is NULL. A bad
    // record fails with TARN_INVALID unless on_error = 'dead_letter': then `bad` is called and
    // reading goes on.
    tarn_status (*next)(tarn_source_reader *reader, const tarn_chunk **ret_chunk,
                        tarn_poll *ret_poll, tarn_error *err);
    tarn_status (*position)(tarn_source_reader *reader, tarn_buffer *out, tarn_error *err);
    tarn_status (*seek)(tarn_source_reader *reader, tarn_slice position, tarn_error *err);
    void (*set_dead_letter)(tarn_source_reader *reader,
                            tarn_status (*bad)(void *context, const tarn_bad_record *record,
                                               tarn_error *err),
                            void *context);
    // How much of the input is read, for progress: bytes or rows done of an expected total (0:
    // unknown).
    void (*progress)(const tarn_source_reader *reader, uint64_t *ret_done, uint64_t *ret_total);
    void (*close)(tarn_source_reader *reader); // accepts NULL
} tarn_connector;

// NULL when there is none of that name.
const tarn_connector *tarn_connector_find(tarn_slice name);
// For hints.
const char *const *tarn_connector_names(size_t *ret_count);

#endif
