/* From a pointer to an embedded member back to the structure that embeds it. For any thread. */
#ifndef BASE_CONTAINER_H
#define BASE_CONTAINER_H

#include <stddef.h>

/* Versions of clang-format disagree about the minus. */
/* clang-format off */
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
/* clang-format on */

#endif
