// A copy of one version in a file of its own, without free pages: children before their parents,
// so that each page is written once, front to back.
#include "base/alloc.h"
#include "kv/btree/btree.h"

#define BUFFER_BYTES ((size_t)1 << 20)

typedef struct copier {
    btree_engine *engine;
    tarn_file *file;
    uint32_t next_page;
    uint8_t *levels; // a page of each level, while its children are copied
    tarn_buffer buffer;
    uint64_t buffer_offset; // where the buffer's first byte goes
} copier;

static tarn_status flush(copier *c, tarn_error *err) {
    TARN_TRY(tarn_file_write_at(c->file, c->buffer_offset, tarn_buffer_slice(&c->buffer), err));
    c->buffer_offset += c->buffer.len;
    tarn_buffer_clear(&c->buffer);
    return TARN_OK;
}

// Appends a page or a run, with the next number. `run` is left as it was, but for a page that is
// the copier's own.
static tarn_status append(copier *c, const uint8_t *run, uint32_t count, uint32_t *ret_page,
                          tarn_error *err) {
    size_t len = c->engine->pages.page_bytes * count;
    if (count > UINT32_MAX - c->next_page || !tarn_buffer_reserve(&c->buffer, len)) {
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for %u pages", count);
    }
    uint8_t *copy = c->buffer.data + c->buffer.len;
    memcpy(copy, run, len);
    tarn_store_u32(copy + BTREE_AT_PAGE, c->next_page);
    tarn_store_u64(copy + BTREE_AT_CHECKSUM, btree_page_checksum(copy, len));
    c->buffer.len += len;
    *ret_page = c->next_page;
    c->next_page += count;
    return c->buffer.len >= BUFFER_BYTES ? flush(c, err) : TARN_OK;
}

static tarn_status copy_values(copier *c, uint8_t *leaf, tarn_error *err) {
    if (!leaf[BTREE_AT_HAS_RUNS]) return TARN_OK;
    for (size_t i = 0; i < btree_page_count(leaf); i++) {
        btree_value value = btree_leaf_value(leaf, i);
        if (value.run_page == 0) continue;
        tarn_slice bytes;
        TARN_TRY(btree_pages_read_run(&c->engine->pages, &value, &bytes, err));
        const uint8_t *run = bytes.data - BTREE_HEADER_BYTES;
        TARN_TRY(append(c, run, tarn_load_u32(run + BTREE_AT_RUN_PAGES), &value.run_page, err));
        tarn_assert(btree_leaf_overwrite(leaf, i, &value));
    }
    return TARN_OK;
}

// The depth is that of the tree.
static tarn_status copy_page(copier *c, uint32_t page, uint32_t level, uint32_t *ret_page,
                             tarn_error *err) {
    size_t page_bytes = c->engine->pages.page_bytes;
    const uint8_t *bytes = NULL;
    TARN_TRY(btree_pages_read(&c->engine->pages, page, level, &bytes, err));
    tarn_assert(bytes != NULL);
    uint8_t *own = c->levels + page_bytes * level;
    memcpy(own, bytes, page_bytes);
    if (level == 0) TARN_TRY(copy_values(c, own, err));
    for (size_t i = 0; level > 0 && i < btree_page_count(own); i++) {
        uint32_t child = 0;
        TARN_TRY(copy_page(c, btree_branch_child(own, i), level - 1, &child, err));
        btree_branch_set_child(own, i, child);
    }
    return append(c, own, 1, ret_page, err);
}

static tarn_status copy_state(copier *c, const btree_family_root *roots, size_t count,
                              btree_meta *meta, tarn_error *err) {
    size_t page_bytes = c->engine->pages.page_bytes;
    btree_space no_free;
    btree_space_init(&no_free, c->engine->alloc);
    tarn_buffer run = {.alloc = c->engine->alloc};
    uint8_t header[BTREE_HEADER_BYTES] = {[BTREE_AT_KIND] = BTREE_STATE};
    tarn_store_u64(header + BTREE_AT_VERSION, meta->version);
    bool built = tarn_buffer_append(&run, (tarn_slice){header, sizeof header}) &&
                 btree_state_encode(roots, count, &no_free, &run);
    size_t pages = (run.len + page_bytes - 1) / page_bytes;
    built = built && tarn_buffer_reserve(&run, pages * page_bytes - run.len);
    tarn_status status = TARN_OK;
    if (built) {
        memset(run.data + run.len, 0, pages * page_bytes - run.len);
        tarn_store_u32(run.data + BTREE_AT_RUN_PAGES, (uint32_t)pages);
        meta->state_pages = (uint32_t)pages;
        status = append(c, run.data, (uint32_t)pages, &meta->state_page, err);
    } else {
        status = tarn_fail(err, TARN_NO_MEMORY, "no memory for the roots of a B+tree");
    }
    tarn_buffer_free(&run);
    return status;
}

static tarn_status copy_view(copier *c, const btree_view *view, tarn_error *err) {
    size_t page_bytes = c->engine->pages.page_bytes;
    btree_family_root *roots =
        tarn_alloc_new(c->engine->alloc, btree_family_root, view->root_count + 1);
    if (roots == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory to copy a B+tree");
    tarn_status status = TARN_OK;
    size_t count = 0;
    for (size_t i = 0; i < view->root_count && status == TARN_OK; i++) {
        if (view->roots[i].root.page == 0) continue;
        btree_family_root *root = &roots[count++];
        *root = view->roots[i];
        status = copy_page(c, root->root.page, root->root.level, &root->root.page, err);
    }
    // A log that begins anew counts from 1.
    btree_meta meta = {.number = 0, .version = view->version, .sequence = 0};
    if (status == TARN_OK) status = copy_state(c, roots, count, &meta, err);
    tarn_alloc_free(c->engine->alloc, roots, view->root_count + 1);
    if (status == TARN_OK) status = flush(c, err);
    TARN_TRY(status);
    meta.page_count = c->next_page;
    btree_meta_encode(&meta, c->levels, page_bytes);
    memset(c->levels + page_bytes, 0, page_bytes); // the other one was never written
    TARN_TRY(tarn_file_write_at(c->file, 0, (tarn_slice){c->levels, 2 * page_bytes}, err));
    return tarn_file_sync(c->file, err);
}

static tarn_status copy_to(btree_engine *engine, const btree_view *view, tarn_slice path,
                           tarn_error *err) {
    copier c = {.engine = engine, .next_page = 2, .buffer = {.alloc = engine->alloc}};
    size_t page_bytes = engine->pages.page_bytes;
    c.buffer_offset = 2 * page_bytes;
    c.levels = tarn_alloc_zeroed(engine->alloc, page_bytes, BTREE_LEVELS_MAX);
    tarn_status status = TARN_OK;
    if (c.levels == NULL) status = tarn_fail(err, TARN_NO_MEMORY, "no memory to copy a B+tree");
    if (status == TARN_OK) status = tarn_os_open(engine->os, path, TARN_OPEN_UPDATE, &c.file, err);
    if (status == TARN_OK) status = copy_view(&c, view, err);
    tarn_status closed = tarn_file_close(c.file, status == TARN_OK ? err : NULL);
    if (status == TARN_OK) status = closed;
    tarn_buffer_free(&c.buffer);
    tarn_alloc_release(engine->alloc, c.levels, page_bytes, BTREE_LEVELS_MAX);
    return status;
}

tarn_status btree_copy(kv_engine *base, tarn_slice directory, tarn_error *err) {
    btree_engine *engine = btree_of(base);
    tarn_arena arena;
    tarn_arena_init(&arena, engine->alloc, SIZE_MAX);
    tarn_slice path = {NULL, 0};
    tarn_status status = btree_path_of(&arena, directory, BTREE_FILE_NAME, &path, err);
    if (status == TARN_OK) {
        btree_view *view = btree_view_pin(engine);
        status = copy_to(engine, view, path, err);
        btree_view_unpin(engine, view);
    }
    if (status == TARN_OK) status = tarn_os_sync_dir(engine->os, directory, err);
    tarn_arena_reset(&arena);
    return btree_recheck(engine, status, err);
}
