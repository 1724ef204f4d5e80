// What to compact, and doing it.
//
// Leveled: the last level that has data is the measure; each level above it may hold a tenth of the
// next. Levels between 0 and the first whose share is worth a file stay empty, so that little data
// is rewritten a few times only, and space is bounded by the last level and a ninth of it.
#include "base/alloc.h"
#include "kv/lsm/lsm.h"

enum {
    LEVEL_0_FILES = TARN_TUNABLE(4, 2), // so many make a compaction due
    FANOUT = TARN_TUNABLE(10, 3),
};
static const uint64_t file_bytes = TARN_TUNABLE(64 << 20, 4096); // of outputs

typedef struct pick {
    size_t level;      // of the inputs
    size_t to_level;   // of the outputs
    lsm_file **inputs; // in the arena; those of `level`, then those of `to_level`
    size_t *input_levels;
    size_t count;
    size_t upper_count; // of them in `level`
    bool is_move;       // nothing to merge with
} pick;

// ---- scores: pure functions of a version ----

static size_t last_level_of(const lsm_version *version) {
    size_t last = LSM_LEVELS - 1;
    while (last > 1 && version->levels[last].count == 0) last--;
    return last;
}

// How much each level may hold. Returns the first level below 0 that is in use.
static size_t level_targets(const lsm_version *version, uint64_t targets[LSM_LEVELS]) {
    size_t last = LSM_LEVELS - 1;
    uint64_t bytes = 0;
    for (size_t i = 1; i < LSM_LEVELS; i++) {
        uint64_t level_bytes = lsm_level_bytes(&version->levels[i]);
        if (level_bytes > bytes) bytes = level_bytes;
    }
    // The deepest level takes the data; those above get shares until one is smaller than a file.
    size_t base = last;
    for (size_t i = 0; i < LSM_LEVELS; i++) targets[i] = 0;
    targets[last] = bytes > file_bytes ? bytes : file_bytes;
    while (base > 1 && targets[base] > file_bytes * FANOUT) {
        targets[base - 1] = targets[base] / FANOUT;
        base--;
    }
    targets[last] = UINT64_MAX;
    return base;
}

double lsm_level_score(const lsm_family *family, const lsm_version *version, size_t level) {
    (void)family;
    uint64_t targets[LSM_LEVELS];
    size_t base = level_targets(version, targets);
    if (level == 0) return (double)version->levels[0].count / LEVEL_0_FILES;
    if (level == LSM_LEVELS - 1 || version->levels[level].count == 0) return 0;
    // What lies above the base from when there was more data moves down.
    if (level < base) return 1.5;
    return (double)lsm_level_bytes(&version->levels[level]) / (double)targets[level];
}

// ---- picking ----

static tarn_status fail_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for a compaction");
}

static void add_input(pick *p, lsm_file *file, size_t level) {
    p->inputs[p->count] = file;
    p->input_levels[p->count++] = level;
}

// Whether the ranges of two files have a key in common.
static bool files_meet(const lsm_file *a, const lsm_file *b, lsm_order order) {
    return !lsm_file_is_before(a, order, b->summary->smallest) &&
           !lsm_file_is_before(b, order, a->summary->smallest);
}

// Whether the file lies, in part, between the inputs' smallest and largest keys: then the outputs,
// which may span all of that, would overlap it.
static bool meets_hull(const pick *p, size_t upper, const lsm_file *file, lsm_order order) {
    bool begins_before_end = false;
    bool ends_behind_begin = false;
    for (size_t i = 0; i < upper; i++) {
        const lsm_file *input = p->inputs[i];
        begins_before_end |= !lsm_file_is_before(input, order, file->summary->smallest);
        ends_behind_begin |= !lsm_file_is_before(file, order, input->summary->smallest);
    }
    return begins_before_end && ends_behind_begin;
}

// The files of the next level that the outputs could overlap.
static void add_lower(pick *p, const lsm_version *version, lsm_order order) {
    const lsm_level *level = &version->levels[p->to_level];
    p->upper_count = p->count;
    for (size_t i = 0; i < level->count; i++) {
        if (meets_hull(p, p->upper_count, level->files[i], order)) {
            add_input(p, level->files[i], p->to_level);
        }
    }
}

static tarn_status new_pick(const lsm_version *version, tarn_arena *arena, pick *ret_pick,
                            tarn_error *err) {
    size_t count = 1;
    for (size_t i = 0; i < LSM_LEVELS; i++) count += version->levels[i].count;
    *ret_pick = (pick){
        .inputs = tarn_arena_new(arena, lsm_file *, count),
        .input_levels = tarn_arena_new(arena, size_t, count),
    };
    return ret_pick->inputs != NULL && ret_pick->input_levels != NULL ? TARN_OK : fail_memory(err);
}

// Whether level 0 files overlap each other, by which a move would bring disorder.
static bool inputs_overlap(const pick *p, lsm_order order) {
    for (size_t i = 0; i < p->upper_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (files_meet(p->inputs[i], p->inputs[k], order)) return true;
        }
    }
    return false;
}

static void decide_move(pick *p, lsm_order order) {
    p->is_move = p->count == p->upper_count && !(p->level == 0 && inputs_overlap(p, order));
}

static void pick_level_0(pick *p, const lsm_version *version, lsm_order order) {
    uint64_t targets[LSM_LEVELS];
    p->level = 0;
    p->to_level = level_targets(version, targets);
    for (size_t i = 1; i < p->to_level; i++) {
        // Files that wait above the base would be jumped over.
        if (version->levels[i].count > 0) p->to_level = i;
    }
    for (size_t i = 0; i < version->levels[0].count; i++) {
        add_input(p, version->levels[0].files[i], 0);
    }
    add_lower(p, version, order);
    decide_move(p, order);
}

// One file after the other, around the level, so that all keys get their turn.
static void pick_level(pick *p, const lsm_family *family, const lsm_version *version,
                       size_t level) {
    const lsm_level *files = &version->levels[level];
    tarn_slice cursor = tarn_buffer_slice(&family->cursors[level]);
    size_t at = 0;
    while (cursor.len > 0 && at < files->count &&
           lsm_compare_bounds(family->order, files->files[at]->summary->smallest, cursor) <= 0) {
        at++;
    }
    if (at == files->count) at = 0;
    p->level = level;
    p->to_level = level + 1;
    add_input(p, files->files[at], level);
    add_lower(p, version, family->order);
    decide_move(p, family->order);
}

static bool pick_due(const lsm_family *family, const lsm_version *version, pick *p) {
    size_t due = 0;
    double highest = 0;
    for (size_t i = 0; i + 1 < LSM_LEVELS; i++) {
        double score = lsm_level_score(family, version, i);
        if (score > highest) {
            highest = score;
            due = i;
        }
    }
    if (highest < 1) return false;
    if (due == 0) {
        pick_level_0(p, version, family->order);
    } else {
        pick_level(p, family, version, due);
    }
    return true;
}

// ---- running ----

static tarn_status add_ranges(const pick *p, lsm_build *build, tarn_error *err) {
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        const lsm_ranges *set = lsm_table_ranges(p->inputs[i]->table);
        if (set != NULL) count += set->sequence_count;
    }
    if (count == 0) return TARN_OK;
    lsm_range *ranges = tarn_arena_new(build->arena, lsm_range, count);
    if (ranges == NULL) return fail_memory(err);
    for (size_t i = 0; i < p->count; i++) {
        const lsm_ranges *set = lsm_table_ranges(p->inputs[i]->table);
        for (uint32_t f = 0; set != NULL && f < set->fragment_count; f++) {
            const lsm_fragment *fragment = &set->fragments[f];
            for (uint32_t k = 0; k < fragment->count; k++) {
                ranges[build->range_count++] = (lsm_range){fragment->begin, fragment->end,
                                                           set->sequences[fragment->first + k]};
            }
        }
    }
    build->ranges = ranges;
    return TARN_OK;
}

static tarn_status merge_inputs(const pick *p, lsm_build *build, tarn_error *err) {
    lsm_level lower = {p->inputs + p->upper_count, p->count - p->upper_count};
    TARN_TRY(add_ranges(p, build, err));
    TARN_TRY(lsm_merge_init(&build->merge, build->engine->alloc, build->family->order,
                            p->upper_count + 1, err));
    for (size_t i = 0; i < p->upper_count; i++) {
        lsm_merge_add_table(&build->merge, p->inputs[i]);
    }
    lsm_merge_add_level(&build->merge, &lower);
    tarn_status status = lsm_build_run(build, err);
    lsm_merge_reset(&build->merge);
    return status;
}

static void count_compaction(lsm_family *family, const pick *p) {
    lsm *engine = family->engine;
    tarn_mutex_lock(engine->state);
    engine->compactions++;
    for (size_t i = 0; i < p->count && !p->is_move; i++) {
        family->read_bytes[p->level] += p->inputs[i]->map.len;
    }
    tarn_mutex_unlock(engine->state);
}

static tarn_status run_pick(lsm_family *family, const lsm_version *version, const pick *p,
                            tarn_arena *arena, tarn_error *err) {
    lsm_change change = {
        .family = family,
        .dropped = p->inputs,
        .dropped_levels = p->input_levels,
        .dropped_count = p->count,
        .added = p->inputs,
        .added_count = p->count,
        .level = p->to_level,
    };
    if (p->is_move) {
        TARN_TRY(lsm_apply(&change, err));
        count_compaction(family, p);
        return TARN_OK;
    }
    lsm_build build = {
        .engine = family->engine,
        .family = family,
        .level = p->to_level,
        .split_bytes = file_bytes,
        .below = version,
        .arena = arena,
    };
    TARN_TRY(merge_inputs(p, &build, err));
    change.added = build.outputs;
    change.added_count = build.output_count;
    tarn_status status = lsm_apply(&change, err);
    lsm_release_outputs(&build, status);
    if (status == TARN_OK) count_compaction(family, p);
    return status;
}

static void remember_cursor(lsm_family *family, const pick *p) {
    if (p->level == 0) return;
    tarn_slice smallest = p->inputs[0]->summary->smallest;
    tarn_buffer_clear(&family->cursors[p->level]);
    // Without memory for it the next round begins at the front.
    if (!tarn_buffer_append(&family->cursors[p->level], smallest)) {
        tarn_buffer_clear(&family->cursors[p->level]);
    }
}

// Takes the family for a compaction. The view is referenced.
static lsm_view *begin_compaction(lsm_family *family, bool waits) {
    lsm *engine = family->engine;
    lsm_view *view = NULL;
    tarn_mutex_lock(engine->state);
    while (waits && family->is_compacting) tarn_cond_wait(engine->changed, engine->state);
    if (!family->is_compacting && !family->is_dropped) {
        family->is_compacting = true;
        view = atomic_load_explicit(&family->view, memory_order_relaxed);
        lsm_view_ref(view);
    }
    tarn_mutex_unlock(engine->state);
    return view;
}

static void end_compaction(lsm_family *family, lsm_view *view) {
    tarn_mutex_lock(family->engine->state);
    family->is_compacting = false;
    tarn_cond_broadcast(family->engine->changed);
    tarn_mutex_unlock(family->engine->state);
    lsm_view_unref(view);
}

tarn_status lsm_compact_one(lsm_family *family, bool *ret_did_work, tarn_error *err) {
    *ret_did_work = false;
    lsm_view *view = begin_compaction(family, false);
    if (view == NULL) return TARN_OK;
    tarn_arena arena;
    pick p;
    tarn_arena_init(&arena, family->engine->alloc, SIZE_MAX);
    tarn_status status = new_pick(view->version, &arena, &p, err);
    if (status == TARN_OK && pick_due(family, view->version, &p)) {
        status = run_pick(family, view->version, &p, &arena, err);
        *ret_did_work = status == TARN_OK;
        if (status == TARN_OK) remember_cursor(family, &p);
    }
    tarn_arena_reset(&arena);
    end_compaction(family, view);
    return status;
}

// ---- by request ----

typedef struct request {
    tarn_slice begin; // inclusive; empty: open
    tarn_slice end;
    uint64_t new_id; // tables from here on were written for it
} request;

static void add_requested(pick *p, const lsm_level *level, lsm_order order, const request *asked) {
    for (size_t i = 0; i < level->count; i++) {
        lsm_file *file = level->files[i];
        if (p->level == 0 || lsm_file_overlaps(file, order, asked->begin, asked->end)) {
            add_input(p, file, p->level);
        }
    }
}

// Moves what overlaps the range one level down.
static tarn_status push_down(lsm_family *family, const lsm_version *version, size_t level,
                             size_t to_level, const request *asked, tarn_error *err) {
    tarn_arena arena;
    pick p;
    tarn_arena_init(&arena, family->engine->alloc, SIZE_MAX);
    tarn_status status = new_pick(version, &arena, &p, err);
    if (status == TARN_OK) {
        p.level = level;
        p.to_level = to_level;
        add_requested(&p, &version->levels[level], family->order, asked);
        if (p.count > 0) {
            add_lower(&p, version, family->order);
            status = run_pick(family, version, &p, &arena, err);
        }
    }
    tarn_arena_reset(&arena);
    return status;
}

// Rewrites the tables of the last level, each for itself; not those that were just written.
static tarn_status rewrite(lsm_family *family, const lsm_version *version, size_t level,
                           const request *asked, tarn_error *err) {
    const lsm_level *files = &version->levels[level];
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < files->count && status == TARN_OK; i++) {
        lsm_file *file = files->files[i];
        if (file->id >= asked->new_id) continue;
        if (!lsm_file_overlaps(file, family->order, asked->begin, asked->end)) continue;
        tarn_arena arena;
        pick p;
        tarn_arena_init(&arena, family->engine->alloc, SIZE_MAX);
        status = new_pick(version, &arena, &p, err);
        if (status == TARN_OK) {
            p.level = p.to_level = level;
            add_input(&p, file, level);
            p.upper_count = 1;
            status = run_pick(family, version, &p, &arena, err);
        }
        tarn_arena_reset(&arena);
    }
    return status;
}

static tarn_status compact_step(lsm_family *family, size_t level, const request *asked,
                                bool *ret_is_last, tarn_error *err) {
    *ret_is_last = true;
    lsm_view *view = begin_compaction(family, true);
    if (view == NULL) return TARN_OK;
    const lsm_version *version = view->version;
    size_t last = last_level_of(version);
    uint64_t targets[LSM_LEVELS];
    size_t base = level_targets(version, targets);
    if (last < base) last = base;
    size_t to_level = level < last ? level + 1 : level;
    if (level == 0 && to_level < base) to_level = base;
    for (size_t i = 1; level == 0 && i < to_level; i++) {
        if (version->levels[i].count > 0) to_level = i;
    }
    *ret_is_last = level >= last;
    tarn_status status = level == to_level
                             ? rewrite(family, version, level, asked, err)
                             : push_down(family, version, level, to_level, asked, err);
    end_compaction(family, view);
    return status;
}

tarn_status lsm_compact_range(lsm_family *family, tarn_slice begin, tarn_slice end,
                              tarn_error *err) {
    const request asked = {
        begin, end, atomic_load_explicit(&family->engine->next_file_id, memory_order_relaxed)};
    for (size_t level = 0; level < LSM_LEVELS; level++) {
        bool is_last;
        TARN_TRY(compact_step(family, level, &asked, &is_last, err));
        if (is_last) break;
    }
    return TARN_OK;
}
