// Writers: a queue whose head leads, applies the batches of all who wait, and logs them together.
#include "base/alloc.h"
#include "kv/btree/btree.h"
#include "kv/front.h"

struct btree_waiter {
    btree_waiter *next;
    const tarn_kv_batch *batch;
    tarn_kv_batch folded; // what is logged in its place when it has merges
    tarn_status status;
    bool is_done;
    uint64_t position; // in the log
    tarn_error *err;
};

// ---- leading ----

// With write_lock, until the caller may lead, or has been served.
static void wait_for_turn(btree_engine *engine, const btree_waiter *waiter)
    TARN_REQUIRES(engine->write_lock) {
    engine->sleeper_count++;
    while ((waiter == NULL || !waiter->is_done) &&
           (engine->is_led || (waiter != NULL && engine->first_waiter != waiter))) {
        tarn_cond_wait(engine->write_done, engine->write_lock);
    }
    engine->sleeper_count--;
}

void btree_lead(btree_engine *engine) {
    tarn_mutex_lock(engine->write_lock);
    wait_for_turn(engine, NULL);
    engine->is_led = true;
    tarn_mutex_unlock(engine->write_lock);
}

void btree_follow(btree_engine *engine) {
    tarn_mutex_lock(engine->write_lock);
    tarn_assert(engine->is_led);
    engine->is_led = false;
    if (engine->sleeper_count > 0) tarn_cond_broadcast(engine->write_done);
    tarn_mutex_unlock(engine->write_lock);
}

// ---- transactions ----

void btree_transaction_begin(btree_engine *engine) {
    btree_pages_begin(&engine->pages, kv_epoch_now(engine->epoch) + 1);
}

void btree_transaction_abort(btree_engine *engine) {
    btree_pages_abort(&engine->pages);
    for (size_t i = 0; i < engine->newest->root_count; i++) {
        engine->roots[i] = engine->newest->roots[i];
    }
}

// Cannot fail: everything was made ready.
static void publish(btree_engine *engine, btree_view *view) {
    btree_pages_commit(&engine->pages);
    btree_view_publish(engine, view);
    btree_reclaim(engine);
}

static tarn_status prepare(btree_engine *engine, btree_view **ret_view, tarn_error *err) {
    TARN_TRY(btree_pages_prepare(&engine->pages, err));
    return btree_view_new(engine, engine->pages.version, ret_view, err);
}

tarn_status btree_transaction_commit(btree_engine *engine, tarn_error *err) {
    btree_view *view = NULL;
    tarn_status status = prepare(engine, &view, err);
    if (status == TARN_OK) {
        publish(engine, view);
    } else {
        btree_transaction_abort(engine);
    }
    return status;
}

// ---- applying ----

static btree_family *find_family(const btree_engine *engine, uint32_t id) {
    for (btree_family *part = engine->families; part != NULL; part = part->next) {
        if (part->family != NULL && part->family->id == id) return part;
    }
    return NULL;
}

static tarn_status check_key(tarn_slice key, tarn_error *err) {
    if (key.len <= TARN_KV_BTREE_KEY_MAX) return TARN_OK;
    return tarn_fail(err, TARN_INVALID,
                     "the key has %zu bytes, and the engine 'btree' takes keys of at most %d "
                     "(TARN_KV_BTREE_KEY_MAX)",
                     key.len, TARN_KV_BTREE_KEY_MAX);
}

// The value of a merge: the operand folded into what is there.
static tarn_status fold(btree_engine *engine, const btree_family *part, const kv_change *change,
                        tarn_buffer *out, tarn_error *err) {
    btree_value stored = {0};
    bool found;
    tarn_slice base = {NULL, 0};
    TARN_TRY(btree_find(&engine->pages, &engine->roots[part->slot].root,
                        part->family->options.comparator, change->key, &stored, &found, err));
    if (found) TARN_TRY(btree_value_bytes(&engine->pages, &stored, &base, err));
    return kv_fold(part->family, change->key, found ? &base : NULL, &change->value, 1,
                   tarn_os_now_us(engine->os), out, err);
}

static tarn_status apply_change(btree_engine *engine, const btree_family *part,
                                const kv_change *change, tarn_error *err) {
    btree_writer writer = {&engine->pages, &engine->scratch, part->family->options.comparator};
    btree_root *root = &engine->roots[part->slot].root;
    switch (change->kind) {
    case KV_PUT:
        TARN_TRY(check_key(change->key, err));
        return btree_put(&writer, root, change->key, change->value, err);
    case KV_DELETE: return btree_delete(&writer, root, change->key, err);
    case KV_DELETE_RANGE: return btree_delete_range(&writer, root, change->key, change->value, err);
    case KV_MERGE: break;
    }
    return tarn_fail(err, TARN_CORRUPT, "a merge that was not folded");
}

static tarn_status apply_next(btree_engine *engine, tarn_slice *rest, tarn_kv_batch *folded,
                              tarn_buffer *value, tarn_error *err) {
    kv_change change;
    TARN_TRY(kv_change_next(rest, &change, err));
    const btree_family *part = find_family(engine, change.family_id);
    if (part != NULL && change.kind == KV_MERGE) {
        tarn_buffer_clear(value);
        TARN_TRY(fold(engine, part, &change, value, err));
        change.kind = KV_PUT;
        change.value = tarn_buffer_slice(value);
    }
    if (folded != NULL) TARN_TRY(kv_batch_add(folded, &change, err));
    return part == NULL ? TARN_OK : apply_change(engine, part, &change, err);
}

tarn_status btree_apply(btree_engine *engine, tarn_slice changes, tarn_kv_batch *folded,
                        tarn_error *err) {
    tarn_buffer value = {.alloc = engine->alloc};
    tarn_status status = TARN_OK;
    while (status == TARN_OK && changes.len > 0) {
        status = apply_next(engine, &changes, folded, &value, err);
    }
    tarn_buffer_free(&value);
    return status;
}

// ---- groups ----

static const tarn_kv_batch *logged_batch(const btree_waiter *waiter) {
    return waiter->batch->has_merges ? &waiter->folded : waiter->batch;
}

static tarn_status log_group(btree_engine *engine, btree_waiter *group, tarn_error *err) {
    size_t bytes = 0;
    uint32_t change_count = 0;
    for (const btree_waiter *w = group; w != NULL; w = w->next) {
        bytes += KV_LOG_SIZE(logged_batch(w)->bytes.len);
        change_count += w->batch->count;
    }
    kv_log_space space;
    TARN_TRY(kv_log_reserve(engine->log, bytes, change_count, &space, err));
    for (btree_waiter *w = group; w != NULL; w = w->next) {
        const tarn_kv_batch *batch = logged_batch(w);
        uint8_t *body = kv_log_begin(&space, KV_LOG_BATCH, batch->count, batch->bytes.len);
        memcpy(body, batch->bytes.data, batch->bytes.len);
        (void)kv_log_end(&space); // where it lies does not matter
        w->position = space.end;
    }
    kv_log_publish(engine->log, &space);
    engine->sequence = space.sequence + change_count - 1;
    engine->logged_bytes += bytes;
    return TARN_OK;
}

// All of the group, or nothing.
static tarn_status write_together(btree_engine *engine, btree_waiter *group, tarn_error *err) {
    btree_transaction_begin(engine);
    tarn_status status = TARN_OK;
    for (btree_waiter *w = group; w != NULL && status == TARN_OK; w = w->next) {
        w->folded.bytes.len = 0;
        w->folded.count = 0;
        status = btree_apply(engine, tarn_buffer_slice(&w->batch->bytes),
                             w->batch->has_merges ? &w->folded : NULL, err);
    }
    btree_view *view = NULL;
    if (status == TARN_OK) status = prepare(engine, &view, err);
    if (status == TARN_OK) status = log_group(engine, group, err);
    if (status == TARN_OK) {
        publish(engine, view);
    } else {
        btree_view_free(view);
        btree_transaction_abort(engine);
    }
    return status;
}

// Each waiter gets a status of its own.
static void write_group(btree_engine *engine, btree_waiter *group) {
    tarn_error err = {0};
    tarn_status status = TARN_OK;
    // A failed one fails again, and says so.
    if (engine->has_failed || btree_checkpoint_is_due(engine)) {
        status = btree_checkpoint(engine, &err);
    }
    bool retry = status == TARN_OK && group->next != NULL;
    if (status == TARN_OK) status = write_together(engine, group, &err);
    for (btree_waiter *w = group; w != NULL; w = w->next) {
        w->status = status;
        if (status == TARN_OK) continue;
        if (w->err != NULL) *w->err = err;
        if (!retry) continue;
        // One of the group is at fault, or the group is too large: one after the other.
        btree_waiter *next = w->next;
        w->next = NULL;
        w->status = write_together(engine, w, w->err);
        w->next = next;
    }
}

// With write_lock: takes all who wait.
static btree_waiter *take_group(btree_engine *engine) {
    btree_waiter *group = engine->first_waiter;
    engine->first_waiter = NULL;
    engine->last_waiter = NULL;
    return group;
}

static void serve(btree_engine *engine, btree_waiter *own) {
    tarn_mutex_lock(engine->write_lock);
    if (engine->last_waiter == NULL) {
        engine->first_waiter = own;
    } else {
        engine->last_waiter->next = own;
    }
    engine->last_waiter = own;
    wait_for_turn(engine, own);
    if (own->is_done) {
        tarn_mutex_unlock(engine->write_lock);
        return;
    }
    engine->is_led = true;
    btree_waiter *group = take_group(engine);
    tarn_mutex_unlock(engine->write_lock);

    write_group(engine, group);

    tarn_mutex_lock(engine->write_lock);
    engine->is_led = false;
    for (btree_waiter *w = group; w != NULL;) {
        btree_waiter *next = w->next; // afterwards it is its owner's again
        w->is_done = true;
        w = next;
    }
    if (engine->sleeper_count > 0) tarn_cond_broadcast(engine->write_done);
    tarn_mutex_unlock(engine->write_lock);
}

tarn_status btree_write(kv_engine *base, const tarn_kv_batch *batch, tarn_kv_sync sync,
                        tarn_error *err) {
    btree_engine *engine = btree_of(base);
    if (batch->count == 0) return TARN_OK;
    btree_waiter own = {.batch = batch, .err = err};
    own.folded.alloc = own.folded.bytes.alloc = engine->alloc;
    serve(engine, &own);
    tarn_buffer_free(&own.folded.bytes);
    TARN_TRY(own.status);
    return kv_log_commit(engine->log, own.position, sync, err);
}
