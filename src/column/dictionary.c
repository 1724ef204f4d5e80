#include "base/alloc.h"
#include "column/column.h"

// Ids are never reused, so that a cached result cannot be taken for one of a later dictionary.
// Relaxed: the ids only have to differ.
static _Atomic uint64_t next_id = 1;

tarn_status tarn_dictionary_new(const tarn_alloc *alloc, tarn_type type, uint32_t count,
                                void **ret_values, tarn_dictionary **ret_dictionary,
                                tarn_error *err) {
    tarn_dictionary *dictionary = tarn_alloc_new(alloc, tarn_dictionary, 1);
    if (dictionary == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a dictionary");
    tarn_arena_init(&dictionary->arena, alloc, SIZE_MAX);
    void *values = tarn_arena_alloc(&dictionary->arena, tarn_type_width(type), count);
    if (values == NULL) {
        tarn_alloc_free(alloc, dictionary, 1);
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a dictionary of %u values", count);
    }
    dictionary->data = values;
    dictionary->type = type;
    dictionary->count = count;
    dictionary->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
    dictionary->alloc = alloc;
    atomic_init(&dictionary->references, 1);
    *ret_values = values;
    *ret_dictionary = dictionary;
    return TARN_OK;
}

void tarn_dictionary_ref(tarn_dictionary *dictionary) {
    // Relaxed: whoever holds a reference already sees the dictionary.
    uint32_t before = atomic_fetch_add_explicit(&dictionary->references, 1, memory_order_relaxed);
    tarn_assert(before > 0 && before < UINT32_MAX);
}

void tarn_dictionary_unref(tarn_dictionary *dictionary) {
    if (dictionary == NULL) return;
    // Release pairs with the acquire of whoever takes the count to zero: all reads of the values
    // happen before they are freed.
    uint32_t before = atomic_fetch_sub_explicit(&dictionary->references, 1, memory_order_acq_rel);
    tarn_assert(before > 0);
    if (before > 1) return;
    const tarn_alloc *alloc = dictionary->alloc;
    tarn_arena_reset(&dictionary->arena);
    tarn_alloc_free(alloc, dictionary, 1);
}
