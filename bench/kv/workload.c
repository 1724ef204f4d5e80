#include "bench/kv/workload.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t bench_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// ---- latencies ----

static unsigned bucket_of(uint64_t ns) {
    if (ns < 16) return (unsigned)ns;
    unsigned doubling = 63 - (unsigned)__builtin_clzll(ns);
    return (doubling - 3) * 16 + (unsigned)(ns >> (doubling - 4) & 15);
}

static double bucket_begin(unsigned bucket) {
    if (bucket < 16) return bucket;
    return ldexp(16 + bucket % 16, (int)(bucket / 16) - 1);
}

void bench_record(bench_histogram *histogram, uint64_t ns) {
    histogram->counts[bucket_of(ns)]++;
    histogram->total++;
}

void bench_add(bench_histogram *into, const bench_histogram *from) {
    for (unsigned i = 0; i < BUCKET_COUNT; i++) into->counts[i] += from->counts[i];
    into->total += from->total;
}

double bench_quantile_us(const bench_histogram *histogram, double quantile) {
    uint64_t rank = (uint64_t)(quantile * (double)histogram->total);
    for (unsigned i = 0; i < BUCKET_COUNT; i++) {
        if (rank < histogram->counts[i]) return bucket_begin(i) / 1000;
        rank -= histogram->counts[i];
    }
    return 0;
}

// ---- keys and values ----

// Decimal digits, as db_bench has them. Stored keys are even: odd numbers are misses between them.
static bench_bytes make_key(char text[KEY_BYTES + 1], uint64_t number) {
    for (int i = KEY_BYTES - 1; i >= 0; i--) {
        text[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return (bench_bytes){text, KEY_BYTES};
}

static uint64_t stored(uint64_t index) {
    return 2 * index;
}

// A bijection of [0, 2^bits) that scatters, walked until it falls below `count`.
static uint64_t scatter(uint64_t index, uint64_t count, uint64_t seed) {
    unsigned bits = 2;
    while (count > (uint64_t)1 << bits) bits += 2;
    unsigned half = bits / 2;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do { // a Feistel network of four rounds
        uint64_t left = index >> half;
        uint64_t right = index & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t next = left ^ (bench_mix(right ^ bench_mix(seed + round)) & mask);
            left = right;
            right = next;
        }
        index = left << half | right;
    } while (index >= count);
    return index;
}

#define POOL_BYTES ((size_t)4 << 20)

// Half of each 64 bytes is noise, half repeats: values shrink to about half.
static char *make_pool(uint64_t seed) {
    char *pool = bench_new(POOL_BYTES);
    bench_random random = {seed};
    for (size_t i = 0; i < POOL_BYTES; i++) {
        pool[i] = (char)(i % 64 < 32 ? bench_next(&random) : 'a');
    }
    return pool;
}

static bench_bytes make_value(const char *pool, uint64_t number, size_t len) {
    size_t range = POOL_BYTES - len;
    return (bench_bytes){pool + bench_mix(number) % range / 64 * 64, len};
}

// Zipfian with theta 0.99 over [0, n), by Gray et al., "Quickly Generating Billion-Record Synthetic
// Databases" (SIGMOD 1994), ranks scattered over the keys as YCSB does.
typedef struct zipf {
    uint64_t n;
    double zeta, alpha, eta, half;
} zipf;

static zipf make_zipf(uint64_t n) {
    const double theta = 0.99;
    zipf z = {.n = n, .alpha = 1 / (1 - theta)};
    for (uint64_t i = 1; i <= n; i++) z.zeta += 1 / pow((double)i, theta);
    double two = 1 + 1 / pow(2, theta);
    z.eta = (1 - pow(2 / (double)n, 1 - theta)) / (1 - two / z.zeta);
    z.half = two;
    return z;
}

static uint64_t zipf_next(const zipf *z, bench_random *random) {
    double u = (double)(bench_next(random) >> 11) * 0x1p-53;
    double uz = u * z->zeta;
    if (uz < 1) return 0;
    if (uz < z->half) return 1;
    uint64_t rank = (uint64_t)((double)z->n * pow(z->eta * u - z->eta + 1, z->alpha));
    return rank < z->n ? rank : z->n - 1;
}

// ---- one thread of a workload ----

typedef struct worker {
    const bench_setup *setup;
    const struct workload *workload;
    void *store;
    const char *pool;
    const zipf *skew;
    atomic_uint_fast64_t *tail; // the next index to insert, of YCSB D and E
    const atomic_bool *stop;    // of a background writer
    uint64_t begin, end;        // indexes of operations
    unsigned number;
    bench_random random;
    bench_histogram latencies;
    uint64_t operations;
    uint64_t found;
    uint64_t checksum;
    void *session;
    char text[KEY_BYTES + 1];
} worker;

typedef void operation(worker *w, uint64_t i);

typedef struct workload {
    const char *name;
    operation *run;
    unsigned threads;
    unsigned per_operation; // entries that one operation writes or reads; 1
    bool starts_empty;      // else the store is loaded and settled
    bool is_sync;
    bool needs_order;
    bool is_skewed;
    bool has_writer; // one thread more, which overwrites until the others are done
    unsigned divide; // operations are so many times fewer than reads or keys; 0: 1
} workload;

static bench_pair make_pair(worker *w, uint64_t index, uint64_t version) {
    return (bench_pair){make_key(w->text, stored(index)),
                        make_value(w->pool, index + version * 7919, w->setup->value_bytes)};
}

static uint64_t any_index(worker *w) {
    uint64_t n = w->setup->key_count;
    if (!w->workload->is_skewed) return bench_below(&w->random, n);
    return scatter(zipf_next(w->skew, &w->random), n, w->setup->seed);
}

static void put_one(worker *w, uint64_t index, uint64_t version) {
    bench_pair pair = make_pair(w, index, version);
    w->setup->store->put(w->session, &pair, 1);
}

static void fill_sequential(worker *w, uint64_t i) {
    put_one(w, i, 0);
}

static void fill_random(worker *w, uint64_t i) {
    put_one(w, scatter(i, w->setup->key_count, w->setup->seed), 0);
}

#define BATCH 100

static void fill_batch(worker *w, uint64_t i) {
    bench_pair pairs[BATCH];
    char texts[BATCH][KEY_BYTES + 1];
    for (uint64_t k = 0; k < BATCH; k++) {
        uint64_t index = (i * BATCH + k) % w->setup->key_count;
        index = scatter(index, w->setup->key_count, w->setup->seed);
        pairs[k].key = make_key(texts[k], stored(index));
        pairs[k].value = make_value(w->pool, index, w->setup->value_bytes);
    }
    w->setup->store->put(w->session, pairs, BATCH);
}

static void overwrite(worker *w, uint64_t i) {
    put_one(w, bench_below(&w->random, w->setup->key_count), i);
}

static void delete_random(worker *w, uint64_t i) {
    uint64_t index = scatter(i, w->setup->key_count, w->setup->seed);
    w->setup->store->erase(w->session, make_key(w->text, stored(index)));
}

static void get_index(worker *w, uint64_t index) {
    bench_bytes key = make_key(w->text, stored(index));
    w->found += w->setup->store->get(w->session, key, &w->checksum);
}

static void read_hit(worker *w, uint64_t i) {
    (void)i;
    get_index(w, any_index(w));
}

static void read_miss(worker *w, uint64_t i) {
    (void)i;
    bench_bytes key = make_key(w->text, stored(any_index(w)) + 1);
    w->found += w->setup->store->get(w->session, key, &w->checksum);
}

#define MULTI 16

static void read_multi(worker *w, uint64_t i) {
    (void)i;
    bench_bytes keys[MULTI];
    char texts[MULTI][KEY_BYTES + 1];
    for (size_t k = 0; k < MULTI; k++) keys[k] = make_key(texts[k], stored(any_index(w)));
    const bench_store *store = w->setup->store;
    if (store->multi_get != NULL) {
        w->found += store->multi_get(w->session, keys, MULTI, &w->checksum);
        return;
    }
    for (size_t k = 0; k < MULTI; k++) {
        w->found += store->get(w->session, keys[k], &w->checksum);
    }
}

static void scan_from(worker *w, uint64_t index, size_t limit) {
    bench_bytes from = make_key(w->text, stored(index));
    w->found += w->setup->store->scan(w->session, from, false, limit, &w->checksum);
}

static void seek_10(worker *w, uint64_t i) {
    (void)i;
    scan_from(w, any_index(w), 10);
}

static void seek_100(worker *w, uint64_t i) {
    (void)i;
    scan_from(w, any_index(w), 100);
}

// The whole store is one operation.
static void read_forward(worker *w, uint64_t i) {
    (void)i;
    bench_bytes none = {0};
    w->found += w->setup->store->scan(w->session, none, false, SIZE_MAX, &w->checksum);
}

static void read_reverse(worker *w, uint64_t i) {
    (void)i;
    bench_bytes none = {0};
    w->found += w->setup->store->scan(w->session, none, true, SIZE_MAX, &w->checksum);
}

// YCSB: Cooper et al., "Benchmarking Cloud Serving Systems with YCSB" (SoCC 2010), table 2.
static void mix_update(worker *w, uint64_t i, unsigned percent) {
    if (bench_below(&w->random, 100) < percent) {
        put_one(w, any_index(w), i);
    } else {
        get_index(w, any_index(w));
    }
}

static void ycsb_a(worker *w, uint64_t i) {
    mix_update(w, i, 50);
}

static void ycsb_b(worker *w, uint64_t i) {
    mix_update(w, i, 5);
}

static void ycsb_c(worker *w, uint64_t i) {
    mix_update(w, i, 0);
}

static uint64_t insert_at_tail(worker *w) {
    uint64_t index = atomic_fetch_add_explicit(w->tail, 1, memory_order_relaxed);
    put_one(w, index, 0);
    return index;
}

static void ycsb_d(worker *w, uint64_t i) { // reads prefer what was inserted last
    (void)i;
    if (bench_below(&w->random, 100) < 5) {
        insert_at_tail(w);
    } else {
        uint64_t tail = atomic_load_explicit(w->tail, memory_order_relaxed);
        uint64_t back = zipf_next(w->skew, &w->random);
        get_index(w, back < tail ? tail - 1 - back : 0);
    }
}

static void ycsb_e(worker *w, uint64_t i) {
    (void)i;
    if (bench_below(&w->random, 100) < 5) {
        insert_at_tail(w);
    } else {
        scan_from(w, any_index(w), 1 + bench_below(&w->random, 100));
    }
}

static void ycsb_f(worker *w, uint64_t i) {
    uint64_t index = any_index(w);
    get_index(w, index);
    if (bench_below(&w->random, 100) < 50) put_one(w, index, i);
}

static const workload workloads[] = {
    {.name = "fillseq", .run = fill_sequential, .starts_empty = true},
    {.name = "fillrandom", .run = fill_random, .starts_empty = true},
    {.name = "fillrandom2", .run = fill_random, .starts_empty = true, .threads = 2},
    {.name = "fillbatch100", .run = fill_batch, .starts_empty = true, .per_operation = BATCH},
    {.name = "fillsync", .run = fill_random, .starts_empty = true, .is_sync = true, .divide = 50},
    {.name = "fillsync8",
     .run = fill_random,
     .starts_empty = true,
     .is_sync = true,
     .threads = 8,
     .divide = 20},
    {.name = "fillsyncbatch100",
     .run = fill_batch,
     .starts_empty = true,
     .is_sync = true,
     .per_operation = BATCH,
     .divide = 5},
    {.name = "overwrite", .run = overwrite},
    {.name = "deleterandom", .run = delete_random},
    {.name = "readrandom", .run = read_hit},
    {.name = "readrandom2", .run = read_hit, .threads = 2},
    {.name = "readzipf", .run = read_hit, .is_skewed = true},
    {.name = "readmiss", .run = read_miss},
    {.name = "multiget16", .run = read_multi, .per_operation = MULTI},
    {.name = "readseq", .run = read_forward, .needs_order = true},
    {.name = "readreverse", .run = read_reverse, .needs_order = true},
    {.name = "seek10", .run = seek_10, .needs_order = true, .divide = 4},
    {.name = "seek100", .run = seek_100, .needs_order = true, .divide = 10},
    {.name = "readwhilewriting", .run = read_hit, .has_writer = true},
    {.name = "ycsb-a", .run = ycsb_a, .is_skewed = true},
    {.name = "ycsb-b", .run = ycsb_b, .is_skewed = true},
    {.name = "ycsb-c", .run = ycsb_c, .is_skewed = true},
    {.name = "ycsb-d", .run = ycsb_d, .is_skewed = true},
    {.name = "ycsb-e", .run = ycsb_e, .is_skewed = true, .needs_order = true, .divide = 10},
    {.name = "ycsb-f", .run = ycsb_f, .is_skewed = true},
};

// ---- running ----

// Reading the clock costs as much as a fast read: one operation in sixteen is timed, of those that
// are slow by nature each.
#define TIMED_EVERY 16

static void *run_worker(void *context) {
    worker *w = context;
    w->session = w->setup->store->begin(w->store);
    bool is_slow =
        w->workload->is_sync || w->workload->per_operation > 1 || w->workload->needs_order;
    for (uint64_t i = w->begin; i < w->end; i++) {
        if (w->stop != NULL && atomic_load_explicit(w->stop, memory_order_relaxed)) break;
        if (is_slow || i % TIMED_EVERY == 0) {
            int64_t begin_ns = bench_now_ns();
            w->workload->run(w, i);
            bench_record(&w->latencies, (uint64_t)(bench_now_ns() - begin_ns));
        } else {
            w->workload->run(w, i);
        }
        w->operations++;
    }
    w->setup->store->end(w->session);
    return NULL;
}

static uint64_t device_bytes(void) {
    FILE *file = fopen("/proc/self/io", "r");
    unsigned long long bytes = 0;
    char line[128];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "write_bytes: %llu", &bytes) == 1) break;
    }
    if (file != NULL) (void)fclose(file);
    return bytes;
}

static uint64_t resident_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long long pages = 0;
    if (file != NULL && fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
    if (file != NULL) (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

// Fills and settles without a measurement.
static void load(const bench_setup *setup, void *store, const char *pool) {
    worker w = {.setup = setup, .store = store, .pool = pool};
    w.session = setup->store->begin(store);
    for (uint64_t i = 0; i < (setup->key_count + BATCH - 1) / BATCH; i++) fill_batch(&w, i);
    setup->store->end(w.session);
    setup->store->settle(store);
}

static uint64_t operation_count(const bench_setup *setup, const workload *what) {
    if (what->run == read_forward || what->run == read_reverse) return 3;
    bool is_write = what->starts_empty || what->run == overwrite || what->run == delete_random;
    uint64_t count = is_write ? setup->key_count : setup->read_count;
    count /= (what->divide == 0 ? 1 : what->divide);
    count /= (what->per_operation == 0 ? 1 : what->per_operation);
    return count == 0 ? 1 : count;
}

typedef struct outcome {
    worker sum;
    int64_t elapsed_ns;
    uint64_t written_bytes;
} outcome;

static void start(pthread_t *thread, worker *w) {
    if (pthread_create(thread, NULL, run_worker, w) != 0) bench_die("kv_bench", "no thread");
}

#define THREADS_MAX 8

static void measure(const bench_setup *setup, const workload *what, void *store, const char *pool,
                    outcome *ret_outcome) {
    unsigned threads = what->threads == 0 ? 1 : what->threads;
    uint64_t count = operation_count(setup, what);
    zipf skew = what->is_skewed ? make_zipf(setup->key_count) : (zipf){0};
    atomic_uint_fast64_t tail = setup->key_count;
    atomic_bool stop = false;
    worker *workers = bench_new((THREADS_MAX + 1) * sizeof *workers);
    pthread_t handles[THREADS_MAX + 1];
    for (unsigned t = 0; t <= threads; t++) {
        workers[t] = (worker){.setup = setup,
                              .workload = what,
                              .store = store,
                              .pool = pool,
                              .skew = &skew,
                              .tail = &tail,
                              .begin = count * t / threads,
                              .end = count * (t + 1) / threads,
                              .number = t,
                              .random = {setup->seed + t}};
    }
    const workload background = {.name = "writer", .run = overwrite};
    uint64_t written = device_bytes();
    int64_t begin_ns = bench_now_ns();
    for (unsigned t = 0; t < threads; t++) start(&handles[t], &workers[t]);
    if (what->has_writer) {
        workers[threads].workload = &background;
        workers[threads].stop = &stop;
        workers[threads].begin = 0;
        workers[threads].end = UINT64_MAX;
        start(&handles[threads], &workers[threads]);
    }
    for (unsigned t = 0; t < threads; t++) (void)pthread_join(handles[t], NULL);
    ret_outcome->elapsed_ns = bench_now_ns() - begin_ns;
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    if (what->has_writer) (void)pthread_join(handles[threads], NULL);
    ret_outcome->written_bytes = device_bytes() - written;
    ret_outcome->sum = (worker){0};
    for (unsigned t = 0; t < threads; t++) {
        bench_add(&ret_outcome->sum.latencies, &workers[t].latencies);
        ret_outcome->sum.operations += workers[t].operations;
        ret_outcome->sum.found += workers[t].found;
        ret_outcome->sum.checksum += workers[t].checksum;
    }
    free(workers);
}

static void print_line(const bench_setup *setup, const workload *what, const outcome *o) {
    const worker *sum = &o->sum;
    bool is_scan = what->run == read_forward || what->run == read_reverse;
    uint64_t entries = sum->operations * (what->per_operation == 0 ? 1 : what->per_operation);
    if (is_scan) entries = sum->found;
    double seconds = (double)o->elapsed_ns / 1e9;
    (void)printf("{\"workload\": \"%s\", \"store\": \"%s\", \"n\": %" PRIu64
                 ", \"ns\": %lld, \"rate\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f"
                 ", \"p999_us\": %.2f, \"bytes\": %" PRIu64 ", \"rss\": %" PRIu64
                 ", \"found\": %" PRIu64 ", \"checksum\": %" PRIu64 "}\n",
                 what->name, setup->store->name, entries, (long long)o->elapsed_ns,
                 (double)entries / seconds, bench_quantile_us(&sum->latencies, 0.5),
                 bench_quantile_us(&sum->latencies, 0.99),
                 bench_quantile_us(&sum->latencies, 0.999), o->written_bytes, resident_bytes(),
                 sum->found, sum->checksum);
    (void)fflush(stdout);
}

static const workload *find_workload(const char *name) {
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        if (strcmp(workloads[i].name, name) == 0) return &workloads[i];
    }
    return NULL;
}

bool bench_run(const bench_setup *setup, const char *name) {
    const workload *what = find_workload(name);
    if (what == NULL || (what->needs_order && !setup->store->is_ordered)) return false;
    char directory[4096];
    (void)snprintf(directory, sizeof directory, "%s/%s-%s", setup->directory, setup->store->name,
                   name);
    if (mkdir(directory, 0755) != 0) bench_die("kv_bench", "the directory of a run exists already");
    bench_config config = {
        .directory = directory, .cache_bytes = setup->cache_bytes, .sync = what->is_sync};
    void *store = setup->store->open(&config);
    char *pool = make_pool(setup->seed);
    if (!what->starts_empty) load(setup, store, pool);
    outcome *result = bench_new(sizeof *result);
    measure(setup, what, store, pool, result);
    print_line(setup, what, result);
    free(result);
    free(pool);
    setup->store->close(store);
    return true;
}

void bench_list(FILE *out) {
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
        (void)fprintf(out, "%s\n", workloads[i].name);
    }
}
