// Column families: which there are, in memory and in the identity file.
#include "base/alloc.h"
#include "kv/front.h"

bool kv_path(tarn_arena *arena, tarn_slice directory, tarn_slice name, tarn_slice *ret_path) {
    return tarn_arena_printf(arena, ret_path, TARN_SLICE_FMT "/" TARN_SLICE_FMT,
                             TARN_SLICE_ARG(directory), TARN_SLICE_ARG(name));
}

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the column families");
}

// ---- finding ----

static kv_family_table *table_of(const tarn_kv *kv) {
    // Acquire pairs with the release in publish: the table and its families are seen whole.
    return atomic_load_explicit(&kv->families, memory_order_acquire);
}

tarn_kv_family *kv_family_by_id(const tarn_kv *kv, uint32_t id) {
    const kv_family_table *table = table_of(kv);
    size_t begin = 0;
    size_t end = table->count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (table->families[middle]->id < id) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    bool is_there = begin < table->count && table->families[begin]->id == id;
    return is_there ? table->families[begin] : NULL;
}

tarn_status kv_family_find(const tarn_kv *kv, const tarn_kv_family *family,
                           tarn_kv_family **ret_family, tarn_error *err) {
    tarn_kv_family *found = kv_family_by_id(kv, family == NULL ? 0 : family->id);
    if (family != NULL && found != family) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' was dropped, or is that of another store",
                         TARN_SLICE_ARG(family->name));
    }
    *ret_family = found;
    return TARN_OK;
}

static tarn_kv_family *find_by_name(const kv_family_table *table, tarn_slice name) {
    for (size_t i = 0; i < table->count; i++) {
        if (tarn_slice_equal(table->families[i]->name, name)) return table->families[i];
    }
    return NULL;
}

// ---- the table ----

static kv_family_table *new_table(tarn_kv *kv, size_t count) {
    size_t bytes = sizeof(kv_family_table) + count * sizeof(tarn_kv_family *);
    return tarn_arena_alloc(&kv->arena, bytes, 1);
}

static void publish(tarn_kv *kv, kv_family_table *table) {
    table->older = table_of(kv);
    bool has_ttl = false;
    for (size_t i = 0; i < table->count; i++) has_ttl |= table->families[i]->options.ttl_ms > 0;
    atomic_store(&kv->has_ttl, has_ttl);
    atomic_store_explicit(&kv->families, table, memory_order_release);
}

static kv_family_table *table_with(tarn_kv *kv, tarn_kv_family *family) {
    const kv_family_table *before = table_of(kv);
    kv_family_table *table = new_table(kv, before->count + 1);
    if (table == NULL) return NULL;
    table->count = before->count + 1;
    memcpy(table->families, before->families, before->count * sizeof family);
    table->families[before->count] = family;
    return table;
}

static kv_family_table *table_without(tarn_kv *kv, const tarn_kv_family *family) {
    const kv_family_table *before = table_of(kv);
    kv_family_table *table = new_table(kv, before->count);
    if (table == NULL) return NULL;
    for (size_t i = 0; i < before->count; i++) {
        if (before->families[i] != family) table->families[table->count++] = before->families[i];
    }
    return table;
}

static tarn_kv_family *new_family(tarn_kv *kv, uint32_t id, tarn_slice name,
                                  const tarn_kv_family_options *options) {
    tarn_kv_family *family = tarn_arena_new(&kv->arena, tarn_kv_family, 1);
    if (family == NULL || !tarn_arena_copy(&kv->arena, name, &family->name)) return NULL;
    family->kv = kv;
    family->id = id;
    family->options = *options;
    return family;
}

// ---- options ----

static bool has_comparator_name(const tarn_kv_comparator *comparator, tarn_slice name) {
    return comparator != NULL && tarn_slice_equal(tarn_slice_from_cstr(comparator->name), name);
}

static bool has_merge_name(const tarn_kv_merge_operator *merge, tarn_slice name) {
    return merge != NULL && tarn_slice_equal(tarn_slice_from_cstr(merge->name), name);
}

// The code for a family that exists. `offered` is what was given for it in particular.
static tarn_status find_comparator(const tarn_kv *kv, const kv_identity_family *stored,
                                   const tarn_kv_comparator *offered,
                                   const tarn_kv_comparator **ret_comparator, tarn_error *err) {
    tarn_slice name = stored->comparator_name;
    bool is_default = stored->id == 0;
    if (is_default && offered != NULL && !has_comparator_name(offered, name)) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' has the comparator '" TARN_SLICE_FMT
                         "', and was opened with '%s'",
                         TARN_SLICE_ARG(stored->name), TARN_SLICE_ARG(name), offered->name);
    }
    const tarn_kv_comparator *found = NULL;
    if (name.len > 0 && has_comparator_name(offered, name)) found = offered;
    for (size_t i = 0; name.len > 0 && i < kv->options.comparator_count; i++) {
        const tarn_kv_comparator *candidate = kv->options.comparators[i];
        if (found == NULL && has_comparator_name(candidate, name)) found = candidate;
    }
    if (name.len > 0 && found == NULL) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' needs the comparator '" TARN_SLICE_FMT
                         "', which was not given",
                         TARN_SLICE_ARG(stored->name), TARN_SLICE_ARG(name));
    }
    *ret_comparator = found;
    return TARN_OK;
}

static tarn_status find_merge(const tarn_kv *kv, const kv_identity_family *stored,
                              const tarn_kv_merge_operator *offered,
                              const tarn_kv_merge_operator **ret_merge, tarn_error *err) {
    tarn_slice name = stored->merge_name;
    bool is_default = stored->id == 0;
    if (is_default && offered != NULL && !has_merge_name(offered, name)) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' has the merge operator '" TARN_SLICE_FMT
                         "', and was opened with '%s'",
                         TARN_SLICE_ARG(stored->name), TARN_SLICE_ARG(name), offered->name);
    }
    const tarn_kv_merge_operator *found = NULL;
    if (name.len > 0 && has_merge_name(offered, name)) found = offered;
    for (size_t i = 0; name.len > 0 && i < kv->options.merge_operator_count; i++) {
        const tarn_kv_merge_operator *candidate = kv->options.merge_operators[i];
        if (found == NULL && has_merge_name(candidate, name)) found = candidate;
    }
    *ret_merge = found; // missed when it is needed
    return TARN_OK;
}

// What is zero gets its default. The stored options keep their zeros, so that a better default
// reaches old stores.
static void fill_defaults(const tarn_kv *kv, tarn_kv_family_options *options) {
    if (options->fifo_limit_bytes == 0) options->fifo_limit_bytes = (uint64_t)1 << 30;
    if (options->memtable_bytes == 0) {
        size_t share = kv->options.memory_limit_bytes / 4;
        size_t usual = TARN_TUNABLE((size_t)64 << 20, (size_t)2 << 10);
        options->memtable_bytes = share < usual ? share : usual;
    }
    if (options->block_bytes == 0) options->block_bytes = TARN_TUNABLE(4096, 128);
    if (options->last_level_codec == TARN_CODEC_NONE) options->last_level_codec = options->codec;
    if (options->filter_bits_per_key == 0) options->filter_bits_per_key = 10;
}

static tarn_status check_options(const tarn_kv_family_options *options, tarn_error *err) {
    if (options->ttl_ms < 0 || options->ttl_ms > (int64_t)1000 * 86400 * 365 * 1000) {
        return tarn_fail(err, TARN_INVALID, "ttl_ms is %lld, not 0 to a thousand years",
                         (long long)options->ttl_ms);
    }
    if (options->prefix_bytes > TARN_KV_KEY_MAX || options->block_bytes > INT32_MAX ||
        options->filter_bits_per_key > 1024 || (unsigned)options->compaction > TARN_KV_FIFO ||
        (unsigned)options->codec > TARN_CODEC_ZSTD ||
        (unsigned)options->last_level_codec > TARN_CODEC_ZSTD ||
        options->fifo_limit_bytes > INT64_MAX || options->memtable_bytes > INT64_MAX ||
        options->blob_bytes > INT64_MAX) {
        return tarn_fail(err, TARN_INVALID, "an option of the family is out of its range");
    }
    size_t name_len = options->comparator == NULL ? 1 : strlen(options->comparator->name);
    size_t merge_len = options->merge == NULL ? 1 : strlen(options->merge->name);
    if (name_len == 0 || name_len > 255 || merge_len == 0 || merge_len > 255) {
        return tarn_fail(err, TARN_INVALID,
                         "the names of comparators and merge operators have 1 to 255 bytes");
    }
    return TARN_OK;
}

static bool is_utf8(tarn_slice text) {
    size_t i = 0;
    while (i < text.len) {
        uint8_t lead = text.data[i++];
        if (lead == 0) return false;
        if (lead < 0x80) continue;
        size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        if (lead < 0xC2 || lead > 0xF4 || text.len - i < more) return false;
        uint32_t code = lead & (0x3Fu >> more);
        for (; more > 0; more--, i++) {
            if ((text.data[i] & 0xC0) != 0x80) return false;
            code = code << 6 | (text.data[i] & 0x3Fu);
        }
        bool is_overlong = (lead == 0xE0 && code < 0x800) || (lead == 0xF0 && code < 0x10000);
        if (is_overlong || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    }
    return true;
}

static tarn_status check_name(tarn_slice name, tarn_error *err) {
    if (name.len == 0 || name.len > 255 || !is_utf8(name)) {
        return tarn_fail(err, TARN_INVALID,
                         "the name of a column family has 1 to 255 bytes of UTF-8, without zeros");
    }
    return TARN_OK;
}

// ---- the identity file ----

static kv_identity_family describe(const tarn_kv_family *family) {
    return (kv_identity_family){
        .id = family->id,
        .name = family->name,
        .comparator_name = family->comparator_name,
        .merge_name = family->merge_name,
        .options = family->stored_options,
    };
}

tarn_status kv_identity_write(const tarn_kv *kv, const kv_family_table *families,
                              tarn_slice directory, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, kv->alloc, SIZE_MAX);
    tarn_buffer text = {.alloc = kv->alloc, .limit_bytes = KV_IDENTITY_BYTES_MAX};
    tarn_slice path;
    kv_identity_family *described = tarn_arena_new(&arena, kv_identity_family, families->count);
    tarn_status status = TARN_OK;
    if (described == NULL || !kv_path(&arena, directory, TARN_LIT(KV_IDENTITY_NAME), &path)) {
        status = fail_memory(err);
        goto out;
    }
    for (size_t i = 0; i < families->count; i++) described[i] = describe(families->families[i]);
    kv_identity identity = {kv->kind, kv->next_family_id, described, families->count};
    status = kv_identity_encode(&identity, &text, err);
    if (status != TARN_OK) goto out;
    status = tarn_os_write_file(kv->os, path, tarn_buffer_slice(&text), TARN_WRITE_REPLACE, err);
out:
    tarn_buffer_free(&text);
    tarn_arena_reset(&arena);
    return status;
}

tarn_status kv_identity_read(tarn_os *os, tarn_slice directory, tarn_arena *arena,
                             tarn_slice *ret_text, tarn_error *err) {
    tarn_slice path;
    if (!kv_path(arena, directory, TARN_LIT(KV_IDENTITY_NAME), &path)) return fail_memory(err);
    return tarn_os_read_file(os, path, KV_IDENTITY_BYTES_MAX, arena, ret_text, err);
}

// ---- opening ----

static tarn_status load_family(tarn_kv *kv, const kv_identity_family *stored,
                               tarn_kv_family **ret_family, tarn_error *err) {
    const tarn_kv_family_options *offered = &kv->options.family;
    tarn_kv_family_options options = stored->options;
    TARN_TRY(find_comparator(kv, stored, offered->comparator, &options.comparator, err));
    TARN_TRY(find_merge(kv, stored, offered->merge, &options.merge, err));
    tarn_kv_family *family = new_family(kv, stored->id, stored->name, &options);
    if (family == NULL ||
        !tarn_arena_copy(&kv->arena, stored->comparator_name, &family->comparator_name) ||
        !tarn_arena_copy(&kv->arena, stored->merge_name, &family->merge_name)) {
        return fail_memory(err);
    }
    family->stored_options = stored->options;
    fill_defaults(kv, &family->options);
    *ret_family = family;
    return TARN_OK;
}

tarn_status kv_families_load(tarn_kv *kv, tarn_slice text, tarn_error *err) {
    tarn_arena arena;
    tarn_arena_init(&arena, kv->alloc, SIZE_MAX);
    kv_identity identity;
    tarn_status status = kv_identity_decode(text, &arena, &identity, err);
    if (status != TARN_OK) {
        tarn_error_prefix(
            err, "'" TARN_SLICE_FMT "/" KV_IDENTITY_NAME "': ", TARN_SLICE_ARG(kv->directory));
    }
    kv_family_table *table = NULL;
    if (status == TARN_OK) {
        kv->kind = identity.engine;
        kv->next_family_id = identity.next_family_id;
        table = new_table(kv, identity.family_count);
        if (table == NULL) status = fail_memory(err);
    }
    for (size_t i = 0; status == TARN_OK && i < identity.family_count; i++) {
        status = load_family(kv, &identity.families[i], &table->families[i], err);
        table->count = i + 1;
    }
    if (status == TARN_OK) publish(kv, table);
    tarn_arena_reset(&arena);
    return status;
}

static tarn_status create_family(tarn_kv *kv, tarn_slice name,
                                 const tarn_kv_family_options *options, tarn_kv_family **ret_family,
                                 tarn_error *err) {
    TARN_TRY(check_options(options, err));
    if (kv->next_family_id == UINT32_MAX) {
        return tarn_fail(err, TARN_INVALID, "the store has had too many column families");
    }
    tarn_kv_family *family = new_family(kv, kv->next_family_id, name, options);
    if (family == NULL) return fail_memory(err);
    if (options->comparator != NULL) {
        tarn_slice comparator_name = tarn_slice_from_cstr(options->comparator->name);
        if (!tarn_arena_copy(&kv->arena, comparator_name, &family->comparator_name)) {
            return fail_memory(err);
        }
    }
    if (options->merge != NULL) {
        tarn_slice merge_name = tarn_slice_from_cstr(options->merge->name);
        if (!tarn_arena_copy(&kv->arena, merge_name, &family->merge_name)) return fail_memory(err);
    }
    family->stored_options = *options;
    fill_defaults(kv, &family->options);
    *ret_family = family;
    return TARN_OK;
}

tarn_status kv_families_create(tarn_kv *kv, tarn_error *err) {
    kv_family_table *table = new_table(kv, 1);
    if (table == NULL) return fail_memory(err);
    TARN_TRY(create_family(kv, TARN_LIT("default"), &kv->options.family, &table->families[0], err));
    table->count = 1;
    kv->next_family_id = 1;
    TARN_TRY(kv_identity_write(kv, table, kv->directory, err));
    publish(kv, table);
    return TARN_OK;
}

// ---- while the store is open ----

static tarn_status adopt(tarn_kv_family *family, const tarn_kv_family_options *options,
                         tarn_error *err) {
    const tarn_kv_comparator *comparator = options->comparator;
    const tarn_kv_merge_operator *merge = options->merge;
    if (comparator != NULL && !has_comparator_name(comparator, family->comparator_name)) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' has the comparator '" TARN_SLICE_FMT
                         "', and was opened with '%s'",
                         TARN_SLICE_ARG(family->name), TARN_SLICE_ARG(family->comparator_name),
                         comparator->name);
    }
    if (merge != NULL && !has_merge_name(merge, family->merge_name)) {
        return tarn_fail(err, TARN_INVALID,
                         "family '" TARN_SLICE_FMT "' has the merge operator '" TARN_SLICE_FMT
                         "', and was opened with '%s'",
                         TARN_SLICE_ARG(family->name), TARN_SLICE_ARG(family->merge_name),
                         merge->name);
    }
    // Before first use, says the contract: nobody reads it yet. Code that is there stays.
    if (merge != NULL && family->options.merge == NULL) family->options.merge = merge;
    return TARN_OK;
}

static tarn_status add_family(tarn_kv *kv, tarn_slice name, const tarn_kv_family_options *options,
                              tarn_kv_family **ret_family, tarn_error *err) {
    if (kv->options.read_only) return kv_refuse_read_only(kv, "create a column family", err);
    if (kv->ops->family_open == NULL) return kv_unsupported(kv, "have column families", err);
    tarn_kv_family *family = NULL;
    TARN_TRY(create_family(kv, name, options, &family, err));
    kv_family_table *table = table_with(kv, family);
    if (table == NULL) return fail_memory(err);
    kv->next_family_id++; // also when what follows fails: the file may be there already
    TARN_TRY(kv_identity_write(kv, table, kv->directory, err));
    TARN_TRY(kv->ops->family_open(kv->engine, family, err));
    publish(kv, table);
    *ret_family = family;
    return TARN_OK;
}

tarn_status tarn_kv_family_open(tarn_kv *kv, tarn_slice name, const tarn_kv_family_options *options,
                                tarn_kv_family **ret_family, tarn_error *err) {
    TARN_TRY(check_name(name, err));
    static const tarn_kv_family_options no_options;
    if (options == NULL) options = &no_options;
    tarn_mutex_lock(kv->family_lock);
    tarn_kv_family *family = find_by_name(table_of(kv), name);
    tarn_status status =
        family != NULL ? adopt(family, options, err) : add_family(kv, name, options, &family, err);
    tarn_mutex_unlock(kv->family_lock);
    if (status == TARN_OK) *ret_family = family;
    return status;
}

static tarn_status drop_family(tarn_kv *kv, tarn_kv_family *family, tarn_error *err) {
    TARN_TRY(kv_family_find(kv, family, &family, err));
    if (kv->options.read_only) return kv_refuse_read_only(kv, "drop a column family", err);
    if (family->id == 0) {
        return tarn_fail(err, TARN_INVALID, "the default family cannot be dropped");
    }
    if (kv->ops->family_drop == NULL) return kv_unsupported(kv, "drop a column family", err);
    kv_family_table *table = table_without(kv, family);
    if (table == NULL) return fail_memory(err);
    TARN_TRY(kv_identity_write(kv, table, kv->directory, err));
    publish(kv, table);
    family->is_dropped = true;
    kv->ops->family_drop(kv->engine, family);
    return TARN_OK;
}

tarn_status tarn_kv_family_drop(tarn_kv *kv, tarn_kv_family *family, tarn_error *err) {
    tarn_mutex_lock(kv->family_lock);
    tarn_status status = drop_family(kv, family, err);
    tarn_mutex_unlock(kv->family_lock);
    return status;
}

static int compare_names(const void *a, const void *b) {
    return tarn_slice_compare(*(const tarn_slice *)a, *(const tarn_slice *)b);
}

tarn_status tarn_kv_family_list(tarn_kv *kv, tarn_arena *arena, tarn_slice **ret_names,
                                size_t *ret_count, tarn_error *err) {
    const kv_family_table *table = table_of(kv);
    tarn_slice *names = tarn_arena_new(arena, tarn_slice, table->count);
    if (names == NULL) return fail_memory(err);
    for (size_t i = 0; i < table->count; i++) {
        if (!tarn_arena_copy(arena, table->families[i]->name, &names[i])) return fail_memory(err);
    }
    qsort(names, table->count, sizeof *names, compare_names);
    *ret_names = names;
    *ret_count = table->count;
    return TARN_OK;
}
