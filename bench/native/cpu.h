/* The CPU time of other processes, as the scheduler counts it (user + kernel, nanoseconds). */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <dirent.h>
#include <inttypes.h>
#include <sys/types.h>
#include <time.h>

#include "net.h"

enum { MAX_WATCHED = 16 };

struct cpu {
    uint64_t schedstat; /* sum over the threads that live now: first field of /proc/PID/task/TID/schedstat */
    uint64_t waited;    /* second field: time they could have run and another had the core */
    uint64_t clock;     /* the process clock: the same counter, with the threads that have ended */
};

static inline void add_schedstat(pid_t pid, struct cpu *total)
{
    char path[300];
    uint64_t ran, waited;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        die("process %d has ended", (int)pid);
    for (struct dirent *task; (task = readdir(tasks));) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, task->d_name);
        FILE *file = fopen(path, "r");
        if (file && fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &waited) == 2) {
            total->schedstat += ran;
            total->waited += waited;
        }
        if (file)
            fclose(file);
    }
    closedir(tasks);
}

static inline struct cpu cpu_of(const pid_t *pids, int count)
{
    struct cpu total = {0, 0, 0};
    for (int i = 0; i < count; i++) {
        clockid_t clock;
        struct timespec t;
        if (clock_getcpuclockid(pids[i], &clock) || clock_gettime(clock, &t))
            die("process %d has ended", (int)pids[i]);
        total.clock += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        add_schedstat(pids[i], &total);
    }
    return total;
}

static inline uint64_t own_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
