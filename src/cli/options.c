#include "cli/options.h"

#define THREADS_MAX       1024
#define MEMORY_MIN_BYTES  ((size_t)16 << 20)
#define INTERVAL_MAX_MS   ((int64_t)3600 * 1000)
#define ON_ERROR_STOP_VAR "ON_ERROR_STOP"

const char cli_help_text[] =
    "tarn is a streaming warehouse: streams flow in, tables flow out.\n"
    "\n"
    "Usage:\n"
    "  tarn [OPTION]... DIRECTORY\n"
    "\n"
    "Opens the warehouse in DIRECTORY, which is created when it does not exist, and runs SQL:\n"
    "from -c and -f, else from standard input; on a terminal that is a shell (\\? helps there).\n"
    "\n"
    "What to run:\n"
    "  -c, --command=SQL        run statements and meta commands; may be given again\n"
    "  -f, --file=FILE          run a file ('-': standard input); may be given again\n"
    "  -v, --set=ON_ERROR_STOP=0\n"
    "                           go on after an error in -c and -f (the default is to stop)\n"
    "\n"
    "How to print:\n"
    "      --format=FORMAT      table (default), csv, json or markdown\n"
    "  -x, --expanded           tables with one line per value\n"
    "  -t, --tuples-only        rows only, without header and footer\n"
    "  -q, --quiet              no greeting and no command tags\n"
    "      --progress=WHEN      show what the views do on standard error: auto (default: on a\n"
    "                           terminal), always or never\n"
    "      --no-color           no colors (also when NO_COLOR is set)\n"
    "\n"
    "The warehouse:\n"
    "      --memory=SIZE        limit for queries, views and buffers together (default 4GB)\n"
    "      --threads=N          worker threads (default: one per CPU)\n"
    "      --checkpoint-interval=TIME\n"
    "                           how often the views become durable (default 1s)\n"
    "\n"
    "  -h, --help               show this and exit\n"
    "  -V, --version            show the version and exit\n"
    "\n"
    "Exit status:\n"
    "  0  everything went well\n"
    "  1  the command line is wrong, or output cannot be written\n"
    "  2  the warehouse cannot be opened\n"
    "  3  a statement, a meta command or a script failed\n";

typedef enum option_id {
    OPTION_COMMAND,
    OPTION_FILE,
    OPTION_SET,
    OPTION_FORMAT,
    OPTION_EXPANDED,
    OPTION_TUPLES_ONLY,
    OPTION_QUIET,
    OPTION_PROGRESS,
    OPTION_NO_COLOR,
    OPTION_MEMORY,
    OPTION_THREADS,
    OPTION_CHECKPOINT_INTERVAL,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_COUNT,
} option_id;

static const struct {
    char letter; // '\0': none
    bool takes_value;
    const char *name;
} option_table[OPTION_COUNT] = {
    [OPTION_COMMAND] = {'c', true, "command"},
    [OPTION_FILE] = {'f', true, "file"},
    [OPTION_SET] = {'v', true, "set"},
    [OPTION_FORMAT] = {'\0', true, "format"},
    [OPTION_EXPANDED] = {'x', false, "expanded"},
    [OPTION_TUPLES_ONLY] = {'t', false, "tuples-only"},
    [OPTION_QUIET] = {'q', false, "quiet"},
    [OPTION_PROGRESS] = {'\0', true, "progress"},
    [OPTION_NO_COLOR] = {'\0', false, "no-color"},
    [OPTION_MEMORY] = {'\0', true, "memory"},
    [OPTION_THREADS] = {'\0', true, "threads"},
    [OPTION_CHECKPOINT_INTERVAL] = {'\0', true, "checkpoint-interval"},
    [OPTION_HELP] = {'h', false, "help"},
    [OPTION_VERSION] = {'V', false, "version"},
};

// ---- values ----

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static uint8_t lower(uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool equal_ignoring_case(tarn_slice text, const char *word) {
    if (text.len != strlen(word)) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (lower(text.data[i]) != (uint8_t)word[i]) return false;
    }
    return true;
}

// A whole number with one of the units behind it. The first unit is that of a number alone.
static bool parse_quantity(tarn_slice text, const unit *units, size_t unit_count,
                           uint64_t *ret_value) {
    uint64_t number = 0;
    size_t len = 0;
    while (len < text.len && text.data[len] >= '0' && text.data[len] <= '9') {
        if (__builtin_mul_overflow(number, (uint64_t)10, &number)) return false;
        if (__builtin_add_overflow(number, (uint64_t)(text.data[len] - '0'), &number)) return false;
        len++;
    }
    if (len == 0) return false;
    tarn_slice rest = tarn_slice_skip(text, len);
    if (rest.len > 0 && rest.data[0] == ' ') rest = tarn_slice_skip(rest, 1);
    if (rest.len == 0) return !__builtin_mul_overflow(number, units[0].factor, ret_value);
    for (size_t i = 0; i < unit_count; i++) {
        if (!equal_ignoring_case(rest, units[i].name)) continue;
        return !__builtin_mul_overflow(number, units[i].factor, ret_value);
    }
    return false;
}

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

tarn_status cli_parse_size(tarn_slice text, size_t *ret_bytes, tarn_error *err) {
    static const unit units[] = {
        {"b", 1},
        {"kb", 1 << 10},
        {"k", 1 << 10},
        {"kib", 1 << 10},
        {"mb", 1 << 20},
        {"m", 1 << 20},
        {"mib", 1 << 20},
        {"gb", 1 << 30},
        {"g", 1 << 30},
        {"gib", 1 << 30},
        {"tb", 1ULL << 40},
        {"t", 1ULL << 40},
        {"tib", 1ULL << 40},
    };
    uint64_t bytes;
    if (!parse_quantity(text, units, COUNT_OF(units), &bytes)) {
        return tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' is not a size like 512MB or 4GB",
                         TARN_SLICE_ARG(text));
    }
    *ret_bytes = (size_t)bytes;
    return TARN_OK;
}

tarn_status cli_parse_duration(tarn_slice text, int64_t *ret_ms, tarn_error *err) {
    static const unit units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}};
    uint64_t ms;
    if (!parse_quantity(text, units, COUNT_OF(units), &ms) || ms > INT64_MAX) {
        return tarn_fail(err, TARN_INVALID,
                         "'" TARN_SLICE_FMT "' is not a duration like 250ms, 1s or 2min",
                         TARN_SLICE_ARG(text));
    }
    *ret_ms = (int64_t)ms;
    return TARN_OK;
}

static tarn_status set_memory(tarn_slice value, cli_options *options, tarn_error *err) {
    size_t bytes;
    TARN_TRY(cli_parse_size(value, &bytes, err));
    if (bytes < MEMORY_MIN_BYTES) {
        return tarn_fail(err, TARN_INVALID, "--memory must be at least 16MB");
    }
    options->warehouse.memory_limit_bytes = bytes;
    return TARN_OK;
}

static tarn_status set_threads(tarn_slice value, cli_options *options, tarn_error *err) {
    static const unit plain = {"", 1};
    uint64_t count;
    if (!parse_quantity(value, &plain, 1, &count) || count < 1 || count > THREADS_MAX) {
        return tarn_fail(err, TARN_INVALID, "--threads must be a number from 1 to %d", THREADS_MAX);
    }
    options->warehouse.thread_count = (size_t)count;
    return TARN_OK;
}

static tarn_status set_interval(tarn_slice value, cli_options *options, tarn_error *err) {
    int64_t ms;
    TARN_TRY(cli_parse_duration(value, &ms, err));
    if (ms < 1 || ms > INTERVAL_MAX_MS) {
        return tarn_fail(err, TARN_INVALID, "--checkpoint-interval must be from 1ms to 60min");
    }
    options->warehouse.checkpoint_interval_ms = ms;
    return TARN_OK;
}

static tarn_status set_format(tarn_slice value, cli_options *options, tarn_error *err) {
    if (cli_format_parse(value, &options->style.format)) return TARN_OK;
    return tarn_fail(err, TARN_INVALID,
                     "--format must be table, csv, json or markdown, not '" TARN_SLICE_FMT "'",
                     TARN_SLICE_ARG(value));
}

static tarn_status set_progress(tarn_slice value, cli_options *options, tarn_error *err) {
    static const char *const names[] = {"auto", "always", "never"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!tarn_slice_equal(value, tarn_slice_from_cstr(names[i]))) continue;
        options->progress = (cli_progress_mode)i;
        return TARN_OK;
    }
    return tarn_fail(err, TARN_INVALID,
                     "--progress must be auto, always or never, not '" TARN_SLICE_FMT "'",
                     TARN_SLICE_ARG(value));
}

static tarn_status set_variable(tarn_slice value, cli_options *options, tarn_error *err) {
    static const char *const on[] = {ON_ERROR_STOP_VAR "=1", ON_ERROR_STOP_VAR "=on",
                                     ON_ERROR_STOP_VAR "=true", ON_ERROR_STOP_VAR};
    static const char *const off[] = {ON_ERROR_STOP_VAR "=0", ON_ERROR_STOP_VAR "=off",
                                      ON_ERROR_STOP_VAR "=false"};
    for (size_t i = 0; i < COUNT_OF(on); i++) {
        if (!tarn_slice_equal(value, tarn_slice_from_cstr(on[i]))) continue;
        options->goes_on = false;
        return TARN_OK;
    }
    for (size_t i = 0; i < COUNT_OF(off); i++) {
        if (!tarn_slice_equal(value, tarn_slice_from_cstr(off[i]))) continue;
        options->goes_on = true;
        return TARN_OK;
    }
    return tarn_fail(err, TARN_INVALID,
                     "--set takes ON_ERROR_STOP=1 or ON_ERROR_STOP=0, not '" TARN_SLICE_FMT "'",
                     TARN_SLICE_ARG(value));
}

static tarn_status apply(option_id id, tarn_slice value, cli_options *options, tarn_error *err) {
    switch (id) {
    case OPTION_COMMAND:
    case OPTION_FILE:
        options->actions[options->action_count++] = (cli_action){
            .kind = id == OPTION_FILE ? CLI_ACTION_FILE : CLI_ACTION_TEXT, .text = value};
        break;
    case OPTION_SET: return set_variable(value, options, err);
    case OPTION_FORMAT: return set_format(value, options, err);
    case OPTION_EXPANDED: options->style.expanded = true; break;
    case OPTION_TUPLES_ONLY: options->style.tuples_only = true; break;
    case OPTION_QUIET: options->quiet = true; break;
    case OPTION_PROGRESS: return set_progress(value, options, err);
    case OPTION_NO_COLOR: options->no_color = true; break;
    case OPTION_MEMORY: return set_memory(value, options, err);
    case OPTION_THREADS: return set_threads(value, options, err);
    case OPTION_CHECKPOINT_INTERVAL: return set_interval(value, options, err);
    case OPTION_HELP: options->help = true; break;
    case OPTION_VERSION: options->version = true; break;
    case OPTION_COUNT: break;
    }
    return TARN_OK;
}

// ---- arguments ----

typedef struct argument_list {
    char *const *argv;
    size_t count;
    size_t next;
} argument_list;

static tarn_status unknown_option(tarn_slice name, tarn_error *err) {
    tarn_slice names[OPTION_COUNT];
    for (size_t i = 0; i < OPTION_COUNT; i++) names[i] = tarn_slice_from_cstr(option_table[i].name);
    (void)tarn_fail(err, TARN_INVALID, "unknown option '--" TARN_SLICE_FMT "'",
                    TARN_SLICE_ARG(name));
    ptrdiff_t nearest = tarn_nearest_name(name, names, OPTION_COUNT);
    if (nearest >= 0) tarn_error_hint(err, "did you mean '--%s'?", option_table[nearest].name);
    return TARN_INVALID;
}

static tarn_status take_value(argument_list *arguments, const char *option, tarn_slice *ret_value,
                              tarn_error *err) {
    if (arguments->next == arguments->count) {
        return tarn_fail(err, TARN_INVALID, "option '%s' needs a value", option);
    }
    *ret_value = tarn_slice_from_cstr(arguments->argv[arguments->next++]);
    return TARN_OK;
}

// "--name", "--name=value" or "--name value".
static tarn_status parse_long(tarn_slice argument, argument_list *arguments, cli_options *options,
                              tarn_error *err) {
    tarn_slice name = tarn_slice_skip(argument, 2);
    tarn_slice value = {0};
    const uint8_t *equals = memchr(name.data, '=', name.len);
    if (equals != NULL) {
        value = tarn_slice_skip(name, (size_t)(equals - name.data) + 1);
        name.len = (size_t)(equals - name.data);
    }
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(option_table[i].name))) continue;
        if (equals != NULL && !option_table[i].takes_value) {
            return tarn_fail(err, TARN_INVALID, "option '--%s' takes no value",
                             option_table[i].name);
        }
        if (equals == NULL && option_table[i].takes_value) {
            TARN_TRY(take_value(arguments, (const char *)argument.data, &value, err));
        }
        return apply((option_id)i, value, options, err);
    }
    return unknown_option(name, err);
}

// "-x", "-xtq", "-cSQL" or "-c SQL".
static tarn_status parse_letters(tarn_slice letters, argument_list *arguments, cli_options *options,
                                 tarn_error *err) {
    while (letters.len > 0) {
        uint8_t letter = letters.data[0];
        letters = tarn_slice_skip(letters, 1);
        size_t i = 0;
        while (i < OPTION_COUNT && (uint8_t)option_table[i].letter != letter) i++;
        if (i == OPTION_COUNT) {
            return tarn_fail(err, TARN_INVALID, "unknown option '-%c'", letter);
        }
        tarn_slice value = {0};
        if (option_table[i].takes_value) {
            const char name[] = {'-', option_table[i].letter, '\0'};
            value = letters;
            letters.len = 0;
            if (value.len == 0) TARN_TRY(take_value(arguments, name, &value, err));
        }
        TARN_TRY(apply((option_id)i, value, options, err));
    }
    return TARN_OK;
}

static tarn_status take_directory(tarn_slice argument, cli_options *options, tarn_error *err) {
    if (options->directory.len > 0) {
        return tarn_fail(err, TARN_INVALID,
                         "one warehouse is opened at a time: what shall '" TARN_SLICE_FMT "' be?",
                         TARN_SLICE_ARG(argument));
    }
    if (argument.len == 0) return tarn_fail(err, TARN_INVALID, "the warehouse's name is empty");
    options->directory = argument;
    return TARN_OK;
}

static tarn_status parse_all(argument_list *arguments, cli_options *options, tarn_error *err) {
    bool only_names = false;
    while (arguments->next < arguments->count) {
        tarn_slice argument = tarn_slice_from_cstr(arguments->argv[arguments->next++]);
        bool is_option = !only_names && argument.len > 1 && argument.data[0] == '-';
        if (!is_option) {
            TARN_TRY(take_directory(argument, options, err));
        } else if (tarn_slice_equal(argument, TARN_LIT("--"))) {
            only_names = true;
        } else if (argument.data[1] == '-') {
            TARN_TRY(parse_long(argument, arguments, options, err));
        } else {
            TARN_TRY(parse_letters(tarn_slice_skip(argument, 1), arguments, options, err));
        }
    }
    return TARN_OK;
}

tarn_status cli_options_parse(int argc, char *const *argv, tarn_arena *arena,
                              cli_options *ret_options, tarn_error *err) {
    argument_list arguments = {.argv = argv, .count = (size_t)argc, .next = 1};
    cli_options options = {0};
    options.actions = tarn_arena_new(arena, cli_action, arguments.count + 1);
    if (options.actions == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory for options");
    TARN_TRY(parse_all(&arguments, &options, err));
    if (options.directory.len == 0 && !options.help && !options.version) {
        return tarn_fail(err, TARN_INVALID, "which warehouse? give its directory");
    }
    *ret_options = options;
    return TARN_OK;
}
