// place.h - naming the place of a bad record in a message.
#ifndef TARN_FORMAT_TEXT_PLACE_H
#define TARN_FORMAT_TEXT_PLACE_H

#include "io/io.h"

// "csv file 'a.csv': line 3, column 2 ('price'), byte 57: ". Column 0 is left out, an empty name
// too.
typedef struct text_place {
    const char *format; // "csv"
    tarn_slice file;
    uint64_t line;
    uint64_t column;
    tarn_slice column_name;
    uint64_t byte_offset;
} text_place;

static inline void text_place_prefix(const text_place *place, tarn_error *err) {
    char column[160] = "";
    // Long names are cut: the message has more to say.
    int name_len = place->column_name.len < 100 ? (int)place->column_name.len : 100;
    if (place->column > 0 && name_len > 0) {
        (void)snprintf(column, sizeof column, ", column %llu ('%.*s')",
                       (unsigned long long)place->column, name_len,
                       (const char *)place->column_name.data);
    } else if (place->column > 0) {
        (void)snprintf(column, sizeof column, ", column %llu", (unsigned long long)place->column);
    }
    tarn_error_prefix(err, "%s file '" TARN_SLICE_FMT "': line %llu%s, byte %llu: ", place->format,
                      TARN_SLICE_ARG(place->file), (unsigned long long)place->line, column,
                      (unsigned long long)place->byte_offset);
}

#endif
