#include "os/sim_disk.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "os/backend.h"

static_assert(sizeof((sim_place){0}.path) == OS_PATH_MAX, "a place holds any path");

// ---- chance ----

// splitmix64
uint64_t sim_disk_random(sim_disk *disk) {
    uint64_t z = disk->random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

size_t sim_disk_random_below(sim_disk *disk, size_t limit) {
    return (size_t)(sim_disk_random(disk) % limit);
}

static bool toss(sim_disk *disk) {
    return sim_disk_random(disk) % 2 == 0;
}

// ---- memory ----

static sim_node *new_node(sim_disk *disk, bool is_directory, int64_t now_us) {
    sim_node *node = tarn_alloc_new(disk->alloc, sim_node, 1);
    tarn_assert(node != NULL);
    node->is_directory = is_directory;
    node->modified_us = now_us;
    node->content.alloc = disk->alloc;
    node->durable.alloc = disk->alloc;
    node->next = disk->nodes;
    disk->nodes = node;
    return node;
}

static void free_node(const sim_disk *disk, sim_node *node) {
    for (int view = 0; view < SIM_VIEW_COUNT; view++) {
        tarn_alloc_free(disk->alloc, node->names[view].entries, node->names[view].capacity);
    }
    sim_content_free(disk, node);
    tarn_alloc_free(disk->alloc, node, 1);
}

void sim_disk_init(sim_disk *disk, const tarn_alloc *alloc, uint64_t seed) {
    *disk = (sim_disk){.alloc = alloc, .random_state = seed, .capacity_bytes = UINT64_MAX};
    tarn_arena_init(&disk->arena, alloc, SIZE_MAX);
    disk->root = new_node(disk, true, 0);
    disk->root->link_count = 1; // it needs no name
}

void sim_disk_reset(sim_disk *disk) {
    while (disk->nodes != NULL) {
        sim_node *node = disk->nodes;
        disk->nodes = node->next;
        free_node(disk, node);
    }
    tarn_arena_reset(&disk->arena);
}

// ---- tables of names ----

// The position of `name`, or where it would be.
static size_t find_position(const sim_names *names, tarn_slice name) {
    size_t begin = 0;
    size_t end = names->count;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (tarn_slice_compare(names->entries[middle].name, name) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

static sim_entry *find_entry(const sim_names *names, tarn_slice name) {
    size_t i = find_position(names, name);
    bool is_there = i < names->count && tarn_slice_equal(names->entries[i].name, name);
    return is_there ? &names->entries[i] : NULL;
}

static void reserve_entries(const sim_disk *disk, sim_names *names, size_t count) {
    if (count <= names->capacity) return;
    size_t capacity = count < 8 ? 8 : 2 * count;
    sim_entry *grown = tarn_alloc_new(disk->alloc, sim_entry, capacity);
    tarn_assert(grown != NULL);
    if (names->count > 0) memcpy(grown, names->entries, names->count * sizeof *grown);
    tarn_alloc_free(disk->alloc, names->entries, names->capacity);
    names->entries = grown;
    names->capacity = capacity;
}

static void set_entry(const sim_disk *disk, sim_names *names, tarn_slice name, sim_node *node) {
    sim_entry *entry = find_entry(names, name);
    if (entry != NULL) {
        entry->node = node;
        return;
    }
    reserve_entries(disk, names, names->count + 1);
    size_t i = find_position(names, name);
    memmove(names->entries + i + 1, names->entries + i, (names->count - i) * sizeof(sim_entry));
    names->entries[i] = (sim_entry){name, node};
    names->count++;
}

static void remove_entry(sim_names *names, const sim_entry *entry) {
    size_t i = (size_t)(entry - names->entries);
    names->count--;
    memmove(names->entries + i, names->entries + i + 1, (names->count - i) * sizeof(sim_entry));
}

// ---- paths ----

// Writes the absolute form of `path`: every part has its slash in front, the root is "".
static int normalize(const char *path, char ret_path[OS_PATH_MAX]) {
    size_t len = 0;
    while (*path != '\0') {
        size_t part_len = strcspn(path, "/");
        if (part_len == 2 && memcmp(path, "..", 2) == 0) {
            while (len > 0 && ret_path[--len] != '/') continue;
        } else if (part_len > 0 && !(part_len == 1 && path[0] == '.')) {
            if (part_len > 255 || len + 1 + part_len >= OS_PATH_MAX) return ENAMETOOLONG;
            ret_path[len++] = '/';
            memcpy(ret_path + len, path, part_len);
            len += part_len;
        }
        path += part_len;
        if (*path == '/') path++;
    }
    ret_path[len] = '\0';
    return 0;
}

int sim_disk_find(const sim_disk *disk, const char *path, sim_place *ret_place) {
    *ret_place = (sim_place){.node = disk->root};
    int code = normalize(path, ret_place->path);
    if (code != 0) return code;
    for (const char *rest = ret_place->path; *rest == '/';) {
        rest++;
        if (ret_place->node == NULL) return ENOENT;
        if (!ret_place->node->is_directory) return ENOTDIR;
        ret_place->directory = ret_place->node;
        ret_place->name = (tarn_slice){(const uint8_t *)rest, strcspn(rest, "/")};
        const sim_entry *entry =
            find_entry(&ret_place->directory->names[SIM_SEEN], ret_place->name);
        ret_place->node = entry == NULL ? NULL : entry->node;
        rest += ret_place->name.len;
    }
    return 0;
}

// ---- changes of names ----

static void apply(const sim_disk *disk, const sim_change *change, sim_view view) {
    if (change->from_directory != NULL) {
        sim_names *names = &change->from_directory->names[view];
        const sim_entry *entry = find_entry(names, change->from_name);
        // Among reordered changes the name may not exist yet, or be someone else's.
        if (entry != NULL && entry->node == change->node) remove_entry(names, entry);
    }
    if (change->to_directory != NULL) {
        sim_names *names = &change->to_directory->names[view];
        set_entry(disk, names, change->to_name, change->node);
    }
}

static tarn_slice keep_name(sim_disk *disk, tarn_slice name) {
    tarn_slice kept = {0};
    tarn_assert(tarn_arena_copy(&disk->arena, name, &kept));
    return kept;
}

static void push_change(sim_disk *disk, sim_change *change) {
    change->older = disk->newest;
    if (disk->newest == NULL) {
        disk->oldest = change;
    } else {
        disk->newest->newer = change;
    }
    disk->newest = change;
}

static void unlink_change(sim_disk *disk, const sim_change *change) {
    if (change->older == NULL) {
        disk->oldest = change->newer;
    } else {
        change->older->newer = change->newer;
    }
    if (change->newer == NULL) {
        disk->newest = change->older;
    } else {
        change->newer->older = change->older;
    }
}

// Makes a change that is seen at once and durable later.
static void change_names(sim_disk *disk, sim_node *node, const sim_place *from,
                         const sim_place *to) {
    sim_change *change = tarn_arena_new(&disk->arena, sim_change, 1);
    tarn_assert(change != NULL);
    change->node = node;
    if (from != NULL) {
        change->from_directory = from->directory;
        change->from_name = keep_name(disk, from->name);
        node->link_count--;
    }
    if (to != NULL) {
        change->to_directory = to->directory;
        change->to_name = keep_name(disk, to->name);
        if (to->node != NULL) to->node->link_count--; // replaced
        node->link_count++;
    }
    apply(disk, change, SIM_SEEN);
    push_change(disk, change);
}

// Frees the memory of unlinked files only at power loss: until then the durable names may need
// them.
static uint64_t used_bytes(const sim_disk *disk) {
    uint64_t used = 0;
    for (const sim_node *node = disk->nodes; node != NULL; node = node->next) {
        if (node->link_count > 0 || node->open_count > 0) used += node->content.len;
    }
    return used;
}

uint64_t sim_disk_free_bytes(const sim_disk *disk) {
    if (disk->capacity_bytes == UINT64_MAX) return UINT64_MAX;
    uint64_t used = used_bytes(disk);
    return used < disk->capacity_bytes ? disk->capacity_bytes - used : 0;
}

int sim_disk_create(sim_disk *disk, const sim_place *place, bool is_directory, int64_t now_us,
                    sim_node **ret_node) {
    if (place->node != NULL) return EEXIST;
    if (place->directory->is_read_only) return EACCES;
    if (sim_disk_free_bytes(disk) == 0) return ENOSPC;
    *ret_node = new_node(disk, is_directory, now_us);
    change_names(disk, *ret_node, NULL, place);
    return 0;
}

int sim_disk_link(sim_disk *disk, const sim_place *from, const sim_place *to) {
    if (from->node == NULL) return ENOENT;
    if (from->node->is_directory) return EPERM;
    if (to->node != NULL) return EEXIST;
    if (to->directory->is_read_only) return EACCES;
    change_names(disk, from->node, NULL, to);
    return 0;
}

int sim_disk_remove(sim_disk *disk, const sim_place *place) {
    if (place->node == NULL) return ENOENT;
    if (place->directory == NULL) return EBUSY; // the root
    if (place->directory->is_read_only) return EACCES;
    if (place->node->names[SIM_SEEN].count > 0) return ENOTEMPTY;
    change_names(disk, place->node, place, NULL);
    return 0;
}

// Whether `to` may be replaced by `from`, as rename(2) has it.
static int check_replaced(const sim_node *from, const sim_node *to) {
    if (to == NULL) return 0;
    if (to->is_directory && !from->is_directory) return EISDIR;
    if (!to->is_directory && from->is_directory) return ENOTDIR;
    return to->names[SIM_SEEN].count > 0 ? ENOTEMPTY : 0;
}

int sim_disk_rename(sim_disk *disk, const sim_place *from, const sim_place *to) {
    if (from->node == NULL) return ENOENT;
    if (from->directory == NULL || to->directory == NULL) return EBUSY;
    size_t from_len = strlen(from->path);
    bool is_inside = strncmp(to->path, from->path, from_len) == 0 && to->path[from_len] == '/';
    if (is_inside) return EINVAL;
    if (from->directory->is_read_only || to->directory->is_read_only) return EACCES;
    if (from->node == to->node) return 0; // two names of one file both stay, says POSIX
    int code = check_replaced(from->node, to->node);
    if (code != 0) return code;
    change_names(disk, from->node, from, to);
    return 0;
}

static bool touches_marked(const sim_change *change) {
    return (change->from_directory != NULL && change->from_directory->is_marked) ||
           (change->to_directory != NULL && change->to_directory->is_marked);
}

// Chooses the changes that must be durable for `directory` to be so: those that touch it, and
// through a rename between two directories those that touched the other one before. Hence newest
// first.
static void choose_changes(sim_disk *disk, sim_node *directory) {
    // Of all there ever was, only what the changes name is looked at: most nodes are long removed.
    for (const sim_change *change = disk->oldest; change != NULL; change = change->newer) {
        if (change->from_directory != NULL) change->from_directory->is_marked = false;
        if (change->to_directory != NULL) change->to_directory->is_marked = false;
    }
    directory->is_marked = true;
    for (sim_change *change = disk->newest; change != NULL; change = change->older) {
        change->is_chosen = touches_marked(change);
        if (!change->is_chosen) continue;
        if (change->from_directory != NULL) change->from_directory->is_marked = true;
        if (change->to_directory != NULL) change->to_directory->is_marked = true;
    }
}

void sim_disk_sync_names(sim_disk *disk, sim_node *directory) {
    choose_changes(disk, directory);
    for (const sim_change *change = disk->oldest; change != NULL; change = change->newer) {
        if (!change->is_chosen) continue;
        apply(disk, change, SIM_DURABLE);
        unlink_change(disk, change);
    }
}

// ---- power loss ----

static void settle_names(sim_disk *disk, tarn_sim_power_mode mode) {
    size_t change_count = 0;
    for (const sim_change *c = disk->oldest; c != NULL; c = c->newer) change_count++;
    size_t kept_count = mode == TARN_SIM_TEAR ? sim_disk_random_below(disk, change_count + 1) : 0;
    for (const sim_change *c = disk->oldest; c != NULL; c = c->newer) {
        bool is_kept = mode == TARN_SIM_REORDER ? toss(disk) : kept_count > 0;
        if (kept_count > 0) kept_count--;
        if (is_kept) apply(disk, c, SIM_DURABLE);
    }
    disk->oldest = NULL;
    disk->newest = NULL;
}

// Programs see what is durable.
static void show_durable(const sim_disk *disk, sim_node *directory) {
    const sim_names *durable = &directory->names[SIM_DURABLE];
    sim_names *seen = &directory->names[SIM_SEEN];
    reserve_entries(disk, seen, durable->count);
    if (durable->count > 0) {
        memcpy(seen->entries, durable->entries, durable->count * sizeof *seen->entries);
    }
    seen->count = durable->count;
}

// Marks what can be reached by names. A round marks at least one more level of directories.
static void mark_reachable(const sim_disk *disk) {
    disk->root->is_marked = true;
    for (bool has_grown = true; has_grown;) {
        has_grown = false;
        for (const sim_node *node = disk->nodes; node != NULL; node = node->next) {
            if (!node->is_marked) continue;
            const sim_names *names = &node->names[SIM_SEEN];
            for (size_t i = 0; i < names->count; i++) {
                if (names->entries[i].node->is_marked) continue;
                names->entries[i].node->is_marked = true;
                has_grown = true;
            }
        }
    }
}

static void free_unreachable(sim_disk *disk) {
    sim_node **link = &disk->nodes;
    while (*link != NULL) {
        sim_node *node = *link;
        if (node->is_marked) {
            link = &node->next;
        } else {
            *link = node->next;
            free_node(disk, node);
        }
    }
}

static void count_links(const sim_disk *disk) {
    for (const sim_node *node = disk->nodes; node != NULL; node = node->next) {
        const sim_names *names = &node->names[SIM_SEEN];
        for (size_t i = 0; i < names->count; i++) names->entries[i].node->link_count++;
    }
    disk->root->link_count++; // it needs no name
}

void sim_disk_power_loss(sim_disk *disk, tarn_sim_power_mode mode) {
    settle_names(disk, mode);
    for (sim_node *node = disk->nodes; node != NULL; node = node->next) {
        sim_content_settle(disk, node, mode);
        node->is_marked = false;
        node->link_count = 0;
        node->open_count = 0;
        node->lock_boot = 0;
    }
    for (sim_node *node = disk->nodes; node != NULL; node = node->next) {
        show_durable(disk, node);
    }
    mark_reachable(disk);
    free_unreachable(disk);
    count_links(disk);
}
