#include "kv/epoch.h"

#include "base/alloc.h"
#include "os/os.h"
#include "tests/test.h"

typedef struct thing {
    kv_retired retired;
    uint64_t value;
    uint64_t *freed_count;
} thing;

static void free_thing(void *context, kv_retired *retired) {
    thing *t = (thing *)(void *)retired; // its first member
    assert_ptr_equal(context, t->freed_count);
    ++*t->freed_count;
    t->value = UINT64_MAX;
    tarn_alloc_free(&tarn_alloc_libc, t, 1);
}

static thing *new_thing(uint64_t value, uint64_t *freed_count) {
    thing *t = tarn_alloc_new(&tarn_alloc_libc, thing, 1);
    assert_non_null(t);
    t->value = value;
    t->freed_count = freed_count;
    return t;
}

static void retire(kv_epoch *epoch, thing *t) {
    kv_epoch_retire(epoch, &t->retired, free_thing, t->freed_count);
}

static kv_epoch *new_epoch(void) {
    kv_epoch *epoch = NULL;
    assert_int_equal(kv_epoch_new(&tarn_alloc_libc, &epoch, NULL), TARN_OK);
    return epoch;
}

TEST(retired_memory_waits_for_the_moment_to_pass) {
    kv_epoch *epoch = new_epoch();
    uint64_t freed = 0;
    retire(epoch, new_thing(1, &freed));
    kv_epoch_collect(epoch);
    assert_int_equal(freed, 0); // somebody may come in at this moment and still find it
    kv_epoch_advance(epoch);
    kv_epoch_collect(epoch);
    assert_int_equal(freed, 1);
    kv_epoch_free(epoch);
}

TEST(retired_memory_waits_for_readers_that_were_inside) {
    kv_epoch *epoch = new_epoch();
    uint64_t freed = 0;
    kv_guard reader = kv_epoch_enter(epoch);
    retire(epoch, new_thing(1, &freed));
    kv_epoch_advance(epoch);
    kv_guard later = kv_epoch_enter(epoch);
    assert_int_equal(later.moment, reader.moment + 1);
    assert_int_equal(kv_epoch_oldest(epoch), reader.moment);
    kv_epoch_collect(epoch);
    assert_int_equal(freed, 0);
    kv_epoch_leave(reader);
    assert_int_equal(kv_epoch_oldest(epoch), later.moment);
    kv_epoch_collect(epoch);
    assert_int_equal(freed, 1);
    kv_epoch_leave(later);
    kv_epoch_free(epoch);
}

TEST(memory_is_freed_in_the_order_in_which_it_was_retired) {
    kv_epoch *epoch = new_epoch();
    enum { READERS = 2 }; // as many as the tiny build has slots: others share a moment
    uint64_t freed[READERS] = {0};
    kv_guard guards[READERS];
    for (size_t i = 0; i < READERS; i++) {
        guards[i] = kv_epoch_enter(epoch);
        retire(epoch, new_thing(i, &freed[i]));
        kv_epoch_advance(epoch);
    }
    for (size_t i = 0; i < READERS; i++) {
        kv_epoch_leave(guards[i]);
        kv_epoch_collect(epoch);
        for (size_t j = 0; j < READERS; j++) assert_int_equal(freed[j], j <= i ? 1 : 0);
    }
    kv_epoch_free(epoch);
}

TEST(more_readers_than_slots_are_all_waited_for) {
    enum { READERS = 300 };
    kv_epoch *epoch = new_epoch();
    uint64_t freed = 0;
    kv_guard guards[READERS];
    for (size_t i = 0; i < READERS; i++) guards[i] = kv_epoch_enter(epoch);
    retire(epoch, new_thing(1, &freed));
    kv_epoch_advance(epoch);
    for (size_t i = 0; i < READERS; i++) {
        kv_epoch_collect(epoch);
        assert_int_equal(freed, 0);
        kv_epoch_leave(guards[i]);
    }
    kv_epoch_collect(epoch);
    assert_int_equal(freed, 1);
    kv_epoch_free(epoch);
}

TEST(freeing_the_epoch_frees_what_is_retired) {
    kv_epoch *epoch = new_epoch();
    uint64_t freed = 0;
    for (uint64_t i = 0; i < 10; i++) retire(epoch, new_thing(i, &freed));
    kv_epoch_free(epoch);
    assert_int_equal(freed, 10);
    kv_epoch_free(NULL);
}

TEST(the_clock_starts_where_it_is_told) {
    kv_epoch *epoch = new_epoch();
    assert_int_equal(kv_epoch_now(epoch), 1);
    kv_epoch_start_at(epoch, 77);
    kv_guard guard = kv_epoch_enter(epoch);
    assert_int_equal(guard.moment, 77);
    assert_int_equal(kv_epoch_oldest(epoch), 77);
    kv_epoch_leave(guard);
    kv_epoch_free(epoch);
}

// ---- threads: a shared pointer is replaced while others read through it ----

enum { READER_THREADS = 3, REPLACEMENTS = 20000 };

typedef struct shared {
    kv_epoch *epoch;
    _Atomic(thing *) current;
    atomic_bool is_done;
    atomic_bool saw_error;
} shared;

static void read_current(void *context) {
    shared *s = context;
    uint64_t last = 0;
    while (!atomic_load(&s->is_done)) {
        kv_guard guard = kv_epoch_enter(s->epoch);
        const thing *t = atomic_load_explicit(&s->current, memory_order_acquire);
        uint64_t value = t->value;
        // Values never go back, are never those of freed memory, and a reader sees all that was
        // stored before its moment began.
        if (value < last || value == UINT64_MAX || value + 1 < guard.moment) {
            atomic_store(&s->saw_error, true);
        }
        last = value;
        kv_epoch_leave(guard);
    }
}

TEST(readers_never_see_freed_memory) {
    uint64_t freed = 0;
    shared s = {.epoch = new_epoch()};
    atomic_store(&s.current, new_thing(1, &freed));
    tarn_thread *threads[READER_THREADS];
    for (size_t i = 0; i < READER_THREADS; i++) {
        assert_int_equal(tarn_thread_start(read_current, &s, &threads[i], NULL), TARN_OK);
    }
    for (uint64_t i = 2; i < REPLACEMENTS; i++) {
        thing *old = atomic_load(&s.current);
        atomic_store_explicit(&s.current, new_thing(i, &freed), memory_order_release);
        retire(s.epoch, old);
        assert_int_equal(kv_epoch_advance(s.epoch), i);
        kv_epoch_collect(s.epoch);
    }
    atomic_store(&s.is_done, true);
    for (size_t i = 0; i < READER_THREADS; i++) tarn_thread_join(threads[i]);
    assert_false(atomic_load(&s.saw_error));
    retire(s.epoch, atomic_load(&s.current));
    kv_epoch_free(s.epoch);
    assert_int_equal(freed, REPLACEMENTS - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retired_memory_waits_for_the_moment_to_pass),
        cmocka_unit_test(retired_memory_waits_for_readers_that_were_inside),
        cmocka_unit_test(memory_is_freed_in_the_order_in_which_it_was_retired),
        cmocka_unit_test(more_readers_than_slots_are_all_waited_for),
        cmocka_unit_test(freeing_the_epoch_frees_what_is_retired),
        cmocka_unit_test(the_clock_starts_where_it_is_told),
        cmocka_unit_test(readers_never_see_freed_memory),
    };
    return cmocka_run_group_tests(tests, test_seed, NULL);
}
