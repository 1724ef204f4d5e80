// Any bytes may be a directory file or the body of a record: what is accepted is whole and in
// order, what is not is named.
#include "kv/hashlog/hashlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_file(tarn_slice bytes) {
    kv_epoch *epoch = NULL;
    hashlog_directory *directory = NULL;
    tarn_assert(kv_epoch_new(&tarn_alloc_libc, &epoch, NULL) == TARN_OK);
    tarn_assert(hashlog_directory_new(&tarn_alloc_libc, epoch, &directory, NULL) == TARN_OK);
    uint64_t sequence = 0;
    tarn_error err = {0};
    tarn_status status = hashlog_file_decode(bytes, directory, &sequence, &err);
    tarn_assert(status == TARN_OK || (status == TARN_CORRUPT && strstr(err.message, "at offset")));
    if (status == TARN_OK) {
        hashlog_directory_check(directory);
        uint64_t entries = (bytes.len - 64 - (uint64_t)8 * HASHLOG_TABLES) / 16;
        tarn_assert(sequence > 0 && hashlog_directory_count(directory) == entries);
    }
    hashlog_directory_free(directory);
    kv_epoch_free(epoch);
}

static void decode_entry(uint8_t type, tarn_slice body) {
    hashlog_entry entry;
    if (!hashlog_entry_decode(type, body, &entry)) return;
    tarn_assert(entry.key.len > 0 && entry.key.len + entry.value.len < body.len);
    tarn_assert(!entry.is_delete || entry.value.len == 0);
    // Varints may be longer than they need to be; what is written again is not.
    size_t len = hashlog_entry_len(&entry);
    tarn_assert(len <= body.len);
    uint8_t *again = tarn_alloc_libc.acquire(tarn_alloc_libc.context, len);
    tarn_assert(again != NULL);
    hashlog_entry_encode(again, &entry);
    hashlog_entry decoded;
    tarn_assert(hashlog_entry_decode(type, (tarn_slice){again, len}, &decoded));
    tarn_assert(tarn_slice_equal(decoded.key, entry.key));
    tarn_assert(tarn_slice_equal(decoded.value, entry.value));
    tarn_alloc_libc.release(tarn_alloc_libc.context, again, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tarn_slice input = {data, size};
    decode_file(input);
    if (size > 0) decode_entry(data[0], tarn_slice_skip(input, 1));
    return 0;
}
