#!/bin/sh
# Writes chips.mk, the lists of the build that follow from chips.def. configure.ac runs it.
cd "${0%/*}" || exit 1
chips=$(sed -n 's/^CHIP(\([a-z0-9_]*\)).*/\1/p' chips.def)

list() {
    printf '%s =' "$1"
    for chip in $chips; do
        printf ' \\\n\t%s%s%s' "$2" "$chip" "$3"
    done
    printf '\n'
}

{
    echo '# Made by chips.sh from chips.def.'
    list CHIP_DRIVERS src/devices/ .c
    list CHIP_SIMULATIONS src/sim/sim_ .c
    list CHIP_TESTS t/unit/ ''
    for chip in $chips; do
        echo "t_unit_${chip}_LDADD = \$(DRIVER_TEST_LIBS)"
    done
} >chips.mk.new
# Its time changes only where its content does, or make would configure again and again.
if cmp -s chips.mk.new chips.mk; then rm chips.mk.new; else mv chips.mk.new chips.mk; fi
