/** What the programs of the test run write about themselves. */
import type { Counts } from "./stage.ts";

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly unknown[];
  }[];
}

/** Counts of vitest's JSON report. A file that did not load is a failure although it has no tests. */
export function vitestCounts(report: unknown): Counts {
  const { numPassedTests, numFailedTests, testResults } = report as VitestReport;
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  return { passed: numPassedTests, failed: numFailedTests + broken.length };
}

/** Counts of the conformance runner's report. Cases of unknown kinds count as neither. */
export function conformanceCounts(report: unknown): Counts {
  const { passed, failed } = report as Counts;
  return { passed, failed };
}
