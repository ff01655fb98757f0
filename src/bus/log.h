/*
 * The hub's numbered log lines: CT1000 to CT1999 of the project's series. A number never changes
 * its meaning and is never used again for another one.
 */
#ifndef BUS_LOG_H
#define BUS_LOG_H

typedef enum hub_level { HUB_DEBUG, HUB_INFO, HUB_WARNING, HUB_ERROR } hub_level;

typedef enum log_code {
    CT_BUS_OPENED = 1001,         /* a bus was opened */
    CT_BUS_NOT_OPENED = 1002,     /* it could not be; tried again */
    CT_BUS_STUCK = 1003,          /* transfers time out one after the other */
    CT_BUS_FREE = 1004,           /* transfers on the bus succeed again */
    CT_BUS_GONE = 1005,           /* the adapter itself has vanished */
    CT_SCENARIO_WRONG = 1006,     /* a scenario of simulated chips was changed and is wrong */
    CT_DEVICE_FOUND = 1010,       /* a device has appeared */
    CT_DEVICE_MISMATCH = 1011,    /* a different chip answers than was expected there */
    CT_DEVICE_HELD = 1012,        /* a kernel driver holds the address */
    CT_DEVICE_NOT_STARTED = 1013, /* identified, but it could not be configured */
    CT_DEVICE_FAILED = 1014,      /* it has stopped answering */
    CT_DEVICE_RECOVERED = 1015,   /* it answers again */
    CT_DEVICE_LEFT = 1016,        /* it has stayed away and left the list */
    CT_DEVICE_CONFIG = 1017,      /* a ClownTalkDevice that cannot be followed */
    CT_PULSE_NOT_ENDED = 1018, /* a relay's pulse is over, but switching off failed; tried again */
    CT_POWER_ON = 1019,        /* a relay is put into its power-on state, or could not be */
    CT_STATE_NOT_READ = 1020,  /* remembered states could not be read */
    CT_STATE_CORRUPT = 1021,   /* the file of remembered states is damaged */
    CT_STATE_NOT_WRITTEN = 1022,  /* states cannot be remembered */
    CT_STATE_WRITTEN = 1023,      /* and now they can again */
    CT_STATE_INTERRUPTED = 1024,  /* the hub ended while a relay was moving */
    CT_INTERLOCK_VIOLATED = 1040, /* relays of an interlock were found on together */
    CT_POWER_LOST = 1041,         /* a chip has lost its power and is configured again */
    CT_LED_NOT_OPENED = 1030,     /* the LED cannot be driven */
    CT_LED_OPENED = 1031,         /* the LED is driven */
    CT_BOOT_NOT_NOTED = 1050,     /* the machine's start cannot be remembered: no power-on states */
    CT_STATE_LOCKED = 1051,       /* another hub remembers in the same directory */
    CT_STATE_NO_NOTES = 1052,     /* the notes of moves are missing: no state is known */
    CT_STATE_DIR_LOST = 1080,     /* the state directory was removed, or replaced by no other */
    CT_STATE_DIR_NEW = 1081,      /* it was replaced: what is known is written to the new one */
    CT_PORT_UNASKED = 1060,       /* a chip answers where none may be asked what it is */
    /* The hub's socket (src/link/server.c). */
    CT_LINK_NO_DESCRIPTORS = 1070, /* links cannot be taken until a descriptor is free */
    CT_LINK_GARBLED = 1901,        /* a line without a proper envelope */
    CT_LINK_TOO_LONG = 1902,       /* a line that no child of ours sends */
    CT_LINK_STRANGER = 1903,       /* a process of another user */
} log_code;

#endif
