// kv_bench: tarn's key-value engines and their peers on the workloads of db_bench and YCSB.
//
//     kv_bench DIRECTORY STORE WORKLOAD [--keys N] [--reads N] [--value BYTES] [--cache MiB]
//     [--seed N] kv_bench --list
//
// One JSON line: n entries, ns, rate per second, latencies in microseconds, bytes the process had
// written to the device, resident bytes, checksum. 16-byte keys, values that compress to half. Each
// run has a process and a directory of its own; bench/kv/run.py alternates them.
#include "bench/kv/workload.h"

static const bench_store *const stores[] = {
    &bench_tarn_lsm, &bench_tarn_hashlog, &bench_tarn_btree, &bench_tarn_mem, &bench_rocksdb,
    &bench_leveldb,  &bench_lmdb,         &bench_wiredtiger, &bench_sqlite,
};

#define STORE_COUNT (sizeof stores / sizeof *stores)

static int list(void) {
    (void)puts("stores:");
    for (size_t i = 0; i < STORE_COUNT; i++) (void)puts(stores[i]->name);
    (void)puts("workloads:");
    bench_list(stdout);
    return 0;
}

static bool set_option(bench_setup *setup, const char *name, const char *text) {
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value == 0) return false;
    if (strcmp(name, "--keys") == 0) {
        setup->key_count = value;
    } else if (strcmp(name, "--reads") == 0) {
        setup->read_count = value;
    } else if (strcmp(name, "--value") == 0) {
        setup->value_bytes = (size_t)value;
    } else if (strcmp(name, "--cache") == 0) {
        setup->cache_bytes = (size_t)value << 20;
    } else if (strcmp(name, "--seed") == 0) {
        setup->seed = value;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--list") == 0) return list();
    if (argc < 4 || argc % 2 != 0) bench_die("kv_bench", "DIRECTORY STORE WORKLOAD [--keys N] ...");
    bench_setup setup = {
        .directory = argv[1],
        .key_count = 1000000,
        .read_count = 1000000,
        .value_bytes = 100,
        .cache_bytes = (size_t)1 << 30,
        .seed = 42,
    };
    for (size_t i = 0; i < STORE_COUNT; i++) {
        if (strcmp(stores[i]->name, argv[2]) == 0) setup.store = stores[i];
    }
    if (setup.store == NULL) bench_die(argv[2], "no such store; see --list");
    for (int i = 4; i < argc; i += 2) {
        if (!set_option(&setup, argv[i], argv[i + 1])) bench_die(argv[i], "no such option");
    }
    if (!bench_run(&setup, argv[3])) bench_die(argv[3], "not a workload of this store; see --list");
    return 0;
}
