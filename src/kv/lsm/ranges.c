#include "kv/lsm/ranges.h"

#include "base/alloc.h"

typedef struct sweep {
    lsm_order order;
    lsm_range *ranges; // by begin
    size_t range_count;
    tarn_slice *bounds; // all begins and finite ends, ascending, each once
    size_t bound_count;
    const lsm_range **active; // cover the current interval, newest first
    size_t active_count;
} sweep;

static int compare_bounds(const void *a, const void *b, void *context) {
    return lsm_compare_bounds(*(const lsm_order *)context, *(const tarn_slice *)a,
                              *(const tarn_slice *)b);
}

static int compare_begins(const void *a, const void *b, void *context) {
    return lsm_compare_bounds(*(const lsm_order *)context, ((const lsm_range *)a)->begin,
                              ((const lsm_range *)b)->begin);
}

static bool is_empty_range(lsm_order order, const lsm_range *range) {
    return range->end.len > 0 && lsm_compare_bounds(order, range->begin, range->end) >= 0;
}

static bool prepare(sweep *s, const lsm_range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (is_empty_range(s->order, &ranges[i])) continue;
        s->ranges[s->range_count++] = ranges[i];
        s->bounds[s->bound_count++] = ranges[i].begin;
        if (ranges[i].end.len > 0) s->bounds[s->bound_count++] = ranges[i].end;
    }
    if (s->range_count == 0) return false;
    qsort_r(s->ranges, s->range_count, sizeof *s->ranges, compare_begins, &s->order);
    qsort_r(s->bounds, s->bound_count, sizeof *s->bounds, compare_bounds, &s->order);
    size_t kept = 1;
    for (size_t i = 1; i < s->bound_count; i++) {
        if (lsm_compare_bounds(s->order, s->bounds[i], s->bounds[kept - 1]) == 0) continue;
        s->bounds[kept++] = s->bounds[i];
    }
    s->bound_count = kept;
    return true;
}

static void activate(sweep *s, const lsm_range *range) {
    size_t at = s->active_count++;
    for (; at > 0 && s->active[at - 1]->sequence < range->sequence; at--) {
        s->active[at] = s->active[at - 1];
    }
    s->active[at] = range;
}

static void retire(sweep *s, tarn_slice bound) {
    size_t kept = 0;
    for (size_t i = 0; i < s->active_count; i++) {
        const lsm_range *range = s->active[i];
        bool has_ended = range->end.len > 0 && lsm_compare_bounds(s->order, range->end, bound) <= 0;
        if (!has_ended) s->active[kept++] = range;
    }
    s->active_count = kept;
}

// Walks the intervals. With `fragments` NULL it only counts.
static void walk(sweep *s, lsm_fragment *fragments, uint64_t *sequences, size_t *ret_fragments,
                 size_t *ret_sequences) {
    size_t fragment_count = 0;
    size_t sequence_count = 0;
    size_t begun = 0;
    s->active_count = 0;
    for (size_t i = 0; i < s->bound_count; i++) {
        tarn_slice bound = s->bounds[i];
        retire(s, bound);
        while (begun < s->range_count &&
               lsm_compare_bounds(s->order, s->ranges[begun].begin, bound) <= 0) {
            activate(s, &s->ranges[begun++]);
        }
        if (s->active_count == 0) continue;
        if (fragments != NULL) {
            fragments[fragment_count] = (lsm_fragment){
                .begin = bound,
                .end = i + 1 < s->bound_count ? s->bounds[i + 1] : (tarn_slice){NULL, 0},
                .first = (uint32_t)sequence_count,
                .count = (uint32_t)s->active_count,
            };
            for (size_t k = 0; k < s->active_count; k++) {
                sequences[sequence_count + k] = s->active[k]->sequence;
            }
        }
        fragment_count++;
        sequence_count += s->active_count;
    }
    *ret_fragments = fragment_count;
    *ret_sequences = sequence_count;
}

const lsm_ranges *lsm_ranges_build(lsm_order order, const lsm_range *ranges, size_t count,
                                   const tarn_alloc *alloc, lsm_ranges_acquire *acquire,
                                   void *context) {
    sweep s = {.order = order};
    lsm_ranges *set = NULL;
    s.ranges = tarn_alloc_new(alloc, lsm_range, count);
    s.bounds = tarn_alloc_new(alloc, tarn_slice, count * 2);
    s.active = tarn_alloc_new(alloc, const lsm_range *, count);
    if (s.ranges == NULL || s.bounds == NULL || s.active == NULL) goto out;
    size_t fragment_count = 0;
    size_t sequence_count = 0;
    bool has_any = prepare(&s, ranges, count);
    if (has_any) walk(&s, NULL, NULL, &fragment_count, &sequence_count);
    set = acquire(context, sizeof *set + fragment_count * sizeof(lsm_fragment) +
                               sequence_count * sizeof(uint64_t));
    if (set == NULL) goto out;
    lsm_fragment *fragments = (lsm_fragment *)(set + 1);
    uint64_t *sequences = (uint64_t *)(fragments + fragment_count);
    if (has_any) walk(&s, fragments, sequences, &fragment_count, &sequence_count);
    *set = (lsm_ranges){
        .order = order,
        .fragment_count = (uint32_t)fragment_count,
        .sequence_count = (uint32_t)sequence_count,
        .fragments = fragments,
        .sequences = sequences,
    };
out:
    tarn_alloc_free(alloc, s.active, count);
    tarn_alloc_free(alloc, s.bounds, count * 2);
    tarn_alloc_free(alloc, s.ranges, count);
    return set;
}

const lsm_fragment *lsm_ranges_seek(const lsm_ranges *set, tarn_slice key) {
    if (set == NULL) return NULL;
    uint32_t low = 0;
    uint32_t high = set->fragment_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        tarn_slice end = set->fragments[middle].end;
        if (end.len > 0 && lsm_compare_bounds(set->order, end, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < set->fragment_count ? &set->fragments[low] : NULL;
}

const lsm_fragment *lsm_ranges_find(const lsm_ranges *set, tarn_slice key) {
    const lsm_fragment *fragment = lsm_ranges_seek(set, key);
    if (fragment == NULL || lsm_compare_bounds(set->order, fragment->begin, key) > 0) return NULL;
    return fragment;
}

uint64_t lsm_fragment_newest(const lsm_ranges *set, const lsm_fragment *fragment, uint64_t at) {
    const uint64_t *sequences = set->sequences + fragment->first;
    for (uint32_t i = 0; i < fragment->count; i++) {
        if (sequences[i] <= at) return sequences[i];
    }
    return 0;
}
