#include "cli/kv.h"

#include <inttypes.h>
#include <jansson.h>

enum { LOAD_BATCH = 1000, READ_BYTES = 64 << 10 };
#define LINE_BYTES_MAX ((size_t)1 << 31)

typedef struct session {
    tarn_os *os;
    const cli_kv_options *options;
    cli_out *out;
    cli_out *notes;
    int exit_status;
    tarn_kv *kv;
    tarn_kv_family *family; // NULL: the default one
} session;

// ---- single keys ----

static tarn_status run_set(session *s, tarn_error *err) {
    const tarn_slice *arguments = s->options->arguments;
    return tarn_kv_put(s->kv, s->family, arguments[0], arguments[1], TARN_KV_SYNC_DEFAULT, err);
}

static tarn_status run_get(session *s, tarn_error *err) {
    tarn_buffer value = {0};
    tarn_kv_read read = {.family = s->family};
    bool found = false;
    tarn_status status = tarn_kv_get(s->kv, &read, s->options->arguments[0], &value, &found, err);
    if (status == TARN_OK && found) {
        cli_out_put(s->out, tarn_buffer_slice(&value));
        cli_out_text(s->out, "\n");
    }
    if (status == TARN_OK && !found) s->exit_status = 1;
    tarn_buffer_free(&value);
    return status;
}

static tarn_status run_delete(session *s, tarn_error *err) {
    for (size_t i = 0; i < s->options->argument_count; i++) {
        TARN_TRY(
            tarn_kv_delete(s->kv, s->family, s->options->arguments[i], TARN_KV_SYNC_DEFAULT, err));
    }
    return TARN_OK;
}

// ---- scans ----

static bool is_dumped(cli_out *out, const json_t *object) {
    size_t len = json_dumpb(object, NULL, 0, JSON_COMPACT);
    tarn_buffer text = {0};
    bool is_done = len > 0 && tarn_buffer_reserve(&text, len + 1);
    if (is_done) {
        text.len = json_dumpb(object, (char *)text.data, len, JSON_COMPACT);
        text.data[text.len++] = '\n';
        cli_out_put(out, tarn_buffer_slice(&text));
    }
    tarn_buffer_free(&text);
    return is_done;
}

static tarn_status print_json(session *s, tarn_slice key, tarn_slice value, tarn_error *err) {
    json_t *object = json_object();
    json_t *key_json = json_stringn((const char *)key.data, key.len);
    json_t *value_json = json_stringn(value.len == 0 ? "" : (const char *)value.data, value.len);
    bool is_printed = object != NULL && key_json != NULL && value_json != NULL &&
                      json_object_set(object, "key", key_json) == 0 &&
                      (s->options->keys_only || json_object_set(object, "value", value_json) == 0);
    is_printed = is_printed && is_dumped(s->out, object);
    json_decref(key_json);
    json_decref(value_json);
    json_decref(object);
    if (is_printed) return TARN_OK;
    return tarn_fail(err, TARN_UNSUPPORTED,
                     "an entry that is not UTF-8 has no JSON form: use --format=tsv");
}

static tarn_status print_entry(session *s, const tarn_kv_iterator *iterator, tarn_error *err) {
    tarn_slice key = tarn_kv_key(iterator);
    tarn_slice value = tarn_kv_value(iterator);
    if (s->options->is_json) return print_json(s, key, value, err);
    cli_kv_put_escaped(s->out, key);
    if (!s->options->keys_only) {
        cli_out_text(s->out, "\t");
        cli_kv_put_escaped(s->out, value);
    }
    cli_out_text(s->out, "\n");
    return s->out->buffer.len < READ_BYTES ? TARN_OK : cli_out_flush(s->out, err);
}

static tarn_status walk(session *s, bool prints, uint64_t *ret_count, tarn_error *err) {
    const cli_kv_options *options = s->options;
    tarn_kv_iterator_options range = {
        .family = s->family,
        .prefix = options->prefix,
        .lower = options->from,
        .upper = options->to,
        .keys_only = options->keys_only || !prints,
    };
    tarn_kv_iterator *iterator = NULL;
    TARN_TRY(tarn_kv_iterator_new(s->kv, &range, &iterator, err));
    tarn_status status =
        options->backwards ? tarn_kv_seek_last(iterator, err) : tarn_kv_seek_first(iterator, err);
    uint64_t count = 0;
    while (status == TARN_OK && tarn_kv_is_valid(iterator) && count < options->limit) {
        count++;
        if (prints) status = print_entry(s, iterator, err);
        if (status != TARN_OK) break;
        status = options->backwards ? tarn_kv_prev(iterator, err) : tarn_kv_next(iterator, err);
    }
    tarn_kv_iterator_free(iterator);
    *ret_count = count;
    return status;
}

static tarn_status run_scan(session *s, tarn_error *err) {
    uint64_t count;
    return walk(s, true, &count, err);
}

static tarn_status run_count(session *s, tarn_error *err) {
    uint64_t count = 0;
    TARN_TRY(walk(s, false, &count, err));
    cli_out_printf(s->out, "%" PRIu64 "\n", count);
    return TARN_OK;
}

// ---- loading ----

typedef struct loader {
    session *s;
    tarn_kv_batch *batch;
    tarn_buffer key;
    tarn_buffer value;
    tarn_buffer rest; // a line that is not complete
    uint64_t line;
} loader;

static tarn_status load_json(loader *l, tarn_slice line, tarn_error *err) {
    json_error_t reason;
    json_t *object = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, &reason);
    const json_t *key = json_object_get(object, "key");
    const json_t *value = json_object_get(object, "value");
    tarn_status status = TARN_OK;
    if (!json_is_string(key) || !json_is_string(value)) {
        status =
            tarn_fail(err, TARN_INVALID, "this is no object with the texts \"key\" and \"value\"");
    } else {
        tarn_slice key_text = {(const uint8_t *)json_string_value(key), json_string_length(key)};
        tarn_slice text = {(const uint8_t *)json_string_value(value), json_string_length(value)};
        status = tarn_kv_batch_put(l->batch, l->s->family, key_text, text, err);
    }
    json_decref(object);
    return status;
}

static tarn_status load_columns(loader *l, tarn_slice line, tarn_error *err) {
    const uint8_t *tab = memchr(line.data, '\t', line.len);
    if (tab == NULL) return tarn_fail(err, TARN_INVALID, "there is no tab behind the key");
    size_t key_len = (size_t)(tab - line.data);
    tarn_buffer_clear(&l->key);
    tarn_buffer_clear(&l->value);
    TARN_TRY(cli_kv_unescape(tarn_slice_head(line, key_len), &l->key, err));
    TARN_TRY(cli_kv_unescape(tarn_slice_skip(line, key_len + 1), &l->value, err));
    return tarn_kv_batch_put(l->batch, l->s->family, tarn_buffer_slice(&l->key),
                             tarn_buffer_slice(&l->value), err);
}

// Not synced one by one: the end of the load syncs all.
static tarn_status write_loaded(loader *l, tarn_error *err) {
    TARN_TRY(tarn_kv_write(l->s->kv, l->batch, TARN_KV_SYNC_NEVER, err));
    tarn_kv_batch_clear(l->batch);
    return TARN_OK;
}

static tarn_status load_line(loader *l, tarn_slice line, tarn_error *err) {
    l->line++;
    if (line.len > 0 && line.data[line.len - 1] == '\r') line.len--;
    if (line.len == 0) return TARN_OK;
    tarn_status status =
        l->s->options->is_json ? load_json(l, line, err) : load_columns(l, line, err);
    if (status != TARN_OK) tarn_error_prefix(err, "line %" PRIu64 ": ", l->line);
    if (status != TARN_OK || tarn_kv_batch_count(l->batch) < LOAD_BATCH) return status;
    return write_loaded(l, err);
}

static tarn_status load_chunk(loader *l, tarn_slice chunk, tarn_error *err) {
    while (chunk.len > 0) {
        const uint8_t *end = memchr(chunk.data, '\n', chunk.len);
        size_t len = end == NULL ? chunk.len : (size_t)(end - chunk.data);
        if (!tarn_buffer_append(&l->rest, tarn_slice_head(chunk, len))) {
            return tarn_fail(err, TARN_NO_MEMORY, "line %" PRIu64 " is too long", l->line + 1);
        }
        if (end == NULL) return TARN_OK;
        TARN_TRY(load_line(l, tarn_buffer_slice(&l->rest), err));
        tarn_buffer_clear(&l->rest);
        chunk = tarn_slice_skip(chunk, len + 1);
    }
    return TARN_OK;
}

static tarn_status load_all(loader *l, tarn_file *file, tarn_error *err) {
    uint64_t offset = 0;
    for (;;) {
        uint8_t bytes[READ_BYTES];
        size_t len = 0;
        if (file != NULL) {
            TARN_TRY(tarn_file_read_at(file, offset, bytes, sizeof bytes, &len, err));
        } else {
            TARN_TRY(tarn_os_stream_read(bytes, sizeof bytes, &len, err));
        }
        if (len == 0) break;
        offset += len;
        TARN_TRY(load_chunk(l, (tarn_slice){bytes, len}, err));
    }
    if (l->rest.len > 0) TARN_TRY(load_line(l, tarn_buffer_slice(&l->rest), err));
    TARN_TRY(write_loaded(l, err));
    return tarn_kv_sync_log(l->s->kv, err);
}

static tarn_status run_load(session *s, tarn_error *err) {
    tarn_file *file = NULL;
    if (s->options->argument_count > 0) {
        TARN_TRY(tarn_os_open(s->os, s->options->arguments[0], TARN_OPEN_READ, &file, err));
    }
    loader l = {.s = s, .rest = {.limit_bytes = LINE_BYTES_MAX}};
    tarn_status status = tarn_kv_batch_new(NULL, &l.batch, err);
    if (status == TARN_OK) status = load_all(&l, file, err);
    if (status == TARN_OK) cli_out_printf(s->notes, "%" PRIu64 " lines\n", l.line);
    tarn_kv_batch_free(l.batch);
    tarn_buffer_free(&l.key);
    tarn_buffer_free(&l.value);
    tarn_buffer_free(&l.rest);
    (void)tarn_file_close(file, NULL); // it was only read
    return status;
}

// ---- upkeep ----

static tarn_status run_compact(session *s, tarn_error *err) {
    return tarn_kv_compact(s->kv, s->family, s->options->from, s->options->to, err);
}

static tarn_status run_verify(session *s, tarn_error *err) {
    TARN_TRY(tarn_kv_verify(s->kv, err));
    cli_out_text(s->notes, "no damage\n");
    return TARN_OK;
}

static tarn_status run_backup(session *s, tarn_error *err) {
    return tarn_kv_checkpoint(s->kv, s->options->arguments[0], err);
}

static double ratio(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static void print_levels(session *s, const tarn_kv_statistics *stats) {
    if (stats->level_count == 0) return;
    cli_out_text(s->out,
                 "\nlevel      files          bytes           read        written  score\n");
    for (size_t i = 0; i < stats->level_count && i < TARN_KV_LEVELS; i++) {
        const tarn_kv_level *level = &stats->levels[i];
        cli_out_printf(
            s->out, "%5zu %10" PRIu64 " %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %6.2f\n", i,
            level->file_count, level->bytes, level->read_bytes, level->written_bytes, level->score);
    }
}

// One line for the first figure that is out of its healthy range.
static const char *diagnose(const tarn_kv_statistics *stats) {
    if (stats->stall_reason[0] != '\0') return stats->stall_reason;
    if (stats->skipped_records > 0) return "damaged records were left out: restore a backup";
    if (stats->file_bytes > (1 << 20) && ratio(stats->dead_bytes, stats->file_bytes) > 0.5) {
        return "more than half of the files is dead: compact gives the space back";
    }
    if (stats->compactions_pending > 4) return "compactions are behind: writes will be slowed";
    uint64_t lookups = stats->cache_hits + stats->cache_misses;
    if (lookups > 10000 && ratio(stats->cache_hits, lookups) < 0.5) {
        return "the cache misses half of the time: more memory would help reads";
    }
    return "nothing is out of its range";
}

static tarn_status run_stats(session *s, tarn_error *err) {
    tarn_kv_statistics stats;
    TARN_TRY(tarn_kv_stats(s->kv, &stats, err));
    cli_out_printf(s->out, "engine        %s\n", tarn_kv_engine_name(tarn_kv_engine_of(s->kv)));
    cli_out_printf(s->out, "keys          %" PRIu64 "\n", stats.key_count);
    cli_out_printf(s->out, "file bytes    %" PRIu64 ", of them dead %" PRIu64 ", log %" PRIu64 "\n",
                   stats.file_bytes, stats.dead_bytes, stats.log_bytes);
    cli_out_printf(s->out, "memory bytes  %" PRIu64 "\n", stats.memory_bytes);
    cli_out_printf(s->out, "compactions   %" PRIu64 " done, %" PRIu64 " pending\n",
                   stats.compactions, stats.compactions_pending);
    print_levels(s, &stats);
    cli_out_printf(s->out, "\n%s\n", diagnose(&stats));
    return TARN_OK;
}

// ---- measuring ----

static void number_key(uint64_t number, char key[17]) {
    for (int i = 15; i >= 0; i--, number /= 10) key[i] = (char)('0' + number % 10);
    key[16] = '\0';
}

static tarn_status bench_fill(session *s, uint64_t count, bool is_random, tarn_error *err) {
    char value[100];
    memset(value, 'v', sizeof value);
    uint64_t state = 1;
    for (uint64_t i = 0; i < count; i++) {
        char key[17];
        state = state * 6364136223846793005u + 1442695040888963407u;
        number_key(is_random ? (state >> 20) % count : i, key);
        memcpy(value, key, 16);
        TARN_TRY(tarn_kv_put(s->kv, NULL, (tarn_slice){(uint8_t *)key, 16},
                             (tarn_slice){(uint8_t *)value, sizeof value}, TARN_KV_SYNC_NEVER,
                             err));
    }
    return TARN_OK;
}

static tarn_status look_at(void *context, tarn_slice value, tarn_error *err) {
    (void)err;
    *(uint64_t *)context += value.data[0];
    return TARN_OK;
}

static tarn_status bench_read(session *s, uint64_t count, tarn_error *err) {
    uint64_t state = 7;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        char key[17];
        bool found;
        state = state * 6364136223846793005u + 1442695040888963407u;
        number_key((state >> 20) % count, key);
        TARN_TRY(tarn_kv_visit(s->kv, NULL, (tarn_slice){(uint8_t *)key, 16}, look_at, &sum, &found,
                               err));
        if (!found) return tarn_fail(err, TARN_CORRUPT, "the key '%s' is missing", key);
    }
    return TARN_OK;
}

static tarn_status bench_scan(session *s, tarn_error *err) {
    uint64_t count;
    tarn_status status = walk(s, false, &count, err);
    return status == TARN_UNSUPPORTED ? TARN_OK : status;
}

static void print_rate(session *s, const char *name, uint64_t count, int64_t begin_ns) {
    double seconds = (double)(tarn_os_monotonic_ns(s->os) - begin_ns) / 1e9;
    cli_out_printf(s->out, "%-11s %12.0f operations/s\n", name, (double)count / seconds);
}

// One thread, 16-byte keys, 100-byte values, the log not synced; bench/kv measures with peers.
static tarn_status run_bench(session *s, tarn_error *err) {
    uint64_t count = 100000;
    if (s->options->argument_count > 0) {
        tarn_slice text = s->options->arguments[0];
        count = 0;
        for (size_t i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
            count = count * 10 + (uint64_t)(text.data[i] - '0');
        }
        if (count == 0 || text.len > 10) return tarn_fail(err, TARN_INVALID, "COUNT is no number");
    }
    int64_t begin_ns = tarn_os_monotonic_ns(s->os);
    TARN_TRY(bench_fill(s, count, false, err));
    print_rate(s, "fillseq", count, begin_ns);
    begin_ns = tarn_os_monotonic_ns(s->os);
    TARN_TRY(bench_fill(s, count, true, err));
    print_rate(s, "overwrite", count, begin_ns);
    begin_ns = tarn_os_monotonic_ns(s->os);
    TARN_TRY(bench_read(s, count, err));
    print_rate(s, "readrandom", count, begin_ns);
    begin_ns = tarn_os_monotonic_ns(s->os);
    TARN_TRY(bench_scan(s, err));
    print_rate(s, "readseq", count, begin_ns);
    return TARN_OK;
}

// ---- the commands ----

typedef enum open_mode { READS, WRITES, CREATES, NEEDS_NEW } open_mode;

typedef struct command {
    const char *name;
    open_mode mode;
    size_t least_arguments;
    size_t most_arguments;
    tarn_status (*run)(session *s, tarn_error *err);
} command;

static const command commands[] = {
    {"set", CREATES, 2, 2, run_set},        {"get", READS, 1, 1, run_get},
    {"delete", WRITES, 1, 8, run_delete},   {"scan", READS, 0, 0, run_scan},
    {"count", READS, 0, 0, run_count},      {"stats", READS, 0, 0, run_stats},
    {"compact", WRITES, 0, 0, run_compact}, {"verify", READS, 0, 0, run_verify},
    {"backup", READS, 1, 1, run_backup},    {"load", CREATES, 0, 1, run_load},
    {"dump", READS, 0, 0, run_scan},        {"bench", NEEDS_NEW, 0, 1, run_bench},
};

static tarn_status open_family(session *s, open_mode mode, tarn_error *err) {
    tarn_slice name = s->options->family;
    if (name.len == 0) return TARN_OK;
    if (mode == READS || mode == WRITES) {
        tarn_arena arena;
        tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
        tarn_slice *names;
        size_t count = 0;
        bool exists = false;
        tarn_status status = tarn_kv_family_list(s->kv, &arena, &names, &count, err);
        for (size_t i = 0; i < count; i++) exists |= tarn_slice_equal(names[i], name);
        tarn_arena_reset(&arena);
        if (status != TARN_OK) return status;
        if (!exists) {
            return tarn_fail(err, TARN_INVALID, "there is no family '" TARN_SLICE_FMT "'",
                             TARN_SLICE_ARG(name));
        }
    }
    return tarn_kv_family_open(s->kv, name, NULL, &s->family, err);
}

static tarn_status run_command(session *s, const command *c, tarn_error *err) {
    size_t count = s->options->argument_count;
    if (count < c->least_arguments || count > c->most_arguments) {
        return tarn_fail(err, TARN_INVALID, "'%s' takes other arguments: see tarn kv --help",
                         c->name);
    }
    tarn_kv_options options = {
        .engine = s->options->engine,
        .read_only = c->mode == READS,
        .must_exist = c->mode == READS || c->mode == WRITES,
        .must_be_new = c->mode == NEEDS_NEW,
    };
    TARN_TRY(tarn_kv_open(s->os, s->options->directory, &options, &s->kv, err));
    tarn_status status = open_family(s, c->mode, err);
    if (status == TARN_OK) status = c->run(s, err);
    tarn_status closed = tarn_kv_close(s->kv, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? closed : status;
}

// A backup is a store: what comes out of it is a copy that was checked.
static tarn_status run_restore(session *s, tarn_error *err) {
    if (s->options->argument_count != 1) {
        return tarn_fail(err, TARN_INVALID, "'restore' takes the directory of a backup");
    }
    tarn_kv_options options = {.engine = s->options->engine, .read_only = true};
    TARN_TRY(tarn_kv_open(s->os, s->options->arguments[0], &options, &s->kv, err));
    tarn_status status = tarn_kv_verify(s->kv, err);
    if (status == TARN_OK) status = tarn_kv_checkpoint(s->kv, s->options->directory, err);
    tarn_status closed = tarn_kv_close(s->kv, status == TARN_OK ? err : NULL);
    return status == TARN_OK ? closed : status;
}

tarn_status cli_kv_run(tarn_os *os, const cli_kv_options *options, cli_out *out, cli_out *notes,
                       int *ret_exit_status, tarn_error *err) {
    session s = {.os = os, .options = options, .out = out, .notes = notes};
    tarn_status status = TARN_UNSUPPORTED;
    bool is_known = tarn_slice_equal(options->command, TARN_LIT("restore"));
    if (is_known) status = run_restore(&s, err);
    for (size_t i = 0; !is_known && i < sizeof commands / sizeof commands[0]; i++) {
        if (!tarn_slice_equal(options->command, tarn_slice_from_cstr(commands[i].name))) continue;
        is_known = true;
        status = run_command(&s, &commands[i], err);
    }
    if (!is_known) {
        return tarn_fail(err, TARN_INVALID, "there is no command '" TARN_SLICE_FMT "'",
                         TARN_SLICE_ARG(options->command));
    }
    if (status == TARN_OK) *ret_exit_status = s.exit_status;
    return status;
}
