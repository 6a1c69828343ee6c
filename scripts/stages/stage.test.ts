import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { conformanceCounts, vitestCounts } from "./reports.ts";
import { countsOf, runStage, type Stage } from "./stage.ts";

const folder = mkdtempSync(join(tmpdir(), "nijimi-stage-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A stage that runs JavaScript; its report is the file `$REPORT`. */
function stage(script: string, parts: Partial<Stage> = {}): Stage {
  return { name: "s", command: [process.execPath, "-e", script], limit: 1, ...parts };
}

describe("runStage", () => {
  const report = join(folder, "report.json");
  const writing = (text: string, code: number) =>
    stage(
      `fs.writeFileSync(${JSON.stringify(report)}, ${JSON.stringify(text)}); process.exit(${code})`,
      {
        report,
        counts: conformanceCounts,
      },
    );

  it("counts a program without a report as one check", async () => {
    expect(await runStage(stage(""))).toMatchObject({ stage: "s", passed: 1, failed: 0 });
    expect(await runStage(stage("process.exit(3)"))).toMatchObject({ passed: 0, failed: 1 });
    expect(await runStage(stage("", { command: ["no-such-program"] }))).toMatchObject({
      failed: 1,
    });
  });

  it("takes the report's counts, and at least one failure when the program failed", async () => {
    expect(await runStage(writing('{"passed":5,"failed":0}', 0))).toMatchObject({
      passed: 5,
      failed: 0,
    });
    expect(await runStage(writing('{"passed":5,"failed":2}', 1))).toMatchObject({
      passed: 5,
      failed: 2,
    });
    expect(await runStage(writing('{"passed":5,"failed":0}', 1))).toMatchObject({
      passed: 5,
      failed: 1,
    });
  });

  it("does not take an older report for that of a program which wrote none", async () => {
    writeFileSync(report, '{"passed":5,"failed":0}');
    const silent = stage("process.exit(1)", { report, counts: conformanceCounts });
    expect(await runStage(silent)).toMatchObject({ passed: 0, failed: 1 });
  });

  it("ends a program that runs too long, with its children", async () => {
    const forever = stage(
      "child_process.spawn('sleep', ['60'], { stdio: 'inherit' }); setInterval(() => {}, 1000)",
    );
    const outcome = await runStage({ ...forever, limit: 1 / 60 });
    expect(outcome).toMatchObject({ passed: 0, failed: 1 });
    expect(outcome.seconds).toBeLessThan(20);
  });

  it("has failed without a report even when the program says all is well", () => {
    const lost = stage("", { report: join(folder, "nothing.json"), counts: conformanceCounts });
    expect(countsOf(lost, 0)).toEqual({ passed: 0, failed: 1 });
  });
});

it("counts vitest's files that did not load as failures", () => {
  const testResults = [
    { status: "failed", assertionResults: [] },
    { status: "failed", assertionResults: [{}] },
    { status: "passed", assertionResults: [{}, {}] },
  ];
  expect(vitestCounts({ numPassedTests: 2, numFailedTests: 1, testResults })).toEqual({
    passed: 2,
    failed: 2,
  });
});
