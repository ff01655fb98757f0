/* The optional functions of mod_clowntalk.h, by which other modules' handlers reach a session. */
#ifndef WS_API_H
#define WS_API_H

/* Registers them. Called once, from the module's register_hooks function. */
void ws_api_register(void);

#endif
