/*
 * What the whole server's configuration says about sessions: set once, before the first child
 * process is forked, and read by any thread.
 */
#ifndef WS_OPTIONS_H
#define WS_OPTIONS_H

#include <stdbool.h>

void ws_options_set(bool detach, bool io_uring);
/* Whether sessions may leave httpd's connections and do without its filters. */
bool ws_options_detach(void);
/* Whether io_uring may be used. */
bool ws_options_io_uring(void);

#endif
