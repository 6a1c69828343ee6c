/**
 * `npm test`, and with `--all` `npm run test:all`: runs the stages one after the other, all of them whatever
 * fails, writes what each counted to `.cache/test-results/`, and ends with a table and the sum. Stages named as
 * arguments are run alone: `npm test -- lint unit-tests`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureBrowser } from "./browser/find-browser.ts";
import { ensureMpi } from "./mpi/ensure-mpi.ts";
import { quickStages } from "./stages/quick.ts";
import { type Outcome, runStage } from "./stages/stage.ts";
import { thoroughStages } from "./stages/thorough.ts";

const RESULTS = join(".cache", "test-results");

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
mkdirSync(RESULTS, { recursive: true });

const say = (line: string) => console.error(line);
const browser = ensureBrowser(say);
ensureMpi(say);
const all = process.argv.includes("--all");
const wanted = process.argv.slice(2).filter((argument) => argument !== "--all");
const stages = (all ? thoroughStages(RESULTS, browser, say) : quickStages(RESULTS)).filter(
  ({ name }) => wanted.length === 0 || wanted.includes(name),
);
if (stages.length === 0) throw new Error(`No stage is called ${wanted.join(", ")}.`);

const outcomes: Outcome[] = [];
for (const stage of stages) {
  console.log(`\n── ${stage.name} ${"─".repeat(Math.max(3, 70 - stage.name.length))}`);
  const outcome = await runStage({ ...stage, env: { NIJIMI_BROWSER: browser, ...stage.env } });
  outcomes.push(outcome);
  writeFileSync(join(RESULTS, `${stage.name}.json`), `${JSON.stringify(outcome)}\n`);
}

const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
console.log();
for (const outcome of outcomes) {
  const counts = `${outcome.passed} passed, ${outcome.failed} failed`;
  console.log(`${outcome.stage.padEnd(24)} ${counts.padEnd(28)} ${outcome.seconds.toFixed(1)} s`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
