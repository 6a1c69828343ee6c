/**
 * Progress of anything that counts: one line that is redrawn on a terminal, else a plain line now and then.
 * The clock and the stream are passed in.
 */

export interface ProgressOptions {
  /** What is going on: `"Sampling"`. */
  readonly label: string;
  /** Number of units when done; without it only the count and the rate are shown. */
  readonly total?: number;
  /** What is counted, for the rate: `"step"`. @default "step" */
  readonly unit?: string;
}

/** A display that is fed by a loop. */
export interface Progress {
  /** `done` units are done; `note` is shown at the end of the line. */
  update(done: number, note?: string): void;
  /** Ends the display; `note` replaces the rate. Harmless when called twice. */
  end(note?: string): void;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A terminal is redrawn at most this often. */
const REDRAW_MS = 100;
/** A log gets a line at most this often. */
const LINE_MS = 10_000;
const BAR_WIDTH = 20;
const CLEAR_LINE = "\r\x1b[2K";

/**
 * Draws on `stream`; with `undefined` nothing is drawn.
 *
 * @param now milliseconds of a monotonic clock
 * @example
 * const progress = startProgress(process.stderr, { label: "Sampling", total: 20 }, () => performance.now());
 * for (let step = 1; step <= 20; step++) progress.update(step);
 * progress.end();
 */
export function startProgress(
  stream: ProgressStream | undefined,
  options: ProgressOptions,
  now: () => number,
): Progress {
  if (!stream) return { update: () => {}, end: () => {} };
  const start = now();
  let drawn = -Infinity;
  let last = 0;
  let ended = false;
  const put = (text: string) => {
    drawn = now();
    if (stream.isTTY) stream.write(CLEAR_LINE + text.slice(0, (stream.columns ?? 80) - 1));
    else stream.write(`${text}\n`);
  };
  return {
    update(done, note) {
      last = done;
      if (!ended && now() - drawn >= (stream.isTTY ? REDRAW_MS : LINE_MS))
        put(progressLine(options, done, now() - start, { note, bar: stream.isTTY === true }));
    },
    end(note) {
      if (ended) return;
      ended = true;
      const took = formatDuration(now() - start);
      const what = note ?? `${last}${options.total === undefined ? "" : `/${options.total}`}`;
      put(`${options.label}: ${what} in ${took}`);
      if (stream.isTTY) stream.write("\n");
    },
  };
}

/** `Sampling ███░░ 5/20 · 2.1 steps/s · 0:07 left · sigma 3.1` */
export function progressLine(
  { label, total, unit = "step" }: ProgressOptions,
  done: number,
  elapsedMs: number,
  { note, bar }: { readonly note?: string; readonly bar: boolean },
): string {
  const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const parts = [total === undefined ? `${done} ${unit}s` : `${done}/${total}`];
  if (rate > 0)
    parts.push(rate >= 1 ? `${rate.toFixed(1)} ${unit}s/s` : `${(1 / rate).toFixed(1)} s/${unit}`);
  if (rate > 0 && total !== undefined)
    parts.push(`${formatDuration(((total - done) / rate) * 1000)} left`);
  if (note) parts.push(note);
  return [label, bar && total ? drawBar(done / total) : "", parts.join(" · ")]
    .filter(Boolean)
    .join(" ");
}

/** `7 s` up to a minute (with a decimal below ten), then `2:05`, then `1:02:05`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 59.5) return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

function drawBar(fraction: number): string {
  const full = Math.round(Math.min(Math.max(fraction, 0), 1) * BAR_WIDTH);
  return "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
}
