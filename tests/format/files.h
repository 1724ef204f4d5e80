// files.h - bytes of files and objects over them, for the tests of formats.
#ifndef TARN_TESTS_FORMAT_FILES_H
#define TARN_TESTS_FORMAT_FILES_H

#include <stdio.h>

#include "io/io.h"
#include "tests/test.h"

// Appends the file's bytes. Returns false when there is no such file.
static inline bool test_load_file(const char *path, tarn_buffer *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    for (;;) {
        assert_true(tarn_buffer_reserve(bytes, 4096));
        size_t len = fread(bytes->data + bytes->len, 1, 4096, file);
        bytes->len += len;
        if (len == 0) break;
    }
    (void)fclose(file);
    return true;
}

static inline tarn_object *test_object(const char *name, tarn_slice bytes) {
    tarn_object *object = NULL;
    assert_int_equal(
        tarn_object_from_bytes(&tarn_alloc_libc, tarn_slice_from_cstr(name), bytes, &object, NULL),
        TARN_OK);
    return object;
}

// The folder of real files that are not part of the project; may be absent.
static inline const char *test_shared_data(void) {
    const char *folder = getenv("TARN_SHARED_DATA");
    return folder == NULL ? "../shared/data" : folder;
}

#endif
