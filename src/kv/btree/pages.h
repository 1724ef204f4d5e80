// pages.h - the pages of a B+tree: where each is in memory, which are free, and when one that is
// not used any more may be.
//
//     btree_pages_begin(pages, version);
//     TARN_TRY(btree_pages_writable(pages, &page, &bytes, err)); // a copy of its own to change
//     ...
//     TARN_TRY(btree_pages_prepare(pages, err));
//     btree_pages_commit(pages);                                 // or btree_pages_abort
//
// A page that was made since the last checkpoint lies in memory (a frame); one that is in the file
// is read where the file is mapped. A table says where, by page number; an entry of the table that
// is empty stands for a page that nobody has looked at since the file was opened: whoever does
// checks its checksum first, once.
//
// A page is never changed after the version that made it was published. A change makes a copy with
// another number; the old page is retired and may be reused when
// - no reader can come to it: none that entered before it was retired is still inside, and no
//   pinned version has it; and
// - if the last checkpoint has it: when a later checkpoint is durable.
//
// Ownership:  frames and maps belong to the pages. Pointers to a page are valid as long as the
//             version through which it was found is (an epoch guard or a pin).
// Threads:    btree_pages_read from any thread; all else by the one writer, but for the write of a
//             checkpoint (see there), which may run beside it.
// Errors:     TARN_CORRUPT names file, page and offset.
#ifndef TARN_KV_BTREE_PAGES_H
#define TARN_KV_BTREE_PAGES_H

#include <stdatomic.h>

#include "kv/btree/page.h"
#include "kv/btree/space.h"

typedef _Atomic(uint8_t *) btree_place;

#define BTREE_CHUNK_SHIFT 10 // the first chunk of the table has 1024 places, each later one twice
#define BTREE_CHUNKS      23
#define BTREE_MAPS_MAX    96 // the file grows by a quarter at a time

// A page, or only its frame, that waits until nobody reads it.
typedef struct btree_retired {
    uint8_t *frame; // NULL: it has none
    uint32_t page;  // 0: only the frame is retired
    uint32_t count; // pages of a run
    uint64_t made;  // the version that made it
    uint64_t freed; // the first version without it
} btree_retired;

typedef struct btree_queue {
    btree_retired *entries; // [head, count) are in use, the oldest first, more or less
    size_t head;
    size_t count;
    size_t capacity;
} btree_queue;

typedef struct btree_extent {
    uint32_t page;
    uint32_t count;
} btree_extent;

typedef struct btree_extents {
    btree_extent *entries;
    size_t count;
    size_t capacity;
} btree_extents;

typedef struct btree_pages {
    const tarn_alloc *alloc;
    size_t page_bytes;
    tarn_slice path;   // of the file, for messages
    btree_space space; // pages 0 and 1 are never free
    _Atomic(btree_place *) chunks[BTREE_CHUNKS];

    tarn_map
        maps[BTREE_MAPS_MAX]; // of the whole file, one after the other as it grew; all are kept
    size_t map_count;
    _Atomic(const tarn_map *) newest;

    uint64_t *has_frame; // bitmaps by page number
    uint64_t *is_dirty;  // has a frame that is in no checkpoint
    size_t bitmap_words;
    uint32_t dirty_count; // pages, those of runs included
    size_t frame_bytes;
    uint8_t **idle_frames; // of one page
    size_t idle_count;

    // the transaction
    uint64_t version;
    btree_extents allocated;
    btree_extents recycled; // of `allocated`, what was freed again
    btree_queue freed;

    uint64_t shielded; // pages of this version or an older one may be part of a checkpoint
    btree_queue waiting_durable;
    btree_queue waiting_readers;
    size_t sweep_at; // when the queue is that long, all of it is looked at
} btree_pages;

// What is still being read: by guards that are inside, and pinned versions, ascending.
typedef struct btree_horizon {
    uint64_t oldest;
    const uint64_t *pinned;
    size_t pinned_count;
} btree_horizon;

TARN_MUST_USE tarn_status btree_pages_init(btree_pages *pages, const tarn_alloc *alloc,
                                           size_t page_bytes, tarn_slice path, tarn_error *err);
void btree_pages_reset(btree_pages *pages);

// ---- reading ----

// Checks the page and enters it into the table.
TARN_MUST_USE tarn_status btree_pages_load(btree_pages *pages, uint32_t page,
                                           const uint8_t **ret_bytes, tarn_error *err);
tarn_status btree_pages_fail_level(const btree_pages *pages, uint32_t page, tarn_error *err);

static TARN_ALWAYS_INLINE btree_place *btree_pages_place(const btree_pages *pages, uint32_t page) {
    uint64_t position = (uint64_t)page + (1u << BTREE_CHUNK_SHIFT);
    unsigned chunk = 63u - (unsigned)__builtin_clzll(position);
    // Acquire: pairs with the release when the chunk is added.
    btree_place *places =
        atomic_load_explicit(&pages->chunks[chunk - BTREE_CHUNK_SHIFT], memory_order_acquire);
    return places == NULL ? NULL : places + (position - ((uint64_t)1 << chunk));
}

// A search in a leaf touches its first lines one after the other: asked for together, they arrive
// together.
static TARN_ALWAYS_INLINE void btree_pages_prefetch(const btree_pages *pages, uint32_t page) {
    const btree_place *place = btree_pages_place(pages, page);
    if (place == NULL) return;
    // Relaxed: the bytes are only touched.
    const uint8_t *bytes = atomic_load_explicit(place, memory_order_relaxed);
    if (bytes == NULL) return;
    for (size_t i = 0; i < 4; i++) __builtin_prefetch(bytes + 64 * i);
}

// The page, which must be a leaf (level 0) or a branch of that level.
TARN_MUST_USE static TARN_ALWAYS_INLINE tarn_status btree_pages_read(btree_pages *pages,
                                                                     uint32_t page, unsigned level,
                                                                     const uint8_t **ret_bytes,
                                                                     tarn_error *err) {
    btree_place *place = btree_pages_place(pages, page);
    // Acquire: pairs with the release when a place is set, so that the bytes are seen, too.
    const uint8_t *bytes = place == NULL ? NULL : atomic_load_explicit(place, memory_order_acquire);
    if (bytes == NULL) {
        TARN_TRY(btree_pages_load(pages, page, &bytes, err));
        tarn_assert(bytes != NULL);
    }
    // Otherwise a damaged file could lead in circles.
    if (__builtin_expect(bytes[BTREE_AT_LEVEL] != level || bytes[BTREE_AT_KIND] > BTREE_LEAF,
                         false)) {
        return tarn_not_ok(btree_pages_fail_level(pages, page, err));
    }
    *ret_bytes = bytes;
    return TARN_OK;
}

// A value that lies in a run.
TARN_MUST_USE tarn_status btree_pages_read_run(btree_pages *pages, const btree_value *value,
                                               tarn_slice *ret_bytes, tarn_error *err);
// The first page of a run of this kind, checked.
TARN_MUST_USE tarn_status btree_pages_read_first(btree_pages *pages, uint32_t page,
                                                 btree_page_kind kind, const uint8_t **ret_bytes,
                                                 tarn_error *err);
// Checks checksum and structure of what the file has at `page`, without the table.
TARN_MUST_USE tarn_status btree_pages_check(const btree_pages *pages, uint32_t page,
                                            const uint8_t *bytes, size_t available_bytes,
                                            tarn_error *err);

// ---- changing ----

void btree_pages_begin(btree_pages *pages, uint64_t version);
// `count` pages in one piece, in memory, with number, version and (if > 1) length of the run set.
TARN_MUST_USE tarn_status btree_pages_alloc(btree_pages *pages, uint32_t count, uint32_t *ret_page,
                                            uint8_t **ret_bytes, tarn_error *err);
// Makes *page one of this transaction: itself, or a copy.
TARN_MUST_USE tarn_status btree_pages_writable(btree_pages *pages, uint32_t *page, unsigned level,
                                               uint8_t **ret_bytes, tarn_error *err);
// `made`: its version.
TARN_MUST_USE tarn_status btree_pages_free(btree_pages *pages, uint32_t page, uint32_t count,
                                           uint64_t made, tarn_error *err);
// Makes sure that the commit cannot fail.
TARN_MUST_USE tarn_status btree_pages_prepare(btree_pages *pages, tarn_error *err);
void btree_pages_commit(btree_pages *pages);
void btree_pages_abort(btree_pages *pages);
void btree_pages_reclaim(btree_pages *pages, const btree_horizon *horizon);
// How many pages wait for readers or for a checkpoint.
uint64_t btree_pages_waiting(const btree_pages *pages);

// ---- the file ----

// Maps the file, `page_count` pages long at least.
TARN_MUST_USE tarn_status btree_pages_map(btree_pages *pages, tarn_os *os, uint32_t page_count,
                                          bool read_only, tarn_error *err);
static inline const tarn_map *btree_pages_newest(const btree_pages *pages) {
    return pages->map_count == 0 ? NULL : &pages->maps[pages->map_count - 1];
}
// Makes the table and the bitmaps reach up to `page_count`.
TARN_MUST_USE tarn_status btree_pages_cover(btree_pages *pages, uint32_t page_count,
                                            tarn_error *err);
TARN_MUST_USE bool btree_queue_reserve(const tarn_alloc *alloc, btree_queue *queue, size_t more);
void btree_queue_push(btree_queue *queue, btree_retired entry);

#endif
