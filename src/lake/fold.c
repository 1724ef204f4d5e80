#include "lake/fold.h"

#include "format/binrow/binrow.h"

// Keys of a handful of columns are compared on the stack.
#define KEY_COLUMNS_MAX 64
#define FIRST_SLOTS     TARN_TUNABLE((size_t)256, (size_t)4)

void lake_fold_init(lake_fold *fold, tarn_arena *arena) {
    *fold = (lake_fold){.arena = arena};
}

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "the list of live files");
}

// The slot of the entry with this identity, or the free one where it would go.
static size_t find_slot(const lake_fold *fold, const lake_entry *entry) {
    size_t mask = fold->slot_count - 1;
    size_t slot = (size_t)lake_entry_hash(entry) & mask;
    while (fold->slots[slot] != 0) {
        const lake_entry *other = fold->entries[fold->slots[slot] - 1];
        if (other != NULL && lake_entry_same(other, entry)) break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static tarn_status grow(lake_fold *fold, tarn_error *err) {
    size_t slot_count = fold->slot_count == 0 ? FIRST_SLOTS : fold->slot_count * 2;
    size_t capacity = slot_count / 2;
    if (capacity > UINT32_MAX / 2) return no_memory(err);
    const lake_entry **entries = tarn_arena_new(fold->arena, const lake_entry *, capacity);
    uint32_t *slots = tarn_arena_new(fold->arena, uint32_t, slot_count);
    if (entries == NULL || slots == NULL) return no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < fold->count; i++) {
        if (fold->entries[i] != NULL) entries[count++] = fold->entries[i];
    }
    fold->entries = entries;
    fold->slots = slots;
    fold->slot_count = slot_count;
    fold->capacity = capacity;
    fold->count = count;
    for (size_t i = 0; i < count; i++) {
        fold->slots[find_slot(fold, entries[i])] = (uint32_t)i + 1;
    }
    return TARN_OK;
}

static void append(lake_fold *fold, const lake_entry *entry, size_t slot) {
    fold->entries[fold->count++] = entry;
    fold->slots[slot] = (uint32_t)fold->count;
    if (entry->kind == LAKE_ADD) {
        fold->live_count++;
    } else {
        fold->pending_count++;
    }
}

tarn_status lake_fold_add(lake_fold *fold, const lake_entry *entry, tarn_error *err) {
    if (fold->count == fold->capacity) TARN_TRY(grow(fold, err));
    size_t slot = find_slot(fold, entry);
    if (fold->slots[slot] == 0) {
        append(fold, entry, slot);
        return TARN_OK;
    }
    const lake_entry *standing = fold->entries[fold->slots[slot] - 1];
    if (standing->kind == LAKE_DELETE) return TARN_OK; // deleted before: it stays deleted
    if (entry->kind == LAKE_ADD) {
        return tarn_fail(err, TARN_CONFLICT, "file '" TARN_SLICE_FMT "' is added twice",
                         TARN_SLICE_ARG(entry->file.name));
    }
    // The slot stays taken, so that probes go on past it.
    fold->entries[fold->slots[slot] - 1] = NULL;
    fold->live_count--;
    return TARN_OK;
}

const lake_entry *lake_fold_find(const lake_fold *fold, const lake_entry *entry) {
    if (fold->slot_count == 0) return NULL;
    size_t slot = find_slot(fold, entry);
    return fold->slots[slot] == 0 ? NULL : fold->entries[fold->slots[slot] - 1];
}

tarn_status lake_fold_entries(const lake_fold *fold, const lake_entry ***ret_entries,
                              size_t *ret_count, tarn_error *err) {
    size_t count = fold->live_count + fold->pending_count;
    const lake_entry **entries = tarn_arena_new(fold->arena, const lake_entry *, count);
    if (entries == NULL) return no_memory(err);
    size_t next = 0;
    for (size_t i = 0; i < fold->count; i++) {
        if (fold->entries[i] != NULL) entries[next++] = fold->entries[i];
    }
    tarn_assert(next == count);
    *ret_entries = entries;
    *ret_count = count;
    return TARN_OK;
}

// ---- keys ----

static tarn_status decode_key(const lake_schema *schema, tarn_slice bytes, tarn_value *values,
                              tarn_error *err) {
    tarn_type types[KEY_COLUMNS_MAX];
    for (size_t i = 0; i < schema->key.count; i++) {
        types[i] = lake_type_stored(&schema->fields[schema->key.indices[i]].type);
    }
    return tarn_binrow_deserialize(bytes, types, schema->key.count, values, err);
}

tarn_status lake_key_compare(const lake_schema *schema, tarn_slice a, tarn_slice b, int *ret_order,
                             tarn_error *err) {
    tarn_value left[KEY_COLUMNS_MAX];
    tarn_value right[KEY_COLUMNS_MAX];
    if (schema->key.count > KEY_COLUMNS_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "primary keys of more than %d columns",
                         KEY_COLUMNS_MAX);
    }
    TARN_TRY(decode_key(schema, a, left, err));
    TARN_TRY(decode_key(schema, b, right, err));
    int order = 0;
    for (size_t i = 0; i < schema->key.count && order == 0; i++) {
        order = tarn_value_compare(left[i], right[i]);
    }
    *ret_order = order;
    return TARN_OK;
}

tarn_status lake_key_encode(const lake_schema *schema, tarn_slice key, tarn_arena *arena,
                            tarn_slice *ret_bytes, tarn_error *err) {
    tarn_value values[KEY_COLUMNS_MAX];
    if (schema->key.count > KEY_COLUMNS_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "primary keys of more than %d columns",
                         KEY_COLUMNS_MAX);
    }
    TARN_TRY(decode_key(schema, key, values, err));
    tarn_buffer bytes = {0};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < schema->key.count && status == TARN_OK; i++) {
        values[i].type = schema->fields[schema->key.indices[i]].type.type;
        status = tarn_key_encode_value(values[i], (tarn_key_order){0}, &bytes, err);
    }
    if (status == TARN_OK && !tarn_arena_copy(arena, tarn_buffer_slice(&bytes), ret_bytes)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "a key");
    }
    tarn_buffer_free(&bytes);
    return status;
}

// ---- conflicts ----

static int compare_buckets(const lake_entry *a, const lake_entry *b) {
    int order = tarn_slice_compare(a->partition, b->partition);
    if (order != 0) return order;
    return (a->bucket > b->bucket) - (a->bucket < b->bucket);
}

static int by_partition(const void *a, const void *b) {
    const lake_entry *left = *(const lake_entry *const *)a;
    const lake_entry *right = *(const lake_entry *const *)b;
    return tarn_slice_compare(left->partition, right->partition);
}

static int by_bucket_and_level(const void *a, const void *b) {
    const lake_entry *left = *(const lake_entry *const *)a;
    const lake_entry *right = *(const lake_entry *const *)b;
    int order = compare_buckets(left, right);
    if (order != 0) return order;
    return (left->file.level > right->file.level) - (left->file.level < right->file.level);
}

static tarn_status check_bucket_counts(const lake_entry **entries, size_t count, tarn_error *err) {
    qsort(entries, count, sizeof(void *), by_partition);
    for (size_t i = 1; i < count; i++) {
        const lake_entry *a = entries[i - 1];
        const lake_entry *b = entries[i];
        if (a->total_buckets <= 0 || b->total_buckets <= 0) continue;
        if (!tarn_slice_equal(a->partition, b->partition)) continue;
        if (a->total_buckets == b->total_buckets) continue;
        return tarn_fail(err, TARN_CONFLICT,
                         "a partition has files for %d buckets and files for %d", a->total_buckets,
                         b->total_buckets);
    }
    return TARN_OK;
}

// Within one bucket and level no two files may overlap; a few files at a time, so pairs will do.
static tarn_status check_level(const lake_schema *schema, const lake_entry *const *files,
                               size_t count, tarn_error *err) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            int a_before_b = 0;
            int b_before_a = 0;
            const lake_file *a = &files[i]->file;
            const lake_file *b = &files[j]->file;
            TARN_TRY(lake_key_compare(schema, a->max_key, b->min_key, &a_before_b, err));
            TARN_TRY(lake_key_compare(schema, b->max_key, a->min_key, &b_before_a, err));
            if (a_before_b < 0 || b_before_a < 0) continue;
            return tarn_fail(err, TARN_CONFLICT,
                             "files '" TARN_SLICE_FMT "' and '" TARN_SLICE_FMT
                             "' of level %d have overlapping keys",
                             TARN_SLICE_ARG(a->name), TARN_SLICE_ARG(b->name), a->level);
        }
    }
    return TARN_OK;
}

static tarn_status check_levels(const lake_schema *schema, const lake_entry **entries, size_t count,
                                tarn_error *err) {
    qsort(entries, count, sizeof(void *), by_bucket_and_level);
    size_t begin = 0;
    while (begin < count) {
        size_t end = begin + 1;
        while (end < count && by_bucket_and_level(&entries[begin], &entries[end]) == 0) end++;
        if (entries[begin]->file.level > 0) {
            TARN_TRY(check_level(schema, entries + begin, end - begin, err));
        }
        begin = end;
    }
    return TARN_OK;
}

tarn_status lake_check_conflicts(const lake_schema *schema, lake_entry_view base,
                                 lake_entry_view delta, bool may_change_buckets,
                                 tarn_arena *scratch, tarn_error *err) {
    lake_fold alone;
    lake_fold_init(&alone, scratch);
    for (size_t i = 0; i < delta.count; i++) TARN_TRY(lake_fold_add(&alone, delta.items[i], err));

    lake_fold fold;
    lake_fold_init(&fold, scratch);
    for (size_t i = 0; i < base.count; i++) TARN_TRY(lake_fold_add(&fold, base.items[i], err));
    for (size_t i = 0; i < delta.count; i++) TARN_TRY(lake_fold_add(&fold, delta.items[i], err));

    const lake_entry **entries = NULL;
    size_t count = 0;
    TARN_TRY(lake_fold_entries(&fold, &entries, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (entries[i]->kind == LAKE_ADD) continue;
        return tarn_fail(err, TARN_CONFLICT,
                         "file '" TARN_SLICE_FMT "' was removed by another commit",
                         TARN_SLICE_ARG(entries[i]->file.name));
    }
    if (!may_change_buckets) TARN_TRY(check_bucket_counts(entries, count, err));
    return lake_schema_is_keyed(schema) ? check_levels(schema, entries, count, err) : TARN_OK;
}
