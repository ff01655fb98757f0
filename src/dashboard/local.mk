# The dashboard: made by build.mjs (see "the dashboard" in Makefile.am), tested by what is in t/dashboard.
EXTRA_DIST += \
    src/dashboard/README.md src/dashboard/build.mjs src/dashboard/package.json \
    src/dashboard/package-lock.json \
    src/dashboard/clowntalk.js src/dashboard/clowntalk.d.ts \
    src/dashboard/index.html src/dashboard/style.css src/dashboard/icon.svg \
    src/dashboard/manifest.webmanifest src/dashboard/nodes.json \
    src/dashboard/app.js src/dashboard/cards.js src/dashboard/choice.js src/dashboard/details.js \
    src/dashboard/diagnose.js src/dashboard/dom.js src/dashboard/format.js src/dashboard/frames.js \
    src/dashboard/kinds.js src/dashboard/node.js src/dashboard/oled.js src/dashboard/plain_intl.js \
    src/dashboard/plot.js src/dashboard/series.js src/dashboard/sparkline.js src/dashboard/theme.js

EXTRA_DIST += \
    t/dashboard/package.json t/dashboard/package-lock.json t/dashboard/modules.js \
    t/dashboard/prepare.js t/dashboard/run t/dashboard/peer.js t/dashboard/mock.js \
    t/dashboard/target.js t/dashboard/browser.js t/dashboard/budget.js \
    t/dashboard/pictures.js \
    t/dashboard/010_messages.test.js t/dashboard/020_socket.test.js t/dashboard/030_client.test.js \
    t/dashboard/040_page_parts.test.js t/dashboard/050_package.test.js \
    t/dashboard/100_look_and_switch.test.js t/dashboard/110_losses.test.js \
    t/dashboard/120_situations.test.js t/dashboard/130_accessibility.test.js \
    t/dashboard/140_documentation.test.js
