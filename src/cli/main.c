#include "cli/cli.h"

int main(int argc, char **argv) {
    return tarn_cli_main(argc, argv);
}
