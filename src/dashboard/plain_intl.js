/*
 * Stands in for Intl where build.mjs bundles the page. uPlot asks it two things while it is loaded, for
 * labels that this page writes itself, and in Chromium that takes longer than all the rest of uPlot.
 */
export const PlainIntl = {
  NumberFormat: class {
    format(number) {
      return String(number);
    }
  },
  DateTimeFormat: class {
    resolvedOptions() {
      return { timeZone: '' }; // no zone has this name: none is taken for the local one
    }
  },
};
