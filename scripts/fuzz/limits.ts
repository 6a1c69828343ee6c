/** Running one input within limits: what an attacker's file may cost. */
import { openSync, readFileSync, writeSync } from "node:fs";
import { isNijimiError } from "nijimi";
import type { Input } from "./input.ts";
import type { Target } from "./target.ts";

/** Most processor time for an input, in seconds. */
export const MAX_SECONDS = 1;
/** Most memory that an input may add to the process, in bytes. */
export const MAX_GROWTH = 2 ** 28;

/** What went wrong with an input. */
export interface Finding {
  readonly kind: "error" | "hang" | "memory" | "crash";
  readonly message: string;
}

/** Runs an input; undefined when all is well: it was read, or refused by an error of the library's family. */
export async function runWithin(
  target: Target,
  { bytes, random }: Input,
  peak: PeakMemory,
): Promise<Finding | undefined> {
  const before = process.memoryUsage.rss();
  peak.reset();
  const start = process.cpuUsage();
  let error: unknown;
  try {
    await target.run(bytes, random);
  } catch (thrown) {
    error = thrown;
  }
  const { user, system } = process.cpuUsage(start);
  const growth = peak.read() - before;
  const seconds = (user + system) / 1e6;
  if (error !== undefined && !isRefusal(error)) return { kind: "error", message: describe(error) };
  if (seconds > MAX_SECONDS) return { kind: "hang", message: `took ${seconds.toFixed(1)} s` };
  if (growth > MAX_GROWTH)
    return { kind: "memory", message: `took ${Math.round(growth / 2 ** 20)} MB` };
  return undefined;
}

/** An error on purpose: of the library's family, and not about a bug of its own. */
function isRefusal(error: unknown): boolean {
  return isNijimiError(error) && error.code !== "internal";
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** The largest resident memory since it was last reset, in bytes. */
export interface PeakMemory {
  reset(): void;
  read(): number;
}

/** By Linux's resettable high-water mark; elsewhere the process's highest so far, which finds less. */
export function peakMemory(): PeakMemory {
  const fallback: PeakMemory = {
    reset: () => {},
    read: () => process.resourceUsage().maxRSS * 1024,
  };
  try {
    const clear = openSync("/proc/self/clear_refs", "w");
    const read = () =>
      Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))![1]) * 1024;
    writeSync(clear, "5");
    read();
    return { reset: () => void writeSync(clear, "5"), read };
  } catch {
    return fallback;
  }
}
