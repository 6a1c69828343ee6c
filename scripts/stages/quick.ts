/** The stages of `npm test`: at most a quarter of an hour on two cores. */
import { join } from "node:path";
import { conformanceCounts, vitestCounts } from "./reports.ts";
import type { Stage } from "./stage.ts";

/** Programs of the workspace, as stages start them. */
export const PROGRAMS = {
  node: process.execPath,
  tsx: join("node_modules", "tsx", "dist", "cli.mjs"),
  vitest: join("node_modules", "vitest", "vitest.mjs"),
} as const;

/** @param results folder that reports are written to */
export function quickStages(results: string): Stage[] {
  const script = (name: string, limit: number): Stage => ({
    name,
    command: ["npm", "run", "--silent", name],
    limit,
  });
  return [
    script("lint", 2),
    script("typecheck", 3),
    vitestStage("unit-tests", results, [], 10),
    conformanceStage("conformance", results, [], 10),
    exampleStage("spiral", 3),
    vitestStage("browser-tests", results, ["--config", "vitest.browser.config.ts"], 10),
    vitestStage("package-tests", results, ["--config", "package-tests/vitest.config.ts"], 5),
  ];
}

/** An example that must run to its end. */
function exampleStage(name: string, limit: number): Stage {
  const program = [PROGRAMS.tsx, "--conditions=@nijimi/source", `examples/${name}.ts`];
  return { name: `example-${name}`, command: [PROGRAMS.node, ...program], limit };
}

/** Vitest with a JSON report; `node` is the Node that runs it. */
export function vitestStage(
  name: string,
  results: string,
  args: readonly string[],
  limit: number,
  node: string = PROGRAMS.node,
): Stage {
  const report = join(results, `${name}.report.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return {
    name,
    command: [node, PROGRAMS.vitest, "run", ...reporters, ...args],
    report,
    counts: vitestCounts,
    limit,
  };
}

/** The conformance runner over the sources, or with `built` over `nijimi/dist`. */
export function conformanceStage(
  name: string,
  results: string,
  args: readonly string[],
  limit: number,
  {
    built = false,
    env = {},
  }: { readonly built?: boolean; readonly env?: Record<string, string> } = {},
): Stage {
  const report = join(results, `${name}.report.json`);
  const conditions = built ? [] : ["--conditions=@nijimi/source"];
  const runner = [PROGRAMS.tsx, ...conditions, "conformance/run.ts", "--json", report, ...args];
  return {
    name,
    command: [PROGRAMS.node, ...runner],
    env,
    report,
    counts: conformanceCounts,
    limit,
  };
}
