#include "kv/lsm/memtable.h"

#include "base/alloc.h"

tarn_status lsm_memtable_new(const tarn_alloc *alloc, lsm_order order,
                             const lsm_memtable_index *index, lsm_memtable **ret_memtable,
                             tarn_error *err) {
    lsm_memtable *memtable = tarn_alloc_new(alloc, lsm_memtable, 1);
    if (memtable == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a memtable");
    memtable->index = index == NULL ? &lsm_index_tree : index;
    memtable->alloc = alloc;
    memtable->order = order;
    lsm_arena_init(&memtable->arena, alloc);
    atomic_init(&memtable->reference_count, 1);
    atomic_init(&memtable->first_sequence, UINT64_MAX);
    atomic_flag_clear(&memtable->ranges_busy);
    if (!memtable->index->init(memtable)) {
        lsm_memtable_unref(memtable);
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for a memtable");
    }
    *ret_memtable = memtable;
    return TARN_OK;
}

void lsm_memtable_ref(lsm_memtable *memtable) {
    atomic_fetch_add_explicit(&memtable->reference_count, 1, memory_order_relaxed);
}

void lsm_memtable_unref(lsm_memtable *memtable) {
    if (memtable == NULL) return;
    // Acquire and release: what others did with it happens before it is freed.
    if (atomic_fetch_sub_explicit(&memtable->reference_count, 1, memory_order_acq_rel) > 1) return;
    lsm_arena_reset(&memtable->arena);
    tarn_alloc_free(memtable->alloc, memtable, 1);
}

static lsm_record *copy_record(lsm_memtable *memtable, uint64_t trailer, tarn_slice key,
                               tarn_slice value) {
    lsm_record *record = lsm_arena_alloc(&memtable->arena, sizeof *record + key.len + value.len);
    if (record == NULL) return NULL;
    record->trailer = trailer;
    record->key_len = (uint32_t)key.len;
    record->value_len = (uint32_t)value.len;
    if (key.len > 0) memcpy(record->bytes, key.data, key.len);
    if (value.len > 0) memcpy(record->bytes + key.len, value.data, value.len);
    return record;
}

static void *acquire_from_arena(void *context, size_t size_bytes) {
    return lsm_arena_alloc(context, size_bytes);
}

// The set with one range more. Each fragment of the old one goes in as a range per number.
static const lsm_ranges *extend_ranges(lsm_memtable *memtable, const lsm_ranges *old,
                                       lsm_range more) {
    size_t count = 1 + (old == NULL ? 0 : old->sequence_count);
    lsm_range *all = tarn_alloc_new(memtable->alloc, lsm_range, count);
    if (all == NULL) return NULL;
    size_t filled = 0;
    for (uint32_t i = 0; old != NULL && i < old->fragment_count; i++) {
        const lsm_fragment *fragment = &old->fragments[i];
        for (uint32_t k = 0; k < fragment->count; k++) {
            all[filled++] =
                (lsm_range){fragment->begin, fragment->end, old->sequences[fragment->first + k]};
        }
    }
    all[filled++] = more;
    tarn_assert(filled == count);
    const lsm_ranges *set = lsm_ranges_build(memtable->order, all, count, memtable->alloc,
                                             acquire_from_arena, &memtable->arena);
    tarn_alloc_free(memtable->alloc, all, count);
    return set;
}

static bool add_range(lsm_memtable *memtable, const lsm_record *record) {
    lsm_range more = {lsm_record_key(record), lsm_record_value(record),
                      lsm_trailer_sequence(record->trailer)};
    while (atomic_flag_test_and_set_explicit(&memtable->ranges_busy, memory_order_acquire)) {
        // Range deletions are rare and short; two at once hardly ever happen.
    }
    const lsm_ranges *old = atomic_load_explicit(&memtable->ranges, memory_order_relaxed);
    const lsm_ranges *set = extend_ranges(memtable, old, more);
    // Release: pairs with the acquire in lsm_memtable_ranges.
    if (set != NULL) atomic_store_explicit(&memtable->ranges, set, memory_order_release);
    atomic_flag_clear_explicit(&memtable->ranges_busy, memory_order_release);
    return set != NULL;
}

static void lower_first_sequence(lsm_memtable *memtable, uint64_t sequence) {
    uint64_t first = atomic_load_explicit(&memtable->first_sequence, memory_order_relaxed);
    while (sequence < first &&
           !atomic_compare_exchange_weak_explicit(&memtable->first_sequence, &first, sequence,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

tarn_status lsm_memtable_add(lsm_memtable *memtable, uint64_t sequence, kv_change_kind kind,
                             tarn_slice key, tarn_slice value, tarn_error *err) {
    tarn_assert(sequence > 0 && sequence <= LSM_SEQUENCE_MAX);
    lsm_record *record = copy_record(memtable, lsm_trailer(sequence, kind), key, value);
    bool is_done =
        record != NULL && (kind == KV_DELETE_RANGE ? add_range(memtable, record)
                                                   : memtable->index->insert(memtable, record));
    if (!is_done) return tarn_fail(err, TARN_NO_MEMORY, "no memory for an entry of the memtable");
    lower_first_sequence(memtable, sequence);
    if (kind != KV_DELETE_RANGE) {
        atomic_fetch_add_explicit(&memtable->entry_count, 1, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&memtable->data_bytes, key.len + value.len, memory_order_relaxed);
    return TARN_OK;
}
