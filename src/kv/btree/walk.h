// walk.h - looks at every page of a tree and checks every rule: order and bounds of keys, levels,
// counts, that no page is in it twice.
#ifndef TARN_KV_BTREE_WALK_H
#define TARN_KV_BTREE_WALK_H

#include "kv/btree/tree.h"

// Marks the pages of the tree as free in `seen`, which is as long as the file and in which no page
// of it is free yet. With `reread` the checksums of what lies in the file are computed again, by
// the leader. TARN_CORRUPT names file, page and rule.
TARN_MUST_USE tarn_status btree_walk(btree_pages *pages, const btree_root *root,
                                     const tarn_kv_comparator *comparator, bool reread,
                                     btree_space *seen, tarn_error *err);

#endif
