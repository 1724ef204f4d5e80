#include "kv/mem/tree.h"

#include <inttypes.h>

#include "base/alloc.h"

static mem_leaf *as_leaf(mem_node *node) {
    return (mem_leaf *)(void *)node; // its first member
}

static mem_inner *as_inner(mem_node *node) {
    return (mem_inner *)(void *)node; // its first member
}

static mem_record *record_at(const mem_leaf *leaf, uint32_t index) {
    return atomic_load_explicit(&leaf->records[index], memory_order_acquire);
}

static mem_node *child_at(const mem_inner *inner, uint32_t index) {
    return atomic_load_explicit(&inner->children[index], memory_order_acquire);
}

static tarn_slice separator_key(const mem_separator *separator) {
    return (tarn_slice){separator->bytes, separator->len};
}

static tarn_slice key_at(mem_node *node, uint32_t index) {
    return node->is_leaf ? mem_record_key(record_at(as_leaf(node), index))
                         : separator_key(as_inner(node)->separators[index]);
}

int mem_tree_compare(const mem_tree *tree, tarn_slice a, tarn_slice b) {
    const tarn_kv_comparator *comparator = tree->comparator;
    return comparator == NULL ? tarn_slice_compare(a, b)
                              : comparator->compare(comparator->context, a, b);
}

// ---- memory ----

static size_t node_bytes(const mem_node *node) {
    return node->is_leaf ? sizeof(mem_leaf) : sizeof(mem_inner);
}

static void free_node(const mem_tree *tree, mem_node *node) {
    if (node != NULL) tarn_alloc_release(tree->alloc, node, node_bytes(node), 1);
}

static void free_separator(const mem_tree *tree, mem_separator *separator) {
    if (separator == NULL) return;
    tarn_alloc_release(tree->alloc, separator, sizeof *separator + separator->len, 1);
}

static void free_retired_node(void *context, kv_retired *retired) {
    free_node(context, (mem_node *)(void *)retired); // its first member
}

static void free_retired_separator(void *context, kv_retired *retired) {
    free_separator(context, (mem_separator *)(void *)retired); // its first member
}

static mem_leaf *new_leaf(const mem_tree *tree) {
    mem_leaf *leaf = tree->alloc->acquire(tree->alloc->context, sizeof *leaf);
    if (leaf == NULL) return NULL;
    memset((void *)&leaf->node, 0, offsetof(mem_node, heads));
    leaf->node.is_leaf = 1;
    return leaf;
}

static mem_inner *new_inner(const mem_tree *tree) {
    mem_inner *inner = tree->alloc->acquire(tree->alloc->context, sizeof *inner);
    if (inner == NULL) return NULL;
    memset((void *)&inner->node, 0, offsetof(mem_node, heads));
    return inner;
}

static mem_separator *new_separator(const mem_tree *tree, tarn_slice key) {
    mem_separator *separator = tarn_alloc_zeroed(tree->alloc, sizeof *separator + key.len, 1);
    if (separator == NULL) return NULL;
    separator->len = (uint32_t)key.len;
    if (key.len > 0) memcpy(separator->bytes, key.data, key.len);
    return separator;
}

static void retire_node(mem_tree *tree, mem_node *node) {
    kv_epoch_retire(tree->epoch, &node->retired, free_retired_node, tree);
}

// ---- heads ----

static uint64_t head_of(tarn_slice key, size_t prefix_len) {
    if (key.len >= prefix_len + 8) return tarn_load_u64_be(key.data + prefix_len);
    uint8_t bytes[8] = {0};
    if (key.len > prefix_len) memcpy(bytes, key.data + prefix_len, key.len - prefix_len);
    return tarn_load_u64_be(bytes);
}

static size_t common_len(tarn_slice a, tarn_slice b) {
    size_t limit = a.len < b.len ? a.len : b.len;
    size_t len = 0;
    while (len < limit && a.data[len] == b.data[len]) len++;
    return len;
}

// Sets prefix and heads of a node whose keys are in place. With a comparator all heads are 0 and
// decide nothing.
static void summarize(const mem_tree *tree, mem_node *node) {
    node->prefix_len = 0;
    if (node->count == 0) return;
    if (tree->comparator != NULL) {
        memset(node->heads, 0, node->count * sizeof node->heads[0]);
        return;
    }
    tarn_slice first = key_at(node, 0);
    size_t prefix_len = common_len(first, key_at(node, node->count - 1));
    if (prefix_len > MEM_PREFIX_MAX) prefix_len = MEM_PREFIX_MAX;
    node->prefix_len = (uint8_t)prefix_len;
    if (prefix_len > 0) memcpy(node->prefix, first.data, prefix_len);
    for (uint32_t i = 0; i < node->count; i++) {
        node->heads[i] = head_of(key_at(node, i), prefix_len);
    }
}

// How many heads are below `head`. Without branches that depend on the keys.
static uint32_t count_below(const uint64_t *heads, uint32_t count, uint64_t head) {
    const uint64_t *base = heads;
    while (count > 1) {
        uint32_t half = count / 2;
        base += base[half - 1] < head ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - heads) + (count == 1 && *base < head ? 1 : 0);
}

// How many keys of the node are < `key`, or with `or_equal` <= `key`.
static uint32_t count_before(const mem_tree *tree, mem_node *node, tarn_slice key, bool or_equal) {
    uint32_t begin = 0;
    uint32_t end = node->count;
    if (tree->comparator == NULL) {
        size_t len = key.len < node->prefix_len ? key.len : node->prefix_len;
        int order = len == 0 ? 0 : memcmp(key.data, node->prefix, len);
        if (order == 0 && len < node->prefix_len) order = -1;
        if (order != 0) return order < 0 ? 0 : node->count;
        uint64_t head = head_of(key, node->prefix_len);
        begin = count_below(node->heads, node->count, head);
        end = begin;
        while (end < node->count && node->heads[end] == head) end++;
    }
    // Those in between are told apart by all of their bytes.
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        int order = mem_tree_compare(tree, key_at(node, middle), key);
        if (order < 0 || (or_equal && order == 0)) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

// ---- reading ----

static void prefetch_node(const mem_node *node) {
    // The lines are asked for together: waiting for each after the other is what a search costs.
    const char *bytes = (const char *)node;
    for (size_t i = 0; i < sizeof(mem_node); i += 64) __builtin_prefetch(bytes + i);
}

static mem_node *root_of(const mem_tree *tree) {
    return atomic_load_explicit(&tree->root, memory_order_acquire);
}

mem_record *mem_tree_get(const mem_tree *tree, tarn_slice key) {
    mem_node *node = root_of(tree);
    while (!node->is_leaf) {
        node = child_at(as_inner(node), count_before(tree, node, key, true));
        prefetch_node(node);
    }
    mem_leaf *leaf = as_leaf(node);
    if (tree->comparator != NULL) {
        uint32_t i = count_before(tree, node, key, false);
        mem_record *record = i < node->count ? record_at(leaf, i) : NULL;
        bool is_it = record != NULL && mem_tree_compare(tree, mem_record_key(record), key) == 0;
        return is_it ? record : NULL;
    }
    // The prefix need not be looked at: a key without it finds no record that is equal.
    uint64_t head = head_of(key, node->prefix_len);
    uint32_t i = count_below(node->heads, node->count, head);
    for (; i < node->count && node->heads[i] == head; i++) {
        mem_record *record = record_at(leaf, i);
        if (tarn_slice_equal(mem_record_key(record), key)) return record;
    }
    return NULL;
}

static mem_node *step_down(mem_path *path, mem_node *node, uint32_t child) {
    tarn_assert(path->depth < MEM_HEIGHT_MAX);
    path->above[path->depth].node = as_inner(node);
    path->above[path->depth].child = child;
    path->depth++;
    mem_node *next = child_at(as_inner(node), child);
    prefetch_node(next);
    return next;
}

void mem_tree_find(const mem_tree *tree, tarn_slice key, mem_path *ret_path) {
    ret_path->depth = 0;
    mem_node *node = root_of(tree);
    while (!node->is_leaf) {
        node = step_down(ret_path, node, count_before(tree, node, key, true));
    }
    ret_path->leaf = as_leaf(node);
    ret_path->index = count_before(tree, node, key, false);
    ret_path->is_exact = false;
    if (ret_path->index < node->count) {
        tarn_slice found = mem_record_key(mem_path_record(ret_path));
        ret_path->is_exact = mem_tree_compare(tree, found, key) == 0;
    }
}

static void descend_to_first(mem_path *path, mem_node *node) {
    while (!node->is_leaf) node = step_down(path, node, 0);
    path->leaf = as_leaf(node);
    path->index = 0;
    path->is_exact = false;
}

static void descend_to_last(mem_path *path, mem_node *node) {
    while (!node->is_leaf) node = step_down(path, node, node->count);
    path->leaf = as_leaf(node);
    path->index = node->count;
    path->is_exact = false;
}

void mem_tree_find_first(const mem_tree *tree, mem_path *ret_path) {
    ret_path->depth = 0;
    descend_to_first(ret_path, root_of(tree));
}

void mem_tree_find_end(const mem_tree *tree, mem_path *ret_path) {
    ret_path->depth = 0;
    descend_to_last(ret_path, root_of(tree));
}

bool mem_path_next_leaf(mem_path *path) {
    uint32_t level = path->depth;
    while (level > 0) {
        level--;
        mem_inner *inner = path->above[level].node;
        uint32_t child = path->above[level].child + 1;
        if (child > inner->node.count) continue;
        path->depth = level;
        descend_to_first(path, step_down(path, &inner->node, child));
        return true;
    }
    return false;
}

bool mem_path_prev_leaf(mem_path *path) {
    uint32_t level = path->depth;
    while (level > 0) {
        level--;
        mem_inner *inner = path->above[level].node;
        uint32_t child = path->above[level].child;
        if (child == 0) continue;
        path->depth = level;
        descend_to_last(path, step_down(path, &inner->node, child - 1));
        return true;
    }
    return false;
}

// ---- changing the shape ----

// What a change puts in the place of the child `above[level].child`, or of the root: one node or
// two with a separator between them. Nothing is visible before install.
typedef struct change {
    mem_node *left;
    mem_node *right; // NULL: one node
    mem_separator *separator;
    mem_node *made[2 * MEM_HEIGHT_MAX]; // to free when it fails
    uint32_t made_count;
    mem_node *replaced[MEM_HEIGHT_MAX + 1];
    uint32_t replaced_count;
    mem_separator *separators[MEM_HEIGHT_MAX];
    uint32_t separator_count;
} change;

static void abandon(const mem_tree *tree, change *c) {
    for (uint32_t i = 0; i < c->made_count; i++) free_node(tree, c->made[i]);
    for (uint32_t i = 0; i < c->separator_count; i++) free_separator(tree, c->separators[i]);
}

static mem_leaf *make_leaf(const mem_tree *tree, change *c) {
    mem_leaf *leaf = new_leaf(tree);
    if (leaf != NULL) c->made[c->made_count++] = &leaf->node;
    return leaf;
}

static mem_inner *make_inner(const mem_tree *tree, change *c) {
    mem_inner *inner = new_inner(tree);
    if (inner != NULL) c->made[c->made_count++] = &inner->node;
    return inner;
}

// The shortest key that is > `left` and <= `right`: what tells the two leaves apart.
static mem_separator *make_separator(const mem_tree *tree, tarn_slice left, tarn_slice right,
                                     change *c) {
    if (tree->comparator == NULL) right = tarn_slice_head(right, common_len(left, right) + 1);
    mem_separator *separator = new_separator(tree, right);
    if (separator != NULL) c->separators[c->separator_count++] = separator;
    return separator;
}

static void fill_leaf(const mem_tree *tree, mem_leaf *leaf, mem_record *const *records,
                      uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        atomic_store_explicit(&leaf->records[i], records[i], memory_order_relaxed);
    }
    leaf->node.count = count;
    summarize(tree, &leaf->node);
}

static bool insert_into_leaf(const mem_tree *tree, const mem_path *path, mem_record *record,
                             change *c) {
    mem_record *records[MEM_FANOUT + 1];
    uint32_t count = path->leaf->node.count;
    for (uint32_t i = 0; i < count; i++) {
        records[i < path->index ? i : i + 1] = record_at(path->leaf, i);
    }
    records[path->index] = record;
    count++;
    c->replaced[c->replaced_count++] = &path->leaf->node;
    mem_leaf *left = make_leaf(tree, c);
    if (left == NULL) return false;
    c->left = &left->node;
    if (count <= MEM_FANOUT) {
        fill_leaf(tree, left, records, count);
        return true;
    }
    // Keys that come in order leave full leaves behind.
    uint32_t left_count = path->index == MEM_FANOUT ? MEM_FANOUT : count / 2;
    mem_leaf *right = make_leaf(tree, c);
    if (right == NULL) return false;
    fill_leaf(tree, left, records, left_count);
    fill_leaf(tree, right, records + left_count, count - left_count);
    c->right = &right->node;
    c->separator = make_separator(tree, mem_record_key(records[left_count - 1]),
                                  mem_record_key(records[left_count]), c);
    return c->separator != NULL;
}

typedef struct inner_parts {
    uint32_t count; // separators
    mem_separator *separators[MEM_FANOUT + 1];
    mem_node *children[MEM_FANOUT + 2];
} inner_parts;

static void fill_inner(const mem_tree *tree, mem_inner *inner, const inner_parts *parts,
                       uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) inner->separators[i] = parts->separators[first + i];
    for (uint32_t i = 0; i <= count; i++) {
        atomic_store_explicit(&inner->children[i], parts->children[first + i],
                              memory_order_relaxed);
    }
    inner->node.count = count;
    summarize(tree, &inner->node);
}

// Puts the two nodes of `c` and their separator into a copy of the inner node; when that is too
// full, into two, and `c` holds these afterwards.
static bool insert_into_inner(const mem_tree *tree, mem_inner *inner, uint32_t child, change *c) {
    inner_parts parts = {.count = inner->node.count + 1};
    for (uint32_t i = 0; i < inner->node.count; i++) {
        parts.separators[i < child ? i : i + 1] = inner->separators[i];
    }
    for (uint32_t i = 0; i <= inner->node.count; i++) {
        parts.children[i <= child ? i : i + 1] = child_at(inner, i);
    }
    parts.separators[child] = c->separator;
    parts.children[child] = c->left;
    parts.children[child + 1] = c->right;
    c->replaced[c->replaced_count++] = &inner->node;
    c->right = NULL;
    c->separator = NULL;
    mem_inner *left = make_inner(tree, c);
    if (left == NULL) return false;
    c->left = &left->node;
    if (parts.count <= MEM_FANOUT) {
        fill_inner(tree, left, &parts, 0, parts.count);
        return true;
    }
    uint32_t left_count = child == MEM_FANOUT ? MEM_FANOUT - 1 : parts.count / 2;
    mem_inner *right = make_inner(tree, c);
    if (right == NULL) return false;
    fill_inner(tree, left, &parts, 0, left_count);
    fill_inner(tree, right, &parts, left_count + 1, parts.count - left_count - 1);
    c->right = &right->node;
    c->separator = parts.separators[left_count]; // moves up
    return true;
}

// A root above two nodes.
static bool grow_root(const mem_tree *tree, change *c) {
    mem_inner *root = make_inner(tree, c);
    if (root == NULL) return false;
    inner_parts parts = {.count = 1};
    parts.separators[0] = c->separator;
    parts.children[0] = c->left;
    parts.children[1] = c->right;
    fill_inner(tree, root, &parts, 0, 1);
    c->left = &root->node;
    c->right = NULL;
    c->separator = NULL;
    return true;
}

// Makes the change visible with one store, at `level` of the path: in the inner node there, or as
// the root.
static void install(mem_tree *tree, const mem_path *path, uint32_t level, const change *c) {
    if (level == 0) {
        atomic_store_explicit(&tree->root, c->left, memory_order_release);
    } else {
        mem_inner *inner = path->above[level - 1].node;
        uint32_t child = path->above[level - 1].child;
        atomic_store_explicit(&inner->children[child], c->left, memory_order_release);
    }
    for (uint32_t i = 0; i < c->replaced_count; i++) retire_node(tree, c->replaced[i]);
}

tarn_status mem_tree_insert(mem_tree *tree, const mem_path *path, mem_record *record,
                            tarn_error *err) {
    change c;
    c.right = NULL;
    c.separator = NULL;
    c.made_count = 0;
    c.replaced_count = 0;
    c.separator_count = 0;
    bool is_made = insert_into_leaf(tree, path, record, &c);
    uint32_t level = path->depth;
    while (is_made && c.right != NULL && level > 0) {
        level--;
        is_made = insert_into_inner(tree, path->above[level].node, path->above[level].child, &c);
    }
    if (is_made && c.right != NULL) is_made = grow_root(tree, &c);
    if (!is_made) {
        abandon(tree, &c);
        return tarn_fail(err, TARN_NO_MEMORY, "no memory for another key");
    }
    install(tree, path, level, &c);
    return TARN_OK;
}

// The leaf has become empty: takes it out of the inner nodes above, with those that are left
// without a child. The root leaf stays.
static bool remove_leaf(mem_tree *tree, const mem_path *path) {
    change c;
    c.made_count = 0;
    c.replaced_count = 0;
    c.separator_count = 0;
    c.replaced[c.replaced_count++] = &path->leaf->node;
    uint32_t level = path->depth;
    while (level > 0 && path->above[level - 1].node->node.count == 0) {
        level--;
        c.replaced[c.replaced_count++] = &path->above[level].node->node;
    }
    if (level == 0) {
        mem_leaf *root = make_leaf(tree, &c);
        if (root == NULL) return false;
        c.left = &root->node;
        install(tree, path, 0, &c);
        return true;
    }
    level--;
    mem_inner *inner = path->above[level].node;
    uint32_t child = path->above[level].child;
    uint32_t dropped = child == 0 ? 0 : child - 1; // the separator that goes with it
    mem_inner *copy = make_inner(tree, &c);
    if (copy == NULL) return false;
    inner_parts parts = {.count = inner->node.count - 1};
    for (uint32_t i = 0, j = 0; i < inner->node.count; i++) {
        if (i != dropped) parts.separators[j++] = inner->separators[i];
    }
    for (uint32_t i = 0, j = 0; i <= inner->node.count; i++) {
        if (i != child) parts.children[j++] = child_at(inner, i);
    }
    fill_inner(tree, copy, &parts, 0, parts.count);
    c.left = &copy->node;
    c.replaced[c.replaced_count++] = &inner->node;
    mem_separator *gone = inner->separators[dropped];
    install(tree, path, level, &c);
    kv_epoch_retire(tree->epoch, &gone->retired, free_retired_separator, tree);
    return true;
}

// An inner root with one child is of no use.
static void shrink_root(mem_tree *tree) {
    mem_node *root = root_of(tree);
    while (!root->is_leaf && root->count == 0) {
        mem_node *child = child_at(as_inner(root), 0);
        atomic_store_explicit(&tree->root, child, memory_order_release);
        retire_node(tree, root);
        root = child;
    }
}

bool mem_tree_remove(mem_tree *tree, const mem_path *path) {
    uint32_t count = path->leaf->node.count;
    if (count == 1 && path->depth > 0) {
        if (!remove_leaf(tree, path)) return false;
        shrink_root(tree);
        return true;
    }
    change c;
    c.made_count = 0;
    c.replaced_count = 0;
    mem_leaf *copy = make_leaf(tree, &c);
    if (copy == NULL) return false;
    mem_record *records[MEM_FANOUT];
    for (uint32_t i = 0, j = 0; i < count; i++) {
        if (i != path->index) records[j++] = record_at(path->leaf, i);
    }
    fill_leaf(tree, copy, records, count - 1);
    c.left = &copy->node;
    c.replaced[c.replaced_count++] = &path->leaf->node;
    install(tree, path, path->depth, &c);
    return true;
}

// ---- the whole ----

tarn_status mem_tree_init(mem_tree *tree, const tarn_alloc *alloc, kv_epoch *epoch,
                          const tarn_kv_comparator *comparator, tarn_error *err) {
    *tree = (mem_tree){.alloc = alloc, .epoch = epoch, .comparator = comparator};
    mem_leaf *root = new_leaf(tree);
    if (root == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for a column family");
    atomic_init(&tree->root, &root->node);
    return TARN_OK;
}

void mem_tree_reset(mem_tree *tree, void (*visit)(void *context, mem_record *record),
                    void *context) {
    if (root_of(tree) == NULL) return;
    // The deepest nodes first: a path without the leaf, down along the last children.
    mem_node *stack[MEM_HEIGHT_MAX * (MEM_FANOUT + 1)];
    size_t height = 0;
    stack[height++] = root_of(tree);
    while (height > 0) {
        mem_node *node = stack[--height];
        if (node->is_leaf) {
            for (uint32_t i = 0; i < node->count; i++) visit(context, record_at(as_leaf(node), i));
        } else {
            mem_inner *inner = as_inner(node);
            for (uint32_t i = 0; i < node->count; i++) free_separator(tree, inner->separators[i]);
            for (uint32_t i = 0; i <= node->count; i++) stack[height++] = child_at(inner, i);
        }
        free_node(tree, node);
    }
    atomic_store(&tree->root, NULL);
}

// ---- checking ----

static tarn_status check_node(const mem_tree *tree, mem_node *node, const tarn_slice *low,
                              const tarn_slice *high, tarn_error *err) {
    for (uint32_t i = 0; i < node->count; i++) {
        tarn_slice key = key_at(node, i);
        bool is_ordered = i == 0 || mem_tree_compare(tree, key_at(node, i - 1), key) < 0;
        bool is_inside = (low == NULL || mem_tree_compare(tree, *low, key) <= 0) &&
                         (high == NULL || mem_tree_compare(tree, key, *high) < 0);
        bool has_head =
            tree->comparator != NULL ||
            (key.len >= node->prefix_len && memcmp(key.data, node->prefix, node->prefix_len) == 0 &&
             head_of(key, node->prefix_len) == node->heads[i]);
        if (!is_ordered || !is_inside || !has_head) {
            return tarn_fail(err, TARN_CORRUPT,
                             "memory: key %" PRIu32 " of %" PRIu32 " in a node is out of its place",
                             i, node->count);
        }
    }
    return TARN_OK;
}

static tarn_status check_below(const mem_tree *tree, mem_node *node, const tarn_slice *low,
                               const tarn_slice *high, uint64_t *record_count, tarn_error *err) {
    TARN_TRY(check_node(tree, node, low, high, err));
    if (node->is_leaf) {
        *record_count += node->count;
        return TARN_OK;
    }
    // As deep as the tree, which is at most MEM_HEIGHT_MAX.
    for (uint32_t i = 0; i <= node->count; i++) {
        tarn_slice from = {NULL, 0};
        if (i > 0) from = key_at(node, i - 1);
        tarn_slice to = {NULL, 0};
        if (i < node->count) to = key_at(node, i);
        TARN_TRY(check_below(tree, child_at(as_inner(node), i), i == 0 ? low : &from,
                             i == node->count ? high : &to, record_count, err));
    }
    return TARN_OK;
}

tarn_status mem_tree_check(const mem_tree *tree, uint64_t *ret_record_count, tarn_error *err) {
    uint64_t record_count = 0;
    TARN_TRY(check_below(tree, root_of(tree), NULL, NULL, &record_count, err));
    *ret_record_count = record_count;
    return TARN_OK;
}
