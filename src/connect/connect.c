#include "connect/connect.h"

#include "connect/file.h"

static const char *const names[] = {"file"};

const tarn_connector *tarn_connector_find(tarn_slice name) {
    if (tarn_slice_equal(name, TARN_LIT("file"))) return &connect_file;
    return NULL;
}

const char *const *tarn_connector_names(size_t *ret_count) {
    *ret_count = sizeof names / sizeof names[0];
    return names;
}
