// The contents of the simulated disk's files. Three things per file: what programs see, what is
// durable, and the writes between the two, which a sync makes durable and a power loss settles.
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "os/sim_disk.h"

static bool toss(sim_disk *disk) {
    return sim_disk_random(disk) % 2 == 0;
}

// ---- writes that are not durable ----

static void push_write(const sim_disk *disk, sim_node *file, size_t begin, tarn_slice bytes) {
    if (file->write_count == file->write_capacity) {
        size_t capacity = file->write_capacity == 0 ? 8 : 2 * file->write_capacity;
        sim_write *grown = tarn_alloc_new(disk->alloc, sim_write, capacity);
        tarn_assert(grown != NULL);
        if (file->write_count > 0) memcpy(grown, file->writes, file->write_count * sizeof *grown);
        tarn_alloc_free(disk->alloc, file->writes, file->write_capacity);
        file->writes = grown;
        file->write_capacity = capacity;
    }
    sim_write *write = &file->writes[file->write_count++];
    *write = (sim_write){.begin = begin, .len = bytes.len};
    if (bytes.len == 0) return; // a change of size
    write->bytes = tarn_alloc_new(disk->alloc, uint8_t, bytes.len);
    tarn_assert(write->bytes != NULL);
    memcpy(write->bytes, bytes.data, bytes.len);
}

static void forget_writes(const sim_disk *disk, sim_node *file) {
    for (size_t i = 0; i < file->write_count; i++) {
        tarn_alloc_free(disk->alloc, file->writes[i].bytes, file->writes[i].len);
    }
    file->write_count = 0;
}

void sim_content_free(const sim_disk *disk, sim_node *file) {
    forget_writes(disk, file);
    tarn_alloc_free(disk->alloc, file->writes, file->write_capacity);
    tarn_buffer_free(&file->content);
    tarn_buffer_free(&file->durable);
}

// ---- changing bytes ----

// New bytes are zeros.
static void set_len(tarn_buffer *content, size_t len) {
    if (len > content->len) {
        tarn_assert(tarn_buffer_reserve(content, len - content->len));
        memset(content->data + content->len, 0, len - content->len);
    }
    content->len = len;
}

static void overlay(tarn_buffer *content, size_t begin, tarn_slice bytes) {
    if (bytes.len == 0) return;
    tarn_assert(bytes.data != NULL);
    if (begin + bytes.len > content->len) set_len(content, begin + bytes.len);
    memcpy(content->data + begin, bytes.data, bytes.len);
}

static void apply(tarn_buffer *content, const sim_write *write) {
    if (write->bytes == NULL) {
        set_len(content, write->begin);
    } else {
        overlay(content, write->begin, (tarn_slice){write->bytes, write->len});
    }
}

int sim_disk_write(sim_disk *disk, sim_node *file, size_t offset, tarn_slice bytes,
                   int64_t now_us) {
    if (bytes.len == 0) return 0;
    size_t old_len = file->content.len;
    size_t grown_len = old_len;
    uint64_t room_bytes = sim_disk_free_bytes(disk);
    if (offset + bytes.len > old_len) grown_len = offset + bytes.len;
    bool fits = grown_len - old_len <= room_bytes;
    if (!fits) grown_len = old_len + (size_t)room_bytes;
    if (offset >= grown_len) return ENOSPC;

    // The zeros in front are written like the rest, and can be lost like the rest.
    size_t begin = offset < old_len ? offset : old_len;
    size_t end = offset + bytes.len < grown_len ? offset + bytes.len : grown_len;
    overlay(&file->content, offset, tarn_slice_head(bytes, end - offset));
    push_write(disk, file, begin, (tarn_slice){file->content.data + begin, end - begin});
    file->modified_us = now_us;
    return fits ? 0 : ENOSPC;
}

int sim_disk_append(sim_disk *disk, sim_node *file, tarn_slice bytes, int64_t now_us) {
    return sim_disk_write(disk, file, file->content.len, bytes, now_us);
}

int sim_disk_resize(sim_disk *disk, sim_node *file, size_t size_bytes, int64_t now_us) {
    size_t old_len = file->content.len;
    if (size_bytes > old_len && size_bytes - old_len > sim_disk_free_bytes(disk)) return ENOSPC;
    set_len(&file->content, size_bytes);
    push_write(disk, file, size_bytes, (tarn_slice){0});
    file->modified_us = now_us;
    return 0;
}

void sim_disk_truncate(const sim_disk *disk, sim_node *file) {
    forget_writes(disk, file);
    tarn_buffer_clear(&file->content);
    tarn_buffer_clear(&file->durable);
}

void sim_disk_flip(sim_node *file, size_t offset, uint8_t xor_mask) {
    file->content.data[offset] ^= xor_mask;
    if (offset < file->durable.len) file->durable.data[offset] ^= xor_mask;
    for (size_t i = 0; i < file->write_count; i++) {
        sim_write *write = &file->writes[i];
        if (offset >= write->begin && offset - write->begin < write->len) {
            write->bytes[offset - write->begin] ^= xor_mask;
        }
    }
}

// ---- syncs ----

void sim_disk_sync_range(const sim_disk *disk, sim_node *file, size_t begin, size_t end) {
    sim_write *writes = file->writes;
    size_t count = file->write_count;
    size_t capacity = file->write_capacity;
    file->writes = NULL;
    file->write_count = 0;
    file->write_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        sim_write *write = &writes[i];
        tarn_slice bytes = {write->bytes, write->len};
        size_t write_end = write->begin + write->len;
        if (write->bytes == NULL) {
            apply(&file->durable, write);
        } else if (write_end <= begin || write->begin >= end) {
            push_write(disk, file, write->begin, bytes);
        } else {
            size_t from = write->begin < begin ? begin : write->begin;
            size_t to = write_end > end ? end : write_end;
            tarn_slice head = tarn_slice_head(bytes, from - write->begin);
            tarn_slice tail = tarn_slice_skip(bytes, to - write->begin);
            tarn_slice saved = {write->bytes + (from - write->begin), to - from};
            overlay(&file->durable, from, saved);
            if (head.len > 0) push_write(disk, file, write->begin, head);
            if (tail.len > 0) push_write(disk, file, to, tail);
        }
        tarn_alloc_free(disk->alloc, write->bytes, write->len);
    }
    tarn_alloc_free(disk->alloc, writes, capacity);
}

void sim_disk_sync(const sim_disk *disk, sim_node *file) {
    for (size_t i = 0; i < file->write_count; i++) apply(&file->durable, &file->writes[i]);
    forget_writes(disk, file);
}

// What it forgets no later sync will save: nothing but the seen content has it.
void sim_disk_fail_sync(sim_disk *disk, sim_node *file) {
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];
        if (write->bytes == NULL || toss(disk)) apply(&file->durable, write);
    }
    forget_writes(disk, file);
}

// ---- power loss ----

// The oldest writes survive, the one at the cut in part.
static void settle_torn(sim_disk *disk, sim_node *file) {
    if (file->write_count == 0) return;
    size_t cut = sim_disk_random_below(disk, file->write_count);
    for (size_t i = 0; i < cut; i++) apply(&file->durable, &file->writes[i]);
    const sim_write *write = &file->writes[cut];
    if (toss(disk)) {
        if (toss(disk)) apply(&file->durable, write);
        return;
    }
    if (write->bytes == NULL) return;
    size_t end = write->begin + sim_disk_random_below(disk, write->len + 1);
    end -= end % TARN_SIM_SECTOR_BYTES;
    if (end <= write->begin) return;
    overlay(&file->durable, write->begin, (tarn_slice){write->bytes, end - write->begin});
}

// Where the file's length reached the disk and its bytes did not, there are zeros, or whatever lay
// on the disk before; but always zeros where the space was reserved.
static void grow_with_noise(sim_disk *disk, tarn_buffer *content, size_t len, size_t reserved_len) {
    size_t old_len = content->len;
    if (len <= old_len) return;
    set_len(content, len);
    if (toss(disk)) return;
    for (size_t i = old_len < reserved_len ? reserved_len : old_len; i < len; i++) {
        content->data[i] = (uint8_t)sim_disk_random(disk);
    }
}

static size_t reserved_len_of(const sim_node *file) {
    size_t len = 0;
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];
        if (write->bytes == NULL && write->begin > len) len = write->begin;
    }
    return len;
}

// The end of the piece of a write that begins at `begin` and lies in one sector.
static size_t piece_end(const sim_write *write, size_t begin) {
    size_t end = begin + TARN_SIM_SECTOR_BYTES - begin % TARN_SIM_SECTOR_BYTES;
    return end < write->begin + write->len ? end : write->begin + write->len;
}

// A sector goes to the disk with all that was written to it so far: for each it is drawn how many
// of its writes that are.
static void draw_sectors(sim_disk *disk, const sim_node *file, uint32_t *kept, size_t count) {
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];
        for (size_t begin = write->begin; begin < write->begin + write->len;
             begin = piece_end(write, begin)) {
            kept[begin / TARN_SIM_SECTOR_BYTES]++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (kept[i] > 0) kept[i] = (uint32_t)sim_disk_random_below(disk, (size_t)kept[i] + 1);
    }
}

static void settle_reordered(sim_disk *disk, sim_node *file) {
    size_t end = 0;
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];
        if (write->begin + write->len > end) end = write->begin + write->len;
    }
    size_t sector_count = end / TARN_SIM_SECTOR_BYTES + 1;
    uint32_t *kept = tarn_alloc_new(disk->alloc, uint32_t, sector_count);
    tarn_assert(kept != NULL);
    draw_sectors(disk, file, kept, sector_count);

    size_t reserved_len = reserved_len_of(file);
    for (size_t i = 0; i < file->write_count; i++) {
        const sim_write *write = &file->writes[i];
        if (write->bytes == NULL && toss(disk)) apply(&file->durable, write);
        for (size_t at = write->begin; at < write->begin + write->len;) {
            size_t next = piece_end(write, at);
            if (kept[at / TARN_SIM_SECTOR_BYTES] > 0) {
                kept[at / TARN_SIM_SECTOR_BYTES]--;
                grow_with_noise(disk, &file->durable, at, reserved_len);
                overlay(&file->durable, at,
                        (tarn_slice){write->bytes + (at - write->begin), next - at});
            }
            at = next;
        }
    }
    if (file->write_count > 0 && toss(disk)) {
        grow_with_noise(disk, &file->durable, file->content.len, reserved_len);
    }
    tarn_alloc_free(disk->alloc, kept, sector_count);
}

void sim_content_settle(sim_disk *disk, sim_node *file, tarn_sim_power_mode mode) {
    switch (mode) {
    case TARN_SIM_DROP: break;
    case TARN_SIM_TEAR: settle_torn(disk, file); break;
    case TARN_SIM_REORDER: settle_reordered(disk, file); break;
    }
    forget_writes(disk, file);
    tarn_buffer_clear(&file->content);
    overlay(&file->content, 0, tarn_buffer_slice(&file->durable));
    file->has_lost_store = false;
}
