# The hub: scheduler, last values, relay memory; and clowntalk-bridge around it.
