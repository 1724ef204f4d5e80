// The simulated machine: the calls of os_backend over a simulated disk, with faults in front.
#include "os/sim.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "os/backend.h"
#include "os/sim_disk.h"

enum { CALL_NS = 1000, SYNC_NS = 1000000 };

#define FIRST_MOMENT_NS (INT64_C(1735689600) * 1000000000) // 2025-01-01

struct tarn_sim {
    tarn_os os; // first: a tarn_os * is a tarn_sim *
    const tarn_alloc *alloc;
    tarn_mutex *lock;

    // all below is guarded by lock
    sim_disk disk;
    uint64_t random_state; // of the machine's programs; faults draw on the disk's
    int64_t clock_ns;
    uint64_t boot; // counts from 1; what was opened in an earlier one is dead
    size_t open_count;
    uint64_t write_count;
    uint64_t read_count;
    uint64_t failing_write; // the write_count at which to fail, 0: never
    uint64_t failing_read;
    uint64_t crashing_write;
    bool has_crashed;
};

// An open file or a held lock.
typedef struct sim_handle {
    sim_node *node; // dangles when `boot` is over
    uint64_t boot;
    bool is_writer;
} sim_handle;

// ---- every call begins and ends here ----

static tarn_sim *enter(tarn_os *os) TARN_NO_THREAD_ANALYSIS {
    tarn_sim *sim = (tarn_sim *)os;
    tarn_mutex_lock(sim->lock);
    sim->clock_ns += CALL_NS;
    return sim;
}

static int leave(tarn_sim *sim, int code) TARN_NO_THREAD_ANALYSIS {
    tarn_mutex_unlock(sim->lock);
    return code;
}

static int begin_read(tarn_sim *sim) {
    if (sim->has_crashed) return EIO;
    sim->read_count++;
    return sim->read_count == sim->failing_read ? EIO : 0;
}

typedef enum write_fate {
    FATE_DONE,    // the call is carried out
    FATE_FAILED,  // it fails
    FATE_UNKNOWN, // it is carried out, and nobody will know
} write_fate;

static write_fate begin_write(tarn_sim *sim) {
    if (sim->has_crashed) return FATE_FAILED;
    sim->write_count++;
    if (sim->write_count == sim->failing_write) return FATE_FAILED;
    if (sim->write_count != sim->crashing_write) return FATE_DONE;
    sim->has_crashed = true;
    return sim_disk_random(&sim->disk) % 2 == 0 ? FATE_FAILED : FATE_UNKNOWN;
}

static int end_write(tarn_sim *sim, write_fate fate, int code) {
    return leave(sim, fate == FATE_DONE ? code : EIO);
}

// ---- files ----

static sim_handle *handle_of(intptr_t handle) {
    return (sim_handle *)handle; // NOLINT(performance-no-int-to-ptr): it was a pointer before
}

static int new_handle(tarn_sim *sim, sim_node *node, bool is_writer, intptr_t *ret_handle) {
    sim_handle *handle = tarn_alloc_new(sim->alloc, sim_handle, 1);
    tarn_assert(handle != NULL);
    *handle = (sim_handle){.node = node, .boot = sim->boot, .is_writer = is_writer};
    sim->open_count++;
    *ret_handle = (intptr_t)handle;
    return 0;
}

static void free_handle(tarn_sim *sim, sim_handle *handle) {
    tarn_assert(sim->open_count > 0);
    sim->open_count--;
    tarn_alloc_free(sim->alloc, handle, 1);
}

// The node of an open file, or NULL when it is dead.
static sim_node *node_of(const tarn_sim *sim, intptr_t handle) {
    const sim_handle *file = handle_of(handle);
    return file->boot == sim->boot ? file->node : NULL;
}

static int open_node(tarn_sim *sim, sim_node *node, bool is_writer, intptr_t *ret_handle) {
    if (node->is_directory) return EISDIR;
    node->open_count++;
    return new_handle(sim, node, is_writer, ret_handle);
}

static int open_for_reading(tarn_sim *sim, const sim_place *place, intptr_t *ret_handle) {
    int code = begin_read(sim);
    if (code != 0) return code;
    return place->node == NULL ? ENOENT : open_node(sim, place->node, false, ret_handle);
}

static int sim_open(tarn_os *os, const char *path, tarn_open_mode mode, intptr_t *ret_handle) {
    tarn_sim *sim = enter(os);
    sim_place place;
    int code = sim->has_crashed ? EIO : sim_disk_find(&sim->disk, path, &place);
    if (code != 0) return leave(sim, code);
    if (mode == TARN_OPEN_READ) return leave(sim, open_for_reading(sim, &place, ret_handle));
    bool keeps = mode == TARN_OPEN_APPEND || mode == TARN_OPEN_UPDATE || mode == TARN_OPEN_PRIVATE;
    if (keeps && place.node != NULL) {
        return leave(sim, open_node(sim, place.node, true, ret_handle));
    }
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return leave(sim, EIO);
    sim_node *node = place.node;
    if (mode == TARN_OPEN_TRUNCATE && node != NULL) {
        if (node->is_directory) return end_write(sim, fate, EISDIR);
        sim_disk_truncate(&sim->disk, node);
    } else {
        code = sim_disk_create(&sim->disk, &place, false, sim->clock_ns / 1000, &node);
    }
    if (code == 0 && fate == FATE_DONE) code = open_node(sim, node, true, ret_handle);
    return end_write(sim, fate, code);
}

static int sim_read_at(tarn_os *os, intptr_t handle, uint64_t offset, uint8_t *bytes, size_t len,
                       size_t *ret_len) {
    tarn_sim *sim = enter(os);
    const sim_node *node = node_of(sim, handle);
    if (node == NULL) return leave(sim, EBADF);
    int code = begin_read(sim);
    if (code != 0) return leave(sim, code);
    tarn_slice content = tarn_buffer_slice(&node->content);
    tarn_slice rest = tarn_slice_skip(content, offset < content.len ? offset : content.len);
    if (len > rest.len) len = rest.len;
    if (len > 0) memcpy(bytes, rest.data, len);
    *ret_len = len;
    return leave(sim, 0);
}

// How much of a failing write reaches the file: any part of it, half of the time in whole sectors.
static size_t torn_len(tarn_sim *sim, uint64_t offset, size_t len) {
    size_t torn = sim_disk_random_below(&sim->disk, len + 1);
    if (sim_disk_random(&sim->disk) % 2 == 0) return torn;
    size_t beyond = (offset + torn) % TARN_SIM_SECTOR_BYTES;
    return torn > beyond ? torn - beyond : 0;
}

static int sim_append(tarn_os *os, intptr_t handle, tarn_slice bytes) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, handle);
    if (node == NULL) return leave(sim, EBADF);
    bool was_down = sim->has_crashed;
    write_fate fate = begin_write(sim);
    if (was_down) return leave(sim, EIO);
    if (fate == FATE_FAILED) {
        bytes = tarn_slice_head(bytes, torn_len(sim, node->content.len, bytes.len));
    }
    return end_write(sim, fate, sim_disk_append(&sim->disk, node, bytes, sim->clock_ns / 1000));
}

static int sim_write_at(tarn_os *os, intptr_t handle, uint64_t offset, tarn_slice bytes) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, handle);
    if (node == NULL) return leave(sim, EBADF);
    bool was_down = sim->has_crashed;
    write_fate fate = begin_write(sim);
    if (was_down) return leave(sim, EIO);
    if (fate == FATE_FAILED) bytes = tarn_slice_head(bytes, torn_len(sim, offset, bytes.len));
    int code = sim_disk_write(&sim->disk, node, offset, bytes, sim->clock_ns / 1000);
    return end_write(sim, fate, code);
}

static int sim_resize(tarn_os *os, intptr_t handle, uint64_t size_bytes) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, handle);
    if (node == NULL) return leave(sim, EBADF);
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return leave(sim, EIO);
    return end_write(sim, fate,
                     sim_disk_resize(&sim->disk, node, size_bytes, sim->clock_ns / 1000));
}

// Begins a sync: returns its fate, in which a store that was lost before counts as a failure.
static write_fate begin_sync(tarn_sim *sim, sim_node *node) {
    sim->clock_ns += SYNC_NS;
    write_fate fate = begin_write(sim);
    if (fate == FATE_DONE && node->has_lost_store) fate = FATE_FAILED;
    if (fate == FATE_FAILED && !sim->has_crashed) {
        node->has_lost_store = false;
        sim_disk_fail_sync(&sim->disk, node);
    }
    return fate;
}

static int sim_sync(tarn_os *os, intptr_t handle) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, handle);
    if (node == NULL) return leave(sim, EBADF);
    write_fate fate = begin_sync(sim, node);
    if (fate != FATE_FAILED) sim_disk_sync(&sim->disk, node);
    return end_write(sim, fate, 0);
}

static int sim_size(tarn_os *os, intptr_t handle, uint64_t *ret_bytes) {
    tarn_sim *sim = enter(os);
    const sim_node *node = node_of(sim, handle);
    if (node == NULL) return leave(sim, EBADF);
    int code = begin_read(sim);
    if (code == 0) *ret_bytes = node->content.len;
    return leave(sim, code);
}

static int sim_close(tarn_os *os, intptr_t handle) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, handle);
    int code = EBADF;
    if (node != NULL) {
        bool is_writer = handle_of(handle)->is_writer;
        write_fate fate = is_writer ? begin_write(sim) : FATE_DONE;
        code = fate == FATE_DONE ? 0 : EIO;
        node->open_count--;
    }
    free_handle(sim, handle_of(handle));
    return leave(sim, code);
}

// ---- maps: memory of the process, of which the file has what was reported ----

static int grow_for_map(tarn_sim *sim, sim_node *node, size_t len) {
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return EIO;
    int code = sim_disk_resize(&sim->disk, node, len, sim->clock_ns / 1000);
    return fate == FATE_DONE ? code : EIO;
}

static int prepare_map(tarn_sim *sim, const sim_place *place, size_t len, sim_node **ret_node) {
    sim_node *node = place->node;
    if (node == NULL) {
        write_fate fate = begin_write(sim);
        if (fate == FATE_FAILED) return EIO;
        int code = sim_disk_create(&sim->disk, place, false, sim->clock_ns / 1000, &node);
        if (fate != FATE_DONE) return EIO;
        if (code != 0) return code;
    } else {
        int code = begin_read(sim);
        if (code != 0) return code;
    }
    if (node->is_directory) return EISDIR;
    *ret_node = node;
    return node->content.len < len ? grow_for_map(sim, node, len) : 0;
}

static int sim_map(tarn_os *os, const char *path, bool is_writable, size_t len,
                   os_mapped *ret_mapped) {
    tarn_sim *sim = enter(os);
    sim_place place;
    sim_node *node = NULL;
    int code = sim->has_crashed ? EIO : sim_disk_find(&sim->disk, path, &place);
    if (code != 0) return leave(sim, code);
    if (is_writable) {
        code = prepare_map(sim, &place, len, &node);
    } else {
        code = begin_read(sim);
        node = place.node;
        if (code == 0 && node == NULL) code = ENOENT;
    }
    if (code != 0) return leave(sim, code);
    os_mapped mapped = {.len = is_writable ? len : node->content.len};
    code = open_node(sim, node, false, &mapped.handle);
    if (code == 0 && mapped.len > 0) {
        mapped.data = tarn_alloc_new(sim->alloc, uint8_t, mapped.len);
        tarn_assert(mapped.data != NULL);
        memcpy(mapped.data, node->content.data, mapped.len);
    }
    if (code == 0) *ret_mapped = mapped;
    return leave(sim, code);
}

// What a process that dies in the middle has stored: it may store in any order.
static tarn_slice torn_part(tarn_sim *sim, tarn_slice bytes, size_t *offset) {
    size_t torn = torn_len(sim, *offset, bytes.len);
    if (sim_disk_random(&sim->disk) % 2 == 0) return tarn_slice_head(bytes, torn);
    *offset += bytes.len - torn;
    return tarn_slice_skip(bytes, bytes.len - torn);
}

static void sim_map_wrote(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, mapped->handle);
    if (node == NULL || sim->has_crashed) {
        (void)leave(sim, 0);
        return;
    }
    tarn_assert(offset + len <= node->content.len); // else it was cut off: a SIGBUS
    tarn_slice bytes = {mapped->data + offset, len};
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED && sim->has_crashed) bytes = torn_part(sim, bytes, &offset);
    if (fate == FATE_FAILED && !sim->has_crashed) node->has_lost_store = true;
    // It fits: the file is not made longer.
    tarn_assert(sim_disk_write(&sim->disk, node, offset, bytes, sim->clock_ns / 1000) == 0);
    (void)leave(sim, 0);
}

static int sim_map_sync(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, mapped->handle);
    if (node == NULL) return leave(sim, EBADF);
    write_fate fate = begin_sync(sim, node);
    if (fate != FATE_FAILED) sim_disk_sync_range(&sim->disk, node, offset, offset + len);
    return end_write(sim, fate, 0);
}

static void sim_map_advise(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len,
                           tarn_map_advice advice) {
    (void)os, (void)mapped, (void)offset, (void)len, (void)advice; // all of it is in memory
}

static void sim_unmap(tarn_os *os, const os_mapped *mapped) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, mapped->handle);
    if (node != NULL) node->open_count--;
    free_handle(sim, handle_of(mapped->handle));
    tarn_alloc_free(sim->alloc, mapped->data, mapped->len);
    (void)leave(sim, 0);
}

// ---- names ----

static int sim_stat(tarn_os *os, const char *path, tarn_file_info *ret_info) {
    tarn_sim *sim = enter(os);
    sim_place place;
    int code = begin_read(sim);
    if (code == 0) code = sim_disk_find(&sim->disk, path, &place);
    if (code == 0 && place.node == NULL) code = ENOENT;
    if (code != 0) return leave(sim, code);
    *ret_info = (tarn_file_info){
        .exists = true,
        .is_directory = place.node->is_directory,
        .size_bytes = place.node->content.len,
        .modified_us = place.node->modified_us,
    };
    return leave(sim, 0);
}

static int sim_list(tarn_os *os, const char *path, os_name_visitor *visit, void *context) {
    tarn_sim *sim = enter(os);
    sim_place place = {.node = NULL};
    int code = begin_read(sim);
    if (code == 0) code = sim_disk_find(&sim->disk, path, &place);
    if (code == 0 && place.node == NULL) code = ENOENT;
    if (code == 0 && !place.node->is_directory) code = ENOTDIR;
    if (code != 0) return leave(sim, code);
    const sim_names *names = &place.node->names[SIM_SEEN];
    for (size_t i = 0; code == 0 && i < names->count; i++) {
        code = visit(context, (const char *)names->entries[i].name.data); // NUL-terminated
    }
    return leave(sim, code);
}

static int sim_make_dir(tarn_os *os, const char *path) {
    tarn_sim *sim = enter(os);
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return leave(sim, EIO);
    sim_place place;
    sim_node *node = NULL;
    int code = sim_disk_find(&sim->disk, path, &place);
    if (code == 0) {
        code = sim_disk_create(&sim->disk, &place, true, sim->clock_ns / 1000, &node);
    }
    return end_write(sim, fate, code);
}

typedef int move_function(sim_disk *disk, const sim_place *from, const sim_place *to);

static int move_name(tarn_os *os, const char *from_path, const char *to_path, move_function *move) {
    tarn_sim *sim = enter(os);
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return leave(sim, EIO);
    sim_place from;
    sim_place to;
    int code = sim_disk_find(&sim->disk, from_path, &from);
    if (code == 0) code = sim_disk_find(&sim->disk, to_path, &to);
    if (code == 0) code = move(&sim->disk, &from, &to);
    return end_write(sim, fate, code);
}

static int sim_rename(tarn_os *os, const char *from, const char *to) {
    return move_name(os, from, to, sim_disk_rename);
}

static int sim_link(tarn_os *os, const char *from, const char *to) {
    return move_name(os, from, to, sim_disk_link);
}

static int sim_remove(tarn_os *os, const char *path) {
    tarn_sim *sim = enter(os);
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return leave(sim, EIO);
    sim_place place;
    int code = sim_disk_find(&sim->disk, path, &place);
    if (code == 0) code = sim_disk_remove(&sim->disk, &place);
    return end_write(sim, fate, code);
}

static int sim_sync_dir(tarn_os *os, const char *path) {
    tarn_sim *sim = enter(os);
    sim->clock_ns += SYNC_NS;
    write_fate fate = begin_write(sim);
    if (fate == FATE_FAILED) return leave(sim, EIO);
    sim_place place;
    int code = sim_disk_find(&sim->disk, path, &place);
    if (code == 0 && place.node == NULL) code = ENOENT;
    if (code == 0 && !place.node->is_directory) code = ENOTDIR;
    if (code == 0) sim_disk_sync_names(&sim->disk, place.node);
    return end_write(sim, fate, code);
}

static int sim_real_path(tarn_os *os, const char *path, char ret_path[OS_PATH_MAX]) {
    tarn_sim *sim = enter(os);
    sim_place place;
    int code = begin_read(sim);
    if (code == 0) code = sim_disk_find(&sim->disk, path, &place);
    if (code == 0 && place.node == NULL) code = ENOENT;
    if (code == 0) {
        (void)snprintf(ret_path, OS_PATH_MAX, "%s", place.path[0] == '\0' ? "/" : place.path);
    }
    return leave(sim, code);
}

// ---- locks ----

static int lock_node(tarn_sim *sim, const sim_place *place, tarn_slice owner,
                     intptr_t *ret_handle) {
    sim_node *node = place->node;
    int64_t now_us = sim->clock_ns / 1000;
    if (node == NULL) {
        int code = sim_disk_create(&sim->disk, place, false, now_us, &node);
        if (code != 0) return code;
    }
    if (node->is_directory) return EISDIR;
    // What was there is overwritten in place, which takes no room.
    uint64_t capacity_bytes = sim->disk.capacity_bytes;
    if (node->content.len >= owner.len) sim->disk.capacity_bytes = UINT64_MAX;
    sim_disk_truncate(&sim->disk, node);
    int code = sim_disk_append(&sim->disk, node, owner, now_us);
    sim->disk.capacity_bytes = capacity_bytes;
    if (code != 0) return code;
    node->lock_boot = sim->boot;
    node->open_count++;
    return new_handle(sim, node, true, ret_handle);
}

static int sim_lock(tarn_os *os, const char *path, tarn_slice owner, intptr_t *ret_handle,
                    char *ret_holder, size_t holder_size) {
    tarn_sim *sim = enter(os);
    write_fate fate = begin_write(sim);
    if (fate != FATE_DONE) return leave(sim, EIO);
    sim_place place;
    int code = sim_disk_find(&sim->disk, path, &place);
    if (code != 0) return leave(sim, code);
    if (place.node == NULL || place.node->lock_boot != sim->boot) {
        return leave(sim, lock_node(sim, &place, owner, ret_handle));
    }
    tarn_slice holder = tarn_buffer_slice(&place.node->content);
    (void)snprintf(ret_holder, holder_size, TARN_SLICE_FMT, TARN_SLICE_ARG(holder));
    return leave(sim, EWOULDBLOCK);
}

static void sim_unlock(tarn_os *os, intptr_t handle) {
    tarn_sim *sim = enter(os);
    sim_node *node = node_of(sim, handle);
    if (node != NULL) {
        node->lock_boot = 0;
        node->open_count--;
    }
    free_handle(sim, handle_of(handle));
    (void)leave(sim, 0);
}

// ---- clock and chance ----

static int64_t sim_monotonic_ns(tarn_os *os) {
    tarn_sim *sim = enter(os);
    int64_t now_ns = sim->clock_ns;
    (void)leave(sim, 0);
    return now_ns;
}

static int64_t sim_now_us(tarn_os *os) {
    return sim_monotonic_ns(os) / 1000;
}

// xorshift64*, so that it is not the sequence of the disk's chance with another seed.
static void sim_random(tarn_os *os, uint8_t *bytes, size_t len) {
    tarn_sim *sim = enter(os);
    for (size_t i = 0; i < len; i++) {
        sim->random_state ^= sim->random_state >> 12;
        sim->random_state ^= sim->random_state << 25;
        sim->random_state ^= sim->random_state >> 27;
        bytes[i] = (uint8_t)(sim->random_state * 0x2545F4914F6CDD1Du >> 56);
    }
    (void)leave(sim, 0);
}

static int64_t sim_process_id(tarn_os *os) {
    tarn_sim *sim = enter(os);
    int64_t id = 1000 + (int64_t)sim->boot;
    (void)leave(sim, 0);
    return id;
}

static uint64_t sim_peak_memory_bytes(tarn_os *os) {
    (void)os;
    return 0;
}

static size_t sim_cpu_count(tarn_os *os) {
    (void)os;
    return 1;
}

static const os_backend sim_backend = {
    .open = sim_open,
    .read_at = sim_read_at,
    .append = sim_append,
    .sync = sim_sync,
    .size = sim_size,
    .close = sim_close,
    .write_at = sim_write_at,
    .resize = sim_resize,
    .map = sim_map,
    .map_wrote = sim_map_wrote,
    .map_sync = sim_map_sync,
    .map_advise = sim_map_advise,
    .unmap = sim_unmap,
    .stat = sim_stat,
    .list = sim_list,
    .make_dir = sim_make_dir,
    .rename = sim_rename,
    .link = sim_link,
    .remove = sim_remove,
    .sync_dir = sim_sync_dir,
    .real_path = sim_real_path,
    .lock = sim_lock,
    .unlock = sim_unlock,
    .now_us = sim_now_us,
    .monotonic_ns = sim_monotonic_ns,
    .random = sim_random,
    .process_id = sim_process_id,
    .peak_memory_bytes = sim_peak_memory_bytes,
    .cpu_count = sim_cpu_count,
};

// ---- the machine ----

tarn_status tarn_sim_new(const tarn_alloc *alloc, uint64_t seed, tarn_sim **ret_sim,
                         tarn_error *err) {
    tarn_sim *sim = tarn_alloc_new(alloc, tarn_sim, 1);
    if (sim == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a simulated machine");
    tarn_status status = tarn_mutex_new(TARN_LOCK_OS, &sim->lock, err);
    if (status != TARN_OK) {
        tarn_alloc_free(alloc, sim, 1);
        return status;
    }
    sim->os.backend = &sim_backend;
    sim->alloc = alloc;
    sim->random_state = seed | 1; // xorshift stays at zero
    sim->clock_ns = FIRST_MOMENT_NS;
    sim->boot = 1;
    sim_disk_init(&sim->disk, alloc, seed);
    *ret_sim = sim;
    return TARN_OK;
}

void tarn_sim_free(tarn_sim *sim) {
    if (sim == NULL) return;
    tarn_assert(sim->open_count == 0); // their owners would close them in freed memory
    sim_disk_reset(&sim->disk);
    tarn_mutex_free(sim->lock);
    tarn_alloc_free(sim->alloc, sim, 1);
}

tarn_os *tarn_sim_os(tarn_sim *sim) {
    return &sim->os;
}

uint64_t tarn_sim_write_count(const tarn_sim *sim) {
    tarn_mutex_lock(sim->lock);
    uint64_t value = sim->write_count;
    tarn_mutex_unlock(sim->lock);
    return value;
}

uint64_t tarn_sim_read_count(const tarn_sim *sim) {
    tarn_mutex_lock(sim->lock);
    uint64_t value = sim->read_count;
    tarn_mutex_unlock(sim->lock);
    return value;
}

size_t tarn_sim_open_count(const tarn_sim *sim) {
    tarn_mutex_lock(sim->lock);
    size_t value = sim->open_count;
    tarn_mutex_unlock(sim->lock);
    return value;
}

void tarn_sim_fail_write_at(tarn_sim *sim, uint64_t n) {
    tarn_mutex_lock(sim->lock);
    sim->failing_write = n == 0 ? 0 : sim->write_count + n;
    tarn_mutex_unlock(sim->lock);
}

void tarn_sim_fail_read_at(tarn_sim *sim, uint64_t n) {
    tarn_mutex_lock(sim->lock);
    sim->failing_read = n == 0 ? 0 : sim->read_count + n;
    tarn_mutex_unlock(sim->lock);
}

void tarn_sim_crash_at(tarn_sim *sim, uint64_t n) {
    tarn_mutex_lock(sim->lock);
    sim->crashing_write = n == 0 ? 0 : sim->write_count + n;
    tarn_mutex_unlock(sim->lock);
}

bool tarn_sim_has_crashed(const tarn_sim *sim) {
    tarn_mutex_lock(sim->lock);
    bool value = sim->has_crashed;
    tarn_mutex_unlock(sim->lock);
    return value;
}

void tarn_sim_set_capacity(tarn_sim *sim, uint64_t capacity_bytes) {
    tarn_mutex_lock(sim->lock);
    sim->disk.capacity_bytes = capacity_bytes;
    tarn_mutex_unlock(sim->lock);
}

// Finds what must be there, and is a directory or a file.
static tarn_status find_node(const tarn_sim *sim, tarn_slice path, bool is_directory,
                             sim_node **ret_node, tarn_error *err) {
    char text[OS_PATH_MAX];
    sim_place place;
    TARN_TRY(os_path_to_cstr(path, text, err));
    int code = sim_disk_find(&sim->disk, text, &place);
    if (code == 0 && place.node == NULL) code = ENOENT;
    if (code == 0 && place.node->is_directory != is_directory) {
        code = is_directory ? ENOTDIR : EISDIR;
    }
    if (code != 0) return os_fail(err, code, "find", path);
    *ret_node = place.node;
    return TARN_OK;
}

tarn_status tarn_sim_set_read_only(tarn_sim *sim, tarn_slice directory, bool is_read_only,
                                   tarn_error *err) {
    sim_node *node = NULL;
    tarn_mutex_lock(sim->lock);
    tarn_status status = find_node(sim, directory, true, &node, err);
    if (node != NULL) node->is_read_only = is_read_only;
    tarn_mutex_unlock(sim->lock);
    return status;
}

tarn_status tarn_sim_corrupt(tarn_sim *sim, tarn_slice path, uint64_t offset, uint8_t xor_mask,
                             tarn_error *err) {
    sim_node *node = NULL;
    tarn_mutex_lock(sim->lock);
    tarn_status status = find_node(sim, path, false, &node, err);
    bool is_inside = node != NULL && offset < node->content.len;
    if (is_inside) {
        sim_disk_flip(node, offset, xor_mask);
    } else if (node != NULL) {
        status = tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' has %zu bytes, none at %llu",
                           TARN_SLICE_ARG(path), node->content.len, (unsigned long long)offset);
    }
    tarn_mutex_unlock(sim->lock);
    return status;
}

static void reboot(tarn_sim *sim) {
    sim->boot++;
    sim->has_crashed = false;
    sim->failing_write = 0;
    sim->failing_read = 0;
    sim->crashing_write = 0;
}

void tarn_sim_power_loss(tarn_sim *sim, tarn_sim_power_mode mode) {
    tarn_mutex_lock(sim->lock);
    sim_disk_power_loss(&sim->disk, mode);
    reboot(sim);
    tarn_mutex_unlock(sim->lock);
}

void tarn_sim_kill(tarn_sim *sim) {
    tarn_mutex_lock(sim->lock);
    for (sim_node *node = sim->disk.nodes; node != NULL; node = node->next) node->open_count = 0;
    reboot(sim);
    tarn_mutex_unlock(sim->lock);
}

void tarn_sim_advance_us(tarn_sim *sim, int64_t duration_us) {
    tarn_mutex_lock(sim->lock);
    sim->clock_ns += duration_us * 1000;
    tarn_mutex_unlock(sim->lock);
}
