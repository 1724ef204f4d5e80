// Writes what flushes and compactions keep.
//
// The numbers that somebody can look from (snapshots, and what was visible when the build began)
// divide time into stripes; of the versions of a key in one stripe only the newest shows. A
// tombstone that everybody sees goes, too, where nothing older lies below.
#include "base/alloc.h"
#include "kv/lsm/lsm.h"

typedef struct version_entry {
    uint64_t trailer;
    size_t value_begin; // in `values`
    size_t value_len;
} version_entry;

typedef struct job {
    lsm_build *build;
    lsm *engine;
    tarn_arena arena;  // of the whole build
    uint64_t *stripes; // ascending: sequence numbers that are looked from
    size_t stripe_count;
    const lsm_ranges *ranges; // all tombstones of the inputs
    int64_t now_us;
    // the versions of one key, newest first, that are kept so far
    tarn_buffer key;
    tarn_buffer values;
    tarn_buffer versions; // of version_entry
    tarn_buffer folded;
    // the output in work
    tarn_draft *draft;
    lsm_table_writer *writer;
    uint64_t file_id;
    bool has_begin;        // false: the output's tombstones begin where all keys do
    tarn_buffer begin_key; // first key that belongs to the output
    size_t capacity;
} job;

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for writing a table");
}

// The stripe of a number: the first one that can see it. stripe_count: nobody yet.
static size_t stripe_of(const job *j, uint64_t sequence) {
    size_t i = 0;
    while (i < j->stripe_count && j->stripes[i] < sequence) i++;
    return i;
}

// Whether tables below the output may hold entries of the key.
static bool may_be_below(const job *j, tarn_slice key) {
    const lsm_build *build = j->build;
    if (build->below == NULL) return !build->is_bottom_level_0;
    for (size_t i = build->level + 1; i < LSM_LEVELS; i++) {
        const lsm_level *level = &build->below->levels[i];
        size_t at = lsm_level_find(level, build->family->order, key);
        if (at < level->count && lsm_file_may_hold(level->files[at], build->family->order, key)) {
            return true;
        }
    }
    return build->level == 0 && !build->is_bottom_level_0;
}

static bool range_may_be_below(const job *j, tarn_slice begin, tarn_slice end) {
    const lsm_build *build = j->build;
    if (build->below == NULL) return !build->is_bottom_level_0;
    for (size_t i = build->level + 1; i < LSM_LEVELS; i++) {
        const lsm_level *level = &build->below->levels[i];
        for (size_t k = 0; k < level->count; k++) {
            if (lsm_file_overlaps(level->files[k], build->family->order, begin, end)) return true;
        }
    }
    return build->level == 0 && !build->is_bottom_level_0;
}

// ---- outputs ----

static tarn_status start_output(job *j, tarn_error *err) {
    lsm *engine = j->engine;
    const tarn_kv_family_options *options = &j->build->family->front->options;
    bool is_last_level = true;
    for (size_t i = j->build->level + 1; j->build->below != NULL && i < LSM_LEVELS; i++) {
        is_last_level = is_last_level && j->build->below->levels[i].count == 0;
    }
    j->file_id = atomic_fetch_add_explicit(&engine->next_file_id, 1, memory_order_relaxed);
    lsm_table_options table = {
        .file_id = j->file_id,
        .order = j->build->family->order,
        .codec = j->build->level > 0 && is_last_level ? options->last_level_codec : options->codec,
        .block_bytes = options->block_bytes,
        .filter_bits = options->without_filters ? 0 : options->filter_bits_per_key,
        .prefix_bytes = options->prefix_bytes,
        .merge_name =
            options->merge == NULL ? TARN_LIT("") : tarn_slice_from_cstr(options->merge->name),
        .created_us = j->now_us,
    };
    tarn_slice path;
    TARN_TRY(lsm_file_path(engine, engine->directory, j->file_id, &j->arena, &path, err));
    TARN_TRY(tarn_draft_open(engine->os, path, &j->draft, err));
    return lsm_table_writer_new(engine->alloc, &table, tarn_draft_file(j->draft), &j->writer, err);
}

static tarn_status keep_output(job *j, lsm_file *file, tarn_error *err) {
    lsm_build *build = j->build;
    if (build->output_count == j->capacity) {
        size_t capacity = j->capacity == 0 ? 8 : j->capacity * 2;
        lsm_file **larger = tarn_arena_new(build->arena, lsm_file *, capacity);
        if (larger == NULL) {
            lsm_file_unref(file);
            return fail_memory(err);
        }
        if (build->output_count > 0) {
            memcpy(larger, build->outputs, build->output_count * sizeof *larger);
        }
        build->outputs = larger;
        j->capacity = capacity;
    }
    build->outputs[build->output_count++] = file;
    return TARN_OK;
}

// The tombstones of one fragment, cut to the output: of each stripe the newest.
static tarn_status put_fragment(job *j, lsm_range range, const lsm_fragment *fragment,
                                tarn_error *err) {
    size_t last_stripe = SIZE_MAX;
    for (uint32_t i = 0; i < fragment->count; i++) {
        range.sequence = j->ranges->sequences[fragment->first + i];
        size_t stripe = stripe_of(j, range.sequence);
        if (stripe == last_stripe) continue;
        last_stripe = stripe;
        if (stripe == 0 && !range_may_be_below(j, range.begin, range.end)) continue;
        if (j->writer == NULL) TARN_TRY(start_output(j, err));
        TARN_TRY(lsm_table_writer_add_range(j->writer, &range, err));
    }
    return TARN_OK;
}

// Those that lie between the begin of the output and `end`, which is NULL for the last one.
static tarn_status put_ranges(job *j, const tarn_slice *end, tarn_error *err) {
    lsm_order order = j->build->family->order;
    tarn_slice begin = tarn_buffer_slice(&j->begin_key);
    for (uint32_t i = 0; j->ranges != NULL && i < j->ranges->fragment_count; i++) {
        const lsm_fragment *fragment = &j->ranges->fragments[i];
        lsm_range range = {fragment->begin, fragment->end, 0};
        if (j->has_begin && lsm_compare_bounds(order, range.begin, begin) < 0) range.begin = begin;
        if (end != NULL && (range.end.len == 0 || lsm_compare_bounds(order, range.end, *end) > 0)) {
            range.end = *end;
        }
        if (range.end.len > 0 && lsm_compare_bounds(order, range.begin, range.end) >= 0) continue;
        TARN_TRY(put_fragment(j, range, fragment, err));
    }
    return TARN_OK;
}

// Ends the output before `next`, which is NULL at the end of all.
static tarn_status finish_output(job *j, const tarn_slice *next, tarn_error *err) {
    TARN_TRY(put_ranges(j, next, err));
    if (next != NULL) {
        j->has_begin = true;
        tarn_buffer_clear(&j->begin_key);
        if (!tarn_buffer_append(&j->begin_key, *next)) return fail_memory(err);
    }
    if (j->writer == NULL) return TARN_OK;
    lsm_table_summary summary;
    TARN_TRY(lsm_table_writer_finish(j->writer, &summary, err));
    tarn_draft *draft = j->draft;
    j->draft = NULL;
    TARN_TRY(tarn_draft_commit(draft, TARN_WRITE_REPLACE, err));
    lsm_table_writer_free(j->writer);
    j->writer = NULL;
    lsm_file *file = NULL;
    TARN_TRY(lsm_file_open(j->engine, j->build->family, j->file_id, &file, err));
    return keep_output(j, file, err);
}

// ---- one key ----

static version_entry *version_at(const job *j, size_t i) {
    return (version_entry *)(void *)j->versions.data + i;
}

static size_t version_count(const job *j) {
    return j->versions.len / sizeof(version_entry);
}

static tarn_slice value_at(const job *j, size_t i) {
    const version_entry *version = version_at(j, i);
    return (tarn_slice){version->value_len == 0 ? NULL : j->values.data + version->value_begin,
                        version->value_len};
}

// Keeps a version unless a newer one, or a tombstone, of its stripe hides it.
static tarn_status take_version(job *j, uint64_t trailer, tarn_slice value, tarn_error *err) {
    size_t stripe = stripe_of(j, lsm_trailer_sequence(trailer));
    size_t count = version_count(j);
    if (count > 0) {
        const version_entry *newer = version_at(j, count - 1);
        bool is_same_stripe = stripe < j->stripe_count &&
                              stripe_of(j, lsm_trailer_sequence(newer->trailer)) == stripe;
        // A merge needs what lies under it.
        if (is_same_stripe && lsm_trailer_kind(newer->trailer) != KV_MERGE) return TARN_OK;
    }
    if (j->ranges != NULL) {
        uint64_t at = stripe < j->stripe_count ? j->stripes[stripe] : LSM_SEQUENCE_MAX;
        uint64_t cover = lsm_ranges_cover(j->ranges, tarn_buffer_slice(&j->key), at);
        if (cover > lsm_trailer_sequence(trailer)) return TARN_OK;
    }
    version_entry version = {trailer, j->values.len, value.len};
    if ((value.len > 0 && !tarn_buffer_append(&j->values, value)) ||
        !tarn_buffer_append(&j->versions,
                            (tarn_slice){(const uint8_t *)&version, sizeof version})) {
        return fail_memory(err);
    }
    return TARN_OK;
}

// Folds versions [first, last) (merges, newest first) into the one at `last`, or into nothing when
// that is no base. The result is a put with the number of the newest.
static tarn_status fold(job *j, size_t first, size_t last, bool has_base, tarn_error *err) {
    size_t count = last - first;
    tarn_slice *operands = tarn_alloc_new(j->engine->alloc, tarn_slice, count);
    if (operands == NULL) return fail_memory(err);
    for (size_t i = 0; i < count; i++) operands[i] = value_at(j, last - 1 - i);
    bool has_value = has_base && lsm_trailer_kind(version_at(j, last)->trailer) == KV_PUT;
    tarn_slice base = has_value ? value_at(j, last) : (tarn_slice){NULL, 0};
    tarn_buffer_clear(&j->folded);
    tarn_status status =
        kv_fold(j->build->family->front, tarn_buffer_slice(&j->key), has_value ? &base : NULL,
                operands, count, j->now_us, &j->folded, err);
    tarn_alloc_free(j->engine->alloc, operands, count);
    return status;
}

static tarn_status put_version(job *j, uint64_t trailer, tarn_slice value, tarn_error *err) {
    if (j->writer == NULL) TARN_TRY(start_output(j, err));
    return lsm_table_writer_add(j->writer, tarn_buffer_slice(&j->key), trailer, value, err);
}

// Of what everybody sees and nothing lies under, deletions go, and what has expired.
static tarn_status put_oldest(job *j, uint64_t trailer, tarn_slice value, tarn_error *err) {
    bool is_for_all = stripe_of(j, lsm_trailer_sequence(trailer)) == 0;
    if (is_for_all && !may_be_below(j, tarn_buffer_slice(&j->key))) {
        kv_change_kind kind = lsm_trailer_kind(trailer);
        if (kind == KV_DELETE) return TARN_OK;
        if (kind == KV_PUT) {
            if (kv_is_expired(j->build->family->front, value, j->now_us)) return TARN_OK;
        }
    }
    return put_version(j, trailer, value, err);
}

// How many merges of one stripe begin at `first`, and whether a base of that stripe follows.
static size_t count_merges(const job *j, size_t first, bool *ret_has_base) {
    size_t count = version_count(j);
    size_t stripe = stripe_of(j, lsm_trailer_sequence(version_at(j, first)->trailer));
    size_t i = first;
    while (i < count && lsm_trailer_kind(version_at(j, i)->trailer) == KV_MERGE &&
           stripe_of(j, lsm_trailer_sequence(version_at(j, i)->trailer)) == stripe) {
        i++;
    }
    *ret_has_base = i < count && lsm_trailer_kind(version_at(j, i)->trailer) != KV_MERGE &&
                    stripe_of(j, lsm_trailer_sequence(version_at(j, i)->trailer)) == stripe;
    return i - first;
}

static tarn_status finish_key(job *j, tarn_error *err) {
    size_t count = version_count(j);
    for (size_t i = 0; i < count;) {
        uint64_t trailer = version_at(j, i)->trailer;
        if (lsm_trailer_kind(trailer) != KV_MERGE) {
            bool is_oldest = i + 1 == count;
            TARN_TRY(is_oldest ? put_oldest(j, trailer, value_at(j, i), err)
                               : put_version(j, trailer, value_at(j, i), err));
            i++;
            continue;
        }
        bool has_base;
        size_t merges = count_merges(j, i, &has_base);
        if (has_base) {
            TARN_TRY(fold(j, i, i + merges, true, err));
            trailer = lsm_trailer(lsm_trailer_sequence(trailer), KV_PUT);
            i += merges + 1;
            TARN_TRY(i == count ? put_oldest(j, trailer, tarn_buffer_slice(&j->folded), err)
                                : put_version(j, trailer, tarn_buffer_slice(&j->folded), err));
            continue;
        }
        for (size_t k = 0; k < merges; k++, i++) {
            TARN_TRY(put_version(j, version_at(j, i)->trailer, value_at(j, i), err));
        }
    }
    tarn_buffer_clear(&j->versions);
    tarn_buffer_clear(&j->values);
    return TARN_OK;
}

static tarn_status begin_key(job *j, tarn_slice key, tarn_error *err) {
    TARN_TRY(finish_key(j, err));
    if (j->writer != NULL && lsm_table_writer_size(j->writer) >= j->build->split_bytes) {
        TARN_TRY(finish_output(j, &key, err));
    }
    tarn_buffer_clear(&j->key);
    return tarn_buffer_append(&j->key, key) ? TARN_OK : fail_memory(err);
}

// ---- the whole ----

static void *acquire_from_arena(void *context, size_t size_bytes) {
    return tarn_arena_alloc_raw(context, size_bytes, 1);
}

static tarn_status prepare(job *j, tarn_error *err) {
    lsm_build *build = j->build;
    TARN_TRY(lsm_list_snapshots(j->engine, &j->arena, &j->stripes, &j->stripe_count, err));
    if (build->range_count > 0) {
        j->ranges = lsm_ranges_build(build->family->order, build->ranges, build->range_count,
                                     j->engine->alloc, acquire_from_arena, &j->arena);
        if (j->ranges == NULL) return fail_memory(err);
    }
    return lsm_merge_seek_first(&build->merge, err);
}

static tarn_status run(job *j, tarn_error *err) {
    lsm_merge *merge = &j->build->merge;
    lsm_order order = j->build->family->order;
    bool has_key = false;
    TARN_TRY(prepare(j, err));
    for (; merge->top != NULL;) {
        const lsm_source *top = merge->top;
        if (!has_key || lsm_compare_keys(order, top->key, tarn_buffer_slice(&j->key)) != 0) {
            TARN_TRY(begin_key(j, top->key, err));
            has_key = true;
        }
        TARN_TRY(take_version(j, top->trailer, top->value, err));
        TARN_TRY(lsm_merge_step(merge, err));
    }
    TARN_TRY(finish_key(j, err));
    return finish_output(j, NULL, err);
}

void lsm_release_outputs(lsm_build *build, tarn_status applied) {
    // When the engine has failed, an edit that names the tables may be on the disk: they stay, and
    // are removed, if none is, when the store is opened.
    bool goes = applied != TARN_OK &&
                !atomic_load_explicit(&build->engine->has_failed, memory_order_acquire);
    for (size_t i = 0; i < build->output_count; i++) {
        if (goes) {
            atomic_store_explicit(&build->outputs[i]->is_dropped, true, memory_order_relaxed);
        }
        lsm_file_unref(build->outputs[i]);
    }
    build->output_count = 0;
}

tarn_status lsm_build_run(lsm_build *build, tarn_error *err) {
    const tarn_alloc *alloc = build->engine->alloc;
    job j = {.build = build, .engine = build->engine};
    tarn_buffer *const buffers[] = {&j.key, &j.values, &j.versions, &j.folded, &j.begin_key};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) buffers[i]->alloc = alloc;
    tarn_arena_init(&j.arena, alloc, SIZE_MAX);
    j.now_us = tarn_os_now_us(build->engine->os);
    build->output_count = 0;
    tarn_status status = run(&j, err);
    tarn_draft_abort(j.draft);
    lsm_table_writer_free(j.writer);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) tarn_buffer_free(buffers[i]);
    tarn_arena_reset(&j.arena);
    if (status != TARN_OK) lsm_release_outputs(build, status);
    return status;
}
