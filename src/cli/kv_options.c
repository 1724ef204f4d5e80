#include "cli/kv.h"

const char cli_kv_help_text[] =
    "Usage: tarn kv DIRECTORY COMMAND [OPTION]...\n"
    "\n"
    "  set KEY VALUE           sets a key; a new store is made when there is none\n"
    "  get KEY                 prints its value; exit status 1 when it is not there\n"
    "  delete KEY...           a missing key is fine\n"
    "  scan                    prints keys and values in order\n"
    "  count                   counts the keys of a scan\n"
    "  stats                   levels, sizes, amplification, caches, and what is not well\n"
    "  compact                 makes deleted and replaced values take no space\n"
    "  verify                  reads every byte and checks every checksum\n"
    "  backup TARGET           a consistent copy in a new directory\n"
    "  restore SOURCE          makes DIRECTORY, which must be new, a copy of a backup\n"
    "  load [FILE]             sets the keys of a file, or of standard input\n"
    "  dump                    prints all keys and values, for load\n"
    "  bench [COUNT]           measures DIRECTORY, which must be new\n"
    "\n"
    "  --engine=ENGINE         lsm, hashlog, btree or mem; of a new store\n"
    "  --family=NAME           a column family instead of the default one\n"
    "  --prefix=P --from=KEY --to=KEY --limit=N --reverse --keys    for scan and count\n"
    "  --format=FORMAT         tsv (default; with \\t \\n \\r \\\\ \\xHH) or json, a line each\n";

static bool take_value(tarn_slice argument, const char *name, tarn_slice *ret_value) {
    tarn_slice start = tarn_slice_from_cstr(name);
    if (!tarn_slice_starts_with(argument, start)) return false;
    *ret_value = tarn_slice_skip(argument, start.len);
    return true;
}

static tarn_status parse_engine(tarn_slice name, tarn_kv_engine *ret_engine, tarn_error *err) {
    for (tarn_kv_engine engine = TARN_KV_LSM; engine < TARN_KV_ENGINE_COUNT; engine++) {
        if (!tarn_slice_equal(name, tarn_slice_from_cstr(tarn_kv_engine_name(engine)))) continue;
        *ret_engine = engine;
        return TARN_OK;
    }
    return tarn_fail(err, TARN_INVALID,
                     "'" TARN_SLICE_FMT "' is no engine: there are lsm, hashlog, btree and mem",
                     TARN_SLICE_ARG(name));
}

static tarn_status parse_number(tarn_slice text, uint64_t *ret_number, tarn_error *err) {
    uint64_t number = 0;
    bool is_number = text.len > 0 && text.len < 19;
    for (size_t i = 0; is_number && i < text.len; i++) {
        is_number = text.data[i] >= '0' && text.data[i] <= '9';
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (!is_number) {
        return tarn_fail(err, TARN_INVALID, "'" TARN_SLICE_FMT "' is no number",
                         TARN_SLICE_ARG(text));
    }
    *ret_number = number;
    return TARN_OK;
}

static tarn_status parse_option(tarn_slice argument, cli_kv_options *options, tarn_error *err) {
    tarn_slice value;
    if (take_value(argument, "--engine=", &value)) {
        return parse_engine(value, &options->engine, err);
    }
    if (take_value(argument, "--limit=", &value)) return parse_number(value, &options->limit, err);
    if (take_value(argument, "--family=", &options->family) ||
        take_value(argument, "--prefix=", &options->prefix) ||
        take_value(argument, "--from=", &options->from) ||
        take_value(argument, "--to=", &options->to)) {
        return TARN_OK;
    }
    if (take_value(argument, "--format=", &value)) {
        options->is_json = tarn_slice_equal(value, TARN_LIT("json"));
        if (options->is_json || tarn_slice_equal(value, TARN_LIT("tsv"))) return TARN_OK;
        return tarn_fail(err, TARN_INVALID, "the format is tsv or json");
    }
    bool is_reverse = tarn_slice_equal(argument, TARN_LIT("--reverse"));
    bool is_keys = tarn_slice_equal(argument, TARN_LIT("--keys"));
    options->backwards |= is_reverse;
    options->keys_only |= is_keys;
    if (is_reverse || is_keys) return TARN_OK;
    return tarn_fail(err, TARN_INVALID, "unknown option '" TARN_SLICE_FMT "'",
                     TARN_SLICE_ARG(argument));
}

tarn_status cli_kv_parse(int argc, char *const *argv, cli_kv_options *ret_options,
                         tarn_error *err) {
    cli_kv_options options = {.limit = UINT64_MAX};
    bool has_ended = false; // by "--": keys and values may begin with dashes
    for (int i = 0; i < argc; i++) {
        tarn_slice argument = tarn_slice_from_cstr(argv[i]);
        if (!has_ended && tarn_slice_equal(argument, TARN_LIT("--"))) {
            has_ended = true;
        } else if (!has_ended && tarn_slice_starts_with(argument, TARN_LIT("--"))) {
            TARN_TRY(parse_option(argument, &options, err));
        } else if (options.directory.len == 0) {
            options.directory = argument;
        } else if (options.command.len == 0) {
            options.command = argument;
        } else if (options.argument_count < 8) {
            options.arguments[options.argument_count++] = argument;
        } else {
            return tarn_fail(err, TARN_INVALID, "too many arguments");
        }
    }
    if (options.command.len == 0) {
        return tarn_fail(err, TARN_INVALID, "a directory and a command are needed");
    }
    *ret_options = options;
    return TARN_OK;
}
