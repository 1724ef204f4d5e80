// Where pages are, and their lives.
#include "kv/btree/pages.h"

#include "base/alloc.h"
#include "base/bitmap.h"

#define IDLE_FRAMES_MAX 256

tarn_status btree_pages_init(btree_pages *pages, const tarn_alloc *alloc, size_t page_bytes,
                             tarn_slice path, tarn_error *err) {
    *pages = (btree_pages){.alloc = alloc, .page_bytes = page_bytes, .path = path, .sweep_at = 64};
    btree_space_init(&pages->space, alloc);
    pages->idle_frames = tarn_alloc_new(alloc, uint8_t *, IDLE_FRAMES_MAX);
    if (pages->idle_frames == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a B+tree");
    tarn_status status = btree_pages_cover(pages, 2, err);
    if (status == TARN_OK && !btree_space_grow(&pages->space, 2)) {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for a B+tree");
    }
    if (status != TARN_OK) btree_pages_reset(pages);
    return status;
}

// ---- frames ----

static uint8_t *new_frame(btree_pages *pages, uint32_t count) {
    if (count == 1 && pages->idle_count > 0) return pages->idle_frames[--pages->idle_count];
    size_t bytes;
    if (__builtin_mul_overflow(pages->page_bytes, (size_t)count, &bytes)) return NULL;
    uint8_t *frame = pages->alloc->acquire(pages->alloc->context, bytes);
    if (frame != NULL) pages->frame_bytes += bytes;
    return frame;
}

static void free_frame(btree_pages *pages, uint8_t *frame, uint32_t count) {
    if (frame == NULL) return;
    if (count == 1 && pages->idle_count < IDLE_FRAMES_MAX) {
        pages->idle_frames[pages->idle_count++] = frame;
        return;
    }
    pages->frame_bytes -= pages->page_bytes * count;
    tarn_alloc_release(pages->alloc, frame, pages->page_bytes, count);
}

static uint8_t *frame_of(const btree_pages *pages, uint32_t page) {
    if (!tarn_bitmap_get(pages->has_frame, page)) return NULL;
    // Relaxed: only the writer sets places.
    return atomic_load_explicit(btree_pages_place(pages, page), memory_order_relaxed);
}

static void set_clean(btree_pages *pages, uint32_t page, uint32_t count) {
    if (!tarn_bitmap_get(pages->is_dirty, page)) return;
    tarn_bitmap_unset(pages->is_dirty, page);
    pages->dirty_count -= count;
}

// ---- lists ----

bool btree_queue_reserve(const tarn_alloc *alloc, btree_queue *queue, size_t more) {
    if (queue->capacity - queue->count >= more) return true;
    size_t live = queue->count - queue->head;
    size_t capacity = queue->capacity < 64 ? 64 : queue->capacity;
    while (capacity < 2 * live || capacity - live < more) capacity *= 2;
    btree_retired *entries = tarn_alloc_new(alloc, btree_retired, capacity);
    if (entries == NULL) return false;
    if (live > 0) memcpy(entries, queue->entries + queue->head, live * sizeof *entries);
    tarn_alloc_free(alloc, queue->entries, queue->capacity);
    *queue = (btree_queue){.entries = entries, .count = live, .capacity = capacity};
    return true;
}

void btree_queue_push(btree_queue *queue, btree_retired entry) {
    tarn_assert(queue->count < queue->capacity);
    queue->entries[queue->count++] = entry;
}

static void reset_queue(btree_pages *pages, btree_queue *queue) {
    for (size_t i = queue->head; i < queue->count; i++) {
        const btree_retired *entry = &queue->entries[i];
        // The frame of a page is freed with the page's place.
        if (entry->page == 0) free_frame(pages, entry->frame, entry->count);
    }
    tarn_alloc_free(pages->alloc, queue->entries, queue->capacity);
    *queue = (btree_queue){0};
}

static bool push_extent(const btree_pages *pages, btree_extents *extents, btree_extent extent) {
    if (extents->count == extents->capacity) {
        size_t capacity = extents->capacity == 0 ? 16 : 2 * extents->capacity;
        btree_extent *entries = tarn_alloc_new(pages->alloc, btree_extent, capacity);
        if (entries == NULL) return false;
        if (extents->count > 0) {
            memcpy(entries, extents->entries, extents->count * sizeof *entries);
        }
        tarn_alloc_free(pages->alloc, extents->entries, extents->capacity);
        extents->entries = entries;
        extents->capacity = capacity;
    }
    extents->entries[extents->count++] = extent;
    return true;
}

void btree_pages_reset(btree_pages *pages) {
    if (pages->alloc == NULL) return;
    reset_queue(pages, &pages->waiting_durable);
    reset_queue(pages, &pages->waiting_readers);
    reset_queue(pages, &pages->freed);
    for (uint32_t page = 0; page < pages->space.page_count && pages->has_frame != NULL; page++) {
        uint8_t *frame = frame_of(pages, page);
        if (frame != NULL) free_frame(pages, frame, tarn_load_u32(frame + BTREE_AT_RUN_PAGES));
    }
    while (pages->idle_count > 0) {
        tarn_alloc_release(pages->alloc, pages->idle_frames[--pages->idle_count], pages->page_bytes,
                           1);
    }
    tarn_alloc_free(pages->alloc, pages->idle_frames, IDLE_FRAMES_MAX);
    tarn_alloc_free(pages->alloc, pages->allocated.entries, pages->allocated.capacity);
    tarn_alloc_free(pages->alloc, pages->recycled.entries, pages->recycled.capacity);
    tarn_alloc_free(pages->alloc, pages->has_frame, pages->bitmap_words);
    tarn_alloc_free(pages->alloc, pages->is_dirty, pages->bitmap_words);
    for (unsigned i = 0; i < BTREE_CHUNKS; i++) {
        btree_place *places = atomic_load_explicit(&pages->chunks[i], memory_order_relaxed);
        tarn_alloc_free(pages->alloc, places, (size_t)1 << (i + BTREE_CHUNK_SHIFT));
    }
    for (size_t i = 0; i < pages->map_count; i++) tarn_map_close(&pages->maps[i]);
    btree_space_reset(&pages->space);
    *pages = (btree_pages){0};
}

// ---- room for page numbers ----

static bool cover_bitmaps(btree_pages *pages, uint32_t page_count) {
    size_t words = TARN_BITMAP_WORDS((size_t)page_count);
    if (words <= pages->bitmap_words) return true;
    size_t capacity = pages->bitmap_words == 0 ? 4 : pages->bitmap_words;
    while (capacity < words) capacity *= 2;
    uint64_t *has_frame = tarn_alloc_new(pages->alloc, uint64_t, capacity);
    uint64_t *is_dirty = tarn_alloc_new(pages->alloc, uint64_t, capacity);
    if (has_frame == NULL || is_dirty == NULL) {
        tarn_alloc_free(pages->alloc, has_frame, capacity);
        tarn_alloc_free(pages->alloc, is_dirty, capacity);
        return false;
    }
    if (pages->bitmap_words > 0) {
        memcpy(has_frame, pages->has_frame, pages->bitmap_words * sizeof *has_frame);
        memcpy(is_dirty, pages->is_dirty, pages->bitmap_words * sizeof *is_dirty);
    }
    tarn_alloc_free(pages->alloc, pages->has_frame, pages->bitmap_words);
    tarn_alloc_free(pages->alloc, pages->is_dirty, pages->bitmap_words);
    pages->has_frame = has_frame;
    pages->is_dirty = is_dirty;
    pages->bitmap_words = capacity;
    return true;
}

tarn_status btree_pages_cover(btree_pages *pages, uint32_t page_count, tarn_error *err) {
    uint64_t last = (uint64_t)page_count + ((uint64_t)1 << BTREE_CHUNK_SHIFT) - 1;
    unsigned last_chunk = 63u - (unsigned)__builtin_clzll(last) - BTREE_CHUNK_SHIFT;
    for (unsigned i = 0; i <= last_chunk; i++) {
        if (atomic_load_explicit(&pages->chunks[i], memory_order_relaxed) != NULL) continue;
        btree_place *places =
            tarn_alloc_new(pages->alloc, btree_place, (size_t)1 << (i + BTREE_CHUNK_SHIFT));
        if (places == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for the page table");
        // Release: pairs with the acquire in btree_pages_place.
        atomic_store_explicit(&pages->chunks[i], places, memory_order_release);
    }
    if (!cover_bitmaps(pages, page_count)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for the page table");
    }
    return TARN_OK;
}

// ---- transactions ----

void btree_pages_begin(btree_pages *pages, uint64_t version) {
    tarn_assert(pages->allocated.count == 0 && pages->recycled.count == 0);
    tarn_assert(pages->freed.count == pages->freed.head);
    pages->version = version;
}

static tarn_status find_pages(btree_pages *pages, uint32_t count, uint32_t *ret_page,
                              tarn_error *err) {
    if (btree_space_take(&pages->space, count, ret_page)) return TARN_OK;
    uint32_t end;
    if (__builtin_add_overflow(pages->space.page_count, count, &end)) {
        return tarn_fail(err, TARN_INVALID, "the B+tree is full: it has %u pages",
                         pages->space.page_count);
    }
    TARN_TRY(btree_pages_cover(pages, end, err));
    if (btree_space_extend(&pages->space, count, ret_page)) return TARN_OK;
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the free pages of a B+tree");
}

static void describe(btree_pages *pages, uint32_t page, uint32_t count, uint8_t *frame) {
    memset(frame, 0, BTREE_HEADER_BYTES);
    tarn_store_u32(frame + BTREE_AT_PAGE, page);
    tarn_store_u32(frame + BTREE_AT_RUN_PAGES, count);
    tarn_store_u64(frame + BTREE_AT_VERSION, pages->version);
}

tarn_status btree_pages_alloc(btree_pages *pages, uint32_t count, uint32_t *ret_page,
                              uint8_t **ret_bytes, tarn_error *err) {
    btree_extents *recycled = &pages->recycled;
    if (count == 1 && recycled->count > 0 && recycled->entries[recycled->count - 1].count == 1) {
        *ret_page = recycled->entries[--recycled->count].page;
        *ret_bytes = frame_of(pages, *ret_page);
        tarn_assert(*ret_bytes != NULL);
        describe(pages, *ret_page, 1, *ret_bytes);
        return TARN_OK;
    }
    uint32_t page;
    TARN_TRY(find_pages(pages, count, &page, err));
    uint8_t *frame = new_frame(pages, count);
    if (frame == NULL || !push_extent(pages, &pages->allocated, (btree_extent){page, count})) {
        free_frame(pages, frame, count);
        btree_space_give(&pages->space, page, count);
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %u pages of a B+tree", count);
    }
    describe(pages, page, count, frame);
    tarn_bitmap_set(pages->has_frame, page);
    tarn_bitmap_set(pages->is_dirty, page);
    pages->dirty_count += count;
    // Release: pairs with the acquire in btree_pages_read.
    atomic_store_explicit(btree_pages_place(pages, page), frame, memory_order_release);
    *ret_page = page;
    *ret_bytes = frame;
    return TARN_OK;
}

tarn_status btree_pages_writable(btree_pages *pages, uint32_t *page, unsigned level,
                                 uint8_t **ret_bytes, tarn_error *err) {
    const uint8_t *old = NULL;
    TARN_TRY(btree_pages_read(pages, *page, level, &old, err));
    uint64_t made = btree_page_version(old);
    if (made == pages->version) {
        *ret_bytes = frame_of(pages, *page);
        tarn_assert(*ret_bytes != NULL);
        return TARN_OK;
    }
    uint32_t copy_page;
    uint8_t *copy;
    TARN_TRY(btree_pages_alloc(pages, 1, &copy_page, &copy, err));
    memcpy(copy, old, pages->page_bytes);
    tarn_store_u32(copy + BTREE_AT_PAGE, copy_page);
    tarn_store_u64(copy + BTREE_AT_VERSION, pages->version);
    TARN_TRY(btree_pages_free(pages, *page, 1, made, err));
    *page = copy_page;
    *ret_bytes = copy;
    return TARN_OK;
}

tarn_status btree_pages_free(btree_pages *pages, uint32_t page, uint32_t count, uint64_t made,
                             tarn_error *err) {
    if (made == pages->version) {
        if (push_extent(pages, &pages->recycled, (btree_extent){page, count})) return TARN_OK;
    } else if (btree_queue_reserve(pages->alloc, &pages->freed, 1)) {
        btree_queue_push(&pages->freed, (btree_retired){.frame = frame_of(pages, page),
                                                        .page = page,
                                                        .count = count,
                                                        .made = made,
                                                        .freed = pages->version});
        return TARN_OK;
    }
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the list of free pages");
}

tarn_status btree_pages_prepare(btree_pages *pages, tarn_error *err) {
    size_t count = pages->freed.count - pages->freed.head;
    if (btree_queue_reserve(pages->alloc, &pages->waiting_durable, count) &&
        btree_queue_reserve(pages->alloc, &pages->waiting_readers, count)) {
        return TARN_OK;
    }
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the list of free pages");
}

// Nobody reads the page: its frame goes, and its number is free.
static void release(btree_pages *pages, uint32_t page, uint32_t count) {
    uint8_t *frame = frame_of(pages, page);
    if (frame != NULL) {
        free_frame(pages, frame, count);
        tarn_bitmap_unset(pages->has_frame, page);
        set_clean(pages, page, count);
    }
    btree_space_give(&pages->space, page, count);
}

void btree_pages_commit(btree_pages *pages) {
    for (size_t i = 0; i < pages->recycled.count; i++) {
        release(pages, pages->recycled.entries[i].page, pages->recycled.entries[i].count);
    }
    pages->recycled.count = 0;
    pages->allocated.count = 0;
    for (size_t i = pages->freed.head; i < pages->freed.count; i++) {
        btree_retired entry = pages->freed.entries[i];
        set_clean(pages, entry.page, entry.count);
        btree_queue_push(entry.made <= pages->shielded ? &pages->waiting_durable
                                                       : &pages->waiting_readers,
                         entry);
    }
    pages->freed.head = pages->freed.count = 0;
}

void btree_pages_abort(btree_pages *pages) {
    for (size_t i = 0; i < pages->allocated.count; i++) {
        release(pages, pages->allocated.entries[i].page, pages->allocated.entries[i].count);
    }
    pages->allocated.count = 0;
    pages->recycled.count = 0;
    pages->freed.head = pages->freed.count = 0;
}

// ---- reuse ----

static bool is_unread(const btree_retired *entry, const btree_horizon *horizon) {
    if (entry->freed > horizon->oldest) return false;
    // The first pinned version that is not older than the page.
    size_t begin = 0;
    size_t end = horizon->pinned_count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (horizon->pinned[middle] < entry->made) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin == horizon->pinned_count || horizon->pinned[begin] >= entry->freed;
}

static void let_go(btree_pages *pages, const btree_retired *entry) {
    if (entry->page == 0) {
        free_frame(pages, entry->frame, entry->count);
    } else {
        release(pages, entry->page, entry->count);
    }
}

void btree_pages_reclaim(btree_pages *pages, const btree_horizon *horizon) {
    btree_queue *queue = &pages->waiting_readers;
    while (queue->head < queue->count && is_unread(&queue->entries[queue->head], horizon)) {
        let_go(pages, &queue->entries[queue->head++]);
    }
    if (queue->head == queue->count) queue->head = queue->count = 0;
    // A long reader holds up the queue, but not what was made after it came: now and then all of
    // the queue is looked at, when it has doubled since the last time.
    if (queue->count - queue->head < pages->sweep_at) return;
    size_t kept = 0;
    for (size_t i = queue->head; i < queue->count; i++) {
        btree_retired entry = queue->entries[i];
        if (is_unread(&entry, horizon)) {
            let_go(pages, &entry);
        } else {
            queue->entries[kept++] = entry;
        }
    }
    queue->head = 0;
    queue->count = kept;
    pages->sweep_at = kept < 32 ? 64 : 2 * kept;
}

uint64_t btree_pages_waiting(const btree_pages *pages) {
    uint64_t count = 0;
    const btree_queue *queues[] = {&pages->waiting_durable, &pages->waiting_readers};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = queues[i]->head; k < queues[i]->count; k++) {
            if (queues[i]->entries[k].page != 0) count += queues[i]->entries[k].count;
        }
    }
    return count;
}
