/*
 * What sessions may use on this server: one answer for all of them. Set once, in httpd's parent
 * before a child is forked; from then on only read, on any thread. Until it is set, all is allowed.
 */
#ifndef WS_OPTIONS_H
#define WS_OPTIONS_H

#include <stdbool.h>

void ws_options_set(bool detach, bool io_uring);
/* Whether a session may leave httpd's connection for its own descriptor (ClownTalkDetach). */
bool ws_options_detach(void);
/* Whether publications may be sent by io_uring (ClownTalkIOUring). */
bool ws_options_io_uring(void);

#endif
