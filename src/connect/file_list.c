#include "base/alloc.h"
#include "connect/file.h"

// ---- patterns ----

// Takes a set such as [a-z] from the front of *pattern. A '[' without its ']' stands for itself.
static bool match_set(tarn_slice *pattern, uint8_t byte) {
    tarn_slice rest = tarn_slice_skip(*pattern, 1);
    bool negated = rest.len > 0 && (rest.data[0] == '!' || rest.data[0] == '^');
    if (negated) rest = tarn_slice_skip(rest, 1);
    const uint8_t *end = rest.len > 1 ? memchr(rest.data + 1, ']', rest.len - 1) : NULL;
    if (end == NULL) {
        *pattern = tarn_slice_skip(*pattern, 1);
        return byte == '[';
    }
    size_t len = (size_t)(end - rest.data);
    bool found = false;
    for (size_t i = 0; i < len; i++) {
        if (i + 2 < len && rest.data[i + 1] == '-') {
            found |= byte >= rest.data[i] && byte <= rest.data[i + 2];
            i += 2;
        } else {
            found |= byte == rest.data[i];
        }
    }
    *pattern = tarn_slice_skip(rest, len + 1);
    return found != negated;
}

// Whether the first byte of *name fits the front of *pattern, which is not '*'; takes both.
static bool match_one(tarn_slice *pattern, tarn_slice *name) {
    if (name->len == 0) return false;
    uint8_t byte = name->data[0];
    *name = tarn_slice_skip(*name, 1);
    if (pattern->data[0] == '[') return match_set(pattern, byte);
    bool fits = pattern->data[0] == '?' || pattern->data[0] == byte;
    *pattern = tarn_slice_skip(*pattern, 1);
    return fits;
}

bool file_pattern_match(tarn_slice pattern, tarn_slice name) {
    // A hidden name wants to be named.
    if (name.len > 0 && name.data[0] == '.' && (pattern.len == 0 || pattern.data[0] != '.')) {
        return false;
    }
    tarn_slice star_pattern = {0}; // behind the last '*'
    tarn_slice star_name = {0};    // where its match ends; one byte further at each retry
    bool has_star = false;
    while (name.len > 0 || pattern.len > 0) {
        if (pattern.len > 0 && pattern.data[0] == '*') {
            pattern = tarn_slice_skip(pattern, 1);
            star_pattern = pattern;
            star_name = name;
            has_star = true;
            continue;
        }
        if (pattern.len > 0 && match_one(&pattern, &name)) continue;
        if (!has_star || star_name.len == 0) return false;
        star_name = tarn_slice_skip(star_name, 1);
        name = star_name;
        pattern = star_pattern;
    }
    return true;
}

static bool is_pattern(tarn_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '*' || text.data[i] == '?' || text.data[i] == '[') return true;
    }
    return false;
}

// ---- finding ----

typedef struct finder {
    tarn_os *os;
    tarn_arena *arena;
    tarn_slice root;
    file_entry *entries;
    size_t count;
    size_t capacity;
} finder;

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "out of memory while listing files");
}

static tarn_status join_path(finder *find, tarn_slice directory, tarn_slice name,
                             tarn_slice *ret_path, tarn_error *err) {
    if (name.len == 0) {
        *ret_path = directory;
        return TARN_OK;
    }
    bool slash = directory.len > 0 && directory.data[directory.len - 1] != '/';
    bool ok = tarn_arena_printf(find->arena, ret_path, TARN_SLICE_FMT "%s" TARN_SLICE_FMT,
                                TARN_SLICE_ARG(directory), slash ? "/" : "", TARN_SLICE_ARG(name));
    return ok ? TARN_OK : no_memory(err);
}

static tarn_status add_file(finder *find, tarn_slice name, uint64_t size_bytes, tarn_error *err) {
    if (find->count == find->capacity) {
        size_t capacity = find->capacity == 0 ? 16 : find->capacity * 2;
        file_entry *entries = tarn_arena_new(find->arena, file_entry, capacity);
        if (entries == NULL) return no_memory(err);
        if (find->count > 0) memcpy(entries, find->entries, find->count * sizeof *entries);
        find->entries = entries;
        find->capacity = capacity;
    }
    find->entries[find->count++] = (file_entry){.name = name, .size_bytes = size_bytes};
    return TARN_OK;
}

// Adds the files below `directory` (relative to the root) that fit `pattern`, part by part. Depth
// is the pattern's number of parts.
static tarn_status expand(finder *find, tarn_slice directory, tarn_slice pattern, tarn_error *err) {
    const uint8_t *slash = memchr(pattern.data, '/', pattern.len);
    size_t part_len = slash == NULL ? pattern.len : (size_t)(slash - pattern.data);
    tarn_slice part = tarn_slice_head(pattern, part_len);
    tarn_slice path;
    TARN_TRY(join_path(find, find->root, directory, &path, err));
    tarn_slice *names = NULL;
    size_t count = 0;
    TARN_TRY(tarn_os_list(find->os, path, find->arena, &names, &count, err));
    for (size_t i = 0; i < count; i++) {
        if (!file_pattern_match(part, names[i]) || tarn_draft_is_name(names[i])) continue;
        tarn_slice name;
        tarn_slice full;
        tarn_file_info info;
        TARN_TRY(join_path(find, directory, names[i], &name, err));
        TARN_TRY(join_path(find, path, names[i], &full, err));
        TARN_TRY(tarn_os_stat(find->os, full, &info, err));
        if (!info.exists) continue;
        if (slash == NULL && !info.is_directory) {
            TARN_TRY(add_file(find, name, info.size_bytes, err));
        } else if (slash != NULL && info.is_directory) {
            TARN_TRY(expand(find, name, tarn_slice_skip(pattern, part_len + 1), err));
        }
    }
    return TARN_OK;
}

// Writers of other engines mark what is not data with '_' and '.'.
static bool is_data_name(tarn_slice name) {
    return name.len > 0 && name.data[0] != '.' && name.data[0] != '_';
}

static tarn_status list_directory(finder *find, tarn_error *err) {
    TARN_TRY(expand(find, (tarn_slice){0}, TARN_LIT("*"), err));
    size_t kept = 0;
    for (size_t i = 0; i < find->count; i++) {
        if (is_data_name(find->entries[i].name)) find->entries[kept++] = find->entries[i];
    }
    find->count = kept;
    return TARN_OK;
}

// Sorts by name; listings are sorted already, only patterns over several directories are not.
static void sort_entries(file_entry *entries, size_t count) {
    for (size_t i = 1; i < count; i++) {
        file_entry entry = entries[i];
        size_t at = i;
        while (at > 0 && tarn_slice_compare(entries[at - 1].name, entry.name) > 0) {
            entries[at] = entries[at - 1];
            at--;
        }
        entries[at] = entry;
    }
}

// Cuts `path` into a directory without pattern characters and the rest.
static void split_path(tarn_slice path, tarn_slice *ret_directory, tarn_slice *ret_rest) {
    size_t cut = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '/') continue;
        if (is_pattern(tarn_slice_head(path, i))) break;
        cut = i + 1;
    }
    *ret_directory = tarn_slice_head(path, cut);
    *ret_rest = tarn_slice_skip(path, cut);
    // "dir/" is the directory "dir".
    while (ret_directory->len > 1 && ret_directory->data[ret_directory->len - 1] == '/') {
        ret_directory->len--;
    }
}

// Only `path` may be a pattern: the base is the name of one directory, whatever is in it.
static tarn_status find_files(finder *find, tarn_slice base, tarn_slice path, tarn_error *err) {
    tarn_slice rest;
    tarn_slice full = path;
    split_path(path, &find->root, &rest);
    if (path.data[0] != '/' && base.len > 0) {
        TARN_TRY(join_path(find, base, find->root, &find->root, err));
        TARN_TRY(join_path(find, base, path, &full, err));
    }
    if (find->root.len == 0) find->root = TARN_LIT(".");
    if (is_pattern(rest)) return expand(find, (tarn_slice){0}, rest, err);
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(find->os, full, &info, err));
    if (!info.exists) {
        tarn_status status =
            tarn_fail(err, TARN_INVALID, "there is no file or directory '" TARN_SLICE_FMT "'",
                      TARN_SLICE_ARG(full));
        tarn_error_locate(err, "58P01", 0);
        return status;
    }
    if (!info.is_directory) return add_file(find, rest, info.size_bytes, err);
    find->root = full;
    return list_directory(find, err);
}

tarn_status file_list_find(tarn_os *os, tarn_slice base_directory, tarn_slice path,
                           tarn_arena *arena, file_list *ret_list, tarn_error *err) {
    finder find = {.os = os, .arena = arena};
    TARN_TRY(find_files(&find, base_directory, path, err));
    if (find.count == 0) {
        bool is_relative = path.data[0] != '/' && base_directory.len > 0;
        tarn_status status =
            tarn_fail(err, TARN_INVALID, "no file fits '" TARN_SLICE_FMT "'%s" TARN_SLICE_FMT,
                      TARN_SLICE_ARG(path), is_relative ? " below " : "",
                      TARN_SLICE_ARG(is_relative ? base_directory : (tarn_slice){0}));
        tarn_error_locate(err, "58P01", 0);
        return status;
    }
    sort_entries(find.entries, find.count);
    *ret_list = (file_list){.root = find.root, .entries = find.entries, .count = find.count};
    return TARN_OK;
}
