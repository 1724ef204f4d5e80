// sim_disk.h - the disk of the simulated machine: what programs see of it, and what a power loss
// would leave of it. Private to os/; sim.h says what it promises.
//
// A directory has two tables of names, the seen one and the durable one. What tells them apart is a
// journal of the changes of names not yet synced, for the whole disk, oldest first: the durable
// tables with the journal applied are the seen ones. A file likewise has a seen content, a durable
// one, and the writes not yet synced between the two (sim_content.c).
//
// Memory: asserted to suffice; a test machine has nothing better to do than stop.
#ifndef TARN_OS_SIM_DISK_H
#define TARN_OS_SIM_DISK_H

#include "base/buffer.h"
#include "os/sim.h"

typedef enum sim_view { SIM_SEEN, SIM_DURABLE, SIM_VIEW_COUNT } sim_view;

typedef struct sim_entry {
    tarn_slice name;
    struct sim_node *node;
} sim_entry;

typedef struct sim_names {
    sim_entry *entries; // in byte order
    size_t count;
    size_t capacity;
} sim_names;

// A change of a file's content that is not durable.
typedef struct sim_write {
    size_t begin;
    size_t len;     // of `bytes`
    uint8_t *bytes; // owned; NULL: the file was made `begin` bytes long
} sim_write;

typedef struct sim_node {
    struct sim_node *next; // of all nodes, newest first
    bool is_directory;
    bool is_read_only;  // a directory: its names cannot be changed
    bool is_marked;     // scratch of whoever walks
    size_t link_count;  // seen names of it
    size_t open_count;  // open files of it
    uint64_t lock_boot; // the boot in which it was locked, 0 when it is not
    int64_t modified_us;
    sim_names names[SIM_VIEW_COUNT]; // of a directory
    tarn_buffer content;             // of a file
    tarn_buffer durable;             // its content if all writes below were lost
    sim_write *writes;               // oldest first
    size_t write_count;
    size_t write_capacity;
    bool has_lost_store; // a failed write-back of a map: the next sync fails
} sim_node;

// Moves a name: from nowhere (create, link), to nowhere (remove), or from one to the other.
typedef struct sim_change {
    struct sim_change *older; // in the journal
    struct sim_change *newer;
    sim_node *node;
    sim_node *from_directory; // NULL: nowhere
    tarn_slice from_name;
    sim_node *to_directory; // NULL: nowhere
    tarn_slice to_name;
    bool is_chosen; // scratch
} sim_change;

typedef struct sim_disk {
    const tarn_alloc *alloc;
    tarn_arena arena; // names and changes; only grows
    uint64_t random_state;
    uint64_t capacity_bytes;
    sim_node *root;
    sim_node *nodes;
    sim_change *oldest; // of the journal
    sim_change *newest;
} sim_disk;

void sim_disk_init(sim_disk *disk, const tarn_alloc *alloc, uint64_t seed);
void sim_disk_reset(sim_disk *disk);

uint64_t sim_disk_random(sim_disk *disk);
size_t sim_disk_random_below(sim_disk *disk, size_t limit);

// Where a path leads. `directory` is what holds its last part, `node` what it names, or NULL.
typedef struct sim_place {
    sim_node *directory; // NULL for the root
    sim_node *node;
    tarn_slice name; // views `path`
    char path[4096]; // absolute, without detours
} sim_place;

// The functions below return 0 or an errno value. Finding fails when a directory on the way is
// missing; a missing last part is an answer.
int sim_disk_find(const sim_disk *disk, const char *path, sim_place *ret_place);

// `place` was just found.
int sim_disk_create(sim_disk *disk, const sim_place *place, bool is_directory, int64_t now_us,
                    sim_node **ret_node);
int sim_disk_link(sim_disk *disk, const sim_place *from, const sim_place *to);
int sim_disk_rename(sim_disk *disk, const sim_place *from, const sim_place *to);
int sim_disk_remove(sim_disk *disk, const sim_place *place);
void sim_disk_sync_names(sim_disk *disk, sim_node *directory);

int sim_disk_append(sim_disk *disk, sim_node *file, tarn_slice bytes, int64_t now_us);
// Beyond the end there are zeros up to `offset`.
int sim_disk_write(sim_disk *disk, sim_node *file, size_t offset, tarn_slice bytes, int64_t now_us);
int sim_disk_resize(sim_disk *disk, sim_node *file, size_t size_bytes, int64_t now_us);
void sim_disk_truncate(const sim_disk *disk, sim_node *file); // to nothing, durably
void sim_disk_sync(const sim_disk *disk, sim_node *file);
// Saves what was written to [begin, end), and the file's size.
void sim_disk_sync_range(const sim_disk *disk, sim_node *file, size_t begin, size_t end);
void sim_disk_fail_sync(sim_disk *disk, sim_node *file);
void sim_disk_flip(sim_node *file, size_t offset, uint8_t xor_mask);

// ---- between sim_disk.c and sim_content.c ----

void sim_content_free(const sim_disk *disk, sim_node *file);
void sim_content_settle(sim_disk *disk, sim_node *file, tarn_sim_power_mode mode);
uint64_t sim_disk_free_bytes(const sim_disk *disk);

// Leaves what the mode says, all of it durable, and nothing open or locked.
void sim_disk_power_loss(sim_disk *disk, tarn_sim_power_mode mode);

#endif
