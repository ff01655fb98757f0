# The plot of docs/performance.md. bench/run sets `data`, `plotted`, `servers`, `echo` and `idle`.
set terminal svg size 960,760 font "sans-serif,13" background "white"
set output plotted
set datafile separator "\t"
set datafile missing "?"
set style fill solid 0.85 noborder
set style data histograms
set style histogram clustered gap 1
set boxwidth 0.9
set grid ytics lc rgb "#dddddd"
set border 3 lc rgb "#666666"
set tics nomirror scale 0.5
set yrange [0:*]
set key top right
set multiplot layout 2,2

set title sprintf("Echo, 64 bytes, %d connections: thousand messages/s (more is better)", echo) \
    font ",12"
set xtics font ",10"
plot data index 0 using ($2/1000):xtic(1) title "ws" lc rgb "#1f6f8b", \
     '' index 0 using ($3/1000) title "wss" lc rgb "#e08e45"

set title sprintf("Memory per idle connection of %d: KiB (less is better)", idle) font ",12"
plot data index 1 using ($2/1024):xtic(1) title "ws" lc rgb "#1f6f8b", \
     '' index 1 using ($3/1024) title "wss" lc rgb "#e08e45"

set style data linespoints
set key top left
set xtics font ",12"
set xlabel "readers"
set xrange [0:*]
array colours[4] = ["#1f6f8b", "#999999", "#e08e45", "#333333"]
set title "100 bytes until the last reader has them, ws: ms (less is better)" font ",12"
plot for [i=1:servers] data index 2 using 1:(column(i+1)) title columnheader(i+1) \
     lw 2 pt 7 ps 0.6 lc rgb colours[i]
set title "The same over wss" font ",12"
plot for [i=1:servers] data index 3 using 1:(column(i+1)) title columnheader(i+1) \
     lw 2 pt 7 ps 0.6 lc rgb colours[i]
unset multiplot
