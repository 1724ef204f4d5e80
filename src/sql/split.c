#include "sql/fail.h"
#include "sql/sql.h"
#include "sql/token.h"

typedef struct splitter {
    tarn_slice script;
    tarn_slice *texts; // NULL while counting
    size_t count;
    bool is_complete;
} splitter;

static void add_text(splitter *s, size_t begin, size_t end) {
    if (begin == end) return;
    if (s->texts != NULL) s->texts[s->count] = (tarn_slice){s->script.data + begin, end - begin};
    s->count++;
}

// One statement is [begin of its first token, end of its last), without the semicolon. Brackets do
// not matter: a forgotten one spoils its own statement only.
static void split(splitter *s) {
    size_t begin = 0;
    size_t end = 0; // begin == end: no token yet
    bool in_comment = false;
    sql_token token;
    s->is_complete = true;
    for (size_t offset = 0; sql_token_next(s->script, &offset, &token, &in_comment);) {
        if (sql_token_is_symbol(s->script, token, ";")) {
            add_text(s, begin, end);
            begin = end = 0;
            continue;
        }
        if (begin == end) begin = token.begin;
        end = token.end;
    }
    if (begin != end || in_comment) s->is_complete = false;
    add_text(s, begin, end);
}

tarn_status tarn_sql_split(tarn_slice script, tarn_arena *arena, tarn_slice **ret_texts,
                           size_t *ret_count, bool *ret_complete, tarn_error *err) {
    if (script.len > UINT32_MAX) {
        return sql_fail(err, 0, "54000", "a script of %zu bytes is too long", script.len);
    }
    splitter s = {.script = script};
    split(&s);
    s.texts = tarn_arena_new(arena, tarn_slice, s.count);
    if (s.texts == NULL) return sql_no_memory(err);
    s.count = 0;
    split(&s);
    *ret_texts = s.texts;
    *ret_count = s.count;
    if (ret_complete != NULL) *ret_complete = s.is_complete;
    return TARN_OK;
}
