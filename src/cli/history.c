#include "cli/history.h"

#define FILE_BYTES_MAX ((size_t)16 << 20)

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory for the history");
}

// ---- one entry, one line ----

static bool append_escaped(tarn_slice entry, tarn_buffer *out) {
    for (size_t i = 0; i < entry.len; i++) {
        uint8_t byte = entry.data[i];
        bool fits = byte == '\n'   ? tarn_buffer_append(out, TARN_LIT("\\n"))
                    : byte == '\\' ? tarn_buffer_append(out, TARN_LIT("\\\\"))
                                   : tarn_buffer_append_byte(out, byte);
        if (!fits) return false;
    }
    return tarn_buffer_append_byte(out, '\n');
}

// In place: what is not escaped is never longer.
static tarn_slice unescape(uint8_t *line, size_t len) {
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = line[i];
        if (byte == '\\' && i + 1 < len) {
            byte = line[++i];
            if (byte == 'n') byte = '\n';
        }
        line[kept++] = byte;
    }
    line[kept] = '\0'; // where the newline was, or the NUL behind the copy
    return (tarn_slice){line, kept};
}

// ---- the file ----

static tarn_status write_all(tarn_os *os, tarn_slice path, tarn_open_mode mode, tarn_slice bytes,
                             tarn_error *err) {
    tarn_file *file = NULL;
    TARN_TRY(tarn_os_open(os, path, mode, &file, err));
    tarn_status status = tarn_file_append(file, bytes, err);
    tarn_status closed = tarn_file_close(file, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? closed : status;
}

// In place, so that the file keeps its owner and permissions.
static tarn_status rewrite(tarn_os *os, tarn_slice path, const tarn_slice *entries, size_t count,
                           tarn_error *err) {
    tarn_buffer text = {0};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        if (!append_escaped(entries[i], &text)) status = no_memory(err);
    }
    if (status == TARN_OK) {
        status = write_all(os, path, TARN_OPEN_TRUNCATE, tarn_buffer_slice(&text), err);
    }
    tarn_buffer_free(&text);
    return status;
}

static size_t count_lines(tarn_slice bytes) {
    size_t count = 0;
    for (size_t i = 0; i < bytes.len; i++) count += bytes.data[i] == '\n';
    return count + 1; // the last line may lack its newline
}

tarn_status cli_history_load(tarn_os *os, tarn_slice path, tarn_arena *arena,
                             tarn_slice **ret_entries, size_t *ret_count, tarn_error *err) {
    tarn_file_info info;
    TARN_TRY(tarn_os_stat(os, path, &info, err));
    *ret_entries = NULL;
    *ret_count = 0;
    if (!info.exists) return TARN_OK;
    tarn_slice bytes;
    TARN_TRY(tarn_os_read_file(os, path, FILE_BYTES_MAX, arena, &bytes, err));
    tarn_slice *entries = tarn_arena_new(arena, tarn_slice, count_lines(bytes));
    uint8_t *text = tarn_arena_new(arena, uint8_t, bytes.len + 1);
    if (entries == NULL || text == NULL) return no_memory(err);
    if (bytes.len > 0) memcpy(text, bytes.data, bytes.len);
    size_t count = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= bytes.len; i++) {
        if (i < bytes.len && text[i] != '\n') continue;
        if (i > begin) entries[count++] = unescape(text + begin, i - begin);
        begin = i + 1;
    }
    size_t dropped = count > CLI_HISTORY_ENTRIES_MAX ? count - CLI_HISTORY_ENTRIES_MAX : 0;
    if (dropped >= CLI_HISTORY_ENTRIES_MAX) {
        TARN_TRY(rewrite(os, path, entries + dropped, count - dropped, err));
    }
    *ret_entries = entries + dropped;
    *ret_count = count - dropped;
    return TARN_OK;
}

tarn_status cli_history_add(tarn_os *os, tarn_slice path, tarn_slice entry, tarn_error *err) {
    tarn_buffer line = {0};
    tarn_status status = append_escaped(entry, &line) ? TARN_OK : no_memory(err);
    if (status == TARN_OK) {
        status = write_all(os, path, TARN_OPEN_PRIVATE, tarn_buffer_slice(&line), err);
    }
    tarn_buffer_free(&line);
    return status;
}
