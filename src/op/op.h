// op.h - physical operators on flow/, and their assembly from a logical plan.
//
// One set of operators serves queries (a flow that ends, results at the end) and materialized views
// (a flow with barriers, results as changes). The same kernels and aggregates run underneath.
//
//     TARN_TRY(tarn_op_build(plan, &context, flow, &node, err));   // the plan's operators
//     TARN_TRY(tarn_op_add_table_sink(flow, name, node, &sink_options, &sink, err));
//
// Streams: input chunks may carry row kinds; every operator keeps its output equal to its query
// over
//          the input so far (a late change is corrected by -U/+U or -D), except what EMIT ON WINDOW
//          CLOSE has closed: rows that come later are counted as late and left out. Aggregates,
//          top-N and sinks bundle: they emit the net change of an epoch at its barrier.
// Late:    a row is late when its window had closed under the watermark in force before that very
//          row (chunk.watermarks), so results do not depend on how rows were bundled into chunks.
// State:   written to the flow's state writers; restored by node name.
// Memory:  everything is taken from the context's allocator; running out is TARN_NO_MEMORY with the
//          operator's name.
#ifndef TARN_OP_H
#define TARN_OP_H

#include "connect/connect.h"
#include "flow/flow.h"
#include "lake/lake.h"
#include "sql/sql.h"

typedef enum tarn_op_mode {
    TARN_OP_BATCH,  // results when the input ends
    TARN_OP_STREAM, // results as changes at barriers and window ends
} tarn_op_mode;

// Gives the left input of a join once more, up to what the stream has delivered by now, when rows
// of the right side changed; so the join needs no copy of it. Rows come in the order in which the
// stream delivered them; the join takes as many as it has been given and stops `replay` by
// returning TARN_CANCELLED, which replay passes on.
typedef struct tarn_op_replay {
    void *context;
    tarn_status (*replay)(void *context,
                          tarn_status (*row)(void *row_context, const tarn_chunk *chunk,
                                             tarn_error *err),
                          void *row_context, tarn_error *err);
} tarn_op_replay;

typedef struct tarn_op_context {
    tarn_op_mode mode;
    const tarn_alloc *alloc;
    tarn_eval_context eval;
    tarn_slice name_prefix; // of node names: "view/dwd_flights/"
    size_t thread_count;    // queries: how many tasks may scan and aggregate in parallel; 0: 1
    void *leaf_context;
    // Adds the node that produces a SCAN's columns (the relation is the caller's business: a table,
    // a source, another view's output, a system table). Queries may ask for up to `part_limit`
    // nodes that together produce the rows; streams ask for one.
    tarn_status (*add_leaf)(void *leaf_context, const tarn_plan *scan, tarn_flow *flow,
                            size_t part_limit, tarn_node *ret_nodes, size_t *ret_count,
                            tarn_error *err);
    // Streams: whether the rows of a SCAN can be read again (true for tables and replayable
    // sources).
    bool (*get_replay)(void *leaf_context, const tarn_plan *scan, tarn_op_replay *ret_replay);
    // Queries: called for each plan node with the flow node that finishes it (EXPLAIN ANALYZE).
    // NULL: no.
    void (*note_node)(void *leaf_context, const tarn_plan *plan, tarn_node node);
} tarn_op_context;

// Adds the operators of `plan`, which must outlive the flow.
TARN_MUST_USE tarn_status tarn_op_build(const tarn_plan *plan, const tarn_op_context *context,
                                        tarn_flow *flow, tarn_node *ret_node, tarn_error *err);

// Rows that windows had to leave out, per node name prefix ("view/dws_airport_hour/"). Any thread.
uint64_t tarn_op_late_rows(tarn_flow *flow, tarn_slice name_prefix);

// ---- leaves and sinks that the warehouse adds itself ----

// A table's rows (queries; the first input of a new view). Shares the scan; reads its splits in
// turn, with other nodes of the same scan on other threads. Takes a reference on nothing: the scan
// outlives the flow.
TARN_MUST_USE tarn_status tarn_op_add_table_scan(tarn_flow *flow, tarn_slice name,
                                                 tarn_table_scan *scan, _Atomic size_t *next_split,
                                                 const tarn_alloc *alloc, tarn_node *ret_node,
                                                 tarn_error *err);

// Batches that are there already, or that another thread hands in (INSERTs into a table that views
// read). Rows given to tarn_op_inbox_push belong to the next epoch.
typedef struct tarn_op_inbox tarn_op_inbox;
TARN_MUST_USE tarn_status tarn_op_inbox_new(const tarn_alloc *alloc, tarn_op_inbox **ret_inbox,
                                            tarn_error *err);
void tarn_op_inbox_unref(tarn_op_inbox *inbox); // the flow holds its own reference
TARN_MUST_USE tarn_status tarn_op_inbox_push(tarn_op_inbox *inbox, tarn_batch *batch,
                                             tarn_error *err); // takes the reference
// The same for several batches that belong together (a transaction): they come in one epoch.
TARN_MUST_USE tarn_status tarn_op_inbox_push_all(tarn_op_inbox *inbox, tarn_batch *const *batches,
                                                 size_t count, tarn_error *err);
void tarn_op_inbox_close(tarn_op_inbox *inbox); // no more batches: the source ends
TARN_MUST_USE tarn_status tarn_op_add_inbox(tarn_flow *flow, tarn_slice name, tarn_op_inbox *inbox,
                                            tarn_node *ret_node, tarn_error *err);

// A connector with the relation's generated columns and its watermark. Its state is the position.
typedef struct tarn_op_source_options {
    const tarn_connector *connector;
    const tarn_connector_spec *spec; // columns: the relation's that are stored
    const tarn_relation *relation;   // generated columns, time column, delay
    tarn_os *os;
    const tarn_alloc *alloc;
    tarn_eval_context eval;
    tarn_status (*bad)(void *context, const tarn_bad_record *record,
                       tarn_error *err); // may be NULL
    // Between the bad records before a barrier and those behind it, on the source's task; may be
    // NULL.
    tarn_status (*bad_barrier)(void *context, uint64_t epoch, tarn_error *err);
    void *bad_context;
} tarn_op_source_options;
typedef struct tarn_op_source tarn_op_source;
TARN_MUST_USE tarn_status tarn_op_add_source(tarn_flow *flow, tarn_slice name,
                                             const tarn_op_source_options *options,
                                             tarn_op_source **ret_source, tarn_node *ret_node,
                                             tarn_error *err);
typedef struct tarn_op_source_progress {
    uint64_t rows;
    uint64_t done, total; // as the connector counts; total 0: unknown
    int64_t watermark_us;
    bool ended;
} tarn_op_source_progress;
tarn_op_source_progress tarn_op_source_progress_of(const tarn_op_source *source); // any thread

// Rows delivered before the last barrier, or before the checkpoint that was restored. Any thread.
uint64_t tarn_op_source_barrier_rows(const tarn_op_source *source);
// Reads a source anew from its start: its first `row_limit` rows, all of the relation's columns,
// with the watermarks that they came with.
TARN_MUST_USE tarn_status
tarn_op_replay_source(const tarn_op_source_options *options, uint64_t row_limit,
                      tarn_status (*row)(void *context, const tarn_chunk *chunk, tarn_error *err),
                      void *context, tarn_error *err);

// Selects columns of a node (for scans that read a subset of a shared stream).
TARN_MUST_USE tarn_status tarn_op_add_columns(tarn_flow *flow, tarn_slice name, tarn_node input,
                                              const size_t *columns, size_t column_count,
                                              tarn_node *ret_node, tarn_error *err);

// Writes a view's changes into its table: at each barrier the files are finished and `prepared`
// gets the committable, which the caller commits once the epoch is complete.
typedef struct tarn_op_sink_options {
    tarn_table *table;
    const tarn_alloc *alloc;
    void *context;
    tarn_status (*prepared)(void *context, uint64_t epoch, tarn_slice committable,
                            int64_t watermark_us, tarn_error *err);
} tarn_op_sink_options;
TARN_MUST_USE tarn_status tarn_op_add_table_sink(tarn_flow *flow, tarn_slice name, tarn_node input,
                                                 const tarn_op_sink_options *options,
                                                 tarn_node *ret_node, tarn_error *err);

#endif
