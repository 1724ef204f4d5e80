#include "expr/time_unit.h"

#include "expr/tree.h"
#include "expr/types.h"

static const struct {
    const char *name;
    expr_time_unit unit;
} names[] = {
    {"microsecond", EXPR_UNIT_MICROSECOND},
    {"microseconds", EXPR_UNIT_MICROSECOND},
    {"us", EXPR_UNIT_MICROSECOND},
    {"usec", EXPR_UNIT_MICROSECOND},
    {"usecs", EXPR_UNIT_MICROSECOND},
    {"useconds", EXPR_UNIT_MICROSECOND},
    {"millisecond", EXPR_UNIT_MILLISECOND},
    {"milliseconds", EXPR_UNIT_MILLISECOND},
    {"ms", EXPR_UNIT_MILLISECOND},
    {"msec", EXPR_UNIT_MILLISECOND},
    {"msecs", EXPR_UNIT_MILLISECOND},
    {"mseconds", EXPR_UNIT_MILLISECOND},
    {"s", EXPR_UNIT_SECOND},
    {"sec", EXPR_UNIT_SECOND},
    {"secs", EXPR_UNIT_SECOND},
    {"second", EXPR_UNIT_SECOND},
    {"seconds", EXPR_UNIT_SECOND},
    {"m", EXPR_UNIT_MINUTE},
    {"min", EXPR_UNIT_MINUTE},
    {"mins", EXPR_UNIT_MINUTE},
    {"minute", EXPR_UNIT_MINUTE},
    {"minutes", EXPR_UNIT_MINUTE},
    {"h", EXPR_UNIT_HOUR},
    {"hr", EXPR_UNIT_HOUR},
    {"hrs", EXPR_UNIT_HOUR},
    {"hour", EXPR_UNIT_HOUR},
    {"hours", EXPR_UNIT_HOUR},
    {"d", EXPR_UNIT_DAY},
    {"day", EXPR_UNIT_DAY},
    {"days", EXPR_UNIT_DAY},
    {"w", EXPR_UNIT_WEEK},
    {"week", EXPR_UNIT_WEEK},
    {"weeks", EXPR_UNIT_WEEK},
    {"mon", EXPR_UNIT_MONTH},
    {"mons", EXPR_UNIT_MONTH},
    {"month", EXPR_UNIT_MONTH},
    {"months", EXPR_UNIT_MONTH},
    {"qtr", EXPR_UNIT_QUARTER},
    {"quarter", EXPR_UNIT_QUARTER},
    {"y", EXPR_UNIT_YEAR},
    {"yr", EXPR_UNIT_YEAR},
    {"yrs", EXPR_UNIT_YEAR},
    {"year", EXPR_UNIT_YEAR},
    {"years", EXPR_UNIT_YEAR},
    {"dec", EXPR_UNIT_DECADE},
    {"decs", EXPR_UNIT_DECADE},
    {"decade", EXPR_UNIT_DECADE},
    {"decades", EXPR_UNIT_DECADE},
    {"c", EXPR_UNIT_CENTURY},
    {"cent", EXPR_UNIT_CENTURY},
    {"century", EXPR_UNIT_CENTURY},
    {"centuries", EXPR_UNIT_CENTURY},
    {"mil", EXPR_UNIT_MILLENNIUM},
    {"mils", EXPR_UNIT_MILLENNIUM},
    {"millennium", EXPR_UNIT_MILLENNIUM},
    {"millennia", EXPR_UNIT_MILLENNIUM},
    {"epoch", EXPR_UNIT_EPOCH},
    {"julian", EXPR_UNIT_JULIAN},
    {"j", EXPR_UNIT_JULIAN},
    {"jd", EXPR_UNIT_JULIAN},
    {"isoyear", EXPR_UNIT_ISOYEAR},
    {"dow", EXPR_UNIT_DOW},
    {"isodow", EXPR_UNIT_ISODOW},
    {"doy", EXPR_UNIT_DOY},
    {"timezone", EXPR_UNIT_TIMEZONE},
    {"timezone_hour", EXPR_UNIT_TIMEZONE},
    {"timezone_minute", EXPR_UNIT_TIMEZONE},
};

expr_time_unit expr_time_unit_of(tarn_slice name) {
    uint8_t lower[16];
    if (name.len > sizeof lower) return EXPR_UNIT_UNKNOWN;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        lower[i] = (uint8_t)(byte + (byte >= 'A' && byte <= 'Z' ? 32 : 0));
    }
    tarn_slice word = {lower, name.len};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (tarn_slice_equal(word, tarn_slice_from_cstr(names[i].name))) return names[i].unit;
    }
    return EXPR_UNIT_UNKNOWN;
}

tarn_status expr_time_unit_prepare(const tarn_expr *const *args, size_t arg_count,
                                   tarn_arena *arena, const void **ret_prepared, tarn_error *err) {
    (void)arg_count;
    *ret_prepared = NULL;
    if (!expr_is_literal(args[0]) || args[0]->literal.is_null) return TARN_OK;
    expr_time_unit *unit = tarn_arena_new(arena, expr_time_unit, 1);
    if (unit == NULL) return expr_no_memory(err);
    *unit = expr_time_unit_of(args[0]->literal.bytes);
    *ret_prepared = unit;
    return TARN_OK;
}

tarn_status expr_time_unit_fail(const expr_frame *frame, tarn_slice name, bool is_known,
                                tarn_type type) {
    return expr_fail(frame->err, is_known ? "0A000" : "22023",
                     "unit \"" TARN_SLICE_FMT "\" not %s for type %s", TARN_SLICE_ARG(name),
                     is_known ? "supported" : "recognized", expr_type_name(type.id));
}
