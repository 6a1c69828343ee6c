import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writePictures } from "../../train/testing/picture-folder.ts";
import { runLine } from "../testing/run-line.ts";

let home = "";
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "nijimi-train-cli-"));
  await writePictures(join(home, "pictures"));
  await writeFile(join(home, "pictures", "disc", "cut.png"), "not a picture");
});
afterAll(() => rm(home, { recursive: true, force: true }));

const run = (...line: string[]) =>
  runLine(["train", ...line], { env: { NIJIMI_HOME: home }, now: () => performance.now() });

const set = (...changes: string[]) => changes.flatMap((change) => ["--set", change]);
const small = () =>
  set(
    `data=${join(home, "pictures")}`,
    "updates=3",
    "size=16",
    "batchSize=4",
    "channels=[16,16]",
    "layersPerBlock=1",
    "normGroups=8",
    'previews=[""]',
    "warmupUpdates=0",
    "learningRate=0.003",
    "process.weighting=none",
  );
const threads = ["--threads", "1", "--workers", "0"];

describe("nijimi train", () => {
  test("--dry-run shows facts and settings and does nothing", async () => {
    const { code, stdout } = await run("diffusion", "--dry-run", "--set", "size=48", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ recipe: "diffusion", settings: { size: 48 } });
  });

  test("refuses settings that are not there and values of another kind", async () => {
    const unknown = await run("diffusion", ...set("sise=3"));
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("sise")]);
    const wrong = await run("diffusion", ...set("size=large"));
    expect(wrong.stderr).toContain("expected a number");
  });

  test("--check says whether one batch is learnt, and keeps nothing", async () => {
    const { code, stdout } = await run(
      "diffusion",
      "--run",
      "checked",
      "--check",
      ...small(),
      ...threads,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/One batch is learnt: loss \S+ → \S+ in 60 updates/);
    await expect(readFile(join(home, "training", "checked", "run.json"))).rejects.toThrow();
  });

  test("trains, shows progress, names broken pictures, and goes on", async () => {
    const { code, stdout, stderr } = await run("diffusion", ...small(), ...threads);
    expect(code).toBe(0);
    expect(stdout.trim()).toBe(join(home, "training", "diffusion", "model"));
    expect(stderr).toMatch(/images\/s · loss/);
    expect(stderr.match(/skipped disc\/cut\.png/g)).toHaveLength(1);
    expect(stderr).toContain("could not be read, and were replaced by others: 1");
    expect(await readFile(join(home, "training", "diffusion", "report.html"), "utf8")).toContain(
      "<svg",
    );
    const again = await run("diffusion", ...small(), ...threads);
    expect(again.stderr).toContain("--resume");
    const resumed = await run("diffusion", "--resume", "--set", "updates=4", ...threads);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toContain("from update 3 of 4");
  });
});
