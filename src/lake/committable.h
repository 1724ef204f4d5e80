// committable.h - what a writer prepared, as bytes that survive a restart.
// Format: docs/formats/committable.md. Committables may be put one behind the other; a commit takes
// them all.
#ifndef TARN_LAKE_COMMITTABLE_H
#define TARN_LAKE_COMMITTABLE_H

#include "lake/manifest.h"

// Appends one committable.
TARN_MUST_USE tarn_status lake_committable_encode(const lake_entry *const *entries, size_t count,
                                                  const tarn_alloc *alloc, tarn_buffer *out,
                                                  tarn_error *err);
// Decodes all of `bytes`; entries of several committables come one after the other. Empty bytes
// have none.
TARN_MUST_USE tarn_status lake_committable_decode(tarn_slice bytes, const tarn_alloc *alloc,
                                                  tarn_arena *arena, lake_entry **ret_entries,
                                                  size_t *ret_count, tarn_error *err);

#endif
