#include "cli/plot.h"

#include <math.h>

#include "cli/text.h"

#define LABEL_COLUMNS_MAX 30
#define BAR_COLUMNS_MIN   10
#define BAR_COLUMNS_MAX   100
#define COLUMNS_MIN       40
#define EIGHTHS           8

typedef struct cli_plot_bar {
    tarn_slice label;
    double value;
    bool is_null;
} cli_plot_bar;

static tarn_status no_memory(tarn_error *err) {
    return tarn_fail(err, TARN_NO_MEMORY, "no memory to keep the result for \\plot");
}

// ---- keeping a result ----

void cli_plot_reset(cli_plot *plot) {
    if (plot->has_result) tarn_arena_reset(&plot->arena);
    *plot = (cli_plot){0};
}

static bool show_text(cli_plot *plot, tarn_slice raw, tarn_slice *ret_text) {
    tarn_buffer shown = {0};
    tarn_slice rest;
    bool more;
    bool fits = cli_text_show(raw, &shown);
    rest = tarn_buffer_slice(&shown);
    tarn_slice line = cli_text_fit(cli_text_line(&rest, &more), LABEL_COLUMNS_MAX);
    fits = fits && tarn_arena_copy(&plot->arena, line, ret_text);
    tarn_buffer_free(&shown);
    return fits;
}

tarn_status cli_plot_begin(cli_plot *plot, const tarn_schema *schema, tarn_error *err) {
    cli_plot_reset(plot);
    plot->has_result = true;
    tarn_arena_init(&plot->arena, &tarn_alloc_libc, SIZE_MAX);
    plot->column_count = schema->field_count;
    if (schema->field_count < 2) return TARN_OK;
    plot->label_type = schema->fields[0].type;
    plot->value_type = schema->fields[1].type;
    plot->bars = tarn_arena_new(&plot->arena, cli_plot_bar, CLI_PLOT_ROWS);
    if (plot->bars == NULL || !show_text(plot, schema->fields[0].name, &plot->label_name) ||
        !show_text(plot, schema->fields[1].name, &plot->value_name)) {
        return no_memory(err);
    }
    return TARN_OK;
}

static double to_double(tarn_value value) {
    switch (tarn_type_physical(value.type)) {
    case TARN_PHYSICAL_F32:
    case TARN_PHYSICAL_F64: return value.f64;
    case TARN_PHYSICAL_I128:
        return (double)value.i128 / (double)tarn_power_of_ten(value.type.scale);
    default: break;
    }
    double number = (double)value.i64;
    return value.type.id == TARN_TYPE_NUMERIC ? number / (double)tarn_power_of_ten(value.type.scale)
                                              : number;
}

static tarn_status add_bar(cli_plot *plot, tarn_value label, tarn_value value, tarn_error *err) {
    cli_plot_bar *bar = &plot->bars[plot->bar_count];
    tarn_buffer text = {0};
    tarn_status status = tarn_value_format(label, &text, err);
    if (status == TARN_OK && !show_text(plot, tarn_buffer_slice(&text), &bar->label)) {
        status = no_memory(err);
    }
    tarn_buffer_free(&text);
    if (status != TARN_OK) return status;
    bar->is_null = value.is_null;
    bar->value = value.is_null ? 0 : to_double(value);
    plot->bar_count++;
    return TARN_OK;
}

static bool is_plottable(const cli_plot *plot) {
    return plot->column_count >= 2 && tarn_type_is_number(plot->value_type);
}

tarn_status cli_plot_push(cli_plot *plot, const tarn_chunk *chunk, tarn_error *err) {
    size_t count = tarn_chunk_count(chunk);
    plot->row_count += count;
    if (!is_plottable(plot)) return TARN_OK;
    for (size_t i = 0; i < count && plot->bar_count < CLI_PLOT_ROWS; i++) {
        size_t row = tarn_chunk_row(chunk, i);
        TARN_TRY(add_bar(plot, tarn_vector_get(&chunk->columns[0], row),
                         tarn_vector_get(&chunk->columns[1], row), err));
    }
    return TARN_OK;
}

// ---- drawing ----

typedef struct plot_scale {
    size_t label_columns;
    size_t figure_columns;
    size_t left_columns;     // of bars below zero
    size_t right_columns;    // of bars above
    double units_per_column; // 0: all bars are empty
    int decimals;
    bool labels_right; // numbers stand at the right
    bool color;
} plot_scale;

static void format_figure(const cli_plot_bar *bar, int decimals, char text[40]) {
    if (bar->is_null) {
        (void)snprintf(text, 40, "null");
    } else if (fabs(bar->value) < 1e15) {
        (void)snprintf(text, 40, "%.*f", decimals, bar->value);
    } else {
        (void)snprintf(text, 40, "%.6g", bar->value);
    }
}

static bool is_exact(const cli_plot *plot, int decimals) {
    double factor = (double)tarn_power_of_ten(decimals);
    for (size_t i = 0; i < plot->bar_count; i++) {
        double value = plot->bars[i].value * factor;
        if (isfinite(value) && fabs(value - nearbyint(value)) > 1e-6) return false;
    }
    return true;
}

// As many decimals as the figures have, but not more than tell the bars apart.
static int choose_decimals(const cli_plot *plot, double largest) {
    int most = largest >= 1000 ? 1 : largest >= 1 ? 2 : 3;
    int decimals = 0;
    while (decimals < most && !is_exact(plot, decimals)) decimals++;
    return decimals;
}

// Gives both sides of zero their share of the columns. lowest <= 0 <= highest.
static void divide_room(plot_scale *scale, size_t room, double lowest, double highest) {
    // Halved first: the span of the largest doubles is no double.
    double half_span = highest / 2 - lowest / 2;
    if (!(half_span > 0)) return;
    size_t left = (size_t)lround((double)room * (-lowest / 2 / half_span));
    if (lowest < 0 && left == 0) left = 1;
    if (highest > 0 && left == room) left = room - 1;
    double left_units = left == 0 ? 0 : -lowest / (double)left;
    double right_units = left == room ? 0 : highest / (double)(room - left);
    scale->units_per_column = fmax(left_units, right_units);
    scale->left_columns = left;
    scale->right_columns = room - left;
}

static plot_scale make_scale(const cli_plot *plot, size_t columns, bool color) {
    plot_scale scale = {.labels_right = tarn_type_is_number(plot->label_type), .color = color};
    double lowest = 0;
    double highest = 0;
    scale.label_columns = cli_text_width(plot->label_name);
    for (size_t i = 0; i < plot->bar_count; i++) {
        const cli_plot_bar *bar = &plot->bars[i];
        size_t label_columns = cli_text_width(bar->label);
        if (label_columns > scale.label_columns) scale.label_columns = label_columns;
        if (!isfinite(bar->value)) continue;
        lowest = fmin(lowest, bar->value);
        highest = fmax(highest, bar->value);
    }
    scale.decimals = choose_decimals(plot, fmax(-lowest, highest));
    for (size_t i = 0; i < plot->bar_count; i++) {
        char text[40];
        format_figure(&plot->bars[i], scale.decimals, text);
        if (strlen(text) > scale.figure_columns) scale.figure_columns = strlen(text);
    }
    // " label |bar figure", and a column to spare: some terminals wrap a line that fills them.
    size_t taken = 1 + scale.label_columns + 2 + 1 + scale.figure_columns + 1;
    size_t room = columns > taken + BAR_COLUMNS_MIN ? columns - taken : BAR_COLUMNS_MIN;
    divide_room(&scale, room < BAR_COLUMNS_MAX ? room : BAR_COLUMNS_MAX, lowest, highest);
    return scale;
}

static void put_blocks(cli_out *out, size_t count) {
    for (size_t i = 0; i < count; i++) cli_out_text(out, "\u2588");
}

// The area left of zero. There are no characters for eighths at the right, but one for a half.
static void put_left(const plot_scale *scale, double value, cli_out *out) {
    double length = value < 0 ? -value / scale->units_per_column : 0;
    size_t whole = (size_t)length;
    bool half = length - (double)whole >= 0.5;
    if (whole >= scale->left_columns) {
        whole = scale->left_columns;
        half = false;
    }
    cli_out_repeat(out, ' ', scale->left_columns - whole - (half ? 1 : 0));
    if (half) cli_out_text(out, "\u2590");
    put_blocks(out, whole);
}

// The area right of zero. Returns how many columns the bar takes.
static size_t put_right(const plot_scale *scale, double value, cli_out *out) {
    static const char *const parts[EIGHTHS] = {"",       "\u258F", "\u258E", "\u258D",
                                               "\u258C", "\u258B", "\u258A", "\u2589"};
    double length = value > 0 ? value / scale->units_per_column : 0;
    size_t eighths = (size_t)(length * EIGHTHS + 0.5);
    if (eighths > scale->right_columns * EIGHTHS) eighths = scale->right_columns * EIGHTHS;
    if (eighths == 0 && value > 0) eighths = 1; // little is not nothing
    put_blocks(out, eighths / EIGHTHS);
    cli_out_text(out, parts[eighths % EIGHTHS]);
    return (eighths + EIGHTHS - 1) / EIGHTHS;
}

static void put_label(const plot_scale *scale, tarn_slice label, cli_out *out) {
    size_t space = scale->label_columns - cli_text_width(label);
    cli_out_text(out, " ");
    if (scale->labels_right) cli_out_repeat(out, ' ', space);
    cli_out_put(out, label);
    if (!scale->labels_right) cli_out_repeat(out, ' ', space);
}

static void put_bar(const plot_scale *scale, const cli_plot_bar *bar, cli_out *out) {
    char figure[40];
    format_figure(bar, scale->decimals, figure);
    put_label(scale, bar->label, out);
    cli_out_text(out, " \u2502");
    size_t used = 0;
    if (scale->units_per_column > 0) {
        double value = isfinite(bar->value) ? bar->value : 0;
        if (scale->color) cli_out_text(out, "\x1b[36m");
        put_left(scale, value, out);
        used = put_right(scale, value, out);
        if (scale->color) cli_out_text(out, "\x1b[0m");
    }
    size_t room = scale->right_columns > used ? scale->right_columns - used : 0;
    cli_out_repeat(out, ' ', room + 1 + scale->figure_columns - strlen(figure));
    cli_out_text(out, figure);
    cli_out_text(out, "\n");
}

tarn_status cli_plot_draw(const cli_plot *plot, size_t columns, bool color, cli_out *out,
                          tarn_error *err) {
    if (!plot->has_result) {
        return tarn_fail(err, TARN_INVALID, "\\plot: no query has returned rows yet");
    }
    if (!is_plottable(plot)) {
        return tarn_fail(err, TARN_INVALID,
                         "\\plot: the result must have a label in its first column and a number in "
                         "its second");
    }
    if (plot->row_count > CLI_PLOT_ROWS) {
        return tarn_fail(err, TARN_INVALID,
                         "\\plot: the result has %llu rows, and at most %d can be drawn",
                         (unsigned long long)plot->row_count, CLI_PLOT_ROWS);
    }
    plot_scale scale = make_scale(plot, columns < COLUMNS_MIN ? COLUMNS_MIN : columns, color);
    put_label(&scale, plot->label_name, out);
    cli_out_text(out, " \u2502 ");
    cli_out_put(out, plot->value_name);
    cli_out_text(out, "\n");
    for (size_t i = 0; i < plot->bar_count; i++) put_bar(&scale, &plot->bars[i], out);
    cli_out_text(out, "\n");
    return TARN_OK;
}
