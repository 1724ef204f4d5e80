// engine.h - what an engine provides, and what the front (kv.c) does for all of them.
//
// The front owns: the lock, the identity file `KV` (JSON: version, engine, families with ids, names
// and options; replaced atomically), defaults of options, checks of arguments, TTL (see below),
// convenience (put, multi_get where an engine has none of its own), read-only refusals.
// An engine owns: its files in the directory, the log, visibility, durability, recovery, memory.
//
// Families:  the front gives each an id that is never used again. An engine is opened with those
//            that exist; records of other ids in a log belong to dropped ones and are skipped.
// TTL:       in a family with ttl_ms > 0 the front puts 8 bytes in front of every value, the
//            moment of expiry (us since the epoch, little-endian), hides what has expired, and
//            takes the bytes off. Engines may drop expired values when they rewrite
//            (kv_is_expired).
// Optional:  a NULL entry is answered by the front with TARN_UNSUPPORTED, naming engine and
//            operation, except where it says otherwise.
// Counters:  gets, hits, writes, batches and written_bytes of the statistics are the front's.
// New:       the identity file is written before the engine opens for the first time: an engine
//            takes a directory without any file of its own as an empty store.
#ifndef TARN_KV_ENGINE_H
#define TARN_KV_ENGINE_H

#include "kv/kv.h"

// ---- batches: the bytes of a batch are also the bytes of a log record's body ----

typedef enum kv_change_kind {
    KV_PUT = 1,
    KV_DELETE = 2,
    KV_DELETE_RANGE = 3, // [key, value); an empty key or value leaves that side open
    KV_MERGE = 4,
} kv_change_kind;

// kind (1 byte), family id (varint), key length (varint), key, and unless KV_DELETE: value length
// (varint), value.
typedef struct kv_change {
    kv_change_kind kind;
    uint32_t family_id;
    tarn_slice key;
    tarn_slice value;
} kv_change;

struct tarn_kv_batch {
    tarn_buffer bytes;
    uint32_t count;
    bool has_ranges; // contains KV_DELETE_RANGE
    bool has_merges;
    bool names_families;  // contains changes of others than the default one
    size_t key_bytes_max; // of the longest key
    const tarn_alloc *alloc;
};

// Takes the first change off *rest. TARN_CORRUPT, at the offset `rest->data - begin`, when the
// bytes are no batch: also for bytes from a log.
TARN_MUST_USE tarn_status kv_change_next(tarn_slice *rest, kv_change *ret_change, tarn_error *err);

// ---- what both sides see ----

struct tarn_kv_family {
    tarn_kv *kv;
    uint32_t id; // 0: the default family
    tarn_slice name;
    tarn_kv_family_options options; // defaults filled in
    void *engine_part;              // the engine's own, see family_open
    bool is_dropped;                // for who holds a lock that family_drop takes, too
    // The front's: what the identity file says.
    tarn_kv_family_options stored_options;
    tarn_slice comparator_name;
    tarn_slice merge_name;
};

static inline int kv_compare(const tarn_kv_family *family, tarn_slice a, tarn_slice b) {
    const tarn_kv_comparator *comparator = family->options.comparator;
    return comparator == NULL ? tarn_slice_compare(a, b)
                              : comparator->compare(comparator->context, a, b);
}

// Whether a stored value of the family (with its 8 bytes) has expired at `now_us`.
bool kv_is_expired(const tarn_kv_family *family, tarn_slice stored, int64_t now_us);

// Folds merge operands (oldest first, at least one) into `base` (NULL: none), stored values all;
// appends the stored result to `out`. For engines that fold when writing, and those that fold when
// reading. In a family with a TTL what had expired when a later operand was written has no part in
// it, whenever the folding is done; a result that has expired at `now_us` is not computed.
TARN_MUST_USE tarn_status kv_fold(const tarn_kv_family *family, tarn_slice key,
                                  const tarn_slice *base, const tarn_slice *operands,
                                  size_t operand_count, int64_t now_us, tarn_buffer *out,
                                  tarn_error *err);

// ---- the engine ----

typedef struct kv_engine kv_engine; // each engine embeds it as its first member
typedef struct kv_environment {
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_slice directory;            // exists; lives as long as the engine
    const tarn_kv_options *options;  // defaults filled in; lives as long as the engine
    tarn_kv_family *const *families; // all that exist, the default one first
    size_t family_count;
} kv_environment;

struct tarn_kv_snapshot {
    tarn_kv *kv; // the front's; engines embed this as the first member of theirs
};

typedef struct kv_iterator_ops kv_iterator_ops;
// Engines embed it as the first member of theirs and keep key, value and is_valid up to date.
struct tarn_kv_iterator {
    const kv_iterator_ops *ops;
    tarn_kv *kv;                  // the front's
    const tarn_kv_family *family; // the front's
    bool keys_only;               // the front's
    int64_t opened_us;            // the front's: what has expired by then is hidden
    bool is_valid;
    tarn_slice key;
    tarn_slice value; // as stored
};

// The bounds are inside the options: lower/upper have the prefix folded in by the front. Engines
// show every live entry of the family within them, also when a seek leads outside of them; the
// front hides expired entries. A failed move leaves the iterator nowhere.
struct kv_iterator_ops {
    tarn_status (*seek)(tarn_kv_iterator *iterator, tarn_slice key, tarn_error *err); // >=
    tarn_status (*seek_for_prev)(tarn_kv_iterator *iterator, tarn_slice key, tarn_error *err);
    tarn_status (*seek_first)(tarn_kv_iterator *iterator, tarn_error *err);
    tarn_status (*seek_last)(tarn_kv_iterator *iterator, tarn_error *err);
    tarn_status (*next)(tarn_kv_iterator *iterator, tarn_error *err);
    tarn_status (*prev)(tarn_kv_iterator *iterator, tarn_error *err);
    void (*free)(tarn_kv_iterator *iterator);
};

typedef struct kv_engine_ops {
    const char *name;

    tarn_status (*open)(const kv_environment *environment, kv_engine **ret_engine, tarn_error *err);
    // Frees the engine, whatever it returns.
    tarn_status (*close)(kv_engine *engine, tarn_error *err);

    // A new family: the front has written its identity before, and calls this before any use.
    // Families given at open are set up by `open`.
    tarn_status (*family_open)(kv_engine *engine, tarn_kv_family *family, tarn_error *err);
    // The front has removed the identity already. The family's part lives on while snapshots and
    // iterators use it.
    void (*family_drop)(kv_engine *engine, tarn_kv_family *family);

    // `sync` is never TARN_KV_SYNC_DEFAULT. Called from any thread.
    tarn_status (*write)(kv_engine *engine, const tarn_kv_batch *batch, tarn_kv_sync sync,
                         tarn_error *err);
    tarn_status (*sync_log)(kv_engine *engine, tarn_error *err);

    // Calls visit with the stored value when found. `snapshot` may be NULL.
    tarn_status (*get)(kv_engine *engine, const tarn_kv_family *family,
                       const tarn_kv_snapshot *snapshot, tarn_slice key, tarn_kv_visitor *visit,
                       void *context, bool *ret_found, tarn_error *err);
    // NULL: the front takes a snapshot and gets one after the other.
    tarn_status (*multi_get)(kv_engine *engine, const tarn_kv_family *family,
                             const tarn_kv_snapshot *snapshot, const tarn_slice *keys, size_t count,
                             tarn_arena *arena, tarn_kv_answer *answers, tarn_error *err);

    tarn_status (*snapshot_new)(kv_engine *engine, tarn_kv_snapshot **ret_snapshot,
                                tarn_error *err);
    void (*snapshot_free)(kv_engine *engine, tarn_kv_snapshot *snapshot);
    // options->family is set; bounds are copied by the engine.
    tarn_status (*iterator_new)(kv_engine *engine, const tarn_kv_iterator_options *options,
                                tarn_kv_iterator **ret_iterator, tarn_error *err);

    tarn_status (*flush)(kv_engine *engine, tarn_error *err);
    tarn_status (*compact)(kv_engine *engine, tarn_kv_family *family, tarn_slice begin,
                           tarn_slice end, tarn_error *err);
    // `directory` exists and is empty; the front writes the identity file last.
    tarn_status (*checkpoint)(kv_engine *engine, tarn_slice directory, tarn_error *err);
    tarn_status (*verify)(kv_engine *engine, tarn_error *err);
    tarn_status (*approximate_bytes)(kv_engine *engine, const tarn_kv_family *family,
                                     tarn_slice begin, tarn_slice end, uint64_t *ret_bytes,
                                     tarn_error *err);
    void (*stats)(kv_engine *engine, tarn_kv_statistics *stats);
} kv_engine_ops;

struct kv_engine {
    const kv_engine_ops *ops;
};

extern const kv_engine_ops kv_lsm_ops;
extern const kv_engine_ops kv_hashlog_ops;
extern const kv_engine_ops kv_btree_ops;
extern const kv_engine_ops kv_mem_ops;

#endif
