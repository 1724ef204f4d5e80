// backend.h - what an implementation of tarn_os provides: the calls that differ between the real
// system and the simulated one. Private to os/.
//
// Everything made of several calls (atomic files, directory trees, messages) is written once, above
// this table, so that the simulated runs test the very code that runs on the real system.
//
// Results: 0 or an errno value; os.c and durable.c turn it into a status and a sentence. Outputs
//          are untouched on failure.
// Paths:   NUL-terminated, not empty, shorter than OS_PATH_MAX.
// Handles: whatever the implementation likes; close and unlock end their life, whatever they
// return.
#ifndef TARN_OS_BACKEND_H
#define TARN_OS_BACKEND_H

#include "os/os.h"

#define OS_PATH_MAX 4096 // with the NUL

// Is given one name of a directory at a time. Returns 0 to go on.
typedef int os_name_visitor(void *context, const char *name);

// What an implementation knows of a map.
typedef struct os_mapped {
    uint8_t *data;
    size_t len;
    intptr_t handle;
} os_mapped;

typedef struct os_backend {
    // ---- files ----
    int (*open)(tarn_os *os, const char *path, tarn_open_mode mode, intptr_t *ret_handle);
    int (*read_at)(tarn_os *os, intptr_t handle, uint64_t offset, uint8_t *bytes, size_t len,
                   size_t *ret_len);
    int (*append)(tarn_os *os, intptr_t handle, tarn_slice bytes);
    int (*sync)(tarn_os *os, intptr_t handle);
    int (*size)(tarn_os *os, intptr_t handle, uint64_t *ret_bytes);
    int (*close)(tarn_os *os, intptr_t handle);
    // Of files opened with TARN_OPEN_UPDATE. A growth that fails leaves the size as it was.
    int (*write_at)(tarn_os *os, intptr_t handle, uint64_t offset, tarn_slice bytes);
    int (*resize)(tarn_os *os, intptr_t handle, uint64_t size_bytes);

    // ---- maps ----
    // Reading (is_writable false): *ret_data is NULL when the file is empty, `len` is ignored.
    // Writing: the first `len` bytes of the file, which is created or grown as needed.
    int (*map)(tarn_os *os, const char *path, bool is_writable, size_t len, os_mapped *ret_mapped);
    // Told of each store; NULL when the implementation sees them by itself.
    void (*map_wrote)(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len);
    int (*map_sync)(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len);
    void (*map_advise)(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len,
                       tarn_map_advice advice);
    void (*unmap)(tarn_os *os, const os_mapped *mapped);

    // ---- names ----
    int (*stat)(tarn_os *os, const char *path, tarn_file_info *ret_info); // ENOENT when missing
    int (*list)(tarn_os *os, const char *path, os_name_visitor *visit, void *context);
    int (*make_dir)(tarn_os *os, const char *path); // EEXIST
    int (*rename)(tarn_os *os, const char *from, const char *to);
    int (*link)(tarn_os *os, const char *from, const char *to); // EEXIST
    int (*remove)(tarn_os *os, const char *path); // a file or an empty directory; else ENOTEMPTY
    int (*sync_dir)(tarn_os *os, const char *path);
    int (*real_path)(tarn_os *os, const char *path, char ret_path[OS_PATH_MAX]);

    // EWOULDBLOCK when it is held; then *ret_holder is what the holder wrote, cut to its size.
    int (*lock)(tarn_os *os, const char *path, tarn_slice owner, intptr_t *ret_handle,
                char *ret_holder, size_t holder_size);
    void (*unlock)(tarn_os *os, intptr_t handle);

    // ---- clock and chance ----
    int64_t (*now_us)(tarn_os *os);
    int64_t (*monotonic_ns)(tarn_os *os);
    void (*random)(tarn_os *os, uint8_t *bytes, size_t len);
    int64_t (*process_id)(tarn_os *os);
    uint64_t (*peak_memory_bytes)(tarn_os *os);
    size_t (*cpu_count)(tarn_os *os);
} os_backend;

// An implementation embeds this as its first member.
struct tarn_os {
    const os_backend *backend;
};

// ---- shared by the files above the table (os.c) ----

// Copies `path` with a NUL behind it; TARN_INVALID when that is not possible.
TARN_MUST_USE tarn_status os_path_to_cstr(tarn_slice path, char ret_text[OS_PATH_MAX],
                                          tarn_error *err);

// The directory that holds `path`: "a" of "a/b", "." of "b", "/" of "/b".
tarn_slice os_path_parent(tarn_slice path);
// The last part of `path`.
tarn_slice os_path_name(tarn_slice path);

// Fails with "cannot <verb> '<path>': <reason>".
tarn_status os_fail(tarn_error *err, int code, const char *verb, tarn_slice path);

#endif
