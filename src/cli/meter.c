#include "cli/meter.h"

#include "base/alloc.h"
#include "cli/progress.h"

#define LIVE_INTERVAL_MS  100
#define PLAIN_INTERVAL_MS 1000

struct cli_meter {
    cli_meter_options options;
    tarn_mutex *lock;
    tarn_cond *changed;
    tarn_thread *thread;

    // guarded by lock
    bool is_stopping;
    bool is_running;     // a statement is
    uint64_t generation; // of the statement, so that a late sample is not drawn into the next one
    cli_progress progress;
};

// One sample in an arena of its own.
typedef struct meter_sample {
    tarn_arena arena;
    tarn_progress progress;
    bool is_known;
} meter_sample;

static void take_sample(const cli_meter *meter, meter_sample *sample) {
    tarn_arena_init(&sample->arena, &tarn_alloc_libc, SIZE_MAX);
    // Progress is a courtesy: when it cannot be told, the statement runs on without.
    sample->is_known = meter->options.sample(meter->options.sample_context, &sample->arena,
                                             &sample->progress, NULL) == TARN_OK;
}

static int64_t now_ns(const cli_meter *meter) {
    return tarn_os_monotonic_ns(meter->options.os);
}

static void write_bytes(const cli_meter *meter, tarn_buffer *bytes, bool fits) {
    if (fits && bytes->len > 0) {
        // Nobody can be told that standard error fails.
        (void)meter->options.write(meter->options.write_context, tarn_buffer_slice(bytes), NULL);
    }
    tarn_buffer_free(bytes);
}

// ---- the thread ----

static void draw(cli_meter *meter, uint64_t generation) {
    meter_sample sample;
    take_sample(meter, &sample);
    tarn_terminal_size size = tarn_os_terminal_size(TARN_STREAM_ERROR);
    // Drawn under the lock, which stands for the terminal: whoever ends the statement must wait
    // until the drawing is whole.
    tarn_mutex_lock(meter->lock);
    if (sample.is_known && meter->is_running && meter->generation == generation) {
        tarn_buffer bytes = {0};
        bool fits =
            cli_progress_draw(&meter->progress, &sample.progress, now_ns(meter), size, &bytes);
        write_bytes(meter, &bytes, fits);
    }
    tarn_mutex_unlock(meter->lock);
    tarn_arena_reset(&sample.arena);
}

// Waits until it is time to draw. Returns the statement's generation; 0: the meter stops.
static uint64_t wait_turn(cli_meter *meter, uint64_t last_drawn) {
    int64_t interval_ms = meter->options.live ? LIVE_INTERVAL_MS : PLAIN_INTERVAL_MS;
    tarn_mutex_lock(meter->lock);
    while (!meter->is_stopping) {
        if (!meter->is_running) {
            tarn_cond_wait(meter->changed, meter->lock);
            continue;
        }
        uint64_t generation = meter->generation;
        bool is_first = generation != last_drawn;
        bool woken = tarn_cond_wait_ms(meter->changed, meter->lock,
                                       is_first ? meter->options.first_ms : interval_ms);
        if (!woken && meter->is_running && meter->generation == generation) break;
    }
    uint64_t generation = meter->is_stopping ? 0 : meter->generation;
    tarn_mutex_unlock(meter->lock);
    return generation;
}

static void run_meter(void *context) {
    cli_meter *meter = context;
    uint64_t generation = 0;
    while ((generation = wait_turn(meter, generation)) != 0) draw(meter, generation);
}

// ---- making, begin, end ----

tarn_status cli_meter_new(const cli_meter_options *options, cli_meter **ret_meter,
                          tarn_error *err) {
    cli_meter *meter = tarn_alloc_new(&tarn_alloc_libc, cli_meter, 1);
    if (meter == NULL) return tarn_fail(err, TARN_NO_MEMORY, "no memory to show progress");
    meter->options = *options;
    meter->progress =
        (cli_progress){.live = options->live, .color = options->color, .always = options->always};
    tarn_status status = tarn_mutex_new(TARN_LOCK_METRICS, &meter->lock, err);
    if (status == TARN_OK) status = tarn_cond_new(&meter->changed, err);
    if (status == TARN_OK) status = tarn_thread_start(run_meter, meter, &meter->thread, err);
    if (status != TARN_OK) {
        cli_meter_free(meter);
        return status;
    }
    *ret_meter = meter;
    return TARN_OK;
}

void cli_meter_free(cli_meter *meter) {
    if (meter == NULL) return;
    if (meter->thread != NULL) {
        tarn_mutex_lock(meter->lock);
        meter->is_stopping = true;
        tarn_cond_signal(meter->changed);
        tarn_mutex_unlock(meter->lock);
        tarn_thread_join(meter->thread);
    }
    tarn_cond_free(meter->changed);
    tarn_mutex_free(meter->lock);
    tarn_alloc_free(&tarn_alloc_libc, meter, 1);
}

void cli_meter_begin(cli_meter *meter, bool is_flush) {
    if (meter == NULL) return;
    meter_sample sample = {0};
    if (is_flush) take_sample(meter, &sample); // only a summary needs to know where it began
    tarn_mutex_lock(meter->lock);
    meter->is_running = true;
    meter->generation++;
    cli_progress_begin(&meter->progress, now_ns(meter), sample.is_known ? &sample.progress : NULL,
                       is_flush);
    tarn_cond_signal(meter->changed);
    tarn_mutex_unlock(meter->lock);
    if (is_flush) tarn_arena_reset(&sample.arena);
}

void cli_meter_end(cli_meter *meter) {
    if (meter == NULL) return;
    tarn_mutex_lock(meter->lock);
    bool was_running = meter->is_running;
    bool has_end = cli_progress_has_end(&meter->progress);
    meter->is_running = false; // from here on nothing more is drawn
    tarn_mutex_unlock(meter->lock);
    if (!was_running || !has_end) return;
    meter_sample sample;
    take_sample(meter, &sample);
    tarn_buffer bytes = {0};
    tarn_mutex_lock(meter->lock);
    bool fits = cli_progress_finish(&meter->progress, sample.is_known ? &sample.progress : NULL,
                                    now_ns(meter), &bytes);
    write_bytes(meter, &bytes, fits);
    tarn_mutex_unlock(meter->lock);
    tarn_arena_reset(&sample.arena);
}
