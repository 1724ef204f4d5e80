// describe.h - statements and errors of sql/ as text, for golden files.
#ifndef TARN_TESTS_SQL_DESCRIBE_H
#define TARN_TESTS_SQL_DESCRIBE_H

#include <inttypes.h>

#include "sql/sql.h"

static inline void say(tarn_buffer *out, const char *text) {
    tarn_assert(tarn_buffer_append(out, tarn_slice_from_cstr(text)));
}

static inline void say_slice(tarn_buffer *out, tarn_slice text) {
    tarn_assert(tarn_buffer_append(out, text));
}

static inline void say_number(tarn_buffer *out, int64_t number) {
    tarn_assert(tarn_buffer_printf(out, "%" PRId64, number));
}

static inline void describe_fields(const tarn_schema *schema, const tarn_expr *const *generated,
                                   tarn_buffer *out) {
    for (size_t i = 0; i < schema->field_count; i++) {
        const tarn_field *field = &schema->fields[i];
        say(out, i == 0 ? "" : ", ");
        say_slice(out, field->name);
        say(out, " ");
        tarn_assert(tarn_type_format(field->type, out, NULL) == TARN_OK);
        if (field->not_null) say(out, " not null");
        if (generated == NULL || generated[i] == NULL) continue;
        say(out, " generated as ");
        tarn_assert(tarn_expr_format(generated[i], out, NULL) == TARN_OK);
    }
}

static inline void describe_plan(const tarn_plan *plan, tarn_buffer *out) {
    tarn_assert(tarn_plan_format(plan, NULL, NULL, out, NULL) == TARN_OK);
    say(out, "columns: ");
    describe_fields(&plan->schema, NULL, out);
    say(out, "\n");
    if (plan->key_count > 0) {
        say(out, "key:");
        for (size_t i = 0; i < plan->key_count; i++) {
            say(out, " ");
            say_slice(out, plan->schema.fields[plan->key_columns[i]].name);
        }
        say(out, "\n");
    }
    if (plan->time_column >= 0) {
        say(out, "time: ");
        say_slice(out, plan->schema.fields[plan->time_column].name);
        say(out, "\n");
    }
    say(out, plan->append_only ? "append-only\n" : "");
}

static inline void describe_names(const char *title, const tarn_slice *names, size_t count,
                                  tarn_buffer *out) {
    if (count == 0) return;
    say(out, title);
    for (size_t i = 0; i < count; i++) {
        say(out, " ");
        say_slice(out, names[i]);
    }
    say(out, "\n");
}

static inline void describe_options(const tarn_sql_option *options, size_t count,
                                    tarn_buffer *out) {
    for (size_t i = 0; i < count; i++) {
        say(out, "option ");
        say_slice(out, options[i].key);
        say(out, " = ");
        say_slice(out, options[i].value);
        say(out, "\n");
    }
}

static inline void describe_copy(const tarn_statement *statement, tarn_buffer *out) {
    say(out, "copy into ");
    say_slice(out, statement->copy.table->name);
    say(out, " (");
    for (size_t i = 0; i < statement->copy.column_count; i++) {
        say(out, i == 0 ? "" : ", ");
        say_slice(out, statement->copy.table->schema.fields[statement->copy.columns[i]].name);
    }
    say(out, ") from ");
    say_slice(out, statement->copy.path);
    say(out, ", format ");
    say_slice(out, statement->copy.format);
    if (statement->copy.header) say(out, ", header");
    const uint8_t bytes[] = {statement->copy.delimiter, statement->copy.quote,
                             statement->copy.escape};
    const char *const titles[] = {", delimiter ", ", quote ", ", escape "};
    for (size_t i = 0; i < 3; i++) {
        if (bytes[i] == 0) continue;
        say(out, titles[i]);
        say_slice(out, (tarn_slice){&bytes[i], 1});
    }
    if (statement->copy.has_null_text) {
        say(out, ", null '");
        say_slice(out, statement->copy.null_text);
        say(out, "'");
    }
    say(out, statement->copy.dead_letter ? ", dead letter\n" : "\n");
}

static inline void describe_create(const tarn_statement *statement, tarn_buffer *out) {
    say(out, "create table ");
    say_slice(out, statement->create_table.name);
    say(out, statement->create_table.if_not_exists ? " if not exists\n" : "\n");
    say(out, "columns: ");
    describe_fields(&statement->create_table.schema, NULL, out);
    say(out, "\n");
    describe_names("primary key:", statement->create_table.primary_key,
                   statement->create_table.primary_key_count, out);
    describe_names("partitions:", statement->create_table.partition_keys,
                   statement->create_table.partition_key_count, out);
    describe_options(statement->create_table.options, statement->create_table.option_count, out);
}

static inline void describe_source(const tarn_statement *statement, tarn_buffer *out) {
    say(out, "create source ");
    say_slice(out, statement->create_source.name);
    say(out, statement->create_source.if_not_exists ? " if not exists\n" : "\n");
    say(out, "columns: ");
    describe_fields(&statement->create_source.schema, statement->create_source.generated, out);
    say(out, "\n");
    if (statement->create_source.time_column >= 0) {
        say(out, "watermark: ");
        say_slice(
            out, statement->create_source.schema.fields[statement->create_source.time_column].name);
        say(out, " - ");
        say_number(out, statement->create_source.watermark_delay_us);
        say(out, " us\n");
    }
    describe_options(statement->create_source.options, statement->create_source.option_count, out);
}

static inline void describe_view(const tarn_statement *statement, tarn_buffer *out) {
    say(out, "create view ");
    say_slice(out, statement->create_view.name);
    say(out, statement->create_view.if_not_exists ? " if not exists" : "");
    say(out, statement->create_view.emit_on_close ? " emit on window close\n" : "\n");
    describe_plan(statement->create_view.plan, out);
    say(out, "reads:");
    for (size_t i = 0; i < statement->create_view.input_count; i++) {
        say(out, " ");
        say_slice(out, statement->create_view.inputs[i]->name);
    }
    say(out, "\n");
    describe_options(statement->create_view.options, statement->create_view.option_count, out);
}

static inline void describe_drop(const tarn_statement *statement, tarn_buffer *out) {
    static const char *const kinds[] = {"table", "source", "view", "system"};
    say(out, "drop ");
    say(out, kinds[statement->drop.kind]);
    describe_names("", statement->drop.names, statement->drop.name_count, out);
    if (statement->drop.if_exists) say(out, "if exists\n");
    if (statement->drop.cascade) say(out, "cascade\n");
}

static inline void describe_call(const tarn_statement *statement, tarn_buffer *out) {
    say(out, "call ");
    say_slice(out, statement->call.name);
    for (size_t i = 0; i < statement->call.arg_count; i++) {
        const tarn_value *value = &statement->call.args[i];
        say(out, i == 0 ? ": " : ", ");
        tarn_assert(tarn_type_format(value->type, out, NULL) == TARN_OK);
        say(out, " ");
        if (value->is_null) {
            say(out, "NULL");
        } else {
            tarn_assert(tarn_value_format(*value, out, NULL) == TARN_OK);
        }
    }
    say(out, "\n");
}

static inline void describe_setting(const tarn_statement *statement, tarn_buffer *out) {
    say(out, statement->kind == TARN_STATEMENT_SET ? "set " : "show ");
    say_slice(out, statement->setting.name);
    if (statement->kind == TARN_STATEMENT_SET) {
        say(out, statement->setting.is_default ? " to default" : " = ");
        say_slice(out, statement->setting.value);
    }
    say(out, "\n");
}

static inline void describe_statement(const tarn_statement *statement, tarn_buffer *out) {
    switch (statement->kind) {
    case TARN_STATEMENT_SELECT: describe_plan(statement->select.plan, out); break;
    case TARN_STATEMENT_EXPLAIN:
        say(out, statement->explain.analyze ? "explain analyze\n" : "explain\n");
        describe_statement(statement->explain.statement, out);
        break;
    case TARN_STATEMENT_INSERT:
        say(out, "insert into ");
        say_slice(out, statement->insert.table->name);
        say(out, "\n");
        describe_plan(statement->insert.plan, out);
        break;
    case TARN_STATEMENT_COPY_FROM: describe_copy(statement, out); break;
    case TARN_STATEMENT_CREATE_TABLE: describe_create(statement, out); break;
    case TARN_STATEMENT_CREATE_SOURCE: describe_source(statement, out); break;
    case TARN_STATEMENT_CREATE_VIEW: describe_view(statement, out); break;
    case TARN_STATEMENT_DROP: describe_drop(statement, out); break;
    case TARN_STATEMENT_CALL: describe_call(statement, out); break;
    case TARN_STATEMENT_SET:
    case TARN_STATEMENT_SHOW: describe_setting(statement, out); break;
    case TARN_STATEMENT_FLUSH: say(out, "flush\n"); break;
    }
}

static inline void describe_error(const tarn_error *err, tarn_buffer *out) {
    say(out, err->status == TARN_UNSUPPORTED ? "UNSUPPORTED " : "ERROR ");
    say(out, err->sqlstate);
    if (err->position > 0) {
        say(out, " at ");
        say_number(out, err->position);
    }
    say(out, ": ");
    say(out, err->message);
    say(out, "\n");
    if (err->hint[0] == '\0') return;
    say(out, "HINT: ");
    say(out, err->hint);
    say(out, "\n");
}

#endif
