/*
 * When the page draws. What has changed is drawn in the next frame, never at once, and no frame takes
 * on more of it than a few milliseconds: a finger on the glass is not kept waiting, however many
 * devices publish. A hidden page has no frames, and draws nothing until it is seen again.
 */
const BUDGET = 4; // ms per frame; the browser's own work for what has changed comes on top of it

const jobs = new Set(); // in the order in which they came
let frame = null; // the one that was asked for; a job that adds jobs asks for no second one

function run() {
  const end = performance.now() + BUDGET;
  for (const job of jobs) {
    jobs.delete(job);
    job();
    if (performance.now() >= end) {
      break;
    }
  }
  frame = jobs.size > 0 ? requestAnimationFrame(run) : null;
}

/** Does a job, a function, in one of the next frames; once, however often it was asked for until then. */
export function soon(job) {
  jobs.add(job);
  frame ??= requestAnimationFrame(run);
}

/** Takes that back. */
export function never(job) {
  jobs.delete(job);
}
