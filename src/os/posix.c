// The real system: each entry of os_backend over the calls of POSIX and Linux.
#include "os/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static_assert(OS_PATH_MAX >= PATH_MAX, "realpath writes up to PATH_MAX bytes");

// ---- files; a handle is a file descriptor ----

static int open_retrying(const char *path, int flags, mode_t permissions) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, permissions);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int posix_open(tarn_os *os, const char *path, tarn_open_mode mode, intptr_t *ret_handle) {
    (void)os;
    static const int flags_of[] = {
        [TARN_OPEN_READ] = O_RDONLY | O_NONBLOCK, // does not wait for the writer of a pipe
        [TARN_OPEN_CREATE] = O_WRONLY | O_CREAT | O_EXCL | O_APPEND,
        [TARN_OPEN_APPEND] = O_WRONLY | O_CREAT | O_APPEND,
        [TARN_OPEN_UPDATE] = O_RDWR | O_CREAT,
        [TARN_OPEN_PRIVATE] = O_WRONLY | O_CREAT | O_APPEND,
        [TARN_OPEN_TRUNCATE] = O_WRONLY | O_CREAT | O_APPEND | O_TRUNC,
    };
    int fd = open_retrying(path, flags_of[mode], mode == TARN_OPEN_PRIVATE ? 0600 : 0666);
    if (fd < 0) return errno;
    if (mode == TARN_OPEN_READ) {
        // Directories can be opened, and fail at the first read: better to say so now.
        struct stat info;
        int code = fstat(fd, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
        // So do pipes, which also say that they are empty: reading one would be silently nothing.
        if (code == 0 && lseek(fd, 0, SEEK_CUR) < 0) code = errno;
        if (code != 0) {
            close(fd);
            return code;
        }
    }
    *ret_handle = fd;
    return 0;
}

static int posix_read_at(tarn_os *os, intptr_t handle, uint64_t offset, uint8_t *bytes, size_t len,
                         size_t *ret_len) {
    (void)os;
    size_t done = 0;
    while (done < len) {
        uint64_t position;
        if (__builtin_add_overflow(offset, done, &position) || position > INT64_MAX) break;
        ssize_t got = pread((int)handle, bytes + done, len - done, (off_t)position);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        done += (size_t)got;
    }
    *ret_len = done;
    return 0;
}

static int write_all(int fd, tarn_slice bytes) {
    while (bytes.len > 0) {
        ssize_t put = write(fd, bytes.data, bytes.len);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        if (put == 0) return EIO; // would loop for ever
        bytes = tarn_slice_skip(bytes, (size_t)put);
    }
    return 0;
}

static int posix_append(tarn_os *os, intptr_t handle, tarn_slice bytes) {
    (void)os;
    return write_all((int)handle, bytes);
}

static int posix_sync(tarn_os *os, intptr_t handle) {
    (void)os;
    // fdatasync includes the file's size, and leaves out its times.
    int result;
    do {
        result = fdatasync((int)handle);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static int posix_size(tarn_os *os, intptr_t handle, uint64_t *ret_bytes) {
    (void)os;
    struct stat info;
    if (fstat((int)handle, &info) != 0) return errno;
    *ret_bytes = (uint64_t)info.st_size;
    return 0;
}

static int posix_close(tarn_os *os, intptr_t handle) {
    (void)os;
    // Linux releases the descriptor also when it says EINTR: a retry could close someone else's.
    return close((int)handle) == 0 || errno == EINTR ? 0 : errno;
}

static int posix_write_at(tarn_os *os, intptr_t handle, uint64_t offset, tarn_slice bytes) {
    (void)os;
    while (bytes.len > 0) {
        ssize_t put = pwrite((int)handle, bytes.data, bytes.len, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        if (put == 0) return EIO; // would loop for ever
        bytes = tarn_slice_skip(bytes, (size_t)put);
        offset += (uint64_t)put;
    }
    return 0;
}

static int truncate_to(int fd, off_t size_bytes) {
    int result;
    do {
        result = ftruncate(fd, size_bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

// Makes a file that is shorter `size_bytes` long, with blocks behind every byte: a hole would be
// found to have no room when it is stored to, and in a map that is a SIGBUS. The size changes now,
// so that later syncs need not write it again and again.
static int grow_to(int fd, off_t old_bytes, off_t size_bytes) {
    int code;
    do {
        code = posix_fallocate(fd, old_bytes, size_bytes - old_bytes);
    } while (code == EINTR);
    // What it did before it ran out of space would be a longer file.
    if (code != 0) (void)truncate_to(fd, old_bytes); // the first failure is the one to report
    return code;
}

static int posix_resize(tarn_os *os, intptr_t handle, uint64_t size_bytes) {
    uint64_t old_bytes = 0;
    int code = posix_size(os, handle, &old_bytes);
    if (code != 0) return code;
    if (size_bytes > old_bytes) return grow_to((int)handle, (off_t)old_bytes, (off_t)size_bytes);
    return truncate_to((int)handle, (off_t)size_bytes);
}

// ---- maps; the descriptor is closed at once, the mapping keeps the file ----

// How many bytes to map.
static int prepare_map(int fd, bool is_writable, size_t len, size_t *ret_len) {
    struct stat info;
    if (fstat(fd, &info) != 0) return errno;
    if (S_ISDIR(info.st_mode)) return EISDIR;
    if ((uint64_t)info.st_size > SIZE_MAX || len > INT64_MAX) return EFBIG;
    if (!is_writable) {
        *ret_len = (size_t)info.st_size;
        return 0;
    }
    *ret_len = len;
    return info.st_size < (off_t)len ? grow_to(fd, info.st_size, (off_t)len) : 0;
}

static int posix_map(tarn_os *os, const char *path, bool is_writable, size_t len,
                     os_mapped *ret_mapped) {
    (void)os;
    int fd = open_retrying(path, is_writable ? O_RDWR | O_CREAT : O_RDONLY, 0666);
    if (fd < 0) return errno;
    os_mapped mapped = {0};
    int code = prepare_map(fd, is_writable, len, &mapped.len);
    if (code == 0 && mapped.len > 0) {
        int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
        void *data = mmap(NULL, mapped.len, protection, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            code = errno;
        } else {
            mapped.data = data;
        }
    }
    close(fd);
    if (code == 0) *ret_mapped = mapped;
    return code;
}

// The part of a map in whole pages around [offset, offset + len).
typedef struct page_range {
    uint8_t *data;
    size_t len;
} page_range;

static page_range pages_around(const os_mapped *mapped, size_t offset, size_t len) {
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t before = offset % page_bytes;
    return (page_range){mapped->data + (offset - before), len + before};
}

// msync and fdatasync end in the same function of the kernel, which writes the pages and commits
// the size: equally durable, and equally fast where only one range is dirty. But msync leaves alone
// what others are writing elsewhere in the file, and needs no descriptor to be kept.
static int posix_map_sync(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len) {
    (void)os;
    page_range range = pages_around(mapped, offset, len);
    int result;
    do {
        result = msync(range.data, range.len, MS_SYNC);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static void posix_map_advise(tarn_os *os, const os_mapped *mapped, size_t offset, size_t len,
                             tarn_map_advice advice) {
    (void)os;
    static const int advice_of[] = {
        [TARN_MAP_NORMAL] = MADV_NORMAL,
        [TARN_MAP_RANDOM] = MADV_RANDOM,
        [TARN_MAP_SEQUENTIAL] = MADV_SEQUENTIAL,
        [TARN_MAP_WILL_NEED] = MADV_WILLNEED,
    };
    page_range range = pages_around(mapped, offset, len);
    (void)madvise(range.data, range.len, advice_of[advice]); // a hint: nothing depends on it
}

static void posix_unmap(tarn_os *os, const os_mapped *mapped) {
    (void)os;
    if (mapped->data != NULL) tarn_assert(munmap(mapped->data, mapped->len) == 0);
}

// ---- names ----

static int posix_stat(tarn_os *os, const char *path, tarn_file_info *ret_info) {
    (void)os;
    struct stat info;
    if (stat(path, &info) != 0) return errno;
    *ret_info = (tarn_file_info){
        .exists = true,
        .is_directory = S_ISDIR(info.st_mode),
        .size_bytes = (uint64_t)info.st_size,
        .modified_us = (int64_t)info.st_mtim.tv_sec * 1000000 + info.st_mtim.tv_nsec / 1000,
    };
    return 0;
}

static int posix_list(tarn_os *os, const char *path, os_name_visitor *visit, void *context) {
    (void)os;
    DIR *directory = opendir(path);
    if (directory == NULL) return errno;
    int code = 0;
    while (code == 0) {
        errno = 0;
        // Each thread has a DIR of its own, and then readdir is safe.
        const struct dirent *entry = readdir(directory); // NOLINT(concurrency-mt-unsafe)
        if (entry == NULL) {
            code = errno;
            break;
        }
        const char *name = entry->d_name;
        bool is_dots = name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
        if (!is_dots) code = visit(context, name);
    }
    closedir(directory);
    return code;
}

static int posix_make_dir(tarn_os *os, const char *path) {
    (void)os;
    return mkdir(path, 0777) == 0 ? 0 : errno;
}

static int posix_rename(tarn_os *os, const char *from, const char *to) {
    (void)os;
    return rename(from, to) == 0 ? 0 : errno;
}

static int posix_link(tarn_os *os, const char *from, const char *to) {
    (void)os;
    return link(from, to) == 0 ? 0 : errno;
}

static int posix_remove(tarn_os *os, const char *path) {
    (void)os;
    if (unlink(path) == 0) return 0;
    if (errno != EISDIR && errno != EPERM) return errno;
    int code = errno;
    if (rmdir(path) == 0) return 0;
    if (errno == ENOTDIR) return code; // it was a file after all, and unlink knew why not
    return errno == EEXIST ? ENOTEMPTY : errno;
}

static int posix_sync_dir(tarn_os *os, const char *path) {
    (void)os;
    int fd = open_retrying(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return errno;
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    // Some network file systems keep no directory in memory, and say that there is nothing to sync.
    return code == EINVAL ? 0 : code;
}

static int posix_real_path(tarn_os *os, const char *path, char ret_path[OS_PATH_MAX]) {
    (void)os;
    return realpath(path, ret_path) != NULL ? 0 : errno;
}

// ---- locks; a handle is the descriptor that holds the lock ----

static int posix_lock(tarn_os *os, const char *path, tarn_slice owner, intptr_t *ret_handle,
                      char *ret_holder, size_t holder_size) {
    int fd = open_retrying(path, O_RDWR | O_CREAT, 0666);
    if (fd < 0) return errno;
    int result;
    do {
        result = flock(fd, LOCK_EX | LOCK_NB);
    } while (result != 0 && errno == EINTR);
    int code = result == 0 ? 0 : errno;
    // In place: the room that the last owner's name has taken is there also on a full disk.
    if (code == 0) code = write_all(fd, owner);
    if (code == 0 && ftruncate(fd, (off_t)owner.len) != 0) code = errno;
    if (code == 0) {
        *ret_handle = fd;
        return 0;
    }
    if (code == EWOULDBLOCK) {
        size_t len = 0;
        int read_code = posix_read_at(os, fd, 0, (uint8_t *)ret_holder, holder_size - 1, &len);
        ret_holder[read_code == 0 ? len : 0] = '\0';
    }
    close(fd);
    return code;
}

static void posix_unlock(tarn_os *os, intptr_t handle) {
    (void)os;
    // The file stays: if it were removed, a process that waits to lock it and one that creates it
    // anew could both hold "the" lock.
    close((int)handle);
}

// ---- clock and chance ----

static int64_t read_clock_ns(clockid_t clock) {
    struct timespec now;
    tarn_assert(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t posix_now_us(tarn_os *os) {
    (void)os;
    return read_clock_ns(CLOCK_REALTIME) / 1000;
}

static int64_t posix_monotonic_ns(tarn_os *os) {
    (void)os;
    return read_clock_ns(CLOCK_MONOTONIC);
}

static void posix_random(tarn_os *os, uint8_t *bytes, size_t len) {
    (void)os;
    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        tarn_assert(got > 0 || errno == EINTR); // without flags it has no other way to fail
        if (got < 0) continue;
        bytes += got;
        len -= (size_t)got;
    }
}

static int64_t posix_process_id(tarn_os *os) {
    (void)os;
    return getpid();
}

static uint64_t posix_peak_memory_bytes(tarn_os *os) {
    (void)os;
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}

static size_t posix_cpu_count(tarn_os *os) {
    (void)os;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return (size_t)CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

static const os_backend posix_backend = {
    .open = posix_open,
    .read_at = posix_read_at,
    .append = posix_append,
    .sync = posix_sync,
    .size = posix_size,
    .close = posix_close,
    .write_at = posix_write_at,
    .resize = posix_resize,
    .map = posix_map,
    .map_sync = posix_map_sync,
    .map_advise = posix_map_advise,
    .unmap = posix_unmap,
    .stat = posix_stat,
    .list = posix_list,
    .make_dir = posix_make_dir,
    .rename = posix_rename,
    .link = posix_link,
    .remove = posix_remove,
    .sync_dir = posix_sync_dir,
    .real_path = posix_real_path,
    .lock = posix_lock,
    .unlock = posix_unlock,
    .now_us = posix_now_us,
    .monotonic_ns = posix_monotonic_ns,
    .random = posix_random,
    .process_id = posix_process_id,
    .peak_memory_bytes = posix_peak_memory_bytes,
    .cpu_count = posix_cpu_count,
};

tarn_os *tarn_os_posix(void) {
    static tarn_os posix = {.backend = &posix_backend};
    return &posix;
}
