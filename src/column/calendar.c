#include "column/column.h"

// The Gregorian calendar repeats every 400 years. Counting years from March puts the leap day last,
// so that the length of a month does not depend on the year.
#define DAYS_PER_ERA         146097
#define DAYS_TO_EPOCH        719468                    // from 0000-03-01 to 1970-01-01
#define MARCH_DAYS_OF(month) ((153 * (month) + 2) / 5) // before month 0 = March, 11 = February

static int64_t floor_divide(int64_t value, int64_t divisor) {
    return value / divisor - (value % divisor < 0);
}

int32_t tarn_days_from_civil(int64_t year, int month, int day) {
    tarn_assert(month >= 1 && month <= 12);
    int64_t march_year = month <= 2 ? year - 1 : year;
    int64_t march_month = month <= 2 ? month + 9 : month - 3;
    int64_t era = floor_divide(march_year, 400);
    int64_t year_of_era = march_year - era * 400;
    int64_t day_of_year = MARCH_DAYS_OF(march_month) + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH;
    tarn_assert(days >= INT32_MIN && days <= INT32_MAX);
    return (int32_t)days;
}

void tarn_civil_from_days(int32_t days, int64_t *ret_year, int *ret_month, int *ret_day) {
    int64_t from_march = (int64_t)days + DAYS_TO_EPOCH;
    int64_t era = floor_divide(from_march, DAYS_PER_ERA);
    int64_t day_of_era = from_march - era * DAYS_PER_ERA;
    // Leap days before the day: one per 1461 days, none per 36525, one at the end of the era.
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - MARCH_DAYS_OF(march_month) + 1);
    *ret_month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}
