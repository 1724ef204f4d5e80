#include "cli/progress.h"

#include "cli/text.h"

#define WORDS_COLUMNS 30 // "watermark 2001-06-27 00:00:00" fits behind the names
#define NARROW_INDENT 2

cli_number cli_number_format(uint64_t number) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    cli_number result = {{0}};
    size_t at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) result.text[at++] = ',';
        result.text[at++] = digits[i];
    }
    return result;
}

// ---- what a sample says ----

static double seconds_since(const cli_progress *progress, int64_t now_ns) {
    return (double)(now_ns - progress->begin_ns) / 1e9;
}

// Rows since the base. A source that was started anew since then counts from zero.
static uint64_t new_rows(const cli_progress *progress, const tarn_progress *sample, size_t i) {
    uint64_t before = i < CLI_PROGRESS_SOURCES_MAX ? progress->base_rows[i] : 0;
    uint64_t rows = sample->sources[i].rows;
    return rows >= before ? rows - before : rows;
}

static uint64_t per_second(uint64_t rows, double seconds) {
    return seconds > 0 ? (uint64_t)((double)rows / seconds) : 0;
}

static bool put_watermark(int64_t watermark_us, tarn_buffer *out) {
    if (watermark_us == TARN_NO_WATERMARK) return true;
    if (watermark_us == INT64_MAX) return tarn_buffer_append(out, TARN_LIT("complete"));
    tarn_value value = {.type = tarn_type_of(TARN_TYPE_TIMESTAMP), .i64 = watermark_us};
    // Whole seconds: fractions would flicker.
    value.i64 -= ((value.i64 % 1000000) + 1000000) % 1000000;
    return tarn_buffer_append(out, TARN_LIT("watermark ")) &&
           tarn_value_format(value, out, NULL) == TARN_OK;
}

// The words behind a source's name, each behind the separator.
static bool put_source(const cli_progress *progress, const tarn_progress *sample, size_t i,
                       int64_t now_ns, const char *separator, tarn_buffer *out) {
    const tarn_source_progress *source = &sample->sources[i];
    double seconds = (double)(now_ns - progress->base_ns) / 1e9;
    bool fits = tarn_buffer_printf(out, "%s rows", cli_number_format(source->rows).text);
    if (i < CLI_PROGRESS_SOURCES_MAX && seconds > 0) {
        uint64_t rate = per_second(new_rows(progress, sample, i), seconds);
        fits = fits && tarn_buffer_printf(out, "%s%s/s", separator, cli_number_format(rate).text);
    }
    if (source->total > 0) {
        uint64_t done = source->done < source->total ? source->done : source->total;
        int percent = (int)(100.0 * (double)done / (double)source->total);
        fits = fits && tarn_buffer_printf(out, "%s%d%%", separator, percent);
    }
    if (source->watermark_us != TARN_NO_WATERMARK) {
        fits = fits && tarn_buffer_append(out, tarn_slice_from_cstr(separator)) &&
               put_watermark(source->watermark_us, out);
    }
    return fits;
}

// ---- a line per drawing ----

static bool draw_plain(const cli_progress *progress, const tarn_progress *sample, int64_t now_ns,
                       tarn_buffer *out) {
    bool fits = tarn_buffer_printf(out, "%.1f s, epoch %llu", seconds_since(progress, now_ns),
                                   (unsigned long long)sample->epoch);
    for (size_t i = 0; i < sample->source_count && fits; i++) {
        fits = tarn_buffer_append(out, TARN_LIT("; ")) &&
               cli_text_show(sample->sources[i].name, out) && tarn_buffer_append_byte(out, ' ') &&
               put_source(progress, sample, i, now_ns, ", ", out);
    }
    for (size_t i = 0; i < sample->view_count && fits; i++) {
        const tarn_view_progress *view = &sample->views[i];
        fits = tarn_buffer_append(out, TARN_LIT("; ")) && cli_text_show(view->name, out) &&
               tarn_buffer_printf(out, " version %lld, %s rows", (long long)view->version,
                                  cli_number_format(view->rows_out).text);
        if (fits && view->late_rows > 0) {
            fits = tarn_buffer_printf(out, ", %s late", cli_number_format(view->late_rows).text);
        }
    }
    return fits && tarn_buffer_append_byte(out, '\n');
}

// ---- lines that are drawn over each other ----

typedef struct live_block {
    tarn_buffer *out;
    tarn_buffer words;   // behind a name, two blanks or more between them
    size_t columns;      // of the terminal
    size_t name_columns; // of the widest name
    size_t line_limit;   // lines that fit it
    size_t line_count;
    bool color;
    bool fits;
} live_block;

// Writes one line, cut to the width (a wrapped line would break the count) in a colour.
static void put_line(live_block *block, tarn_slice text, const char *color) {
    bool colored = block->color && color[0] != '\0';
    if (block->line_count == block->line_limit) return;
    block->fits = block->fits &&
                  tarn_buffer_append(block->out, tarn_slice_from_cstr(colored ? color : "")) &&
                  tarn_buffer_append(block->out, cli_text_fit(text, block->columns)) &&
                  tarn_buffer_append(block->out, tarn_slice_from_cstr(colored ? "\x1b[0m" : "")) &&
                  tarn_buffer_append(block->out, TARN_LIT("\x1b[K\n"));
    block->line_count++;
}

// Takes what stands before the next two blanks.
static tarn_slice next_words(tarn_slice *text) {
    while (text->len > 0 && text->data[0] == ' ') *text = tarn_slice_skip(*text, 1);
    size_t len = 0;
    while (len < text->len &&
           !(text->data[len] == ' ' && len + 1 < text->len && text->data[len + 1] == ' ')) {
        len++;
    }
    tarn_slice words = tarn_slice_head(*text, len);
    *text = tarn_slice_skip(*text, len);
    return words;
}

// The words on as many lines as they take; `line` holds what the first one begins with.
static void put_wrapped(live_block *block, size_t indent, tarn_buffer *line, const char *color) {
    tarn_slice rest = tarn_buffer_slice(&block->words);
    bool is_empty = true; // the line has no words yet
    for (tarn_slice words = next_words(&rest); words.len > 0; words = next_words(&rest)) {
        size_t width = cli_text_width(tarn_buffer_slice(line)) + 2 + cli_text_width(words);
        if (!is_empty && width > block->columns) {
            put_line(block, tarn_buffer_slice(line), color);
            tarn_buffer_clear(line);
            block->fits = block->fits && tarn_buffer_printf(line, "%*s", (int)indent, "");
            is_empty = true;
        }
        block->fits = block->fits && tarn_buffer_printf(line, "%s", is_empty ? "" : "  ") &&
                      tarn_buffer_append(line, words);
        is_empty = false;
    }
    put_line(block, tarn_buffer_slice(line), color);
}

// Writes a name and block->words: on one line where they fit, else on several. On a narrow terminal
// the name has a line of its own.
static void put_entry(live_block *block, tarn_slice name, const char *color) {
    size_t width = cli_text_width(name);
    size_t indent = block->name_columns + 2;
    bool is_narrow = block->columns < indent + WORDS_COLUMNS;
    size_t padding = block->name_columns > width ? block->name_columns - width : 0;
    tarn_buffer line = {0};
    block->fits = block->fits && cli_text_show(name, &line);
    if (is_narrow) {
        put_line(block, tarn_buffer_slice(&line), color);
        tarn_buffer_clear(&line);
        indent = NARROW_INDENT;
        padding = 0;
    }
    block->fits = block->fits && tarn_buffer_printf(&line, "%*s  ", (int)padding, "");
    size_t words_width = cli_text_width(tarn_buffer_slice(&block->words));
    if (!is_narrow && indent + words_width <= block->columns) {
        block->fits = block->fits && tarn_buffer_append(&line, tarn_buffer_slice(&block->words));
        put_line(block, tarn_buffer_slice(&line), color);
    } else {
        put_wrapped(block, indent, &line, color);
    }
    tarn_buffer_free(&line);
    tarn_buffer_clear(&block->words);
}

static size_t name_columns(const tarn_progress *sample) {
    size_t widest = 0;
    for (size_t i = 0; i < sample->source_count; i++) {
        size_t width = cli_text_width(sample->sources[i].name);
        if (width > widest) widest = width;
    }
    for (size_t i = 0; i < sample->view_count; i++) {
        size_t width = cli_text_width(sample->views[i].name);
        if (width > widest) widest = width;
    }
    return widest;
}

static void draw_views(live_block *block, const tarn_progress *sample) {
    int rows_width = 0;
    for (size_t i = 0; i < sample->view_count; i++) {
        int width = (int)strlen(cli_number_format(sample->views[i].rows_out).text);
        if (width > rows_width) rows_width = width;
    }
    for (size_t i = 0; i < sample->view_count; i++) {
        const tarn_view_progress *view = &sample->views[i];
        block->fits =
            block->fits &&
            tarn_buffer_printf(&block->words, "%*s rows  version %lld", rows_width,
                               cli_number_format(view->rows_out).text, (long long)view->version);
        if (view->late_rows > 0) {
            block->fits =
                block->fits && tarn_buffer_printf(&block->words, "  %s late",
                                                  cli_number_format(view->late_rows).text);
        }
        put_entry(block, view->name, "");
    }
}

static bool erase(cli_progress *progress, tarn_buffer *out) {
    size_t lines = progress->drawn_lines;
    progress->drawn_lines = 0;
    return lines == 0 || tarn_buffer_printf(out, "\r\x1b[%zuA\x1b[J", lines);
}

static bool draw_live(cli_progress *progress, const tarn_progress *sample, int64_t now_ns,
                      tarn_terminal_size size, tarn_buffer *out) {
    size_t columns = size.columns == 0 ? 80 : size.columns;
    size_t rows = size.rows == 0 ? 24 : size.rows;
    live_block block = {.out = out,
                        .columns = columns - 1,
                        .name_columns = name_columns(sample),
                        .line_limit = rows > 3 ? rows - 2 : 1,
                        .color = progress->color,
                        .fits = true};
    if (progress->drawn_lines > 0) {
        block.fits = tarn_buffer_printf(out, "\r\x1b[%zuA", progress->drawn_lines);
    }
    block.fits = block.fits && tarn_buffer_printf(&block.words, "epoch %llu  %.1f s",
                                                  (unsigned long long)sample->epoch,
                                                  seconds_since(progress, now_ns));
    put_line(&block, tarn_buffer_slice(&block.words), "\x1b[2m");
    tarn_buffer_clear(&block.words);
    for (size_t i = 0; i < sample->source_count; i++) {
        block.fits = block.fits && put_source(progress, sample, i, now_ns, "  ", &block.words);
        put_entry(&block, sample->sources[i].name, "\x1b[36m");
    }
    draw_views(&block, sample);
    block.fits = block.fits && tarn_buffer_append(out, TARN_LIT("\x1b[J"));
    progress->drawn_lines = block.line_count;
    tarn_buffer_free(&block.words);
    return block.fits;
}

// ---- begin, draw, finish ----

static void set_base(cli_progress *progress, const tarn_progress *sample, int64_t now_ns) {
    progress->has_base = true;
    progress->base_ns = now_ns;
    for (size_t i = 0; i < CLI_PROGRESS_SOURCES_MAX; i++) {
        progress->base_rows[i] = i < sample->source_count ? sample->sources[i].rows : 0;
    }
}

void cli_progress_begin(cli_progress *progress, int64_t now_ns, const tarn_progress *sample,
                        bool is_flush) {
    progress->begin_ns = now_ns;
    progress->is_flush = is_flush;
    progress->has_shown = false;
    progress->has_base = false;
    if (sample != NULL) set_base(progress, sample, now_ns);
}

bool cli_progress_draw(cli_progress *progress, const tarn_progress *sample, int64_t now_ns,
                       tarn_terminal_size size, tarn_buffer *out) {
    if (!progress->has_base) set_base(progress, sample, now_ns);
    progress->has_shown = true;
    return progress->live ? draw_live(progress, sample, now_ns, size, out)
                          : draw_plain(progress, sample, now_ns, out);
}

bool cli_progress_has_end(const cli_progress *progress) {
    return progress->has_shown || (progress->always && progress->is_flush);
}

bool cli_progress_finish(cli_progress *progress, const tarn_progress *sample, int64_t now_ns,
                         tarn_buffer *out) {
    if (!erase(progress, out)) return false;
    if (!progress->is_flush || !progress->has_base || sample == NULL) return true;
    uint64_t rows = 0;
    for (size_t i = 0; i < sample->source_count; i++) rows += new_rows(progress, sample, i);
    double seconds = seconds_since(progress, now_ns);
    return tarn_buffer_printf(out, "%s rows in %.1f s, %s rows/s\n", cli_number_format(rows).text,
                              seconds, cli_number_format(per_second(rows, seconds)).text);
}
