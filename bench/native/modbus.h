/* Modbus/TCP as the benchmark speaks it: MBAP header (TID, PID 0, LEN, unit) and FC 3, "Read Holding Registers". */
#ifndef BENCH_MODBUS_H
#define BENCH_MODBUS_H

#include "net.h"

enum { MBAP = 7, ADU_MAX = 260, QUANTITY = 10, REQUEST = 12, RESPONSE = MBAP + 2 + 2 * QUANTITY, UNIT = 1 };

/* What the PLC holds at an address from its start, so that the generator can check each value it gets. */
static inline uint16_t initial_register(unsigned address)
{
    return (uint16_t)(address * 7 + 13);
}

static inline void put_read(uint8_t *to, unsigned tid, unsigned address)
{
    put16(to, tid);
    put16(to + 2, 0);
    put16(to + 4, 6);
    to[6] = UNIT;
    to[7] = 3;
    put16(to + 8, address);
    put16(to + 10, QUANTITY);
}

/* NULL when the answer is exactly the one to put_read(tid, address), else what is wrong with it. */
static inline const char *check_read(const uint8_t *adu, unsigned size, unsigned tid, unsigned address)
{
    if (get16(adu) != tid)
        return "another transaction id";
    if (get16(adu + 2) != 0 || adu[6] != UNIT)
        return "another protocol id or unit";
    if (adu[7] != 3)
        return adu[7] == 0x83 ? "an exception" : "another function";
    if (size != RESPONSE || get16(adu + 4) != RESPONSE - 6 || adu[8] != 2 * QUANTITY)
        return "a wrong length";
    for (unsigned i = 0; i < QUANTITY; i++)
        if (get16(adu + MBAP + 2 + 2 * i) != initial_register(address + i))
            return "a wrong register value";
    return NULL;
}

#endif
