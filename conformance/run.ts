/**
 * The conformance runner: runs every case of a directory through the suite that accepts it.
 *
 * `npm run conformance -- [--cases DIR] [--only KIND] [--filter TEXT] [--json FILE] [--device cpu|webgpu|wasm]`
 *
 * One line per case with its largest error and its time; the last line has the counts. Ends with 1 when a case
 * failed, with 2 when it was called wrongly. Cases that no suite accepts are counted by kind and do not fail.
 */
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Case, Comparison, Suite } from "./case.ts";
import { readCases } from "./read-case.ts";
import { suites } from "./suites/index.ts";

const DEVICES = ["cpu", "webgpu", "wasm"];
const DEFAULT_CASES = path.join(import.meta.dirname, "cases");

interface Options {
  readonly cases: string;
  /** Kinds, sections or folders to run; all when empty. */
  readonly only: readonly string[];
  /** Part of the case's id. */
  readonly filter: string;
  readonly json: string | undefined;
  readonly device: string;
}

/** What became of one case. */
interface Outcome {
  readonly id: string;
  readonly kind: string;
  readonly status: "passed" | "failed" | "unknown";
  /** Largest error of the case's comparisons. */
  readonly error: number;
  readonly seconds: number;
  readonly comparisons: readonly Comparison[];
  readonly message?: string;
}

/** Wrong use of the command line. */
class UsageError extends Error {}

function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      cases: { type: "string", default: DEFAULT_CASES },
      only: { type: "string", multiple: true, default: [] },
      filter: { type: "string", default: "" },
      json: { type: "string" },
      device: { type: "string", default: "cpu" },
    },
  });
  if (!DEVICES.includes(values.device))
    throw new UsageError(`Unknown device "${values.device}". Accepted: ${DEVICES.join(", ")}.`);
  if (!existsSync(values.cases))
    throw new UsageError(`No directory ${values.cases}; --cases names one.`);
  return { ...values, json: values.json, only: values.only.flatMap((kinds) => kinds.split(",")) };
}

/** Kind by which a case is counted when no suite accepts it. */
function kindOf({ id, json }: Case): string {
  return json.section ?? path.posix.basename(path.posix.dirname(id));
}

/** All suites. One that does not load stops the run only when it was asked for, by name or by not asking. */
async function loadSuites(only: readonly string[]): Promise<Suite[]> {
  const loaded = Object.entries(suites).map(([kind, load]) =>
    load().catch((error: unknown) => {
      const message = `The suite "${kind}" does not load: ${messageOf(error)}`;
      if (only.length === 0 || only.includes(kind)) throw new Error(message, { cause: error });
      console.error(message);
      return undefined;
    }),
  );
  return (await Promise.all(loaded)).filter((suite) => suite !== undefined);
}

/** True for cases that `--only` asks for: by the suite's kind, the case's section, or a folder it lies in. */
function isWanted(c: Case, accepting: readonly Suite[], only: readonly string[]): boolean {
  const names = [...accepting.map(({ kind }) => kind), kindOf(c), ...c.id.split("/").slice(0, -1)];
  return only.length === 0 || names.some((name) => only.includes(name));
}

async function runCase(c: Case, accepting: readonly Suite[], device: string): Promise<Outcome> {
  const start = performance.now();
  const outcome = (
    status: Outcome["status"],
    comparisons: readonly Comparison[],
    message?: string,
  ): Outcome => ({
    id: c.id,
    kind: accepting[0]?.kind ?? kindOf(c),
    status,
    error: comparisons.reduce((largest, { error }) => Math.max(largest, error), 0),
    seconds: (performance.now() - start) / 1000,
    comparisons,
    ...(message !== undefined && { message }),
  });
  if (accepting.length === 0) return outcome("unknown", []);
  if (accepting.length > 1)
    return outcome(
      "failed",
      [],
      `accepted by several suites: ${accepting.map(({ kind }) => kind).join(", ")}`,
    );
  try {
    const comparisons = await accepting[0].run(c, { device });
    if (comparisons.length === 0) return outcome("failed", [], "the suite compared nothing");
    const failed = comparisons.filter(({ passed }) => !passed);
    if (failed.length === 0) return outcome("passed", comparisons);
    const shown = failed
      .slice(0, 3)
      .map(({ name, error, message }) => `${name}: ${message ?? `error ${error}`}`);
    const rest = failed.length > 3 ? `; ${failed.length - 3} more` : "";
    return outcome(
      "failed",
      comparisons,
      `${failed.length} of ${comparisons.length}: ${shown.join("; ")}${rest}`,
    );
  } catch (error) {
    return outcome("failed", [], messageOf(error));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function describe({ id, kind, status, error, seconds, message }: Outcome): string {
  const mark = { passed: "ok  ", failed: "FAIL", unknown: "?   " }[status];
  const line = `${mark} ${kind}  ${id}  error ${error.toExponential(2)}  ${seconds.toFixed(2)} s`;
  return message === undefined ? line : `${line}\n     ${message}`;
}

function countUnknown(outcomes: readonly Outcome[]): string {
  const counts = new Map<string, number>();
  for (const { kind, status } of outcomes)
    if (status === "unknown") counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
}

async function main(argv: readonly string[]): Promise<number> {
  const { cases, only, filter, json, device } = readOptions(argv);
  const loaded = await loadSuites(only);
  const outcomes: Outcome[] = [];
  for (const c of readCases(cases).filter(({ id }) => id.includes(filter))) {
    const accepting = loaded.filter((suite) => suite.accepts(c));
    if (!isWanted(c, accepting, only)) continue;
    const outcome = await runCase(c, accepting, device);
    outcomes.push(outcome);
    if (outcome.status !== "unknown") console.log(describe(outcome));
  }
  if (only.length > 0 && outcomes.length === 0)
    throw new UsageError(
      `No case of kind ${only.join(", ")} in ${cases}. Suites: ${Object.keys(suites).join(", ")}.`,
    );
  const count = (status: Outcome["status"]) =>
    outcomes.filter((outcome) => outcome.status === status).length;
  const summary = { passed: count("passed"), failed: count("failed"), unknown: count("unknown") };
  if (summary.unknown > 0) console.log(`unknown kinds: ${countUnknown(outcomes)}`);
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ ...summary, device, outcomes }, null, 1)}\n`);
  console.log(`${summary.passed} passed, ${summary.failed} failed, ${summary.unknown} unknown`);
  return summary.failed > 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const usage =
    error instanceof UsageError ||
    String((error as { code?: unknown }).code).startsWith("ERR_PARSE_ARGS");
  console.error(usage ? messageOf(error) : error);
  process.exitCode = 2;
}
