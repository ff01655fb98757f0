/* The module: hooks and directives, nothing else. */
