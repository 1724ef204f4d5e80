#include "sql/fail.h"
#include "sql/pg.h"

// Each alias costs another run of the grammar.
#define INSERTIONS_MAX 64

typedef struct parser {
    const sql_dialect *dialect;
    tarn_arena *arena;
    tarn_error *err;
    char *text; // the dialect's with insertions
    size_t len;
    sql_insertion insertions[INSERTIONS_MAX];
    size_t insertion_count;
} parser;

static size_t source_offset(const sql_insertion *insertions, size_t count, size_t offset) {
    size_t inserted = 0;
    for (size_t i = 0; i < count; i++) {
        size_t begin = insertions[i].source_offset + inserted;
        if (offset < begin) break;
        if (offset < begin + insertions[i].len) return insertions[i].source_offset;
        inserted += insertions[i].len;
    }
    return offset - inserted;
}

ptrdiff_t sql_parsed_offset(const sql_parsed *parsed, int32_t location) {
    if (location < 0) return -1;
    return (ptrdiff_t)source_offset(parsed->insertions, parsed->insertion_count, (size_t)location);
}

int32_t sql_parsed_position(const sql_parsed *parsed, int32_t location) {
    ptrdiff_t offset = sql_parsed_offset(parsed, location);
    return offset < 0 ? 0 : sql_dialect_position(parsed->dialect, (size_t)offset);
}

// The byte at a 1-based character.
static size_t byte_of_character(const parser *p, int character) {
    size_t offset = 0;
    for (int i = 1; i < character && offset < p->len; i++) {
        offset++;
        while (offset < p->len && ((uint8_t)p->text[offset] & 0xC0) == 0x80) offset++;
    }
    return offset;
}

// Behind the bracket that closes the one at `open`, 0 when it does not close.
static size_t skip_brackets(const parser *p, size_t open) {
    tarn_slice text = {(const uint8_t *)p->text, p->len};
    size_t depth = 0;
    sql_token token;
    for (size_t offset = open; sql_token_next(text, &offset, &token, NULL);) {
        if (sql_token_is_symbol(text, token, "(")) depth++;
        if (sql_token_is_symbol(text, token, ")") && --depth == 0) return token.end;
    }
    return 0;
}

static tarn_status insert_alias(parser *p, size_t offset) {
    char alias[40];
    int alias_len =
        p->insertion_count == 0
            ? snprintf(alias, sizeof alias, " AS unnamed_subquery")
            : snprintf(alias, sizeof alias, " AS unnamed_subquery_%zu", p->insertion_count + 1);
    tarn_assert(alias_len > 0 && (size_t)alias_len < sizeof alias);
    size_t len = (size_t)alias_len;
    char *text = tarn_arena_new_raw(p->arena, char, p->len + len + 1);
    if (text == NULL) return sql_no_memory(p->err);
    memcpy(text, p->text, offset);
    memcpy(text + offset, alias, len);
    memcpy(text + offset + len, p->text + offset, p->len - offset + 1); // with its NUL

    sql_insertion insertion = {
        .source_offset = source_offset(p->insertions, p->insertion_count, offset), .len = len};
    size_t at = p->insertion_count++;
    for (; at > 0 && p->insertions[at - 1].source_offset > insertion.source_offset; at--) {
        p->insertions[at] = p->insertions[at - 1];
    }
    p->insertions[at] = insertion;
    p->text = text;
    p->len += len;
    return TARN_OK;
}

// What the grammar says of the text it got, in terms of the text that was written.
static tarn_status report(const parser *p, const PgQueryError *error) {
    if (strcmp(error->message, "out of memory") == 0) return sql_no_memory(p->err);
    const sql_dialect *dialect = p->dialect;
    if (error->cursorpos <= 0) return sql_fail(p->err, 0, "42601", "%s", error->message);
    size_t offset =
        source_offset(p->insertions, p->insertion_count, byte_of_character(p, error->cursorpos));
    int32_t position = sql_dialect_position(dialect, offset);
    if (strncmp(error->message, "syntax error", strlen("syntax error")) != 0) {
        return sql_fail(p->err, position, "42601", "%s", error->message);
    }
    sql_token token;
    if (!sql_token_next(dialect->source, &offset, &token, NULL)) {
        return sql_fail(p->err, position, "42601", "syntax error at end of input");
    }
    tarn_slice text = sql_token_text(dialect->source, token);
    return sql_fail(p->err, position, "42601", "syntax error at or near \"" TARN_SLICE_FMT "\"",
                    TARN_SLICE_ARG(text));
}

static bool lacks_alias(const PgQueryError *error) {
    return error->cursorpos > 0 &&
           (strcmp(error->message, "subquery in FROM must have an alias") == 0 ||
            strcmp(error->message, "VALUES in FROM must have an alias") == 0);
}

// Runs the grammar until it has no more to say about aliases.
static tarn_status run_grammar(parser *p, PgQueryProtobufParseResult *ret_result) {
    while (true) {
        PgQueryProtobufParseResult result = pg_query_parse_protobuf(p->text);
        if (result.error == NULL) {
            *ret_result = result;
            return TARN_OK;
        }
        size_t end = 0;
        if (lacks_alias(result.error) && p->insertion_count < INSERTIONS_MAX) {
            end = skip_brackets(p, byte_of_character(p, result.error->cursorpos));
        }
        tarn_status status = end > 0 ? insert_alias(p, end) : report(p, result.error);
        pg_query_free_protobuf_parse_result(result);
        if (status != TARN_OK) return status;
    }
}

static void *acquire(void *arena, size_t size) {
    return tarn_arena_alloc_raw(arena, size, 1);
}

static void release(void *arena, void *memory) {
    (void)arena; // the arena's owner releases all at once
    (void)memory;
}

tarn_status sql_parse(const sql_dialect *dialect, tarn_arena *arena, sql_parsed *ret_parsed,
                      tarn_error *err) {
    parser p = {.dialect = dialect,
                .arena = arena,
                .err = err,
                .text = dialect->text,
                .len = dialect->source.len};
    PgQueryProtobufParseResult result = {0};
    TARN_TRY(run_grammar(&p, &result));
    ProtobufCAllocator allocator = {.alloc = acquire, .free = release, .allocator_data = arena};
    const PgQuery__ParseResult *tree = pg_query__parse_result__unpack(
        &allocator, result.parse_tree.len, (const uint8_t *)result.parse_tree.data);
    pg_query_free_protobuf_parse_result(result);
    if (tree == NULL) return sql_no_memory(err);
    if (tree->n_stmts == 0) return sql_fail(err, 0, "42601", "the statement is empty");
    if (tree->n_stmts > 1) {
        sql_parsed first = {
            .dialect = dialect, .insertions = p.insertions, .insertion_count = p.insertion_count};
        return sql_fail(err, sql_parsed_position(&first, tree->stmts[1]->stmt_location), "42601",
                        "cannot prepare more than one statement at once");
    }
    sql_insertion *insertions = tarn_arena_new(arena, sql_insertion, p.insertion_count);
    if (insertions == NULL) return sql_no_memory(err);
    memcpy(insertions, p.insertions, p.insertion_count * sizeof *insertions);
    *ret_parsed = (sql_parsed){.dialect = dialect,
                               .statement = tree->stmts[0],
                               .insertions = insertions,
                               .insertion_count = p.insertion_count};
    return TARN_OK;
}
