/**
 * The closing line over everything that the test stages counted, from `.cache/test-results/`.
 * Ends non-zero on a failure, when nothing was counted, and when an exit code given to it is not 0.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const folder = fileURLToPath(new URL("../.cache/test-results", import.meta.url));
const files = existsSync(folder) ? readdirSync(folder) : [];
const outcomes = files
  .filter((name) => name.endsWith(".json") && !name.endsWith(".report.json"))
  .map(
    (name) =>
      /** @type {{ passed: number, failed: number }} */ (
        JSON.parse(readFileSync(join(folder, name), "utf8"))
      ),
  );

const exitCodes = process.argv.slice(2).map(Number);
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const counted = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
const wrong = passed === 0 || exitCodes.some((code) => code !== 0);
const failed = wrong ? Math.max(counted, 1) : counted;

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
