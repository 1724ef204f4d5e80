// Runs a fuzzer's entry point over every file of a corpus, so that ordinary test runs, with any
// compiler, cover what fuzzing has found.
//
//     codec_fuzz.replay fuzz/corpus/codec_fuzz
#include "os/os.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_BYTES_MAX ((size_t)1 << 20)

static tarn_status replay(tarn_slice directory, tarn_arena *arena, size_t *ret_count,
                          tarn_error *err) {
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(tarn_os_list(tarn_os_posix(), directory, arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        tarn_slice path;
        tarn_slice bytes;
        if (!tarn_arena_printf(arena, &path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                               TARN_SLICE_ARG(directory), TARN_SLICE_ARG(names[i]))) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for a path");
        }
        TARN_TRY(tarn_os_read_file(tarn_os_posix(), path, FILE_BYTES_MAX, arena, &bytes, err));
        (void)LLVMFuzzerTestOneInput(bytes.data, bytes.len); // what it has to say it says by abort
    }
    *ret_count = count;
    return TARN_OK;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s <corpus directory>\n", argv[0]);
        return 2;
    }
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_error err;
    size_t count = 0;
    tarn_status status = replay(tarn_slice_from_cstr(argv[1]), &arena, &count, &err);
    tarn_arena_reset(&arena);
    if (status == TARN_OK && count == 0) {
        status = tarn_fail(&err, TARN_INVALID, "'%s' holds no inputs", argv[1]);
    }
    if (status != TARN_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    (void)printf("%zu inputs\n", count);
    return 0;
}
