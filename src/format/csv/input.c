#include "format/csv/input.h"

#define RECORD_LIMIT_BYTES     ((size_t)16 << 20)
#define RECORD_LIMIT_BYTES_MAX ((size_t)1 << 30)

static const char problem_long[] = "the record is longer than the limit";

tarn_status csv_input_init(csv_input *input, const tarn_alloc *alloc, tarn_object *object,
                           const tarn_csv_options *options, uint64_t first_offset,
                           tarn_error *err) {
    csv_dialect dialect;
    TARN_TRY(csv_dialect_of(options, &dialect, err));
    size_t limit_bytes =
        options->record_limit_bytes == 0 ? RECORD_LIMIT_BYTES : options->record_limit_bytes;
    if (limit_bytes > RECORD_LIMIT_BYTES_MAX) {
        return tarn_fail(err, TARN_UNSUPPORTED, "csv: a record limit of more than 1 GiB");
    }
    uint64_t size = tarn_object_size(object);
    if (first_offset > size) {
        return tarn_fail(err, TARN_INVALID, "csv: resuming at byte %llu of %llu",
                         (unsigned long long)first_offset, (unsigned long long)size);
    }
    text_window_init(&input->window, alloc, object, first_offset, limit_bytes);
    csv_splitter_init(&input->splitter, &dialect);
    input->next_offset = first_offset;
    input->next_line = 1;
    return TARN_OK;
}

void csv_input_reset(csv_input *input) {
    if (input->window.alloc != NULL) text_window_reset(&input->window);
}

// Lets the splitter look at the window as it is now.
static void resume_splitter(csv_input *input) {
    const text_window *window = &input->window;
    csv_splitter_set(&input->splitter, window->bytes, window->len, text_window_is_last(window));
    csv_splitter_seek(&input->splitter, (size_t)(input->next_offset - window->offset));
}

static tarn_status slide(csv_input *input, tarn_error *err) {
    TARN_TRY(text_window_slide(&input->window, input->next_offset, err));
    const text_window *window = &input->window;
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    if (input->next_offset == 0 && window->len >= sizeof mark &&
        memcmp(window->bytes, mark, sizeof mark) == 0) {
        input->next_offset = sizeof mark;
    }
    resume_splitter(input);
    return TARN_OK;
}

tarn_status csv_input_begin(csv_input *input, tarn_error *err) {
    const text_window *window = &input->window;
    uint64_t end = text_window_end(window);
    uint64_t left = input->next_offset < end ? end - input->next_offset : 0;
    // While more than half is left, moving it would cost more than the room is worth.
    bool is_ready = left > window->capacity_bytes / 2 || (left > 0 && text_window_is_last(window));
    if (!is_ready) return slide(input, err);
    resume_splitter(input);
    return TARN_OK;
}

// ---- reading ----

// Says in *ret_moved whether there are more bytes of the next record than before.
static tarn_status make_room(csv_input *input, bool *ret_moved, tarn_error *err) {
    if (input->next_offset > input->window.offset) {
        *ret_moved = true;
        return slide(input, err);
    }
    TARN_TRY(text_window_grow(&input->window, ret_moved, err));
    resume_splitter(input);
    return TARN_OK;
}

static void consume(csv_input *input, size_t raw_end, uint64_t next_offset, uint64_t line_feeds) {
    size_t begin = input->record.begin;
    const uint8_t *bytes = input->window.bytes;
    if (raw_end > begin && bytes[raw_end - 1] == '\r') raw_end--;
    input->record_raw = (tarn_slice){bytes + begin, raw_end - begin};
    input->record_offset = input->next_offset;
    input->record_line = input->next_line;
    input->next_offset = next_offset;
    input->next_line += line_feeds;
}

// A record whose quotes are wrong, or that does not end, is taken to be its first line: what a
// stray quote has swallowed behind it are most likely good records.
static tarn_status consume_bad(csv_input *input, bool *ret_done, tarn_error *err) {
    const text_window *window = &input->window;
    size_t begin = input->record.begin;
    const uint8_t *line_end =
        window->len > begin ? memchr(window->bytes + begin, '\n', window->len - begin) : NULL;
    *ret_done = true;
    if (line_end != NULL) {
        size_t at = (size_t)(line_end - window->bytes);
        consume(input, at, window->offset + at + 1, 1);
        csv_splitter_seek(&input->splitter, at + 1);
        return TARN_OK;
    }
    if (text_window_is_last(window)) {
        consume(input, window->len, window->size, 0);
        csv_splitter_seek(&input->splitter, window->len);
        return TARN_OK;
    }
    *ret_done = false;
    if (input->record.problem != problem_long) return TARN_OK;
    uint64_t next_offset = 0;
    TARN_TRY(text_window_next_line(window, text_window_end(window), &next_offset, err));
    consume(input, window->len, next_offset, 1);
    *ret_done = true;
    return TARN_OK;
}

tarn_status csv_input_read(csv_input *input, bool may_move, csv_outcome *ret_outcome,
                           tarn_error *err) {
    for (;;) {
        const text_window *window = &input->window;
        if (input->next_offset > text_window_end(window)) {
            *ret_outcome = CSV_READ_STOP;
            if (!may_move) return TARN_OK;
            TARN_TRY(slide(input, err));
        }
        size_t begin = (size_t)(input->next_offset - window->offset);
        csv_record *record = &input->record;
        csv_split split = csv_splitter_next(&input->splitter, begin, record);
        if (split == CSV_SPLIT_RECORD) {
            consume(input, record->end, window->offset + record->next, record->line_feeds);
            *ret_outcome = CSV_READ_RECORD;
            return TARN_OK;
        }
        if (split == CSV_SPLIT_END) {
            *ret_outcome = CSV_READ_END;
            return TARN_OK;
        }
        if (split == CSV_SPLIT_MALFORMED) {
            bool done = false;
            TARN_TRY(consume_bad(input, &done, err));
            *ret_outcome = CSV_READ_BAD;
            if (done) return TARN_OK;
        }
        // Its end, or that of its first line, is not in the window.
        if (!may_move) {
            csv_splitter_seek(&input->splitter, begin);
            *ret_outcome = CSV_READ_STOP;
            return TARN_OK;
        }
        bool moved = false;
        TARN_TRY(make_room(input, &moved, err));
        if (moved) continue;
        *record = (csv_record){.begin = begin,
                               .problem = problem_long,
                               .problem_at = begin,
                               .problem_field = SIZE_MAX};
        TARN_TRY(consume_bad(input, &moved, err));
        *ret_outcome = CSV_READ_BAD;
        return TARN_OK;
    }
}

tarn_status csv_input_text(const csv_input *input, const csv_field *field, tarn_arena *arena,
                           tarn_slice *ret_text, tarn_error *err) {
    tarn_slice bytes = csv_input_field(input, field);
    if (field->escaped) {
        uint8_t *text = tarn_arena_new_raw(arena, uint8_t, bytes.len);
        if (text == NULL) {
            return tarn_fail(err, TARN_NO_MEMORY, "no memory for %zu bytes", bytes.len);
        }
        bytes.len = csv_unescape(&input->splitter.dialect, bytes.data, bytes.len, text);
        bytes.data = text;
    }
    *ret_text = bytes;
    return TARN_OK;
}
