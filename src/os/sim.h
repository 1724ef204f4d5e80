// sim.h - a simulated machine behind tarn_os, for tests: a disk in memory, a clock that moves only
// when it is used, and chance from a seed. It can fail any call and lose its power at any moment.
//
//     tarn_sim *sim = NULL;
//     TARN_TRY(tarn_sim_new(&tarn_alloc_libc, seed, &sim, err));
//     for (uint64_t n = 1;; n++) {                 // a crash at every write, one after the other
//         tarn_sim_crash_at(sim, n);
//         status = workload(tarn_sim_os(sim), err);
//         if (!tarn_sim_has_crashed(sim)) break;   // it came through: n is beyond its last write
//         tarn_sim_power_loss(sim, TARN_SIM_REORDER);
//         check_what_was_acknowledged(tarn_sim_os(sim));
//     }
//     tarn_sim_free(sim);
//
// The disk keeps what programs see and, beside it, what a power loss would leave:
// - Bytes written to a file (appended, written in place, stored in a map) are safe after a sync of
//   that file; after a sync of a map those of its range alone. So is its size. A sync that fails
//   writes some of them and forgets the others: a later sync of the file succeeds without them.
// - A name that was created, linked, renamed or removed is safe after a sync of its directory. Such
// a
//   change is atomic: a rename happens or does not. One between two directories is safe with the
//   sync of either. A sync of a file does not save its name, nor that of a directory its content.
//
// Writes are the calls that change the disk: open (when it creates), append, write_at, resize,
// sync, close of a file that was opened for writing, make_dir, rename, link, remove, sync_dir,
// lock; and of maps: creating the file, making it longer, tarn_map_wrote, sync. Reads are open for
// reading, mapping what is there, read_at, size, stat, list, real_path. The functions of os.h that
// do more are made of these.
//
// A map is memory of the process. tarn_map_wrote is the moment at which the reported bytes reach
// the file, for every program; what was stored and never reported is in no file.
//
// Invariants: same seed and same calls, same run. What was synced survives everything here but
//             tarn_sim_corrupt and a removal.
// Ownership:  files, maps and locks are closed by whoever opened them, also after a power loss,
// before
//             the machine is freed. A machine that exhausts its `alloc` aborts.
// Threads:    any; but only with one thread is the same seed the same run.
// Errors:     injected failures are TARN_IO ("input/output error").
#ifndef TARN_OS_SIM_H
#define TARN_OS_SIM_H

#include "os/os.h"

typedef struct tarn_sim tarn_sim;

// An empty disk with the directory "/", where relative paths begin. `alloc` outlives the machine.
TARN_MUST_USE tarn_status tarn_sim_new(const tarn_alloc *alloc, uint64_t seed, tarn_sim **ret_sim,
                                       tarn_error *err);
void tarn_sim_free(tarn_sim *sim);   // accepts NULL
tarn_os *tarn_sim_os(tarn_sim *sim); // lives as long as the machine

// ---- counting ----

uint64_t tarn_sim_write_count(const tarn_sim *sim);
uint64_t tarn_sim_read_count(const tarn_sim *sim);
// Files, maps and locks that are not closed, dead ones of an earlier boot included.
size_t tarn_sim_open_count(const tarn_sim *sim);

// ---- faults; each `n` counts from now, 1 is the next call, 0 is never ----

// The n-th write fails. Nothing of it happens, except: an append or write_at leaves a prefix (cut
// anywhere or at a sector), and a sync forgets bytes as said above. A store into a map cannot fail:
// the next sync of its file does.
void tarn_sim_fail_write_at(tarn_sim *sim, uint64_t n);
// The n-th read fails.
void tarn_sim_fail_read_at(tarn_sim *sim, uint64_t n);
// The n-th write is the last: it happens, in part (an append, a write_at; of a store any beginning
// or end) or not at all, by chance, and it and every later call fail until tarn_sim_power_loss or
// tarn_sim_kill. Later stores into maps reach no file.
void tarn_sim_crash_at(tarn_sim *sim, uint64_t n);
bool tarn_sim_has_crashed(const tarn_sim *sim);

// How many bytes all files may have together; beyond that an append stores what fits and fails, as
// do new files, with "no space left on device". UINT64_MAX, the default: no limit.
void tarn_sim_set_capacity(tarn_sim *sim, uint64_t capacity_bytes);
// Names directly in `directory` can then not be created, renamed or removed: "permission denied".
TARN_MUST_USE tarn_status tarn_sim_set_read_only(tarn_sim *sim, tarn_slice directory,
                                                 bool is_read_only, tarn_error *err);
// Flips bits of a file, synced or not, as a bad disk does. TARN_INVALID beyond the file's end.
TARN_MUST_USE tarn_status tarn_sim_corrupt(tarn_sim *sim, tarn_slice path, uint64_t offset,
                                           uint8_t xor_mask, tarn_error *err);

// ---- endings; the machine goes on as after a reboot ----

#define TARN_SIM_SECTOR_BYTES 512 // is written whole or not at all

typedef enum tarn_sim_power_mode {
    TARN_SIM_DROP, // nothing survives that was not synced
    TARN_SIM_TEAR, // of what was not synced the oldest part survives: a prefix of each file's
                   // writes, cut at a sector or between two writes, and of the changes of names
    // Any sectors survive, each as it was after any of its unsynced writes, and any of the changes
    // of names. Sectors before the end of a file that never reached the disk hold zeros or noise;
    // those of a resize zeros.
    TARN_SIM_REORDER,
} tarn_sim_power_mode;

// The power goes and comes back. Open files are dead (TARN_IO), locks are free, faults are off, all
// that is left is durable. Capacity and read-only directories stay.
void tarn_sim_power_loss(tarn_sim *sim, tarn_sim_power_mode mode);

// The process dies and starts again: as a power loss, but the disk stays as programs saw it, and
// what was not synced can still be lost later.
void tarn_sim_kill(tarn_sim *sim);

// The clock moves 1 us per call, and a millisecond per sync. This moves it further.
void tarn_sim_advance_us(tarn_sim *sim, int64_t duration_us);

#endif
