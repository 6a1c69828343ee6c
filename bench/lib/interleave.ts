/**
 * Interleaved timing of programs that do the same work: A B A B …, one repetition at a time, so that a machine whose
 * speed drifts treats all alike.
 *
 * A contender is a process that prints `ready` when it is warm, and for every line `run` on its standard input does
 * the work once and prints the seconds it took. It ends when its input closes.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Contender {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface Timing {
  readonly name: string;
  /** Median seconds of a repetition. */
  readonly median: number;
  readonly all: readonly number[];
  /** Median over rounds of own time ÷ the last contender's. */
  readonly ratio: number;
}

/** Times every contender `rounds` times in turn; ratios are against the last. */
export async function interleave(contenders: readonly Contender[], rounds = 5): Promise<Timing[]> {
  const running: Running[] = [];
  try {
    for (const contender of contenders) {
      const started = start(contender);
      running.push(started);
      await started.line((line) => line === "ready");
    }
    const times = contenders.map((): number[] => []);
    for (let round = 0; round < rounds; round++)
      for (const [i, contender] of running.entries()) {
        contender.process.stdin.write("run\n");
        times[i].push(
          Number(await contender.line((line) => line !== "" && !Number.isNaN(Number(line)))),
        );
      }
    const last = times[times.length - 1];
    return contenders.map(({ name }, i) => ({
      name,
      median: median(times[i]),
      all: times[i],
      ratio: median(times[i].map((time, round) => time / last[round])),
    }));
  } finally {
    for (const { process } of running) process.stdin.end();
    await Promise.all(running.map(({ ended }) => ended));
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `name 0.412 s (ratio 0.93; 0.401 … 0.440)`, one line per contender. */
export function showTimings(timings: readonly Timing[]): string {
  return timings
    .map(
      ({ name, median: own, all, ratio }) =>
        `${name.padEnd(28)} ${own.toFixed(3)} s  ratio ${ratio.toFixed(2)}  (${Math.min(...all).toFixed(3)} … ${Math.max(...all).toFixed(3)})`,
    )
    .join("\n");
}

interface Running {
  readonly process: ChildProcessWithoutNullStreams;
  /** The next line that is wanted; rejects when the process ends first. */
  line(wanted: (line: string) => boolean): Promise<string>;
  /** Settles when the process has ended; what it said of its peak memory is then on standard error. */
  readonly ended: Promise<void>;
}

function start({ name, command, args }: Contender): Running {
  const process = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
  let errors = "";
  process.stderr.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)));
  const lines: string[] = [];
  let notify: () => void = () => {};
  createInterface({ input: process.stdout }).on("line", (line) => {
    lines.push(line.trim());
    notify();
  });
  let failure: string | undefined;
  const ended = new Promise<void>((resolve) => {
    process.on("close", (code) => {
      failure = `${name} ended with ${code}: ${errors}`;
      for (const line of errors.match(/^.*\bpeak\b.*$/gm) ?? []) console.error(line);
      notify();
      resolve();
    });
  });
  return {
    process,
    ended,
    async line(wanted) {
      for (;;) {
        while (lines.length > 0) {
          const line = lines.shift() as string;
          if (wanted(line)) return line;
        }
        if (failure !== undefined) throw new Error(failure);
        await new Promise<void>((resolve) => (notify = resolve));
      }
    },
  };
}
