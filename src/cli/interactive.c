#include "cli/interactive.h"

#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <wchar.h>

#include "cli/complete.h"
#include "cli/history.h"
#include "cli/input.h"
#include "cli/text.h"

#define INPUT_BYTES  1024
#define PROMPT_BYTES 160
#define NO_CHARACTER (-1) // what libedit's reader returns when it was interrupted

typedef struct interactive {
    cli_shell *shell;
    atomic_bool *interrupted;
    cli_input input;
    EditLine *edit;
    History *history;
    tarn_slice history_path; // empty: none
    tarn_buffer entry;       // of the history: the lines of a statement
    char prompt[PROMPT_BYTES];
    tarn_arena arena;

    uint8_t bytes[INPUT_BYTES]; // read from the terminal, not yet taken
    size_t begin;
    size_t end;
    bool at_end;
} interactive;

// ---- characters from the terminal ----

// The terminal has another size, or the process was stopped and its mode is not ours any more.
static void take_terminal_again(interactive *shell) {
    EditLine *edit = shell->edit;
    cli_out *out = shell->shell->out;
    el_set(edit, EL_PREP_TERM, 0);
    el_set(edit, EL_PREP_TERM, 1);
    el_resize(edit); // forgets what is drawn; the line is drawn anew where the cursor is
    cli_out_text(out, "\r");
    (void)cli_out_flush(out, NULL); // a failure sticks, and the next statement reports it
    el_set(edit, EL_REFRESH);
}

static tarn_status fill(interactive *shell) {
    size_t kept = shell->end - shell->begin;
    memmove(shell->bytes, shell->bytes + shell->begin, kept);
    shell->begin = 0;
    shell->end = kept;
    size_t len = 0;
    TARN_TRY(tarn_os_stream_read(shell->bytes + kept, INPUT_BYTES - kept, &len, NULL));
    shell->end += len;
    shell->at_end = len == 0;
    return TARN_OK;
}

// libedit's reader. Returns 1, or 0 at the end, or -1 when the user interrupts.
static int read_character(EditLine *edit, wchar_t *ret_character) {
    interactive *shell = NULL;
    el_get(edit, EL_CLIENTDATA, &shell);
    for (;;) {
        if (atomic_load_explicit(shell->interrupted, memory_order_relaxed)) return NO_CHARACTER;
        tarn_slice text = {shell->bytes + shell->begin, shell->end - shell->begin};
        bool valid = false;
        tarn_slice rest = text;
        uint32_t code = text.len == 0 ? 0 : cli_text_next(&rest, &valid);
        // Four bytes hold any character: fewer may be the first part of one.
        if (valid || text.len >= 4 || (text.len > 0 && shell->at_end)) {
            shell->begin += text.len - rest.len;
            *ret_character = valid ? (wchar_t)code : L'?';
            return 1;
        }
        if (shell->at_end) return 0;
        tarn_status status = fill(shell);
        if (status == TARN_CANCELLED) take_terminal_again(shell);
        if (status != TARN_OK && status != TARN_CANCELLED) return NO_CHARACTER;
    }
}

// ---- prompts ----

static tarn_slice last_part(tarn_slice path) {
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') begin--;
    return tarn_slice_skip(path, begin);
}

static char *make_prompt(EditLine *edit) {
    interactive *shell = NULL;
    el_get(edit, EL_CLIENTDATA, &shell);
    const cli_engine *engine = shell->shell->engine;
    tarn_slice name = cli_text_fit(last_part(engine->directory(engine->context)), 40);
    (void)snprintf(shell->prompt, sizeof shell->prompt, TARN_SLICE_FMT "%c> ", TARN_SLICE_ARG(name),
                   cli_scanner_prompt(&shell->input.scanner));
    return shell->prompt;
}

// ---- completion ----

static void show_candidates(cli_shell *shell, const cli_completion *completion) {
    size_t width = 0;
    for (size_t i = 0; i < completion->count; i++) {
        size_t columns = cli_text_width(completion->candidates[i]);
        if (columns > width) width = columns;
    }
    size_t per_line = cli_shell_columns(shell) / (width + 2);
    if (per_line == 0) per_line = 1;
    cli_out_text(shell->out, "\n");
    for (size_t i = 0; i < completion->count; i++) {
        bool ends_line = (i + 1) % per_line == 0 || i + 1 == completion->count;
        cli_out_put(shell->out, completion->candidates[i]);
        size_t space = width + 2 - cli_text_width(completion->candidates[i]);
        cli_out_repeat(shell->out, ' ', ends_line ? 0 : space);
        if (ends_line) cli_out_text(shell->out, "\n");
    }
    (void)cli_out_flush(shell->out, NULL); // a failure sticks, and the next statement reports it
}

static unsigned char complete(EditLine *edit, int key) {
    (void)key;
    interactive *shell = NULL;
    el_get(edit, EL_CLIENTDATA, &shell);
    const LineInfo *line = el_line(edit);
    tarn_slice text = {(const uint8_t *)line->buffer, (size_t)(line->cursor - line->buffer)};
    tarn_arena arena;
    tarn_arena_init(&arena, &tarn_alloc_libc, SIZE_MAX);
    tarn_slice *names = NULL;
    size_t name_count = 0;
    cli_list_names(shell->shell, &arena, &names, &name_count);
    cli_completion completion = {0};
    tarn_slice addition = {0};
    unsigned char answer = CC_ERROR;
    // The copy ends in a NUL, as libedit wants it.
    if (cli_complete(text, names, name_count, &arena, &completion) && completion.count > 0 &&
        tarn_arena_copy(&arena, completion.addition, &addition)) {
        if (addition.len > 0) {
            answer = el_insertstr(edit, (const char *)addition.data) == 0 ? CC_REFRESH : CC_ERROR;
        }
        if (completion.count == 1) {
            answer = el_insertstr(edit, " ") == 0 ? CC_REFRESH : CC_ERROR;
        } else if (addition.len == 0) {
            show_candidates(shell->shell, &completion);
            answer = CC_REDISPLAY;
        }
    }
    tarn_arena_reset(&arena);
    return answer;
}

// ---- history ----

static void remember(interactive *shell, tarn_slice entry) {
    HistEvent event;
    tarn_slice copy;
    if (entry.len == 0 || !tarn_arena_copy(&shell->arena, entry, &copy)) return;
    history(shell->history, &event, H_ENTER, (const char *)copy.data);
    if (shell->history_path.len == 0) return;
    tarn_error err = {0};
    if (cli_history_add(shell->shell->os, shell->history_path, entry, &err) != TARN_OK) {
        // Said once: the shell works without.
        (void)cli_shell_complain(shell->shell, &err, (cli_place){0});
        shell->history_path.len = 0;
    }
}

// Lines are collected until their statement is complete, and then are one entry.
static void note_line(interactive *shell, tarn_slice line) {
    tarn_slice text = line;
    while (text.len > 0 && text.data[text.len - 1] == '\n') text.len--;
    bool fits = tarn_buffer_append(&shell->entry, text);
    if (shell->input.scanner.text.len > 0 && fits) {
        if (tarn_buffer_append_byte(&shell->entry, '\n')) return;
    }
    remember(shell, tarn_buffer_slice(&shell->entry));
    tarn_buffer_clear(&shell->entry);
}

static void load_history(interactive *shell) {
    HistEvent event;
    history(shell->history, &event, H_SETSIZE, CLI_HISTORY_ENTRIES_MAX);
    history(shell->history, &event, H_SETUNIQUE, 1);
    tarn_slice home = tarn_os_environment("HOME");
    if (home.len == 0) return;
    tarn_error err = {0};
    tarn_slice *entries = NULL;
    size_t count = 0;
    if (!tarn_arena_printf(&shell->arena, &shell->history_path, TARN_SLICE_FMT "/.tarn_history",
                           TARN_SLICE_ARG(home))) {
        return;
    }
    if (cli_history_load(shell->shell->os, shell->history_path, &shell->arena, &entries, &count,
                         &err) != TARN_OK) {
        (void)cli_shell_complain(shell->shell, &err, (cli_place){0});
        shell->history_path.len = 0;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        history(shell->history, &event, H_ENTER, (const char *)entries[i].data);
    }
}

// ---- begin and end ----

// libedit reads and draws characters of the locale: one with UTF-8 must be found.
static void choose_locale(void) {
    const char *chosen = setlocale(LC_CTYPE, "");
    if (chosen == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        (void)setlocale(LC_CTYPE, "C.UTF-8"); // without it other letters than ASCII look odd
    }
}

static bool open_editor(interactive *shell) {
    choose_locale();
    shell->edit = el_init("tarn", stdin, stdout, stderr);
    shell->history = history_init();
    if (shell->edit == NULL || shell->history == NULL) return false;
    el_set(shell->edit, EL_CLIENTDATA, shell);
    el_set(shell->edit, EL_PROMPT, make_prompt);
    el_set(shell->edit, EL_SIGNAL, 0); // the interrupt key is ours
    el_set(shell->edit, EL_EDITOR, "emacs");
    el_set(shell->edit, EL_HIST, history, shell->history);
    el_set(shell->edit, EL_GETCFN, read_character);
    // In wide characters, because libedit does not free what it makes of others.
    el_wset(shell->edit, EL_ADDFN, L"tarn-complete", L"completes names and words", complete);
    el_set(shell->edit, EL_BIND, "^I", "tarn-complete", NULL);
    el_set(shell->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(shell->edit, NULL); // the user's .editrc
    load_history(shell);
    return true;
}

static void close_editor(interactive *shell) {
    if (shell->history != NULL) history_end(shell->history);
    if (shell->edit != NULL) el_end(shell->edit);
    cli_input_reset(&shell->input);
    tarn_buffer_free(&shell->entry);
    tarn_arena_reset(&shell->arena);
}

static void greet(const interactive *shell, bool is_new) {
    cli_shell *out = shell->shell;
    if (out->quiet) return;
    cli_out_text(out->out, "tarn " TARN_VERSION ". Type \\? for help, \\q to quit.\n");
    if (is_new) {
        cli_out_text(out->out, "Made a new warehouse in ");
        cli_out_put(out->out, out->engine->directory(out->engine->context));
        cli_out_text(out->out, ".\n");
    }
    (void)cli_shell_flush(out, (cli_place){0}); // a failure sticks
}

// ---- the loop ----

// psql's courtesies to those who come from elsewhere.
static bool is_word_line(const interactive *shell, tarn_slice line, const char *word) {
    if (shell->input.scanner.text.len > 0) return false;
    size_t len = strlen(word);
    if (!tarn_slice_starts_with(line, tarn_slice_from_cstr(word))) return false;
    for (size_t i = len; i < line.len; i++) {
        if (line.data[i] != ';' && line.data[i] > ' ') return false;
    }
    return true;
}

static void take_line(interactive *shell, tarn_slice line) {
    if (is_word_line(shell, line, "quit") || is_word_line(shell, line, "exit")) {
        shell->input.has_quit = true;
    } else if (is_word_line(shell, line, "help")) {
        line = TARN_LIT("\\?\n");
    }
    if (!shell->input.has_quit) (void)cli_input_line(&shell->input, line); // errors were told
    note_line(shell, line);
}

// The interrupt key at the prompt: what was typed is gone, a new line begins.
static void drop_line(interactive *shell) {
    cli_scanner_clear(&shell->input.scanner);
    tarn_buffer_clear(&shell->entry);
    el_reset(shell->edit);
    cli_out_text(shell->shell->out, "^C\n");
    (void)cli_shell_flush(shell->shell, (cli_place){0}); // a failure sticks
}

static void read_and_run(interactive *shell) {
    while (!shell->input.has_quit && !shell->shell->output_failed) {
        atomic_store_explicit(shell->interrupted, false, memory_order_relaxed);
        int len = 0;
        // libedit would show the prompt first: an end of input typed in between comes as a zero.
        el_set(shell->edit, EL_PREP_TERM, 1);
        const char *text = el_gets(shell->edit, &len);
        if (text != NULL && len > 0) {
            // Copied: completing and running may make libedit use its line again.
            tarn_buffer line = {0};
            if (tarn_buffer_append(&line, (tarn_slice){(const uint8_t *)text, (size_t)len})) {
                take_line(shell, tarn_buffer_slice(&line));
            }
            tarn_buffer_free(&line);
        } else if (atomic_load_explicit(shell->interrupted, memory_order_relaxed)) {
            drop_line(shell);
        } else {
            cli_out_text(shell->shell->out, "\\q\n");
            break;
        }
    }
}

void cli_interactive_run(cli_shell *shell, atomic_bool *interrupted, bool is_new) {
    interactive state = {.shell = shell, .interrupted = interrupted};
    tarn_arena_init(&state.arena, &tarn_alloc_libc, SIZE_MAX);
    cli_input_init(&state.input, shell, (tarn_slice){0}, false);
    greet(&state, is_new);
    if (open_editor(&state)) {
        read_and_run(&state);
    } else {
        tarn_error err = {0};
        (void)tarn_fail(&err, TARN_IO, "the line editor does not work on this terminal");
        (void)cli_shell_complain(shell, &err, (cli_place){0});
    }
    close_editor(&state);
}
