// log.h - the write-ahead log that engines share. Private to kv/.
//
//     kv_log_open(&options, &log, err);               // calls options.replay for what is there
//     kv_log_space space;
//     kv_log_reserve(log, KV_LOG_SIZE(body_len), change_count, &space, err);
//     uint8_t *body = kv_log_begin(&space, KV_LOG_BATCH, change_count, body_len);
//     ... fill body; insert into a memtable with the numbers from space.sequence on ...
//     kv_log_end(&space);                             // checksum
//     kv_log_publish(log, &space);                    // visible, in order
//     kv_log_commit(log, space.end, sync, err);       // durable as asked for
//
// The log is a row of segment files of fixed size, mapped and allocated beforehand, so that an
// append is a copy in memory and not a system call; what is in the map survives the end of the
// process. Space is handed out under a short lock with the sequence numbers of its changes; it is
// filled by its owner, in parallel with others, and published in the order of the numbers.
//
// Positions:  a byte count over all segments' records since the log was opened; only compared.
// Sequences:  from 1, one per change, without gaps from record to record. A record has the number
//             of its first change and how many it has (at least 1).
// Recovery:   records are replayed in order up to the first one that is not there. What the log
//             itself says was synced (each record tells which changes were durable when it was
//             written) and is not there is damage, and TARN_CORRUPT with file and offset; anything
//             else is a torn tail. What was replayed is durable before open returns.
// Released segments become the next ones, a bounded number of them: their old bytes never replay,
//             since checksums start from the number of the segment.
// Threads:    any thread appends and commits; a kv_log_space belongs to one thread. With a thread
//             of its own (options.has_thread) the log prepares segments beforehand and syncs at
//             intervals; else appends and commits do so.
// Errors:     after a failed sync reserve and commit fail for good (TARN_IO). A reserve that finds
//             no room on the disk fails and changes nothing.
// Format:     docs/formats/kv-log.md
#ifndef TARN_KV_LOG_H
#define TARN_KV_LOG_H

#include "kv/kv.h"

#define KV_LOG_HEADER_BYTES 64 // of a segment
#define KV_LOG_RECORD_BYTES 24 // of a record, before its body

#define KV_LOG_COUNT_MAX ((1u << 24) - 1)

// The bytes that a record with such a body takes.
#define KV_LOG_SIZE(body_len) ((KV_LOG_RECORD_BYTES + (size_t)(body_len) + 7) / 8 * 8)

// Types of records. Those below 16 belong to the log; engines number theirs from 16.
enum {
    KV_LOG_VOID = 1, // a record that was given up: never replayed
    KV_LOG_END = 2,  // the log was closed here
    KV_LOG_BATCH = 16,
};

typedef struct kv_log kv_log;

typedef struct kv_log_record {
    uint8_t type;
    uint32_t count;    // changes
    uint64_t sequence; // of the first of them
    tarn_slice body;   // in the mapped segment; valid during the call
    uint64_t segment_number;
    uint64_t offset; // of the record in its segment
} kv_log_record;

typedef tarn_status kv_log_replay(void *context, const kv_log_record *record, tarn_error *err);

// Told of each segment there is before anything is replayed. Its bytes stay where they are until
// the segment is released or dropped.
typedef void kv_log_found(void *context, uint64_t segment_number, tarn_slice bytes);

typedef struct kv_log_options {
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_slice directory;      // exists
    uint64_t segment_bytes;    // default 64 MiB; a larger record gets a segment of its own
    uint32_t spare_count;      // released segments kept for reuse; default 2
    bool without_recycling;    // released segments are removed: someone may have linked them
    bool may_lack_segments;    // a missing number is a segment that was dropped
    bool has_thread;           // see above; ignored on a simulated machine
    bool is_read_only;         // replays, and nothing else: the only call allowed then is close
    int64_t sync_interval_ms;  // for TARN_KV_SYNC_INTERVAL; default 100
    tarn_kv_recovery recovery; // a read-only open tolerates a torn tail
    kv_log_found *found;       // NULL: nothing is told
    kv_log_replay *replay;     // the same
    void *context;
    // Changes below are not replayed, and may be missing: at least what was ever released. Segments
    // with none but those are not even read.
    uint64_t first_sequence;
} kv_log_options;

TARN_MUST_USE tarn_status kv_log_open(const kv_log_options *options, kv_log **ret_log,
                                      tarn_error *err);
// Whether the log has a thread of its own; what works in the background for it may have one, too.
bool kv_log_has_thread(const kv_log *log);
// Syncs, marks the end, and frees the log, whatever it returns. Accepts NULL.
tarn_status kv_log_close(kv_log *log, tarn_error *err);

// ---- appending ----

// Space for records, which fill it to the last byte and the last change.
typedef struct kv_log_space {
    uint64_t sequence; // of the first change
    uint64_t begin;    // positions
    uint64_t end;
    uint64_t segment_number;
    uint64_t offset; // of the space in its segment
    // private to log.c
    struct kv_log_segment *segment;
    size_t len;
    size_t used;           // bytes of finished records
    uint64_t next;         // sequence of the next record
    uint64_t end_sequence; // behind the last change
    uint64_t synced;       // what the records say
    size_t body_len;       // of the record in work
    uint32_t count;
    uint8_t type;
} kv_log_space;

// Reserves `bytes` (a sum of KV_LOG_SIZE) for records with `change_count` changes together, 1 to
// KV_LOG_COUNT_MAX. Every space that was reserved is published: others wait for it.
TARN_MUST_USE tarn_status kv_log_reserve(kv_log *log, size_t bytes, uint32_t change_count,
                                         kv_log_space *ret_space, tarn_error *err);
// The whole segment that the space is in, as long as kv_log_segment_info.data.
tarn_slice kv_log_space_file(const kv_log_space *space);
// Begins the next record of the space. Returns where its body goes, 8-byte aligned.
uint8_t *kv_log_begin(kv_log_space *space, uint8_t type, uint32_t change_count, size_t body_len);
// Completes the record with its checksum. Returns its offset in the segment.
uint64_t kv_log_end(kv_log_space *space);
// Gives up all records of the space: as if each was KV_LOG_VOID. Publish it all the same.
void kv_log_cancel(kv_log_space *space);
// Waits until all space before is published; then so is this, and kv_log_visible covers it.
void kv_log_publish(kv_log *log, kv_log_space *space);
// The number of the last published change; 0: none. Whoever reads it sees what was written before
// the publishing.
uint64_t kv_log_visible(const kv_log *log);
// Makes the log up to `position` durable, or not, as `sync` says (not TARN_KV_SYNC_DEFAULT).
// Waiting writers share one sync, which begins the moment the one before is over.
TARN_MUST_USE tarn_status kv_log_commit(kv_log *log, uint64_t position, tarn_kv_sync sync,
                                        tarn_error *err);
// Everything published so far.
TARN_MUST_USE tarn_status kv_log_sync(kv_log *log, tarn_error *err);

// ---- segments ----

// Segments all of whose changes are below `sequence` are recycled or removed; never the last.
TARN_MUST_USE tarn_status kv_log_release(kv_log *log, uint64_t sequence, tarn_error *err);
// Removes one segment, not the last, wherever it stands, durably. Only with may_lack_segments, and
// without_recycling. Nobody may use its memory any more. After a failure the file may be there
// still: call it again.
TARN_MUST_USE tarn_status kv_log_drop(kv_log *log, uint64_t segment_number, tarn_error *err);
// Ends the current segment: what comes next goes to a new one.
TARN_MUST_USE tarn_status kv_log_roll(kv_log *log, tarn_error *err);
// Bytes of the files of all segments that are not released: what a limit is compared with.
uint64_t kv_log_live_bytes(const kv_log *log);

typedef struct kv_log_segment_info {
    uint64_t number;
    uint64_t first_sequence;
    uint64_t last_sequence; // first_sequence - 1: no change
    uint64_t end_offset;    // behind the last published record; at most: where it was not read
    uint64_t file_bytes;
    const uint8_t *data; // the mapped file; until released or dropped
    bool is_current;
} kv_log_segment_info;
// All that are not released, oldest first.
TARN_MUST_USE tarn_status kv_log_segments(const kv_log *log, tarn_arena *arena,
                                          kv_log_segment_info **ret_infos, size_t *ret_count,
                                          tarn_error *err);
// The path of a segment's file.
TARN_MUST_USE tarn_status kv_log_path(const kv_log *log, uint64_t segment_number, tarn_arena *arena,
                                      tarn_slice *ret_path, tarn_error *err);

// Checks the record at `offset` of a segment's bytes. `limit` is where the records end at the
// latest. Returns false when there is none, or a damaged one.
bool kv_log_decode(const uint8_t *data, uint64_t segment_number, uint64_t offset, uint64_t limit,
                   kv_log_record *ret_record);
// Reads all published records again. TARN_CORRUPT names the first damage.
TARN_MUST_USE tarn_status kv_log_verify(kv_log *log, tarn_error *err);

typedef struct kv_log_statistics {
    uint64_t live_bytes;
    uint64_t written_bytes; // records
    uint64_t syncs;
    uint64_t skipped_records; // damaged places left out by TARN_KV_SKIP_CORRUPT
    uint64_t replayed_records;
} kv_log_statistics;
void kv_log_stats(const kv_log *log, kv_log_statistics *ret_stats);

#endif
