/* Latencies in nanoseconds: 128 linear steps per power of two, so a percentile is exact within 0.8 %. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum { HIST_BITS = 7, HIST_STEPS = 1 << HIST_BITS, HIST_SIZE = (64 - HIST_BITS) * HIST_STEPS };

struct histogram {
    uint64_t count, sum, max;
    uint64_t bucket[HIST_SIZE];
};

static inline unsigned histogram_index(uint64_t value)
{
    if (value < HIST_STEPS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HIST_BITS;
    return (shift + 1) * HIST_STEPS + (unsigned)((value >> shift) - HIST_STEPS);
}

static inline uint64_t histogram_value(unsigned index)
{
    if (index < HIST_STEPS)
        return index;
    unsigned shift = index / HIST_STEPS - 1;
    uint64_t low = (uint64_t)(index % HIST_STEPS + HIST_STEPS) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->count++;
    h->sum += value;
    if (value > h->max)
        h->max = value;
    h->bucket[histogram_index(value)]++;
}

static inline double histogram_us(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->count + 0.999999), seen = 0;
    for (unsigned i = 0; i < HIST_SIZE; i++)
        if ((seen += h->bucket[i]) >= wanted && seen)
            return (double)(histogram_value(i) < h->max ? histogram_value(i) : h->max) / 1e3;
    return 0;
}

static inline void histogram_print(const struct histogram *h)
{
    printf("\"latency_us\": {\"mean\": %.2f, \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f}",
           h->count ? (double)h->sum / (double)h->count / 1e3 : 0.0, histogram_us(h, 0.5), histogram_us(h, 0.99),
           histogram_us(h, 0.999), (double)h->max / 1e3);
}

#endif
