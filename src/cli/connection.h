// connection.h - an open warehouse and a session of it, as the engine of a shell.
#ifndef TARN_CLI_CONNECTION_H
#define TARN_CLI_CONNECTION_H

#include "cli/engine.h"

typedef struct cli_connection {
    tarn_warehouse *warehouse;
    tarn_session *session;
    cli_engine engine; // of the session
} cli_connection;

TARN_MUST_USE tarn_status cli_connection_open(cli_connection *connection, tarn_os *os,
                                              tarn_slice directory,
                                              const tarn_warehouse_options *options,
                                              tarn_error *err);
void cli_connection_close(cli_connection *connection);

#endif
