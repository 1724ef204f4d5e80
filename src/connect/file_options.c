#include "connect/file.h"

static const char *const known_options[] = {"connector", "path", "format",  "header",
                                            "delimiter", "null", "on_error"};
#define OPTION_COUNT (sizeof known_options / sizeof known_options[0])

static tarn_status refuse_value(const tarn_connector_option *option, const char *expected,
                                tarn_error *err) {
    tarn_status status = tarn_fail(
        err, TARN_INVALID, "option \"" TARN_SLICE_FMT "\": '" TARN_SLICE_FMT "' is not %s",
        TARN_SLICE_ARG(option->key), TARN_SLICE_ARG(option->value), expected);
    tarn_error_locate(err, "22023", 0);
    return status;
}

static tarn_status refuse_option(const tarn_connector_option *option, tarn_error *err) {
    tarn_status status =
        tarn_fail(err, TARN_INVALID, "the connector 'file' has no option \"" TARN_SLICE_FMT "\"",
                  TARN_SLICE_ARG(option->key));
    tarn_error_locate(err, "42601", 0);
    tarn_slice candidates[OPTION_COUNT];
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        candidates[i] = tarn_slice_from_cstr(known_options[i]);
    }
    ptrdiff_t nearest = tarn_nearest_name(option->key, candidates, OPTION_COUNT);
    if (nearest >= 0) {
        tarn_error_hint(err, "Did you mean \"%s\"?", known_options[nearest]);
    } else {
        tarn_error_hint(err, "Its options are path, format, header, delimiter, null and on_error.");
    }
    return status;
}

static bool is_any_of(tarn_slice value, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tarn_slice_equal(value, tarn_slice_from_cstr(words[i]))) return true;
    }
    return false;
}

static tarn_status parse_bool(const tarn_connector_option *option, bool *ret_value,
                              tarn_error *err) {
    static const char *const yes[] = {"true", "on", "yes", "1", ""};
    static const char *const no[] = {"false", "off", "no", "0"};
    if (is_any_of(option->value, yes, sizeof yes / sizeof yes[0])) {
        *ret_value = true;
    } else if (is_any_of(option->value, no, sizeof no / sizeof no[0])) {
        *ret_value = false;
    } else {
        return refuse_value(option, "a boolean", err);
    }
    return TARN_OK;
}

static tarn_status parse_format(const tarn_connector_option *option, file_format *ret_format,
                                tarn_error *err) {
    if (tarn_slice_equal(option->value, TARN_LIT("parquet"))) {
        *ret_format = FILE_FORMAT_PARQUET;
    } else if (tarn_slice_equal(option->value, TARN_LIT("csv"))) {
        *ret_format = FILE_FORMAT_CSV;
    } else if (tarn_slice_equal(option->value, TARN_LIT("json"))) {
        *ret_format = FILE_FORMAT_JSON;
    } else {
        return refuse_value(option, "a format: parquet, csv or json", err);
    }
    return TARN_OK;
}

static tarn_status parse_delimiter(const tarn_connector_option *option, uint8_t *ret_delimiter,
                                   tarn_error *err) {
    if (tarn_slice_equal(option->value, TARN_LIT("\\t"))) {
        *ret_delimiter = '\t';
        return TARN_OK;
    }
    bool is_bad = option->value.len != 1 || option->value.data[0] == '"' ||
                  option->value.data[0] == '\n' || option->value.data[0] == '\r' ||
                  option->value.data[0] == 0;
    if (is_bad) return refuse_value(option, "a single character that can separate fields", err);
    *ret_delimiter = option->value.data[0];
    return TARN_OK;
}

static tarn_status parse_option(const tarn_connector_option *option, file_options *options,
                                tarn_error *err) {
    if (tarn_slice_equal(option->key, TARN_LIT("connector"))) return TARN_OK;
    if (tarn_slice_equal(option->key, TARN_LIT("path"))) {
        options->path = option->value;
        return TARN_OK;
    }
    if (tarn_slice_equal(option->key, TARN_LIT("format"))) {
        return parse_format(option, &options->format, err);
    }
    if (tarn_slice_equal(option->key, TARN_LIT("header"))) {
        return parse_bool(option, &options->header, err);
    }
    if (tarn_slice_equal(option->key, TARN_LIT("delimiter"))) {
        return parse_delimiter(option, &options->delimiter, err);
    }
    if (tarn_slice_equal(option->key, TARN_LIT("null"))) {
        options->null_text = option->value;
        return TARN_OK;
    }
    if (tarn_slice_equal(option->key, TARN_LIT("on_error"))) {
        options->dead_letter = tarn_slice_equal(option->value, TARN_LIT("dead_letter"));
        if (options->dead_letter || tarn_slice_equal(option->value, TARN_LIT("fail"))) {
            return TARN_OK;
        }
        return refuse_value(option, "'fail' or 'dead_letter'", err);
    }
    return refuse_option(option, err);
}

tarn_status file_options_parse(const tarn_connector_spec *spec, file_options *ret_options,
                               tarn_error *err) {
    file_options options = {.header = true};
    for (size_t i = 0; i < spec->option_count; i++) {
        TARN_TRY(parse_option(&spec->options[i], &options, err));
    }
    if (options.path.len == 0) {
        tarn_status status =
            tarn_fail(err, TARN_INVALID, "the connector 'file' needs the option \"path\"");
        tarn_error_locate(err, "42601", 0);
        tarn_error_hint(err, "Give a file, a directory or a pattern: path = 'data/*.parquet'.");
        return status;
    }
    *ret_options = options;
    return TARN_OK;
}
