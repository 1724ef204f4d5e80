// io.h - object stores and compression codecs: what lies between tables and the operating system.
//
// A store is a tree of objects (whole files) below a root. Objects are written once, become visible
// whole and durable at finish, and never change. The local store sits on a tarn_os; others can
// follow behind the same functions, which is why nothing here speaks of files or directories.
//
//     tarn_store_writer *writer = NULL;
//     TARN_TRY(tarn_store_create(store, path, &writer, err));
//     ... tarn_store_writer_append(writer, bytes, err) ...
//     TARN_TRY(tarn_store_writer_finish(writer, err));  // durable and visible on TARN_OK
//
// Paths:     relative to the store's root, '/' between parts; empty parts, "." and ".." are
//            TARN_INVALID. What lies between the root and an object is made as needed.
// Ownership: whoever opens closes. A store outlives its objects and writers.
// Errors:    as in os.h: a missing object is TARN_IO. After TARN_IO from a writer's finish or a put
//            the object is there whole or not at all, and unknown which.
// Threads:   a store and an open object may be used from any thread; a writer belongs to one.
#ifndef TARN_IO_H
#define TARN_IO_H

#include "base/buffer.h"
#include "base/slice.h"
#include "base/status.h"
#include "os/os.h"

// ---- stores ----

typedef struct tarn_store tarn_store;
typedef struct tarn_object tarn_object;
typedef struct tarn_store_writer tarn_store_writer;

// The directory is created when absent. `os` and `alloc` outlive the store; `root` is copied.
TARN_MUST_USE tarn_status tarn_store_open_local(tarn_os *os, const tarn_alloc *alloc,
                                                tarn_slice root, tarn_store **ret_store,
                                                tarn_error *err);
void tarn_store_close(tarn_store *store); // accepts NULL
tarn_os *tarn_store_os(tarn_store *store);
tarn_slice tarn_store_root(const tarn_store *store);

// Opens an object for reading; its size is fixed at open.
TARN_MUST_USE tarn_status tarn_store_open(tarn_store *store, tarn_slice path,
                                          tarn_object **ret_object, tarn_error *err);
// An object over bytes in memory, for tests and fuzzers. The bytes outlive it; `name` is copied.
TARN_MUST_USE tarn_status tarn_object_from_bytes(const tarn_alloc *alloc, tarn_slice name,
                                                 tarn_slice bytes, tarn_object **ret_object,
                                                 tarn_error *err);
uint64_t tarn_object_size(const tarn_object *object);
tarn_slice tarn_object_name(const tarn_object *object); // for messages
// Reads exactly `len` bytes; a range beyond the end is TARN_CORRUPT (the object is shorter than
// whoever asks was told).
TARN_MUST_USE tarn_status tarn_object_read(tarn_object *object, uint64_t offset, uint8_t *bytes,
                                           size_t len, tarn_error *err);
void tarn_object_close(tarn_object *object); // accepts NULL

// Starts a new object. TARN_CONFLICT at finish when the path exists by then.
TARN_MUST_USE tarn_status tarn_store_create(tarn_store *store, tarn_slice path,
                                            tarn_store_writer **ret_writer, tarn_error *err);
TARN_MUST_USE tarn_status tarn_store_writer_append(tarn_store_writer *writer, tarn_slice bytes,
                                                   tarn_error *err);
uint64_t tarn_store_writer_position(const tarn_store_writer *writer); // bytes appended so far
// Makes the object durable and visible, and frees the writer, also on failure.
TARN_MUST_USE tarn_status tarn_store_writer_finish(tarn_store_writer *writer, tarn_error *err);
void tarn_store_writer_abort(tarn_store_writer *writer); // leaves nothing behind; accepts NULL

// Small objects in one call. Durable on TARN_OK; exclusive creation fails with TARN_CONFLICT.
TARN_MUST_USE tarn_status tarn_store_put(tarn_store *store, tarn_slice path, tarn_slice bytes,
                                         tarn_write_mode mode, tarn_error *err);
TARN_MUST_USE tarn_status tarn_store_get(tarn_store *store, tarn_slice path, size_t limit_bytes,
                                         tarn_arena *arena, tarn_slice *ret_bytes, tarn_error *err);
TARN_MUST_USE tarn_status tarn_store_stat(tarn_store *store, tarn_slice path,
                                          tarn_file_info *ret_info, tarn_error *err);
// The names directly below `prefix` (a path without trailing '/', or ""), in byte order. Objects
// that are not finished, also those that a crash left behind, are not listed.
TARN_MUST_USE tarn_status tarn_store_list(tarn_store *store, tarn_slice prefix, tarn_arena *arena,
                                          tarn_slice **ret_names, size_t *ret_count,
                                          tarn_error *err);
// Makes the names directly below `prefix` durable as they are. For what a process that died may
// have made visible and not yet durable: before others are told of it. Nothing there is fine.
TARN_MUST_USE tarn_status tarn_store_sync_names(tarn_store *store, tarn_slice prefix,
                                                tarn_error *err);
// Removes what a crash left of objects directly below `prefix` that were not finished. Only while
// this process writes nothing there: it does not tell them from objects in work. What other
// programs have in work stays.
TARN_MUST_USE tarn_status tarn_store_remove_unfinished(tarn_store *store, tarn_slice prefix,
                                                       uint64_t *ret_removed, tarn_error *err);
// A missing object is fine. A removed one may be back after a power loss.
TARN_MUST_USE tarn_status tarn_store_remove(tarn_store *store, tarn_slice path, tarn_error *err);
// Removes all below `path`, hidden leftovers included. Durable on TARN_OK; not atomic.
TARN_MUST_USE tarn_status tarn_store_remove_tree(tarn_store *store, tarn_slice path,
                                                 tarn_error *err);

// ---- codecs ----

typedef enum tarn_codec {
    TARN_CODEC_NONE,
    TARN_CODEC_SNAPPY,  // raw
    TARN_CODEC_GZIP,    // members; concatenated ones are read
    TARN_CODEC_DEFLATE, // raw deflate, as Avro has it; bytes behind its end are ignored
    TARN_CODEC_LZ4,     // raw block
    TARN_CODEC_ZSTD,    // frames; the content size is written
} tarn_codec;

const char *tarn_codec_name(tarn_codec codec);

// Appends the compressed bytes to `out`. `level` 0 means the codec's default (zstd: 1, gzip and
// deflate: 6, lz4: 1); otherwise zstd takes -50 to 22, gzip and deflate 1 to 9, lz4 1 to 12.
// TARN_INVALID for a level that the codec does not have, TARN_NO_MEMORY when `out` is full.
TARN_MUST_USE tarn_status tarn_compress(tarn_codec codec, int level, tarn_slice bytes,
                                        tarn_buffer *out, tarn_error *err);

// Decompresses into exactly `len` bytes at `out`; any other length, and any damage, is
// TARN_CORRUPT. No bytes at all are right for `len` 0, whatever the codec.
TARN_MUST_USE tarn_status tarn_decompress(tarn_codec codec, tarn_slice bytes, uint8_t *out,
                                          size_t len, tarn_error *err);

// For formats that do not store the length: appends to `out`, up to its limit (which must be set);
// more is TARN_NO_MEMORY. TARN_UNSUPPORTED for lz4, whose blocks do not say where they end.
TARN_MUST_USE tarn_status tarn_decompress_unsized(tarn_codec codec, tarn_slice bytes,
                                                  tarn_buffer *out, tarn_error *err);

#endif
