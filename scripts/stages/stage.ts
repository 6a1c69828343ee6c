/** A stage: one program of the test run, and how many of its checks passed. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

export interface Stage {
  /** Also the name of its result file: `"unit-tests"`. */
  readonly name: string;
  readonly command: readonly [program: string, ...rest: string[]];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Reads the counts from `report`, the file that the program wrote them to. Without it the stage is one
   * check: its exit code.
   */
  readonly counts?: (report: unknown) => Counts;
  /** Where the program writes its report. */
  readonly report?: string;
  /** Minutes after which it is ended and has failed. */
  readonly limit: number;
}

export interface Outcome extends Counts {
  readonly stage: string;
  readonly seconds: number;
}

/** Runs a stage with its output on ours. A program that fails without saying what failed is one failure. */
export async function runStage(stage: Stage): Promise<Outcome> {
  const start = performance.now();
  if (stage.report !== undefined) rmSync(stage.report, { force: true });
  const code = await runProgram(stage);
  const counts = countsOf(stage, code);
  return { stage: stage.name, ...counts, seconds: (performance.now() - start) / 1000 };
}

/** Counts of a finished stage: those of its report, with one failure more where the exit code demands it. */
export function countsOf(stage: Stage, code: number | null): Counts {
  const { counts, report } = stage;
  if (!counts || report === undefined)
    return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  if (!existsSync(report)) return { passed: 0, failed: 1 };
  const { passed, failed } = counts(JSON.parse(readFileSync(report, "utf8")));
  return { passed, failed: code === 0 ? failed : Math.max(failed, 1) };
}

function runProgram({ command: [program, ...rest], env, limit }: Stage): Promise<number | null> {
  const child = spawn(program, rest, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
    detached: process.platform !== "win32", // its own group, so that its children end with it
  });
  const end = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  const timer = setTimeout(() => {
    console.error(`${program} ran longer than ${limit} minutes and was ended.`);
    end();
  }, limit * 60_000);
  const interrupted = () => {
    end();
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  return new Promise((resolve) => {
    const done = (code: number | null) => {
      clearTimeout(timer);
      process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
      resolve(code);
    };
    child.on("close", done);
    child.on("error", (error) => {
      console.error(error.message);
      done(null);
    });
  });
}
