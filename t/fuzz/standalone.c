/*
 * A main for fuzz targets without libFuzzer: runs the target once on each file named as an
 * argument, so that any compiler can replay a corpus or a finding.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a file into memory of its very size; NULL with a line on stderr where that fails. */
static uint8_t *read_file(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    uint8_t *data = NULL;
    long length;

    if (file && fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0) {
        *size = (size_t)length;
        rewind(file);
        data = malloc(*size ? *size : 1);
        if (data && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    if (data == NULL) {
        perror(name);
    }
    if (file) {
        fclose(file);
    }
    return data;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        size_t size;
        uint8_t *data = read_file(argv[i], &size);

        if (data == NULL) {
            failed++;
            continue;
        }
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%d of %d files replayed\n", argc - 1 - failed, argc - 1);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
